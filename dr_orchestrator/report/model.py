"""What stands on the page, already in words and in the practice's own time zone.

A renderer arranges these and adds nothing, so HTML, JSON and any later form say the same. The
fields follow the order of the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.verification import Result


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """One promise that was not kept, or that is not proven."""

    objective: str
    """In words, with the repository where that matters."""
    verdict: Verdict
    verdict_words: str
    text: str
    """Why, and since when or until when; never empty."""


@dataclass(frozen=True, kw_only=True)
class SystemVerdict:
    """The answer for one system, in one sentence and what belongs to it."""

    system: str
    title: str
    importance: str
    verdict: Verdict
    verdict_words: str
    sentence: str
    more: tuple[str, ...]
    """Whole sentences that qualify the first."""
    recovery: tuple[str, ...]
    """From each repository: `41 min proven + 2 h allowed = 2 h 41 min: within your 4 h`."""
    protection: tuple[str, ...]
    """Until when its newest proven backup is locked, in each repository that does that."""
    shortfalls: tuple[Shortfall, ...]
    kept: tuple[str, ...]
    """The objectives that were met, in words."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """How much work would be entered again, for one system."""

    title: str
    verdict: Verdict
    verdict_words: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One thing that was looked at in the restored data."""

    result: Result
    result_words: str
    title: str
    text: str
    """What was found; empty where the title says it all."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was opened and compared in one restore test."""

    title: str
    text: str
    """Which test, and how many of its checks passed."""
    checks: tuple[CheckLine, ...]
    """Failed ones first, all of them; then as many of the others as the page has room for."""
    more: str
    """What the list leaves out: `and 8 more, all passed`."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A statement about something that has a name."""

    label: str
    text: str


@dataclass(frozen=True, kw_only=True)
class TrendLine:
    """One restore test of the past."""

    day: str
    system: str
    point: str
    """When the backup that was restored had been made."""
    repository: str
    result: Result
    result_words: str
    recovery_time: str


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something the practice is asked to do."""

    text: str
    by: str
    """A date; `today, …` for what is broken."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole page of one practice."""

    practice: str
    """The practice's id."""
    name: str
    made: str
    """When this page was made, with the year."""
    verdict: Verdict
    verdict_words: str
    summary: str
    """The answer for the whole practice, in one sentence."""
    systems: tuple[SystemVerdict, ...]
    """The worst first."""
    losses: tuple[Loss, ...]
    compared: tuple[Compared, ...]
    not_covered: tuple[Note, ...]
    keys: tuple[Note, ...]
    """Who can open the backups."""
    trend: tuple[TrendLine, ...]
    """The newest first."""
    needs: tuple[Need, ...]
    footer: tuple[Note, ...]
