"""What every store promises of years of restore tests: counted, and not read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.occurrence import Occurrence, Skipped, TestsDue
from dr_orchestrator.core.record import (
    Entry,
    OccurrenceDue,
    OccurrenceSettled,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.calendar import Became, calendar_entries
from dr_orchestrator.store.base import Limits, MonthOfTests, Store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_run, make_test
from tests.support.stores import STORES, OpenStore, sqlite

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    open_it: OpenStore = request.param
    with open_it(tmp_path, FakeClock(), Limits()) as opened:
        yield opened


def due(
    at: datetime, skipped: str = "", operation: Operation = Operation.RESTORE_TEST
) -> OccurrenceDue:
    schedule = f"{PRACTICE}/emr/{operation.value}"
    return OccurrenceDue(
        occurrence=Occurrence(
            id=f"{schedule}@{at.isoformat()}",
            schedule_id=schedule,
            due_at=at,
            practice=PRACTICE,
            operation=operation,
            system="emr",
            repository="onsite",
            skipped=skipped,
        )
    )


def made(
    at: datetime, result: Result, practice: str = PRACTICE, **more: object
) -> RestoreTestRecorded:
    return RestoreTestRecorded(test=make_test(at, result, practice=practice, **more))


def test_months_of_tests_count_what_was_made_missed_and_skipped(store: Store) -> None:
    may, june = datetime(2026, 5, 3, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    july = june + 30 * DAY
    store.record(
        made(may, Result.PASSED),
        made(may + DAY, Result.FAILED),
        made(may + DAY + HOUR, Result.PASSED, follow_up_of="20260504-000000-abcdef"),
        made(july, Result.PASSED, follow_up_of="20260504-000000-abcdef"),
        made(june - timedelta(microseconds=1), Result.PASSED),
        made(june, Result.UNPROVEN),
        made(may, Result.PASSED, "lakeside"),
        made(SINCE - HOUR, Result.PASSED),
        due(may),
        due(may + DAY, Skipped.SUPERSEDED.value),
        due(may + 2 * DAY, Skipped.TOO_LATE.value),
        due(may + 3 * DAY, Skipped.CLOCK_AHEAD.value),
        due(june + DAY, "paused until tomorrow: a move"),
        due(may, Skipped.SUPERSEDED.value, Operation.BACKUP),
    )
    of_may = MonthOfTests(
        practice=PRACTICE,
        month="2026-05",
        passed=2,
        failed=1,
        no_result=0,
        missed=2,
        skipped=0,
        by_hand=0,
    )
    of_june = MonthOfTests(
        practice=PRACTICE,
        month="2026-06",
        passed=0,
        failed=0,
        no_result=1,
        missed=0,
        skipped=1,
        by_hand=0,
    )
    assert store.months_of_tests([PRACTICE], since=SINCE) == (of_may, of_june)
    lakeside = replace(of_may, practice="lakeside", passed=1, failed=0, missed=0)
    assert store.months_of_tests([PRACTICE, "lakeside"], since=SINCE)[0] == lakeside
    assert store.months_of_tests([], since=SINCE) == ()


def test_tests_due_are_all_restore_tests_that_came_due_oldest_first(store: Store) -> None:
    store.record(
        due(SINCE + DAY),
        due(SINCE, Skipped.TOO_LATE.value),
        due(SINCE - HOUR),
        due(SINCE, operation=Operation.BACKUP),
    )
    found = store.tests_due(PRACTICE, since=SINCE)
    assert [each.occurrence.due_at for each in found.states] == [SINCE, SINCE + DAY]
    assert [each.reason for each in found.states] == [Skipped.TOO_LATE.value, ""]
    assert store.tests_due("lakeside", since=SINCE) == TestsDue()


def test_tests_by_hand_are_told_apart_and_what_ended_without_one_was_missed(store: Store) -> None:
    served = due(SINCE).occurrence
    ended = due(SINCE + DAY).occurrence
    for occurrence, test in ((served, "served"), (ended, "ended")):
        run = make_run(
            occurrence.due_at,
            id=test,
            operation=Operation.RESTORE_TEST,
            schedule_id=occurrence.schedule_id,
            due_at=occurrence.due_at,
        )
        store.record(
            OccurrenceDue(occurrence=occurrence),
            RunOpened(run=run),
            OccurrenceSettled(
                occurrence=occurrence.id,
                at=occurrence.due_at + HOUR,
                outcome=Outcome.FAILED,
                reason="no answer",
            ),
        )
    store.record(
        RunOpened(run=make_run(SINCE, id="hand", operation=Operation.RESTORE_TEST)),
        RunOpened(run=make_run(SINCE, id="follow", operation=Operation.RESTORE_TEST)),
        made(SINCE, Result.FAILED, id="served"),
        made(SINCE + HOUR, Result.PASSED, id="hand"),
        made(SINCE + HOUR, Result.PASSED, id="follow", follow_up_of="served"),
    )
    found = store.tests_due(PRACTICE, since=SINCE)
    assert found.without_test == frozenset({ended.id})
    assert found.by_hand == frozenset({"hand"})
    (month,) = store.months_of_tests([PRACTICE], since=SINCE)
    assert (month.passed, month.failed, month.missed, month.by_hand) == (1, 1, 1, 1)
    entries = calendar_entries(store.tests(PRACTICE, since=SINCE), found)
    assert [(each.became, each.by_hand) for each in entries] == [
        (Became.FAILED, False),
        (Became.PASSED, True),
        (Became.MISSED, False),
    ]


def test_tests_since_an_instant_are_those_begun_then_or_later(store: Store) -> None:
    store.record(made(SINCE, Result.PASSED), made(SINCE - HOUR, Result.PASSED))
    (found,) = store.tests(PRACTICE, since=SINCE)
    assert found.started_at == SINCE


def test_newest_finished_is_the_run_that_finished_last_by_practice(store: Store) -> None:
    def run(name: str, at: datetime, took: timedelta | None, **more: object) -> Iterator[Entry]:
        opened = make_run(at, id=name, operation=Operation.RESTORE_TEST, **more)
        yield RunOpened(run=opened)
        if took is not None:
            yield RunClosed(run=name, finished_at=at + took, outcome=Outcome.FAILED)

    store.record(
        *run("a", SINCE, 9 * HOUR, repository="onsite"),
        *run("b", SINCE + HOUR, HOUR, repository="offsite"),
        *run("c", SINCE + DAY, None, repository="onsite"),
        *run("d", SINCE, HOUR, practice="lakeside"),
    )
    found = store.newest_finished(Operation.RESTORE_TEST)
    assert {practice: each.id for practice, each in found.items()} == {
        PRACTICE: "a",
        "lakeside": "d",
    }
    assert store.newest_finished(Operation.REPORT) == {}


@settings(max_examples=25)
@given(
    tests=st.dictionaries(st.integers(0, 400), st.sampled_from(Result), max_size=12),
    skipped=st.dictionaries(
        st.integers(0, 400),
        st.sampled_from(["", *(each.value for each in Skipped), "paused"]),
        max_size=12,
    ),
)
def test_months_of_tests_agree_with_the_calendar(
    tmp_path_factory: pytest.TempPathFactory,
    tests: dict[int, Result],
    skipped: dict[int, str],
) -> None:
    with sqlite(tmp_path_factory.mktemp("store"), FakeClock(), Limits()) as store:
        store.record(*(made(SINCE + each * DAY, result) for each, result in tests.items()))
        store.record(*(due(SINCE + each * DAY, why) for each, why in skipped.items()))
        months = store.months_of_tests([PRACTICE], since=SINCE)
        entries = calendar_entries(
            store.tests(PRACTICE, since=SINCE), store.tests_due(PRACTICE, since=SINCE)
        )
    for became in Became:
        counted = sum(getattr(each, became.value) for each in months)
        assert counted == sum(1 for each in entries if each.became is became)
