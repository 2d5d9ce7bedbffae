"""Folders that live as long as their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dr_orchestrator.process_folder import (
    make_process_folder,
    remove_process_folder,
    sweep_process_folders,
)

_MAKE = """
import sys
from pathlib import Path
from dr_orchestrator.process_folder import make_process_folder
(make_process_folder(Path(sys.argv[1])) / "pgpass").write_text("secret")
"""


def _made_by_another(base: Path) -> None:
    subprocess.run((sys.executable, "-c", _MAKE, str(base)), check=True)


def test_sweep_removes_what_dead_processes_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    ours = make_process_folder(tmp_path / "runtime")
    _made_by_another(tmp_path / "runtime")
    (tmp_path / "runtime" / "pg-left").mkdir()
    assert sweep_process_folders(tmp_path / "runtime") == 2
    assert list((tmp_path / "runtime").iterdir()) == [ours]


def test_the_same_process_gets_the_same_private_folder_until_it_removes_it(tmp_path: Path) -> None:
    folder = make_process_folder(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_process_folder(tmp_path) == folder
    remove_process_folder(tmp_path)
    remove_process_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_sweep_of_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    assert sweep_process_folders(tmp_path / "nowhere") == 0
