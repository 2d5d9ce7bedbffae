"""What adoption changes and what it leaves alone, as far as it can be tried without root."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dr_orchestrator.sandbox.adoption import adopt


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_adopt_makes_folders_passable_and_files_harmless(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "plain").touch(mode=0o640)
    (tree / "closed" / "program").touch()
    (tree / "closed" / "program").chmod(0o2755)
    (tree / "closed").chmod(0o050)

    adopted = adopt(tree, None)

    assert (adopted.entries, adopted.removed_special, adopted.stripped_privilege) == (4, 0, 1)
    assert _mode(tree) == 0o700, "its folder is all that keeps others out"
    assert _mode(tree / "closed") == 0o750
    assert _mode(tree / "closed" / "plain") == 0o640
    assert _mode(tree / "closed" / "program") == 0o755


def test_adopt_takes_out_pipes_and_sockets(tmp_path: Path) -> None:
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    os.mkfifo(tmp_path / "tree" / "inner" / "pipe")

    adopted = adopt(tmp_path / "tree", None)

    assert adopted.removed_special == 1
    assert list((tmp_path / "tree" / "inner").iterdir()) == []


def test_adopt_keeps_names_of_one_file_and_takes_out_names_of_a_file_outside(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "first").touch()
    os.link(tree / "first", tree / "second")
    (tmp_path / "outside").touch(mode=0o600)
    os.link(tmp_path / "outside", tree / "third")

    adopted = adopt(tree, None)

    assert adopted.removed_special == 1
    assert sorted(path.name for path in tree.iterdir()) == ["first", "second"]
    assert (tmp_path / "outside").exists()


def test_adopt_takes_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o4755)

    assert adopt(tmp_path / "file", None).stripped_privilege == 1
    assert _mode(tmp_path / "file") == 0o755


def test_adopt_refuses_a_single_file_that_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    os.link(tmp_path / "outside", tmp_path / "file")

    with pytest.raises(OSError, match="other names"):
        adopt(tmp_path / "file", None)


def test_adopt_raises_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        adopt(tmp_path / "absent", None)
