"""A process is killed or stopped while it holds a lock or works on what came due."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import Busy
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Standing
from dr_orchestrator.store.ledger import close_dead_runs
from dr_orchestrator.store.sql import SqlStore
from dr_orchestrator.store.sqlite import open_store
from tests.support.at_work import QUICK

ROOT = Path(__file__).parents[2]
AT_ONCE = timedelta()
BACKUP = Occurrence(
    id="1",
    schedule_id="emr/backup",
    due_at=SystemClock().now(),
    practice="riverside",
    operation=Operation.BACKUP,
    system="emr",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with open_store(tmp_path, SystemClock(), QUICK) as opened:
        opened.ledger.admit([BACKUP])
        yield opened


@contextlib.contextmanager
def _at_work(state: Path, *what: str) -> Iterator[subprocess.Popen[str]]:
    """Start the program, and end it by its pid whatever happens."""
    worker = subprocess.Popen(
        (sys.executable, "-m", "tests.support.at_work", str(state), *what),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "at work\n"
            yield worker
        finally:
            worker.kill()


def _may_share(store: SqlStore, key: str) -> bool:
    try:
        with store.locks.hold([key], exclusive=False, wait=AT_ONCE, what="it"):
            return True
    except Busy:
        return False


def test_lock_of_a_killed_process_is_free_at_once(store: SqlStore, tmp_path: Path) -> None:
    with _at_work(tmp_path, "lock", "a") as worker:
        assert not _may_share(store, "a")
        worker.kill()
        worker.wait(10)

        assert _may_share(store, "a")


def test_place_in_the_queue_ends_with_its_process(store: SqlStore, tmp_path: Path) -> None:
    with (
        store.locks.hold(["a"], exclusive=False, wait=AT_ONCE, what="it"),
        subprocess.Popen(
            (sys.executable, "-m", "tests.support.at_work", str(tmp_path), "lock", "a"), cwd=ROOT
        ) as waiting,
    ):
        try:
            _until_two_rows(store)
        finally:
            waiting.kill()
        waiting.wait(10)
        assert _may_share(store, "a")
        assert _rows(store) == 1


def _rows(store: SqlStore) -> int:
    with store._memory.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM lock").scalar_one())


def _until_two_rows(store: SqlStore) -> None:
    deadline = time.monotonic() + 30
    while _rows(store) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_lock_of_a_stopped_process_is_never_taken(store: SqlStore, tmp_path: Path) -> None:
    """The restic that it started may go on writing, whatever we hear of itself."""
    with _at_work(tmp_path, "lock", "a") as worker:
        worker.send_signal(signal.SIGSTOP)
        time.sleep(1.5 * QUICK.lock.total_seconds())

        assert not _may_share(store, "a")
        time.sleep(QUICK.lock.total_seconds())
        assert not _may_share(store, "a")

        worker.send_signal(signal.SIGCONT)
        assert worker.communicate(timeout=10)[0] == ""
        assert _may_share(store, "a")


def test_work_of_a_killed_process_waits_for_another(store: SqlStore, tmp_path: Path) -> None:
    with _at_work(tmp_path, "claim") as worker:
        assert store.ledger.recover() == ()
        worker.kill()
        worker.wait(10)

        assert store.ledger.recover() == (BACKUP,)

    (closed,) = close_dead_runs(store, SystemClock())
    assert (closed.schedule_id, closed.attempt) == ("emr/backup", 1)
    claim = store.ledger.claim(ProcessIdentity.ours())
    assert claim is not None
    assert claim.attempt == 2
    assert store.ledger.settle(claim, Outcome.DONE, "")


def test_work_of_a_stopped_process_is_lost_and_it_learns_so(
    store: SqlStore, tmp_path: Path
) -> None:
    with _at_work(tmp_path, "claim") as worker:
        worker.send_signal(signal.SIGSTOP)
        assert store.ledger.recover() == ()
        time.sleep(1.2 * QUICK.claim.total_seconds())

        assert store.ledger.recover() == (BACKUP,)
        (run,) = store.practice_record("riverside").last_runs
        assert run.outcome is Outcome.INTERRUPTED
        assert run.reason.startswith("lost: its process showed no sign of life")
        claim = store.ledger.claim(ProcessIdentity.ours())
        assert claim is not None
        worker.send_signal(signal.SIGCONT)
        assert worker.communicate("how does it stand?\n", timeout=10)[0] == Standing.LOST + "\n"

    assert store.ledger.settle(claim, Outcome.DONE, "")
    assert store.practice_record("riverside").last_runs == (run,)
