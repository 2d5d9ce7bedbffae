"""Whoever takes a practice over is killed: nothing was taken over then, or all of its record; and
the same command goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.evidence import PRACTICE
from tests.support.handed import giving, machine
from tests.support.site import ROOT


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("giver")
    with giving(folder) as giver:
        giver.hand_over(folder / "handed")
    return folder / "handed"


@pytest.mark.parametrize(
    ("step", "is_taken", "has_plan"),
    [("record", False, False), ("files_key", True, False), ("retention", True, True)],
)
def test_same_command_goes_on_after_a_kill(
    tmp_path: Path, handed: Path, step: str, *, is_taken: bool, has_plan: bool
) -> None:
    words = (sys.executable, "-m", "tests.support.killed_takeover", tmp_path, handed, step)
    killed = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60, check=False
    )
    assert killed.returncode == -9

    with machine(tmp_path) as taker:
        assert bool(taker.store.journal(PRACTICE)) is is_taken
        assert bool(taker.store.evidence.chains(PRACTICE)) is is_taken
        assert (taker.plans / "riverside.yaml").exists() is has_plan

        taken = taker.take_over(handed)

        assert taken.again is is_taken
        assert taker.store.evidence.disagreements(PRACTICE) == ()
        assert (taker.plans / "riverside.yaml").exists()
        taken_over = [each for each in taker.store.journal(PRACTICE) if each.kind == "taken_over"]
        assert len(taken_over) == 1
        assert taker.state.files_key(PRACTICE) == (handed / "files.key").read_bytes()
