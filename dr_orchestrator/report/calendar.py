"""What became of each restore test that was made, or that should have been. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

from dr_orchestrator.core.occurrence import OccurrenceState, Progress, Skipped
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
_OVER = frozenset({Progress.SKIPPED, Progress.SETTLED})
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


def calendar_entries(
    tests: Iterable[RestoreTest], occurrences: Iterable[OccurrenceState]
) -> tuple[CalendarEntry, ...]:
    """Return every restore test that was made, and those that were due and not made, by time.

    Attempts that ended before there was a test count as missed: nothing was restored. What came due
    because a clock was wrong was never due, and is left out.
    """
    tests, occurrences = tuple(tests), tuple(occurrences)
    made = [
        CalendarEntry(
            at=test.started_at,
            system=test.system,
            repository=test.repository,
            became=_OF_RESULT[test.result],
            reason=test.reason,
        )
        for test in tests
    ]
    not_made = [
        CalendarEntry(
            at=state.occurrence.due_at,
            system=state.occurrence.system,
            repository=state.occurrence.repository or "",
            became=became,
            reason=state.reason,
        )
        for state, has_test in _with_tests(occurrences, tests)
        if (became := _not_made(state, has_test=has_test))
    ]
    return tuple(sorted([*made, *not_made], key=lambda each: each.at))


def _not_made(state: OccurrenceState, *, has_test: bool) -> Became | None:
    """Return what became of one that came to no test; `None` where it did, or still may."""
    if state.progress is Progress.SETTLED and state.outcome is not None:
        return None if has_test else Became.MISSED
    if state.progress not in _OVER or state.reason == Skipped.CLOCK_AHEAD.value:
        return None
    return Became.MISSED if state.reason in _MISSED else Became.SKIPPED


def _with_tests(
    occurrences: Iterable[OccurrenceState], tests: Iterable[RestoreTest]
) -> Iterator[tuple[OccurrenceState, bool]]:
    """Yield each with whether a test was begun for it: after it was due, and before the next one of
    the same system and repository was.
    """
    due: dict[tuple[str, str], list[OccurrenceState]] = {}
    begun: dict[tuple[str, str], list[datetime]] = {}
    for state in occurrences:
        pair = (state.occurrence.system, state.occurrence.repository or "")
        due.setdefault(pair, []).append(state)
    for test in tests:
        begun.setdefault((test.system, test.repository), []).append(test.started_at)
    for pair, states in due.items():
        states.sort(key=lambda state: state.occurrence.due_at)
        starts = sorted(begun.get(pair, ()))
        ends = [each.occurrence.due_at for each in states[1:]]
        for state, until in zip_longest(states, ends):
            place = bisect_left(starts, state.occurrence.due_at)
            yield state, place < len(starts) and (until is None or starts[place] < until)
