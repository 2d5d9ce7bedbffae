"""What stands on the page, already in words and in the practice's own time zone.

A renderer arranges these and adds nothing, so HTML, JSON and any later form say the same. The
fields follow the order of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.verification import Result


class PrintSize(StrEnum):
    """How large it is printed, so that it fills one sheet and stays on it."""

    LARGE = "large"
    NORMAL = "normal"
    SMALL = "small"


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
    more_shortfalls: str
    """Those the list has no room for, by name alone."""
    kept: tuple[str, ...]
    """The objectives that were met, in words, or how many; none without a restore test that is
    recent enough, and while less is promised than the practice accepted."""
    in_order: tuple[str, ...]
    """Those objectives then."""


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
class Signature:
    """What the manager puts her name to, and what was signed before."""

    last: str
    """Who signed last, how that was given, and who recorded it; or that nobody did."""
    statement: str
    also: tuple[str, ...]
    """What else is accepted by it."""
    code: str
    """What of the evidence's head stands on the page; empty where there is none."""
    how: tuple[str, ...]
    """The ways to give it."""


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
    notice: str
    """What comes before all else: that the record was altered; empty where it was not."""
    made: str
    """When this page was made, with the year."""
    verdict: Verdict
    verdict_words: str
    summary: str
    """The answer for the whole practice, in one sentence."""
    changed: tuple[Note, ...]
    """What promises less than the practice accepted."""
    more_changed: str
    systems: tuple[SystemVerdict, ...]
    """The worst first."""
    losses: tuple[Loss, ...]
    compared: tuple[Compared, ...]
    not_covered: tuple[Note, ...]
    more_not_covered: str
    """How many more there are that the page has no room for; empty where there are none."""
    keys: tuple[Note, ...]
    """Who can open the backups."""
    rehearsals: tuple[Note, ...]
    """The last of each kind, or that there was none."""
    actions: tuple[Note, ...]
    """What is to be put right, the overdue first."""
    more_actions: str
    trend: tuple[TrendLine, ...]
    """The newest first."""
    more_tests: str
    needs: tuple[Need, ...]
    next_page: str
    """When it comes, and whom to call if it does not."""
    signature: Signature
    footer: tuple[Note, ...]
    print_size: PrintSize
