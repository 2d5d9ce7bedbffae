from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.runbook.kit.build import Kit
from dr_orchestrator.runbook.kit.place import write_kit
from tests.support.kits import read_all

_FILES = {
    "START-HERE.html": b"1",
    "kit.json": b"{}",
    "restore.sh": b"#!",
    "runbooks/triage.html": b"2",
    "restic/restic.exe": b"MZ",
}


def kit(**changes: bytes) -> Kit:
    return Kit(files=_FILES | changes, inputs="")


def test_write_kit_puts_a_whole_kit_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "riverside"
    write_kit(Kit(files=_FILES | {"runbooks/gone.html": b"old"}, inputs=""), folder)
    write_kit(kit(), folder)
    assert read_all(folder) == _FILES
    assert [each.name for each in tmp_path.iterdir()] == ["riverside"]


def test_write_kit_lets_programs_run(tmp_path: Path) -> None:
    write_kit(kit(), tmp_path / "riverside")
    modes = {name: (tmp_path / "riverside" / name).stat().st_mode & 0o777 for name in _FILES}
    programs = {name for name, mode in modes.items() if mode == 0o755}
    assert programs == {"restore.sh", "restic/restic.exe"}


def test_write_kit_makes_no_folder_above_its_own_since_a_share_may_not_be_mounted(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageMistake, match="cannot be written") as raised:
        write_kit(kit(), tmp_path / "mnt" / "riverside")
    assert "is it" not in raised.value.message
    assert "mounted" in raised.value.hint
    assert not (tmp_path / "mnt").exists()


@pytest.mark.parametrize("there", ["folder", "link", "file"])
def test_write_kit_replaces_nothing_that_is_no_kit(tmp_path: Path, there: str) -> None:
    folder, elsewhere = tmp_path / "riverside", tmp_path / "home"
    elsewhere.mkdir()
    (elsewhere / "kit.json").touch()
    if there == "folder":
        folder.mkdir()
        (folder / "letter.txt").touch()
    elif there == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.touch()
    with pytest.raises(UsageMistake, match="no kit"):
        write_kit(kit(), folder)
    assert (elsewhere / "kit.json").exists()
    assert folder.exists()


def test_write_kit_keeps_the_kit_before_where_the_new_one_cannot_be_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "riverside"
    write_kit(kit(), folder)
    with pytest.raises(UsageMistake):
        write_kit(kit(**{"x" * 300: b"a name no file system takes"}), folder)
    assert read_all(folder) == _FILES
    assert [each.name for each in tmp_path.iterdir()] == ["riverside"]


def test_write_kit_goes_on_after_one_that_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "riverside"
    for left in (".riverside.new", "riverside.before"):
        write_kit(Kit(files={"kit.json": b"", "half": b""}, inputs=""), tmp_path / left)
    write_kit(kit(), folder)
    assert read_all(tmp_path) == {f"riverside/{name}": each for name, each in _FILES.items()}
