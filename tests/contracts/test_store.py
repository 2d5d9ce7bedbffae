"""What every store promises, whichever database it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.problem import Occasion, OpenProblem, Problem, ProblemKind, Telling
from dr_orchestrator.core.record import (
    Entry,
    HoldPlaced,
    HoldReleased,
    KeyMade,
    KeyRevoked,
    KeyTried,
    PauseEnded,
    PointForgotten,
    PointRecorded,
    ProblemAcknowledged,
    ProblemOver,
    ProblemSeen,
    RepositoryChecked,
    RepositorySeen,
    RestoreTestRecorded,
    RetentionFrozen,
    RetentionReleased,
    RunClosed,
    RunOpened,
    SystemPaused,
    Told,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.errors import PointNotFound, RepositoryChanged
from dr_orchestrator.store.base import Limits, RunHistory, Store
from dr_orchestrator.store.codec import decode_entry
from tests.support.clock import START, FakeClock
from tests.support.evidence import (
    DATABASE,
    DOCUMENTS,
    PRACTICE,
    full_id,
    make_attempts,
    make_copy,
    make_locks,
    make_point,
    make_run,
    make_test,
)
from tests.support.stores import STORES, OpenStore, sqlite

HOUR = timedelta(hours=1)


def _sqlite(folder: Path) -> Store:
    return sqlite(folder, FakeClock(), Limits())


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    open_it: OpenStore = request.param
    with open_it(tmp_path, FakeClock(), Limits()) as opened:
        yield opened


def _closed(run: str, at: datetime, outcome: Outcome = Outcome.DONE) -> RunClosed:
    return RunClosed(run=run, finished_at=at, outcome=outcome)


def _seen(restic_id: str, repository: str = "onsite", practice: str = PRACTICE) -> RepositorySeen:
    return RepositorySeen(practice=practice, repository=repository, restic_id=restic_id, at=START)


def test_practice_record_is_empty_when_nothing_is_known(store: Store) -> None:
    record = store.practice_record(PRACTICE)

    assert record.practice == PRACTICE
    assert (record.first_seen, record.points, record.tests, record.last_runs) == ({}, (), (), ())


def test_record_gives_back_a_point_exactly_as_it_was(store: Store) -> None:
    point = make_point(
        START.replace(microsecond=120_003),
        repositories=("onsite", "offsite"),
        label="before the update",
        data_as_of=START - HOUR,
    )

    store.record(PointRecorded(point=point))

    assert store.points(PRACTICE) == (replace(point, copies=tuple(reversed(point.copies))),)
    assert store.practice_record(PRACTICE).points == store.points(PRACTICE)


def test_record_gives_back_a_restore_test_exactly_as_it_was(store: Store) -> None:
    expectations = (True, 3, 0.1, START, None, "2026-11-18T12:00:00Z", "équal ☤", float("inf"))
    test = make_test(
        START,
        verifications=tuple(
            Verification(title=str(at), asset="a", result=Result.FAILED, expected=each, actual=each)
            for at, each in enumerate(expectations)
        ),
        follow_up_of="an-earlier-one",
        part=3,
        parts=20,
        next="do this",
        newest=START + timedelta(microseconds=7),
    )

    store.record(RestoreTestRecorded(test=test))

    assert store.tests(PRACTICE) == (test,)
    kinds = [type(each.expected) for each in store.tests(PRACTICE)[0].verifications]
    assert kinds == [type(each) for each in expectations]


def test_record_gives_back_a_run_exactly_as_it_was(store: Store) -> None:
    run = make_run(START, schedule_id="emr/backup", due_at=START, attempt=2, repository="onsite")

    store.record(RunOpened(run=run))

    assert store.open_runs() == (run,)


def test_record_keeps_instants_in_utc_when_given_another_zone(store: Store) -> None:
    chicago = START.astimezone(timezone(-6 * HOUR))

    store.record(PointRecorded(point=make_point(chicago)))

    (point,) = store.points(PRACTICE)
    assert (point.as_of, point.as_of.tzinfo) == (START, UTC)


def test_record_refuses_a_time_without_a_zone(store: Store) -> None:
    naive = START.replace(tzinfo=None)
    run = make_run(START)
    refused: tuple[Entry, ...] = (
        PointRecorded(point=make_point(naive)),
        RestoreTestRecorded(test=make_test(START, newest=naive)),
        RunClosed(run=run.id, finished_at=naive, outcome=Outcome.DONE),
    )

    store.record(RunOpened(run=run))
    for entry in refused:
        with pytest.raises(ValueError, match="zone"):
            store.record(entry)

    assert len(store.journal()) == 1


def test_record_writes_all_or_nothing_when_one_entry_is_refused(store: Store) -> None:
    store.record(_seen(full_id("first")))

    with pytest.raises(RepositoryChanged):
        store.record(
            RunOpened(run=make_run(START)),
            PointRecorded(point=make_point(START)),
            _seen(full_id("another")),
        )

    assert (store.open_runs(), store.points(PRACTICE)) == ((), ())
    assert [line.kind for line in store.journal()] == ["repository_seen"]


def test_journal_holds_every_entry_in_order_and_can_be_replayed(
    store: Store, tmp_path: Path
) -> None:
    run, point = make_run(START), make_point(START, repositories=("onsite", "offsite"))
    entries: tuple[Entry, ...] = (
        _seen(full_id("onsite")),
        RunOpened(run=run),
        PointRecorded(point=point),
        RestoreTestRecorded(test=make_test(START + HOUR)),
        make_locks(START, START + 720 * HOUR),
        make_attempts(START, Answer.DONE),
        make_attempts(START + HOUR, Answer.UNKNOWN),
        _closed(run.id, START + 2 * HOUR, Outcome.PARTIAL),
    )

    store.record(*entries[:2])
    store.record(*entries[2:])

    lines = store.journal()
    assert tuple(decode_entry(line.kind, line.payload) for line in lines) == entries
    assert [line.seq for line in lines] == sorted({line.seq for line in lines})
    assert {line.practice for line in lines} == {PRACTICE}
    with _sqlite(tmp_path / "replayed") as replayed:
        replayed.record(*(decode_entry(line.kind, line.payload) for line in lines))
        assert replayed.practice_record(PRACTICE) == store.practice_record(PRACTICE)


def test_journal_is_of_one_practice_when_asked(store: Store) -> None:
    store.record(_seen(full_id(1)), _seen(full_id(2), practice="lakeside"))

    assert [line.practice for line in store.journal("lakeside")] == ["lakeside"]


def test_record_changes_nothing_when_entries_come_again(store: Store) -> None:
    run = make_run(START)
    entries: tuple[Entry, ...] = (
        _seen(full_id("onsite")),
        PointRecorded(point=make_point(START)),
        RestoreTestRecorded(test=make_test(START)),
    )
    store.record(RunOpened(run=run), *entries, _closed(run.id, START + HOUR, Outcome.FAILED))
    before, lines = store.practice_record(PRACTICE), len(store.journal())

    store.record(*entries, _closed(run.id, START + 2 * HOUR, Outcome.DONE))

    assert store.practice_record(PRACTICE) == before
    assert len(store.journal()) == lines


def test_point_recorded_adds_only_the_copies_that_are_new(store: Store) -> None:
    first = make_point(START, repositories=("onsite",))
    store.record(PointRecorded(point=first))
    retold = replace(
        first,
        label="told otherwise",
        skew_seconds=99.0,
        assets={},
        copies=(
            replace(make_copy(first, "onsite"), manifest_snapshot=full_id("other")),
            make_copy(first, "offsite"),
        ),
    )

    store.record(PointRecorded(point=retold))

    (point,) = store.points(PRACTICE)
    assert point.copy_in("onsite") == make_copy(first, "onsite")
    assert point.copy_in("offsite") == make_copy(first, "offsite")
    assert replace(point, copies=()) == replace(first, copies=())


def test_point_remembers_how_old_the_data_of_each_asset_was(store: Store) -> None:
    dumps = replace(DOCUMENTS, data_as_of=START - 9 * HOUR)
    point = make_point(START, data_as_of=START - 9 * HOUR, assets={"a": DATABASE, "b": dumps})

    store.record(PointRecorded(point=point))

    assert store.points(PRACTICE) == (point,)
    assert store.practice_record(PRACTICE).points == (point,)


def test_point_of_one_practice_is_not_hidden_by_another_of_the_same_id(store: Store) -> None:
    ours = make_point(START)
    theirs = replace(ours, practice="lakeside", label="theirs")

    store.record(PointRecorded(point=theirs), PointRecorded(point=ours))

    assert store.points(PRACTICE) == (ours,)
    assert store.points("lakeside") == (theirs,)


@pytest.mark.parametrize(
    "contradiction",
    [
        RunOpened(run=make_run(START)),
        RunOpened(run=make_run(START + HOUR, finished_at=START, outcome=Outcome.DONE)),
        RunOpened(run=make_run(START + HOUR, schedule_id="emr/backup", due_at=START)),
        RunClosed(run="never-opened", finished_at=START, outcome=Outcome.DONE),
        RestoreTestRecorded(test=replace(make_test(START), result=Result.FAILED)),
    ],
    ids=["opened twice", "opened ended", "same occurrence", "never opened", "another result"],
)
def test_record_refuses_what_contradicts_it(store: Store, contradiction: Entry) -> None:
    store.record(
        RunOpened(run=make_run(START, schedule_id="emr/backup", due_at=START)),
        RestoreTestRecorded(test=make_test(START)),
    )

    with pytest.raises(ValueError, match=r"run|test"):
        store.record(contradiction)

    assert len(store.journal()) == 2


def test_repository_id_is_the_one_first_seen(store: Store) -> None:
    assert store.repository_id(PRACTICE, "onsite") is None

    store.record(_seen(full_id("onsite")))
    store.record(_seen(full_id("offsite"), "offsite"), _seen(full_id("x"), practice="lakeside"))

    assert store.repository_id(PRACTICE, "onsite") == full_id("onsite")
    with pytest.raises(RepositoryChanged, match="onsite of riverside"):
        store.record(_seen(full_id("another")))
    assert store.repository_id(PRACTICE, "onsite") == full_id("onsite")


def test_names_of_a_repository_are_those_of_all_who_know_it(store: Store) -> None:
    shared = full_id("shared")
    store.record(_seen(shared), _seen(shared, "cellar", practice="lakeside"))
    store.record(_seen(full_id("another"), "offsite"))

    assert set(store.names_of_repository(shared)) == {(PRACTICE, "onsite"), ("lakeside", "cellar")}
    assert store.names_of_repository(full_id("nobody's")) == ()


def test_points_come_oldest_first_and_of_what_was_asked(store: Store) -> None:
    late = make_point(START + HOUR, repositories=("onsite", "offsite"))
    early = make_point(START)
    imaging = make_point(START + 2 * HOUR, system="imaging", repositories=("offsite",))
    for point in (late, imaging, early):
        store.record(PointRecorded(point=point))

    def ids(*args: str, **only: str) -> list[str]:
        return [point.id for point in store.points(*args, **only)]

    assert ids(PRACTICE) == [early.id, late.id, imaging.id]
    assert ids(PRACTICE, "emr") == [early.id, late.id]
    assert ids(PRACTICE, repository="offsite") == [late.id, imaging.id]
    assert ids(PRACTICE, "emr", repository="offsite") == [late.id]
    assert len(store.points(PRACTICE, repository="offsite")[0].copies) == 2


def test_tests_come_oldest_first_and_of_what_was_asked(store: Store) -> None:
    late = make_test(START + HOUR, repository="offsite")
    early = make_test(START)
    imaging = make_test(START + 2 * HOUR, system="imaging")
    store.record(*(RestoreTestRecorded(test=test) for test in (late, imaging, early)))

    assert store.tests(PRACTICE) == (early, late, imaging)
    assert store.tests(PRACTICE, "emr") == (early, late)
    assert store.tests(PRACTICE, "emr", repository="offsite") == (late,)
    assert store.tests("lakeside") == ()


def test_find_point_takes_an_id_or_its_beginning(store: Store) -> None:
    first, second = make_point(START), make_point(START + HOUR)
    longer = replace(second, id=first.id + "x")
    store.record(*(PointRecorded(point=point) for point in (first, second, longer)))

    assert store.find_point(PRACTICE, second.id) == second
    assert store.find_point(PRACTICE, second.id[:14]) == second
    assert store.find_point(PRACTICE, first.id) == first  # though another begins like it
    for prefix, said in ((first.id[:10], "begin with"), ("2027", "no recovery point"), ("", "3")):
        with pytest.raises(PointNotFound, match=said):
            store.find_point(PRACTICE, prefix)
    for wildcard in ("%", "_" * 8, "2026____-"):
        with pytest.raises(PointNotFound):
            store.find_point(PRACTICE, wildcard)
    with pytest.raises(PointNotFound):
        store.find_point("lakeside", first.id)


def test_open_runs_are_those_nobody_closed(store: Store) -> None:
    old, new, other = make_run(START), make_run(START + HOUR), make_run(START - HOUR)
    other = replace(other, practice="lakeside")
    store.record(*(RunOpened(run=run) for run in (new, old, other)))

    store.record(_closed(old.id, START + HOUR))

    assert store.open_runs() == (other, new)
    assert store.open_runs(PRACTICE) == (new,)


def _histories(store: Store) -> None:
    """Record six closed runs, an hour apart, of two practices and systems, and two open ones."""
    for hour, (practice, system, outcome) in enumerate(
        (
            (PRACTICE, "emr", Outcome.FAILED),
            (PRACTICE, "emr", Outcome.DONE),
            (PRACTICE, "imaging", Outcome.FAILED),
            ("lakeside", "emr", Outcome.PARTIAL),
            (PRACTICE, "emr", Outcome.DONE),
            (PRACTICE, "emr", Outcome.FAILED),
        )
    ):
        at = START + hour * HOUR
        run = make_run(at, id=f"run-{hour}", practice=practice, system=system)
        store.record(RunOpened(run=run), _closed(run.id, at + HOUR, outcome))
    store.record(
        RunOpened(run=make_run(START - 99 * HOUR, id="old")),
        RunOpened(run=make_run(START, id="other", practice="lakeside")),
    )


def test_runs_are_those_that_began_within_the_time_newest_first(store: Store) -> None:
    _histories(store)

    history = store.runs(since=START + HOUR, until=START + 5 * HOUR, limit=9)

    assert [run.id for run in history.closed] == ["run-4", "run-3", "run-2", "run-1"]
    assert history.ended == {Outcome.DONE: 2, Outcome.FAILED: 1, Outcome.PARTIAL: 1}
    assert [run.id for run in history.open] == ["other", "old"]
    assert all(run.finished_at is None for run in history.open)
    assert history.closed[0] == make_run(
        START + 4 * HOUR, id="run-4", finished_at=START + 5 * HOUR, outcome=Outcome.DONE
    )


def test_runs_are_of_what_was_asked_and_counted_whatever_the_limit(store: Store) -> None:
    _histories(store)

    ours = store.runs([PRACTICE], "emr", since=START, outcomes=[Outcome.FAILED], limit=1)
    both = store.runs([PRACTICE, "lakeside"], since=START, limit=99)

    assert [run.id for run in ours.closed] == ["run-5"]
    assert ours.ended == {Outcome.DONE: 2, Outcome.FAILED: 2}
    assert [run.id for run in ours.open] == ["old"]
    assert store.runs([PRACTICE], "imaging", since=START, limit=9).open == ()
    assert sum(both.ended.values()) == len(both.closed) == 6
    assert store.runs([], since=START, limit=9) == RunHistory(open=(), closed=(), ended={})


def test_runs_that_began_at_once_have_a_lasting_order(store: Store) -> None:
    store.record(*(RunOpened(run=make_run(START, id=name)) for name in "bca"))
    store.record(*(_closed(name, START + HOUR) for name in "acb"))

    assert [run.id for run in store.runs(since=START, limit=2).closed] == ["c", "b"]


def test_find_runs_takes_an_id_or_its_beginning(store: Store) -> None:
    ids = ("20261118-120000-aa", "20261118-120000-ab", "20261118-120000-aax", "20261119-1")
    store.record(
        *(RunOpened(run=make_run(START + at * HOUR, id=name)) for at, name in enumerate(ids))
    )

    def found(prefix: str, limit: int = 9) -> list[str]:
        return [run.id for run in store.find_runs(prefix, limit=limit)]

    assert found(ids[0]) == [ids[0]]  # though another begins like it
    assert found("20261119") == [ids[3]]
    assert found("20261118") == [ids[2], ids[1], ids[0]]
    assert found("20261118", limit=2) == [ids[2], ids[1]]
    assert found("2027") == found("%") == found("2026____-") == []


def test_tests_by_a_run_are_its_own_and_those_that_followed_it_up(store: Store) -> None:
    run = make_run(START)
    own = make_test(START, Result.FAILED, id=run.id)
    elsewhere = make_test(START + HOUR, repository="offsite", follow_up_of=run.id)
    stranger = make_test(START + 2 * HOUR, follow_up_of="another")
    store.record(*(RestoreTestRecorded(test=test) for test in (elsewhere, stranger, own)))

    assert store.tests_by(run) == (own, elsewhere)
    assert store.tests_by(make_run(START + HOUR)) == ()


def test_practice_record_names_the_first_run_and_the_newest_finished_ones(store: Store) -> None:
    runs = [
        make_run(START, id="1"),
        make_run(START + HOUR, id="2"),
        make_run(START + 2 * HOUR, id="3"),
        make_run(START + HOUR, id="4", operation=Operation.RESTORE_TEST, repository="onsite"),
        make_run(START + HOUR, id="5", operation=Operation.RESTORE_TEST, repository="offsite"),
        make_run(START + HOUR, id="6", system="imaging"),
    ]
    store.record(*(RunOpened(run=run) for run in runs))
    for run in runs:
        if run.id != "3":
            store.record(_closed(run.id, run.started_at + HOUR, Outcome.FAILED))

    record = store.practice_record(PRACTICE)

    assert record.first_seen == {"emr": START, "imaging": START + HOUR}
    assert [run.id for run in record.last_runs] == ["2", "4", "5", "6"]
    assert {run.outcome for run in record.last_runs} == {Outcome.FAILED}


def test_record_loses_nothing_when_threads_write_at_once(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(10):
            store.record(RunOpened(run=make_run(START, id=f"{writer}-{number}")))

    threads = [Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.open_runs()) == len(store.journal()) == 40


# --- what is kept and what is let go ---------------------------------------------------------


def _forgotten(point: str, repository: str) -> PointForgotten:
    return PointForgotten(
        practice=PRACTICE, point=point, repository=repository, at=START, why="retention"
    )


def test_point_is_gone_once_no_repository_holds_it(store: Store) -> None:
    point = make_point(START, repositories=("onsite", "offsite"))
    kept = make_point(START + HOUR)
    store.record(PointRecorded(point=point), PointRecorded(point=kept))

    store.record(_forgotten(point.id, "onsite"))
    assert store.find_point(PRACTICE, point.id).copies == (make_copy(point, "offsite"),)
    store.record(_forgotten(point.id, "offsite"), _forgotten(point.id, "offsite"))

    assert store.points(PRACTICE) == store.practice_record(PRACTICE).points == (kept,)
    assert store.points(PRACTICE, "emr", repository="offsite") == ()
    with pytest.raises(PointNotFound, match=f"{point.id} of riverside was forgotten"):
        store.find_point(PRACTICE, point.id)
    assert store.find_point(PRACTICE, point.id[:6]) == kept  # what is gone is not meant
    assert [line.kind for line in store.journal()].count("point_forgotten") == 2


def test_point_that_was_forgotten_is_back_when_a_repository_holds_it(store: Store) -> None:
    point = make_point(START)
    store.record(PointRecorded(point=point), _forgotten(point.id, "onsite"))

    store.record(PointRecorded(point=point))

    assert store.points(PRACTICE) == (point,)


def test_practice_record_says_what_is_held_and_what_is_released(store: Store) -> None:
    first = HoldPlaced(
        practice=PRACTICE, point="a", at=START, until=START + HOUR, by="me", why="update"
    )
    lasting = replace(first, until=None)
    other = replace(first, point="b")
    released = HoldReleased(practice=PRACTICE, point="b", at=START, by="me", why="over")

    store.record(first, other, replace(first, practice="lakeside"))
    assert store.practice_record(PRACTICE).holds == {"a": first, "b": other}
    store.record(lasting, released)

    record = store.practice_record(PRACTICE)
    assert (record.holds, record.released) == ({"a": lasting}, frozenset("b"))


def test_practice_record_has_the_newest_check_of_each_part(store: Store) -> None:
    old = RepositoryChecked(
        practice=PRACTICE,
        repository="onsite",
        run="r",
        at=START,
        part=1,
        parts=30,
        sound=False,
        reason="a pack is damaged",
    )
    ahead, second = replace(old, at=START + 9000 * HOUR, sound=True), replace(old, part=2)
    new = replace(old, at=START + HOUR)

    store.record(old, second, ahead, new, replace(old, practice="lakeside"))

    assert store.practice_record(PRACTICE).checks == (second, new)  # what a clock said hides none


def test_practice_record_has_how_the_locks_of_each_repository_were_last(store: Store) -> None:
    first = make_locks(START, START + 720 * HOUR)
    bare = replace(first, at=START + HOUR, until=None)
    onsite = make_locks(START, START + HOUR, "onsite")

    store.record(first, bare, onsite, replace(first, practice="lakeside"))

    assert store.practice_record(PRACTICE).locks == {"offsite": bare, "onsite": onsite}
    assert store.practice_record("lakeside").locks["offsite"].until == first.until


def test_practice_record_has_the_newest_attempt_to_destroy_that_came_to_a_result(
    store: Store,
) -> None:
    done, refused = make_attempts(START, Answer.DONE), make_attempts(START + 2 * HOUR)
    unknown = make_attempts(START + HOUR, Answer.UNKNOWN)
    lost = make_attempts(START, Answer.UNKNOWN, repository="onsite")

    store.record(done, unknown, lost)
    assert store.practice_record(PRACTICE).immutability == {"offsite": done, "onsite": lost}
    store.record(refused)

    assert store.practice_record(PRACTICE).immutability == {"offsite": refused, "onsite": lost}
    assert [line.kind for line in store.journal()] == ["immutability_tested"] * 4


def test_practice_record_says_what_is_frozen_until_it_is_released(store: Store) -> None:
    frozen = RetentionFrozen(practice=PRACTICE, repository="onsite", at=START, why="forged times")

    newer = replace(frozen, at=START + HOUR, why="another reason")
    store.record(frozen, newer, newer)
    assert store.practice_record(PRACTICE).frozen == {"onsite": replace(newer, at=START)}
    store.record(
        RetentionReleased(practice=PRACTICE, repository="onsite", at=START, by="me", why="seen")
    )

    assert store.practice_record(PRACTICE).frozen == {}


def test_release_looks_into_all_that_is_there_whatever_a_clock_said(store: Store) -> None:
    ahead = make_point(START + 9000 * HOUR, repositories=("onsite", "offsite"))
    frozen = RetentionFrozen(practice=PRACTICE, repository="onsite", at=START, why="dated ahead")
    released = RetentionReleased(
        practice=PRACTICE, repository="onsite", at=START, by="me", why="seen"
    )
    store.record(PointRecorded(point=ahead), frozen, released)

    (point,) = store.practice_record(PRACTICE).points
    seen = {copy.repository: copy.recorded_at for copy in point.copies}
    assert seen == {"onsite": START, "offsite": ahead.finished}


def test_practice_record_has_each_pause_until_it_is_ended(store: Store) -> None:
    pause = SystemPaused(
        practice=PRACTICE, system="", at=START, until=START + HOUR, by="me", why="moving"
    )
    longer = replace(pause, until=START + 2 * HOUR)

    store.record(pause, replace(pause, system="emr"), longer)
    store.record(PauseEnded(practice=PRACTICE, system="emr", at=START, by="me"))

    assert store.practice_record(PRACTICE).pauses == {"": longer}


# --- who was told ----------------------------------------------------------------------------


def _problem(key: str, practice: str = PRACTICE) -> Problem:
    return Problem(
        key=key,
        kind=ProblemKind.BREACH,
        practice=practice,
        system="emr",
        what="the RPO is not kept",
        next="dro backup",
        since=START,
    )


def test_problems_are_those_that_are_not_over(store: Store) -> None:
    first, second = _problem("breach/emr/rpo"), _problem("breach/emr/rto")
    store.record(
        ProblemSeen(id="2", problem=second, at=START + HOUR),
        ProblemSeen(id="1", problem=first, at=START),
        ProblemSeen(id="3", problem=_problem("x", "lakeside"), at=START),
        ProblemAcknowledged(id="1", at=START + HOUR, by="me"),
    )
    reworded = replace(first, what="worse")
    store.record(ProblemSeen(id="1", problem=reworded, at=START + HOUR))

    assert store.problems(PRACTICE) == (
        OpenProblem(
            id="1",
            problem=reworded,
            opened_at=START,
            acknowledged_at=START + HOUR,
            acknowledged_by="me",
        ),
        OpenProblem(id="2", problem=second, opened_at=START + HOUR),
    )
    assert [each.id for each in store.problems()] == ["1", "3", "2"]

    store.record(ProblemOver(id="1", at=START + 2 * HOUR))
    assert [each.id for each in store.problems(PRACTICE)] == ["2"]
    store.record(ProblemSeen(id="4", problem=first, at=START + 3 * HOUR))  # there again
    assert [each.id for each in store.problems(PRACTICE)] == ["2", "4"]


def test_tellings_are_whom_a_problem_was_told(store: Store) -> None:
    told = Telling(
        practice=PRACTICE,
        problem="1",
        channel="manager",
        occasion=Occasion.OPENED,
        at=START,
        delivered=True,
    )
    refused = replace(told, at=START + HOUR, delivered=False, reason="no answer")
    store.record(*(Told(telling=each) for each in (refused, told, told)))
    store.record(Told(telling=replace(told, problem="2")))

    assert store.tellings("1") == (told, refused)


def _held(**changes: Any) -> HeldKey:
    key = HeldKey(
        practice=PRACTICE,
        repository="onsite",
        key="23e673c3",
        holder="manager",
        form="sealed sheet",
        made_at=START,
        made_by="Kim",
    )
    return replace(key, **changes)


def _tried(at: datetime, *, opened: bool = True) -> KeyTried:
    return KeyTried(
        proof=KeyProof(
            practice=PRACTICE,
            holder="manager",
            repository="onsite",
            at=at,
            by="Kim",
            key="23e673c3" if opened else "",
            opened=opened,
            reason="" if opened else "this key does not open it",
        )
    )


def _revoked(key: str = "23e673c3") -> KeyRevoked:
    return KeyRevoked(
        practice=PRACTICE, repository="onsite", key=key, at=START + HOUR, by="Kim", why="opened"
    )


def test_key_is_made_once_and_revoked_once(store: Store) -> None:
    for entry in (KeyMade(key=_held()), KeyMade(key=_held(made_by="another")), _revoked()):
        store.record(entry)
    store.record(replace(_revoked(), by="another"))

    (key,) = store.practice_record(PRACTICE).keys
    assert key == _held(revoked_at=START + HOUR, revoked_by="Kim")


def test_key_that_others_made_is_known_as_revoked(store: Store) -> None:
    store.record(_revoked("c4f7d66c"))

    (key,) = store.practice_record(PRACTICE).keys
    assert (key.key, key.holder, key.is_revoked) == ("c4f7d66c", "", True)


def test_newest_proof_of_a_key_counts(store: Store) -> None:
    for entry in (_tried(START), _tried(START + HOUR, opened=False)):
        store.record(entry)

    (proof,) = store.practice_record(PRACTICE).key_proofs
    assert (proof.opened, proof.reason) == (False, "this key does not open it")
