from __future__ import annotations

import os
from pathlib import Path

import pytest

from dr_orchestrator.errors import StorageUnusable, UsageMistake
from dr_orchestrator.fleet.place import Folder, place_at


def test_folder_is_never_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "unmounted")
    with pytest.raises(StorageUnusable, match="is it mounted"):
        folder.write("box", b"{}")
    with pytest.raises(StorageUnusable):
        folder.sites()
    assert list(tmp_path.iterdir()) == []


def test_folder_lists_nothing_but_whole_files_of_sites(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".a.json.1f2e", ".hidden.json", "README.md"):
        (tmp_path / name).touch()
    assert Folder(tmp_path).sites() == ("a", "b")


def test_folder_is_neither_held_up_by_a_pipe_nor_led_away_by_a_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    (tmp_path / "folder.json").mkdir()
    for site in ("pipe", "link", "folder"):
        with pytest.raises(StorageUnusable):
            Folder(tmp_path).read(site)


def test_folder_reads_no_more_than_a_status_can_be(tmp_path: Path) -> None:
    with (tmp_path / "box.json").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(StorageUnusable, match="larger than any status"):
        Folder(tmp_path).read("box")


def test_bucket_needs_a_name() -> None:
    with pytest.raises(UsageMistake, match="names no bucket"):
        place_at("s3:///status", None, None)
