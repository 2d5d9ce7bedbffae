from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.record import RunOpened
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.errors import (
    CaptureFailed,
    CouldNotVerify,
    Interrupted,
    ProgramMissing,
    StoreUnusable,
)
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.ledger import close_dead_runs, run_in_ledger
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, SYSTEM, make_run

PATIENT = "Rosalind Example, born 1961"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with open_store(tmp_path / "state", clock) as opened:
        yield opened


def _last(store: Store) -> Run:
    (run,) = store.practice_record(PRACTICE).last_runs
    return run


def _overwrite(state: Path, store: Store) -> None:
    for file in state.glob(f"{FILE_NAME}*"):
        file.write_bytes(b"overwritten" * 1000)
    store.close()


def _leave_with(
    error: BaseException, store: Store, clock: FakeClock, operation: Operation = Operation.BACKUP
) -> Run:
    with (
        pytest.raises(type(error)) as caught,
        run_in_ledger(store, clock, operation, practice=PRACTICE, system=SYSTEM),
    ):
        raise error
    assert caught.value is error
    assert store.open_runs() == ()
    return _last(store)


def test_run_in_ledger_is_open_while_it_runs_and_done_after(store: Store, clock: FakeClock) -> None:
    with run_in_ledger(
        store,
        clock,
        Operation.RESTORE_TEST,
        practice=PRACTICE,
        system=SYSTEM,
        repository="offsite",
    ) as open_run:
        (running,) = store.open_runs()
        assert running == open_run.run
        assert running.id == open_run.id
        clock.advance(timedelta(minutes=41))

    ours = ProcessIdentity.ours()
    run = _last(store)
    assert (run.operation, run.system, run.repository) == (
        Operation.RESTORE_TEST,
        SYSTEM,
        "offsite",
    )
    assert (run.host, run.pid, run.pid_started) == (ours.host, ours.pid, ours.started)
    assert (run.started_at, run.finished_at) == (START, START + timedelta(minutes=41))
    assert (run.outcome, run.reason) == (Outcome.DONE, "")


def test_run_in_ledger_is_closed_as_concluded(store: Store, clock: FakeClock) -> None:
    with run_in_ledger(
        store, clock, Operation.BACKUP, practice=PRACTICE, system=SYSTEM
    ) as open_run:
        open_run.conclude(Outcome.FAILED, "the first asset failed")
        open_run.conclude(Outcome.PARTIAL, "one of two")

    assert (_last(store).outcome, _last(store).reason) == (Outcome.PARTIAL, "one of two")


def test_run_in_ledger_says_what_our_own_errors_say(store: Store, clock: FakeClock) -> None:
    run = _leave_with(CaptureFailed("database emr: no trailer", hint="look"), store, clock)

    assert (run.outcome, run.reason) == (Outcome.FAILED, "database emr: no trailer")


def test_run_in_ledger_keeps_foreign_words_out_of_the_record(
    store: Store, clock: FakeClock
) -> None:
    run = _leave_with(KeyError(PATIENT), store, clock)

    assert (run.outcome, run.reason) == (Outcome.FAILED, "internal error (KeyError)")
    assert PATIENT not in "".join(line.payload for line in store.journal())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Interrupted("stopped while restic ran"), "stopped while restic ran"),
        (KeyboardInterrupt(), "stopped by a person or the system"),
        (SystemExit(130), "stopped by a person or the system"),
    ],
)
def test_run_in_ledger_is_interrupted_when_stopped(
    store: Store, clock: FakeClock, error: BaseException, reason: str
) -> None:
    run = _leave_with(error, store, clock)

    assert (run.outcome, run.reason) == (Outcome.INTERRUPTED, reason)


def test_run_in_ledger_overrules_a_conclusion_when_an_exception_follows(
    store: Store, clock: FakeClock
) -> None:
    def conclude_and_fail() -> None:
        with run_in_ledger(
            store, clock, Operation.BACKUP, practice=PRACTICE, system=SYSTEM
        ) as open_run:
            open_run.conclude(Outcome.DONE)
            raise CaptureFailed("after all")

    with pytest.raises(CaptureFailed):
        conclude_and_fail()

    assert _last(store).outcome is Outcome.FAILED


@pytest.mark.parametrize("error", [CouldNotVerify("no server"), ProgramMissing("no bwrap")])
def test_run_in_ledger_is_unproven_only_where_something_was_to_be_proven(
    store: Store, clock: FakeClock, error: CouldNotVerify | ProgramMissing
) -> None:
    tested = _leave_with(error, store, clock, Operation.RESTORE_TEST)
    assert tested.outcome is Outcome.UNPROVEN


def test_run_in_ledger_fails_a_backup_whose_program_is_missing(
    store: Store, clock: FakeClock
) -> None:
    assert _leave_with(ProgramMissing("no restic"), store, clock).outcome is Outcome.FAILED


def test_run_in_ledger_passes_the_first_error_on_when_closing_fails_too(
    store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    def fail_with_the_store_gone() -> None:
        with run_in_ledger(store, clock, Operation.BACKUP, practice=PRACTICE, system=SYSTEM):
            _overwrite(tmp_path / "state", store)
            raise CaptureFailed("the first error")

    with pytest.raises(CaptureFailed) as caught:
        fail_with_the_store_gone()

    (note,) = caught.value.__notes__
    assert "could not be closed" in note


def test_run_in_ledger_raises_when_nothing_can_be_written_down(
    store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    _overwrite(tmp_path / "state", store)

    with (
        pytest.raises(StoreUnusable),
        run_in_ledger(store, clock, Operation.BACKUP, practice=PRACTICE, system=SYSTEM),
    ):
        pytest.fail("a run that is not in the ledger must not begin")


def test_run_in_ledger_writes_a_reason_that_is_no_text(store: Store, clock: FakeClock) -> None:
    odd = os.fsdecode(b"folder caf\xe9 is\0 gone")

    assert _leave_with(CaptureFailed(odd), store, clock).reason == "folder caf\\udce9 is gone"


def test_close_dead_runs_closes_what_was_killed_and_leaves_the_rest(
    store: Store, clock: FakeClock
) -> None:
    ours = ProcessIdentity.ours()
    gone = subprocess.Popen(["true"])
    gone.wait()
    living = make_run(START, id="living", host=ours.host, pid=ours.pid, pid_started=ours.started)
    reused = replace(living, id="reused number", pid_started="another-boot/1")
    dead = replace(living, id="dead", pid=gone.pid)
    elsewhere = make_run(START, id="elsewhere", host="another-machine")
    store.record(*(RunOpened(run=run) for run in (living, reused, dead, elsewhere)))
    clock.advance(timedelta(hours=9))

    closed = close_dead_runs(store, clock)

    assert {run.id for run in closed} == {"dead", "reused number"}
    assert {run.outcome for run in closed} == {Outcome.INTERRUPTED}
    assert {run.finished_at for run in closed} == {START + timedelta(hours=9)}
    assert {run.id for run in store.open_runs()} == {"living", "elsewhere"}
    assert close_dead_runs(store, clock) == ()
