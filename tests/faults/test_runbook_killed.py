"""Whoever follows a runbook is killed, at any instant: nothing is done twice, and no step is lost.

Real processes, a real store and real SIGKILLs; see `tests/support/killed_responder.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.core.runbook import Ending, Event, StepResult
from dr_orchestrator.runbook.handover import read_state
from dr_orchestrator.runbook.progress import progress_of
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.killed_responder import AGAIN, BOOK, ONCE, RUN

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs() -> Iterator[tuple[Path, ...]]:
    """Return the folders of the runs, each killed at another instant and gone on with.

    In memory, where there is a place for that: a process is killed here, and no power is lost.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folders:
        program = (sys.executable, "-m", "tests.support.killed_responder", folders)
        subprocess.run(program, cwd=ROOT, check=True, timeout=120)
        yield tuple(sorted(each for each in Path(folders).iterdir() if each.name != "opened"))


def test_run_of_twelve_steps_is_killed_at_every_instant(runs: tuple[Path, ...]) -> None:
    assert len(BOOK.steps) == 12
    assert len(runs) > 50


def test_nothing_that_must_not_happen_twice_did(runs: tuple[Path, ...]) -> None:
    for folder in runs:
        effects = (folder / "effects").read_text().splitlines()

        assert tuple(each for each in effects if each in ONCE) == ONCE, folder.name
        assert {"restore directory", "restore emr", "restore shares"} <= set(effects), folder.name


def test_no_step_is_lost_and_each_ends_once(runs: tuple[Path, ...]) -> None:
    for folder in runs:
        with open_store(folder / "state", FakeClock()) as store:
            moves = store.followed.moves(RUN.id)
        ended = [(each.step, each.result) for each in moves if each.event is Event.ENDED]

        assert ended == [(each.id, StepResult.DONE) for each in BOOK.steps], folder.name
        assert progress_of(RUN, BOOK, moves).ending is Ending.COMPLETED, folder.name
        if folder.name == AGAIN:
            assert read_state(folder / "state.json")[:2] == (RUN, moves)
