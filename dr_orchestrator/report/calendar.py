"""What became of each restore test that was made, or that should have been. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dr_orchestrator.core.occurrence import OccurrenceState, Progress, Skipped, TestsDue
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result


class Became(StrEnum):
    """What came of it."""

    PASSED = "passed"
    FAILED = "failed"
    NO_RESULT = "no_result"
    """It was made, and proves nothing."""
    MISSED = "missed"
    """It was due, and nothing made it."""
    SKIPPED = "skipped"
    """A person had paused it."""


_OF_RESULT = {
    Result.PASSED: Became.PASSED,
    Result.FAILED: Became.FAILED,
    Result.UNPROVEN: Became.NO_RESULT,
}
_MISSED = frozenset({Skipped.SUPERSEDED.value, Skipped.TOO_LATE.value})


@dataclass(frozen=True, kw_only=True)
class CalendarEntry:
    """One restore test of the calendar."""

    at: datetime
    """When it was begun, else when it was due."""
    system: str
    repository: str
    became: Became
    reason: str
    """One sentence, where it did not pass."""
    by_hand: bool = False
    """Whether a person started it: it was made, and was not due."""


def calendar_entries(tests: Iterable[RestoreTest], due: TestsDue) -> tuple[CalendarEntry, ...]:
    """Return every restore test that was made, and those that were due and not made, by time.

    One that only looks for the damage another one found is none of them. Attempts that ended before
    there was a test count as missed: nothing was restored. What came due because a clock was wrong
    was never due, and is left out. `Store.months_of_tests` counts by the same rule.
    """
    made = [
        CalendarEntry(
            at=test.started_at,
            system=test.system,
            repository=test.repository,
            became=_OF_RESULT[test.result],
            reason=test.reason,
            by_hand=test.id in due.by_hand,
        )
        for test in tests
        if test.follow_up_of is None
    ]
    not_made = [
        CalendarEntry(
            at=state.occurrence.due_at,
            system=state.occurrence.system,
            repository=state.occurrence.repository or "",
            became=became,
            reason=state.reason,
        )
        for state in due.states
        if (became := _not_made(state, due))
    ]
    return tuple(sorted([*made, *not_made], key=lambda each: each.at))


def _not_made(state: OccurrenceState, due: TestsDue) -> Became | None:
    """Return what became of one that came to no test; `None` where it did, or still may."""
    if state.progress is Progress.SETTLED:
        return Became.MISSED if state.occurrence.id in due.without_test else None
    if state.progress is not Progress.SKIPPED or state.reason == Skipped.CLOCK_AHEAD.value:
        return None
    return Became.MISSED if state.reason in _MISSED else Became.SKIPPED
