from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dr_orchestrator.core.occurrence import (
    Occurrence,
    OccurrenceState,
    Progress,
    Skipped,
    TestsDue,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.calendar import Became, calendar_entries
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, SYSTEM, make_test

DAY = timedelta(days=1)


def came_due(days_ago: int, reason: str, progress: Progress = Progress.SKIPPED) -> OccurrenceState:
    return OccurrenceState(
        occurrence=Occurrence(
            id=f"nightly@{days_ago}",
            schedule_id="nightly",
            due_at=NOW - days_ago * DAY,
            practice=PRACTICE,
            operation=Operation.RESTORE_TEST,
            system=SYSTEM,
            repository="onsite",
        ),
        progress=progress,
        attempt=0,
        not_before=None,
        outcome=None,
        reason=reason,
    )


def test_calendar_entries_are_what_was_made_and_what_was_not_by_time() -> None:
    tests = [
        make_test(NOW - 1 * DAY),
        make_test(NOW - 4 * DAY, Result.FAILED),
        make_test(NOW - 6 * DAY, Result.UNPROVEN),
    ]
    due = [
        came_due(2, Skipped.TOO_LATE.value),
        came_due(3, Skipped.SUPERSEDED.value),
        came_due(5, "paused until 3 May by Ada: server move"),
    ]
    entries = calendar_entries(tests, TestsDue(states=tuple(due)))
    assert [each.became for each in entries] == [
        Became.NO_RESULT,
        Became.SKIPPED,
        Became.FAILED,
        Became.MISSED,
        Became.MISSED,
        Became.PASSED,
    ]
    assert entries[1].reason == "paused until 3 May by Ada: server move"
    assert {each.repository for each in entries} == {"onsite"}


def test_calendar_entries_count_a_test_that_was_made_once() -> None:
    made = replace(came_due(1, "", Progress.SETTLED), outcome=Outcome.DONE)
    assert len(calendar_entries([make_test(NOW - DAY)], TestsDue(states=(made,)))) == 1


def test_calendar_entries_leave_out_what_was_never_due_and_what_waits() -> None:
    due = [came_due(1, Skipped.CLOCK_AHEAD.value), came_due(0, "for a slot", Progress.WAITING)]
    assert calendar_entries([], TestsDue(states=tuple(due))) == ()


def test_calendar_entries_say_missed_of_attempts_that_ended_before_there_was_a_test() -> None:
    ended = replace(came_due(2, "the repository is gone", Progress.SETTLED), outcome=Outcome.FAILED)
    night_before = make_test(NOW - 3 * DAY)
    made = replace(came_due(1, "", Progress.SETTLED), outcome=Outcome.DONE)
    due = TestsDue(states=(made, ended), without_test=frozenset({ended.occurrence.id}))
    entries = calendar_entries([night_before, make_test(NOW - DAY)], due)
    assert [each.became for each in entries] == [Became.PASSED, Became.MISSED, Became.PASSED]
