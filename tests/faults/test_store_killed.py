"""The process that writes into the store is killed, or several write at once.

What `record` has returned from is there; what it has not is there whole, or not at all.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import RunOpened
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import JournalLine, Store
from dr_orchestrator.store.codec import decode_entry
from dr_orchestrator.store.ledger import close_dead_runs
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.schema import STORE_VERSION
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_run

ROOT = Path(__file__).parents[2]


def _writer(state: Path, name: str, count: int) -> subprocess.Popen[str]:
    program = (sys.executable, "-m", "tests.support.store_writer", str(state), name, str(count))
    return subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _kill(writer: subprocess.Popen[str]) -> list[str]:
    """Kill the writer and return the runs whose `record` had returned."""
    writer.send_signal(signal.SIGKILL)
    output, _ = writer.communicate(timeout=30)
    return output.split()


def _assert_whole(state: Path, written: list[str], replayed: Path) -> int:
    """Assert that all of `written` is there, nothing is there by half; return how much there is."""
    with open_store(state, FakeClock()) as store, open_store(replayed, FakeClock()) as replay:
        lines = store.journal()
        kinds = Counter(line.kind for line in lines)
        assert len(set(kinds.values())) <= 1, f"a transaction was torn: {kinds}"
        for line in lines:
            replay.record(decode_entry(line.kind, line.payload))
        record = store.practice_record(PRACTICE)
        assert record == replay.practice_record(PRACTICE)
        assert store.open_runs() == ()
        points = {point.run for point in record.points}
        assert set(written) <= points
        assert len(record.points) == len(record.tests) == kinds["point_recorded"]
        _assert_borne_out(store, lines)
    with sqlite3.connect(state / FILE_NAME) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    return len(points)


def _assert_borne_out(store: Store, journal: tuple[JournalLine, ...]) -> None:
    """Assert that one chain, unbroken, has a line for each entry, whatever of it is signed."""
    texts = [text.encode() for text in store.evidence.lines(PRACTICE)]
    records = [record for each in texts if (record := json.loads(each)["record"])]
    assert records == [sha256(line.payload.encode()).hexdigest() for line in journal]
    assert store.evidence.disagreements(PRACTICE) == ()
    if texts:
        verification = verify(texts, must_be_signed=False)
        assert (verification.faults, len(verification.chains)) == ((), 1)


def test_store_is_whole_when_its_writer_is_killed_at_any_instant(tmp_path: Path) -> None:
    instants = random.Random(20261121)
    state, written = tmp_path / "state", []
    for attempt in range(12):
        writer = _writer(state, str(attempt), 0)
        assert writer.stdout is not None
        written.append(writer.stdout.readline().strip())
        time.sleep(instants.uniform(0, 0.05))
        written += _kill(writer)

    assert len(written) > 12
    assert _assert_whole(state, written, tmp_path / "replayed") >= len(written)


def test_store_is_whole_when_it_is_killed_while_it_is_made(tmp_path: Path) -> None:
    instants = random.Random(20261122)
    unfinished = 0
    for attempt in range(10):
        state = tmp_path / str(attempt)
        writer = _writer(state, "first", 0)
        deadline = time.monotonic() + 30
        while not (state / FILE_NAME).exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(instants.uniform(0, 0.2))
        written = _kill(writer)
        unfinished += not written

        _assert_whole(state, written, tmp_path / f"replayed-{attempt}")

    assert unfinished, "no writer was killed before it had made its store"


def test_store_is_the_old_or_the_new_one_when_it_is_killed_while_it_is_upgraded(
    tmp_path: Path,
) -> None:
    instants, found = random.Random(20261123), Counter[str]()
    old = tmp_path / "old" / FILE_NAME
    old.parent.mkdir()
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0001")
    engine.dispose()
    for attempt in range(5):
        state = tmp_path / str(attempt)
        shutil.copytree(old.parent, state)
        writer = _writer(state, "first", 0)
        deadline = time.monotonic() + 30
        while not list(state.glob("*.lock")) and time.monotonic() < deadline:
            time.sleep(0.001)  # from here on it is being brought up to date
        if attempt == 0:
            assert writer.stdout is not None
            writer.stdout.readline()  # the last instant there is: all is done
        elif attempt > 1:  # the second is killed at the first one
            time.sleep(instants.uniform(0, 0.25))
        _kill(writer)
        with closing(sqlite3.connect(state / FILE_NAME)) as store:
            ((version,),) = store.execute("SELECT version_num FROM alembic_version").fetchall()
            assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found[version] += 1
        open_store(state, FakeClock()).close()
        assert [each.name for each in state.glob("*.before-*")] == [f"{FILE_NAME}.before-0001"]

    assert found.keys() == {"0001", STORE_VERSION}


def test_store_loses_nothing_when_several_processes_make_it_and_write_at_once(
    tmp_path: Path,
) -> None:
    writers = [_writer(tmp_path / "state", f"writer{number}", 25) for number in range(4)]
    written = []
    for writer in writers:
        output, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
        written += output.split()

    assert len(written) == 100
    assert _assert_whole(tmp_path / "state", written, tmp_path / "replayed") == 100


@pytest.mark.parametrize("reused", [False, True])
def test_run_of_a_killed_process_is_closed_by_the_next_start(tmp_path: Path, reused: bool) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    pid = os.getpid() if reused else identity.pid
    run = make_run(SystemClock().now(), host=identity.host, pid=pid, pid_started=identity.started)
    with open_store(tmp_path / "state", SystemClock()) as store:
        store.record(RunOpened(run=run))
        if not reused:
            assert close_dead_runs(store, SystemClock()) == ()
        sleeper.kill()
        sleeper.wait(timeout=10)

        (closed,) = close_dead_runs(store, SystemClock())

        assert (closed.id, closed.outcome) == (run.id, Outcome.INTERRUPTED)
        assert store.open_runs() == ()
        assert store.practice_record(PRACTICE).last_runs == (closed,)
