"""What a responder sees and is asked: no word of terminals here, and none of files.

Two desks keep to it: a calm full-screen one, and plain lines for dumb terminals and for programs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.progress import Behind, Limit


@dataclass(frozen=True, kw_only=True)
class ContactLine:
    """Somebody to call."""

    name: str
    role: str
    phone: str
    email: str
    verified: str
    """When this was last tried, as a date; empty where never."""


@dataclass(frozen=True, kw_only=True)
class PointLine:
    """The recovery point that a system comes back from."""

    system: str
    title: str
    point: str
    as_of: datetime
    repository: str
    proven: datetime | None
    """When it, or one of the same system and repository, was last proven by a restore test."""
    estimate: timedelta | None
    """How long its restore took then."""
    restored: bool = False
    """Whether the system came back from it, and out of this repository, already."""


@dataclass(frozen=True)
class LoadLine:
    """A sentence or a command that brings restored data into use."""

    text: str
    is_command: bool


@dataclass(frozen=True)
class Loads:
    """What to do with one asset that was restored."""

    of: str
    """Titles of the system and of the asset."""
    lines: tuple[LoadLine, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """All that is shown of a step. Times are UTC; the desk shows them in `timezone`."""

    practice: str
    """Its id, which is what is typed."""
    practice_name: str
    timezone: str
    mode: Mode
    run: str
    by: str
    runbook: str
    """Its title."""
    system: str
    """Title of the system it is about; empty where it is about the practice."""
    number: int
    """Of the step among `total`, from 1."""
    total: int
    step: str
    kind: Kind
    lane: str
    """Title."""
    do: str
    expect: str
    if_not: str
    undo: str
    cite: str
    command: tuple[str, ...]
    normal: timedelta | None
    begun_at: datetime
    destructive: bool
    two_persons: bool
    critical: bool
    in_rehearsal: str
    """What this rehearsal does with it, as a sentence; empty in an incident."""
    contacts: tuple[ContactLine, ...]
    points: tuple[PointLine, ...]
    loads: tuple[Loads, ...]
    """What to do with what was restored, until the outage is over."""
    handed_over: bool
    """Whether the run was opened on another machine, which knows more of what went before."""
    behind: tuple[Behind, ...]
    after: tuple[str, ...]
    """`do` of the steps that follow."""
    outage_at: datetime
    rto: timedelta | None
    """The shortest of the systems it is about; `None` where it is about none."""
    limits: tuple[Limit, ...]
    notes: tuple[str, ...]
    """What else is to be known, the most urgent first."""


@dataclass(frozen=True)
class Choice:
    """One thing a person may answer."""

    key: str
    """A letter or a number to press."""
    label: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person is asked: one of `choices`, or, where there are none, something to type."""

    text: str
    choices: tuple[Choice, ...] = ()
    until: datetime | None = None
    """With choices: nobody need answer after this instant; then the answer is empty."""


@dataclass(frozen=True, kw_only=True)
class Doing:
    """How far something is that takes a while."""

    subject: str
    text: str
    """As `1.2 GiB of 3.4 GiB`, or `done`."""


Report = Callable[[Doing], None]


class Desk(Protocol):
    """Where a responder sits. Raises `Interrupted` where the person leaves."""

    def ask(self, view: View, question: Question) -> str:
        """Show a step and return the answer: the key of a choice, or what was typed, stripped."""
        ...

    def working(self, view: View, doing: str) -> AbstractContextManager[Report]:
        """Show a step while something runs; what is reported meanwhile may come from any thread."""
        ...

    def output(self, view: View, lines: tuple[str, ...]) -> None:
        """Show what a command printed: to the person, and kept nowhere."""
        ...

    def over(self, view: View, words: tuple[str, ...]) -> None:
        """Say how the run ended, and leave it on the screen."""
        ...
