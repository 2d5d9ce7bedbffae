"""What a killed restore left is removed by the next start: that very folder, and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from dr_orchestrator.restore.unfinished import sweep_unfinished, unfinished


def _restore_and_die(folder: Path, notes: Path) -> None:
    """Be killed in the middle of a restore, in a process of its own."""
    child = os.fork()
    if not child:
        with unfinished(folder, "dead", notes) as target:
            (target.path / "of-others").write_text("Zebedee")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Return what a killed restore left beside what it had finished."""
    (tmp_path / "to" / "scans").mkdir(parents=True)
    folder = tmp_path / "to" / "emr.incoming"
    _restore_and_die(folder, tmp_path / "notes")
    assert (folder / "of-others").exists()
    return folder


def sweep(left: Path, *living: str) -> list[str]:
    """Return what is there after it."""
    notes = left.parents[1] / "notes"
    sweep_unfinished(notes, lambda: frozenset(living))
    assert bool(list(notes.iterdir())) == bool(living)
    return sorted(each.name for each in left.parent.iterdir())


def test_sweep_removes_what_a_killed_restore_left_and_nothing_beside_it(left: Path) -> None:
    (note,) = (left.parents[1] / "notes").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    assert sweep(left, "dead") == ["emr.incoming", "scans"]
    assert sweep(left) == ["scans"]


def test_sweep_leaves_what_took_the_place_of_the_folder(left: Path) -> None:
    left.rename(left.with_name("kept"))
    left.symlink_to(left.with_name("kept"))

    assert sweep(left) == ["emr.incoming", "kept", "scans"]
    assert (left.with_name("kept") / "of-others").exists()


def test_restore_that_ends_leaves_neither_folder_nor_note(tmp_path: Path) -> None:
    for wrong in (False, True):
        try:
            with unfinished(tmp_path / "emr.incoming", "run", tmp_path / "notes") as target:
                (target.path / "a").touch()
                if wrong:
                    raise KeyError
        except KeyError:
            pass
        assert [each.name for each in tmp_path.iterdir()] == ["notes"]
        assert not list((tmp_path / "notes").iterdir())
