"""The disk under the state folder is full, or fails: said in our words, and nothing is lost."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from dr_orchestrator.core.record import RunOpened
from dr_orchestrator.errors import SpaceExhausted
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import make_run

ROOT = Path(__file__).parents[2]
PATIENT = "Rosalind Example"


def test_record_says_so_and_keeps_what_there_was_when_the_disk_is_full(tmp_path: Path) -> None:
    with open_store(tmp_path, FakeClock()) as store:
        store.record(RunOpened(run=make_run(START, id="before")))

    with open_store(tmp_path, FakeClock()) as store:
        event.listen(store._engine, "connect", _no_room)
        store._engine.dispose()  # so that the next connection is a new one
        with pytest.raises(SpaceExhausted, match="full") as caught:
            store.record(RunOpened(run=make_run(START, id="during", reason=PATIENT * 10_000)))
        assert PATIENT not in str(caught.value)
        assert caught.value.__cause__ is None
        assert [run.id for run in store.open_runs()] == ["before"]

    with open_store(tmp_path, FakeClock()) as store:
        store.record(RunOpened(run=make_run(START, id="after")))
        assert {run.id for run in store.open_runs()} == {"before", "after"}


def _no_room(connection: sqlite3.Connection, _record: object) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")


def test_record_fails_in_our_words_when_a_write_fails(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from dr_orchestrator.errors import StoreUnusable
from tests.support.store_writer import write
try:
    write(Path(sys.argv[1]), "limited", 0)
except StoreUnusable as error:
    print("refused:", error.message)
"""
    limited = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "state")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )

    assert (tmp_path / "state" / FILE_NAME).stat().st_size <= 400_000
    *written, refusal = limited.stdout.splitlines()
    assert refusal.startswith("refused: the record of runs and tests cannot be used")
    with open_store(tmp_path / "state", FakeClock()) as store:
        assert [point.run for point in store.points("riverside")] == written
