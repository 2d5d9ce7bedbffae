"""What every store promises of runbooks that were followed, of drills and of kits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from dr_orchestrator.core.record import (
    DrillRecorded,
    Entry,
    KitMade,
    RunbookMoved,
    RunbookOpened,
)
from dr_orchestrator.core.runbook import Ending, Event, Mode, StepExercised, StepResult
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import Busy, UsageMistake
from dr_orchestrator.store.base import Limits, Store
from dr_orchestrator.store.codec import decode_entry
from tests.support.clock import START, FakeClock
from tests.support.evidence import (
    PRACTICE,
    full_id,
    make_drill,
    make_move,
    make_runbook_run,
)
from tests.support.stores import STORES, OpenStore, sqlite

HOUR = timedelta(hours=1)
RUN = make_runbook_run(START)
OPENED = RunbookOpened(run=RUN)
BEGUN = RunbookMoved(move=make_move(RUN, 1))
DONE = RunbookMoved(
    move=make_move(
        RUN,
        2,
        Event.ENDED,
        result=StepResult.DONE,
        goes_to="runbook:downtime",
        fingerprint=full_id("step"),
        output_sha256=full_id("output"),
        exit_code=0,
        seconds=61.5,
        text="équal ☤",
    )
)
CLOSED = RunbookMoved(move=make_move(RUN, 3, Event.CLOSED, ending=Ending.WENT_ON))
KIT = KitMade(
    practice=PRACTICE,
    run="kit-1",
    at=START,
    expires=START + 720 * HOUR,
    inputs=full_id("inputs"),
    places=("the folder /srv/kits", "ada (by mail)"),
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    open_it: OpenStore = request.param
    with open_it(tmp_path, FakeClock(), Limits()) as opened:
        yield opened


def test_followed_is_empty_when_nothing_is_known(store: Store) -> None:
    followed = store.followed

    assert followed.runs() == followed.of_incident("none") == ()
    assert followed.moves("none") == ()
    assert followed.exercised(PRACTICE) == ()
    assert followed.drills(PRACTICE) == ()
    assert followed.kit(PRACTICE) is None


def test_record_gives_back_a_runbook_run_and_its_moves_exactly(store: Store) -> None:
    store.record(OPENED, BEGUN)
    store.record(DONE, CLOSED)

    assert store.followed.runs() == (RUN,)
    assert store.followed.moves(RUN.id) == (BEGUN.move, DONE.move, CLOSED.move)
    assert {line.practice for line in store.journal()} == {PRACTICE}


def test_runs_are_open_until_a_move_closes_them(store: Store) -> None:
    later = make_runbook_run(START + HOUR, incident=RUN.id, mode=Mode.INCIDENT)
    elsewhere = make_runbook_run(START - HOUR, practice="lakeside")
    store.record(*(RunbookOpened(run=run) for run in (later, RUN, elsewhere)), BEGUN, DONE)
    assert store.followed.runs(open_only=True) == (elsewhere, RUN, later)

    store.record(CLOSED)

    assert store.followed.runs(PRACTICE, open_only=True) == (later,)
    assert store.followed.runs(PRACTICE) == store.followed.of_incident(RUN.id) == (RUN, later)


def test_find_takes_an_id_or_its_beginning(store: Store) -> None:
    longer = replace(RUN, id=f"{RUN.id}-x")
    store.record(OPENED, RunbookOpened(run=longer))

    assert store.followed.find(RUN.id) == RUN
    assert store.followed.find(longer.id) == longer
    for prefix, said in ((RUN.id[:8], "several"), ("2027", "no runbook run"), ("%", "no runbook")):
        with pytest.raises(UsageMistake, match=said):
            store.followed.find(prefix)


def test_record_changes_nothing_when_runbook_entries_come_again(store: Store) -> None:
    entries: tuple[Entry, ...] = (OPENED, BEGUN, DONE, DrillRecorded(drill=make_drill(START)))
    store.record(*entries)
    lines = len(store.journal())

    store.record(*entries)
    store.record(CLOSED)
    store.record(OPENED, BEGUN)

    assert store.followed.runs(open_only=True) == ()
    assert len(store.journal()) == lines + 1


def test_another_move_under_the_same_number_is_busy(store: Store) -> None:
    store.record(OPENED, BEGUN)

    with pytest.raises(Busy, match="somebody else has gone on"):
        store.record(RunbookMoved(move=replace(BEGUN.move, by="Grace")))

    assert store.followed.moves(RUN.id) == (BEGUN.move,)


def test_one_of_two_who_go_on_at_once_is_busy(store: Store) -> None:
    store.record(OPENED, BEGUN)
    together = Barrier(2)
    came: list[str] = []

    def go_on(by: str) -> None:
        together.wait()
        try:
            store.record(RunbookMoved(move=replace(DONE.move, by=by)))
            came.append("recorded")
        except Busy:
            came.append("busy")

    threads = [Thread(target=go_on, args=(by,)) for by in ("Ada", "Grace")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(came) == ["busy", "recorded"]
    assert len(store.followed.moves(RUN.id)) == 2


@pytest.mark.parametrize(
    ("contradiction", "said"),
    [
        (DONE, "missing"),
        (RunbookMoved(move=replace(BEGUN.move, run="never")), "never opened"),
        (RunbookOpened(run=replace(RUN, mode=Mode.INCIDENT)), "another runbook run"),
        (DrillRecorded(drill=make_drill(START, result=Result.FAILED)), "another result"),
    ],
    ids=["a gap", "never opened", "another run", "another drill"],
)
def test_record_refuses_what_contradicts_a_runbook_run(
    store: Store, contradiction: Entry, said: str
) -> None:
    store.record(OPENED, DrillRecorded(drill=make_drill(START)))

    with pytest.raises(ValueError, match=said):
        store.record(contradiction)

    assert store.followed.moves(RUN.id) == ()
    assert len(store.journal()) == 2


@pytest.mark.parametrize("result", [each for each in StepResult if each is not StepResult.DONE])
def test_a_step_is_exercised_by_nothing_but_doing_it(store: Store, result: StepResult) -> None:
    store.record(OPENED, BEGUN, RunbookMoved(move=replace(DONE.move, result=result)))

    assert store.followed.exercised(PRACTICE) == ()


def test_exercised_is_the_newest_time_of_each_step_and_system(store: Store) -> None:
    again = make_runbook_run(START + HOUR, mode=Mode.DRILL)
    other = make_runbook_run(START + HOUR, system="imaging")
    changed = replace(DONE.move, at=START + HOUR, fingerprint=full_id("changed"), seconds=30.0)
    store.record(OPENED, BEGUN, DONE)
    for run in (again, other):
        moves = (make_move(run, 1), replace(changed, run=run.id))
        store.record(RunbookOpened(run=run), *(RunbookMoved(move=each) for each in moves))

    newest = StepExercised(
        runbook=RUN.runbook,
        system=RUN.system,
        step="look",
        at=START + HOUR,
        fingerprint=full_id("changed"),
        seconds=30.0,
        mode=Mode.DRILL,
        run=again.id,
    )
    of_other = replace(newest, system="imaging", mode=Mode.REHEARSAL, run=other.id)
    assert store.followed.exercised(PRACTICE) == (newest, of_other)
    assert store.followed.exercised("lakeside") == ()


def test_exercised_stays_the_newest_when_an_older_run_is_handed_over_later(store: Store) -> None:
    newer = make_runbook_run(START + HOUR)
    moves = (make_move(newer, 1), replace(DONE.move, run=newer.id, at=newer.opened_at))
    store.record(RunbookOpened(run=newer), *(RunbookMoved(move=each) for each in moves))

    store.record(OPENED, BEGUN, DONE)

    assert [each.run for each in store.followed.exercised(PRACTICE)] == [newer.id]


def test_drills_come_oldest_first_and_whole(store: Store) -> None:
    late, early = make_drill(START + HOUR), make_drill(START)
    theirs = make_drill(START, id="theirs", practice="lakeside")
    store.record(*(DrillRecorded(drill=drill) for drill in (late, early, theirs)))

    assert store.followed.drills(PRACTICE) == (early, late)


def test_kit_is_the_newest_of_a_practice(store: Store) -> None:
    newer = replace(KIT, run="kit-2", at=START + HOUR, places=())
    store.record(KIT, replace(KIT, practice="lakeside"), newer)

    assert store.followed.kit(PRACTICE) == newer
    assert store.followed.kit("lakeside") == replace(KIT, practice="lakeside")


def test_journal_of_runbooks_can_be_replayed(store: Store, tmp_path: Path) -> None:
    entries: tuple[Entry, ...] = (
        OPENED,
        *(BEGUN, DONE, CLOSED),
        DrillRecorded(drill=make_drill(START)),
        KIT,
    )
    store.record(*entries)

    lines = store.journal()
    assert tuple(decode_entry(line.kind, line.payload) for line in lines) == entries
    with sqlite(tmp_path / "replayed", FakeClock(), Limits()) as replayed:
        replayed.record(*(decode_entry(line.kind, line.payload) for line in lines))
        ours, theirs = replayed.followed, store.followed
        assert ours.runs() == theirs.runs()
        assert ours.moves(RUN.id) == theirs.moves(RUN.id)
        assert ours.exercised(PRACTICE) == theirs.exercised(PRACTICE)
        assert ours.drills(PRACTICE) == theirs.drills(PRACTICE)
        assert ours.kit(PRACTICE) == theirs.kit(PRACTICE)
