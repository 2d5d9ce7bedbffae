"""What a store remembers of sizes and attempts, without walking through all that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.occurrence import Occurrence, Progress
from dr_orchestrator.core.record import (
    FORGOTTEN_SHOWN,
    TESTS_SHOWN,
    OccurrenceDue,
    PointForgotten,
    PointRecorded,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import DATABASE, DOCUMENTS, PRACTICE, make_point, make_run, make_test

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
COUNTED = replace(DOCUMENTS, files=1600, changed_files=100, added_bytes=1000)
MUCH = replace(COUNTED, changed_files=101)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state", FakeClock()) as opened:
        yield opened


def test_point_remembers_how_much_of_it_was_new(store: Store) -> None:
    point = make_point(START, assets={"documents": COUNTED, "database": DATABASE})

    store.record(PointRecorded(point=point))

    assert store.points(PRACTICE) == (point,)


def test_practice_record_shows_what_was_forgotten_only_where_much_was_new(store: Store) -> None:
    points = [
        make_point(START - 3 * HOUR, assets={"documents": MUCH}),
        make_point(START - 2 * HOUR, assets={"documents": COUNTED}),
        make_point(
            START - HOUR, assets={"database": replace(DATABASE, added_bytes=DATABASE.bytes)}
        ),
        make_point(START - FORGOTTEN_SHOWN - HOUR, assets={"documents": MUCH}),
        make_point(START, assets={"documents": MUCH}),
    ]
    for point in points:
        store.record(PointRecorded(point=point))
    for point in points[:-1]:
        gone = PointForgotten(
            practice=PRACTICE, point=point.id, repository="onsite", at=START, why="retention"
        )
        store.record(gone)

    record = store.practice_record(PRACTICE)

    assert record.points == (points[-1],)
    assert record.forgotten == tuple(replace(points[at], copies=()) for at in (0, 2))


def test_practice_record_shows_the_tests_that_a_verdict_may_turn_on(store: Store) -> None:
    old = START - TESTS_SHOWN - 90 * DAY
    held = make_point(old + 2 * DAY)
    tests = {
        "first of its month": make_test(old),
        "second of its month": make_test(old + DAY),
        "first of its share": make_test(old + DAY, part=2, parts=20),
        "of a point that is held": make_test(old + 3 * DAY, point=held.id),
        "failed": make_test(old + 4 * DAY, Result.FAILED),
        "unproven": make_test(old + 5 * DAY, Result.UNPROVEN),
        "from elsewhere": make_test(old + 6 * DAY, repository="offsite"),
        "of the next month": make_test(old + 33 * DAY),
        "of late": make_test(START - DAY),
        "of yesterday": make_test(START - HOUR),
    }
    store.record(PointRecorded(point=held))
    store.record(*(RestoreTestRecorded(test=each) for each in tests.values()))

    shown = {each.id for each in store.practice_record(PRACTICE).tests}

    names = {name for name, each in tests.items() if each.id in shown}
    assert names == set(tests) - {"second of its month"}
    assert len(store.tests(PRACTICE)) == len(tests)


def test_practice_record_knows_the_first_run_and_the_one_that_ended_last_whatever_the_clock_said(
    store: Store,
) -> None:
    later, first = make_run(START, id="later"), make_run(START - DAY, id="first")
    on_repository = make_run(
        START, id="check", system="", repository="onsite", operation=Operation.CHECK
    )
    for run in (later, first, on_repository):
        store.record(RunOpened(run=run))
    a_year_ahead = START + 365 * DAY
    for run, at in ((first, a_year_ahead), (later, START + HOUR), (on_repository, START)):
        store.record(RunClosed(run=run.id, finished_at=at, outcome=Outcome.DONE))

    record = store.practice_record(PRACTICE)

    assert record.first_seen == {"emr": START - DAY}
    assert [run.id for run in record.last_runs] == ["check", "later"]


def test_attempts_beside_a_run_are_all_at_the_same_occurrence(store: Store) -> None:
    due = Occurrence(
        id="o1",
        schedule_id="riverside/emr/backup/1",
        due_at=START,
        practice=PRACTICE,
        operation=Operation.BACKUP,
        system="emr",
    )
    runs = [
        make_run(
            START + at * HOUR, id=f"{at}", schedule_id=due.schedule_id, due_at=START, attempt=at
        )
        for at in (1, 2)
    ]
    by_hand = make_run(START)
    store.record(OccurrenceDue(occurrence=due), *(RunOpened(run=run) for run in (*runs, by_hand)))

    beside, alone = store.attempts_beside(runs[1]), store.attempts_beside(by_hand)

    assert beside.runs == tuple(runs)
    assert beside.occurrence is not None
    assert (beside.occurrence.occurrence, beside.occurrence.progress) == (due, Progress.WAITING)
    assert (alone.occurrence, alone.runs) == (None, (by_hand,))


def test_occurrences_are_those_of_late_and_those_that_are_not_settled(store: Store) -> None:
    def due(at: int, **more: str) -> Occurrence:
        return Occurrence(
            id=f"{at}",
            schedule_id="s",
            due_at=START - at * HOUR,
            practice=more.get("practice", PRACTICE),
            operation=Operation.BACKUP,
            skipped=more.get("skipped", ""),
        )

    many = [due(1, skipped="x"), due(30), due(31, skipped="x"), due(2, practice="lakeside")]
    store.record(*(OccurrenceDue(occurrence=each) for each in many))

    told = store.occurrences(since=START - DAY, limit=10)
    ours = store.occurrences((PRACTICE,), since=START - DAY, limit=1)

    assert [each.occurrence.id for each in told] == ["1", "2", "30"]
    assert [each.occurrence.id for each in ours] == ["1"]


def test_practice_record_counts_from_when_a_scheduler_first_looked_for_a_system(
    store: Store,
) -> None:
    schedules = ("riverside/imaging/backup/1", "riverside/imaging/restore-test/2")
    others = ("riverside/onsite/check/1", "riverside/report/1", "riverside-2/emr/backup/1")
    store.ledger.see_schedules((*schedules, *others), START)
    store.record(RunOpened(run=make_run(START - DAY)))

    assert store.practice_record(PRACTICE).first_seen == {"emr": START - DAY, "imaging": START}


def test_practice_record_does_not_begin_anew_where_nothing_is_ever_started(store: Store) -> None:
    def due(at: int) -> Occurrence:
        return Occurrence(
            id=f"{at}",
            schedule_id="riverside/imaging/backup/1",
            due_at=START + at * DAY,
            practice=PRACTICE,
            operation=Operation.BACKUP,
            system="imaging",
        )

    store.ledger.see_schedules(["riverside/imaging/backup/1"], START)
    for at in (1, 2, 3):
        store.ledger.admit([due(at)])

    assert store.practice_record(PRACTICE).first_seen == {"imaging": START + DAY}


def test_practice_record_knows_since_when_a_repository_is_maintained(store: Store) -> None:
    check = make_run(START, system="", repository="onsite", operation=Operation.CHECK)
    schedules = [
        f"riverside/{name}/{word}/1"
        for name in ("onsite", "offsite")
        for word in ("check", "forget")
    ]
    schedules += ["riverside/offsite/extend-locks/1", "riverside/offsite/immutability-test/1"]
    store.record(RunOpened(run=check), RunOpened(run=make_run(START, id="backup")))
    store.ledger.see_schedules(schedules, START + HOUR)

    assert store.practice_record(PRACTICE).maintained_since == {
        (Operation.CHECK, "onsite"): START,
        (Operation.FORGET, "onsite"): START + HOUR,
        (Operation.CHECK, "offsite"): START + HOUR,
        (Operation.FORGET, "offsite"): START + HOUR,
        (Operation.EXTEND, "offsite"): START + HOUR,
        (Operation.IMMUTABILITY, "offsite"): START + HOUR,
    }
