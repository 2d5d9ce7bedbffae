"""An operation that has come due, and what became of it: what the planner hands to the ledger.

One occurrence may take several attempts, and each attempt is a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dr_orchestrator.core.run import Operation, Outcome

LATEST = "latest"
AFTER_TEST = "after-test"
"""How the schedule of reports that a restore test makes due is called, last in its id."""


class Progress(StrEnum):
    """How far an occurrence is."""

    WAITING = "waiting"
    """For a slot, for somebody else's lock, or for the next attempt."""
    RUNNING = "running"
    SETTLED = "settled"
    """It ran, and no further attempt is made."""
    SKIPPED = "skipped"
    """It came due and does not run, for the reason that stands beside it."""


class Skipped(StrEnum):
    """Why an occurrence that came due is not to run, as a person reads it."""

    SUPERSEDED = "a later one had come due before it could be started"
    TOO_LATE = "it could not be started within its grace"
    CLOCK_AHEAD = "the clock was ahead when it came due"
    HANDED_OVER = "the practice was handed over to another machine"


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """An operation has come due."""

    id: str
    schedule_id: str
    """Which schedule, by what it says; with `due_at` the name of this occurrence."""
    due_at: datetime
    practice: str
    operation: Operation
    system: str = ""
    """Empty where the operation is one on a whole repository, or on the practice."""
    repository: str | None = None
    """The one a test restores from, or that is looked after; `None` for a backup or a report."""
    point: str = LATEST
    """Which recovery point a test takes: `latest` or `random`."""
    skipped: str = ""
    """Why it is not to run, for a person; empty where it is."""
    keeps_older: bool = False
    """Whether older ones of its schedule that still wait run too, one after the other."""
    emergency: bool = False
    """Whether it goes before everything else, in a slot of its own."""


@dataclass(frozen=True, kw_only=True)
class OccurrenceState:
    """An occurrence, and how far it is."""

    occurrence: Occurrence
    progress: Progress
    attempt: int
    """How many attempts were begun."""
    not_before: datetime | None
    """When the next attempt may begin."""
    outcome: Outcome | None
    """Of the last attempt."""
    reason: str
    """One sentence for a person: why it was skipped, failed or waits."""


@dataclass(frozen=True, kw_only=True)
class TestsDue:
    """Which restore tests came due in a stretch of time, and which were made without being due."""

    __test__ = False  # no test of ours, whatever its name begins with

    states: tuple[OccurrenceState, ...] = ()
    """Those that came due, made or not, oldest first."""
    without_test: frozenset[str] = frozenset()
    """Ids of those whose attempts all ended before there was a test: nothing was restored."""
    by_hand: frozenset[str] = frozenset()
    """Ids of the tests that a person started: no schedule asked for them."""


@dataclass(frozen=True, kw_only=True)
class Serves:
    """The occurrence that a run serves; a run that a person started serves none."""

    schedule_id: str
    due_at: datetime
    attempt: int
    """Counted from 1; each has a run of its own."""
