"""Nothing beneath a folder leads out of it, and everything beneath it can be removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator import beneath
from dr_orchestrator.beneath import Parts


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "tree").mkdir()
    descriptor = beneath.open_root(tmp_path / "tree")
    yield descriptor
    os.close(descriptor)


def _found(root: int) -> set[Parts]:
    found = set()
    for folder in beneath.folders(root):
        for entry in folder.entries():
            found.add((*folder.parts, entry.name))
            if entry.is_folder:
                folder.enter(entry.name)
    return found


def test_folders_meets_every_name_and_enters_no_link(tmp_path: Path, root: int) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / os.fsdecode(b"na\xefve\n")).touch()
    (tree / "link").symlink_to(outside)

    assert _found(root) == {(b"a",), (b"a", b"b"), (b"a", b"b", b"na\xefve\n"), (b"link",)}


def test_folders_raises_when_a_folder_became_a_link_meanwhile(tmp_path: Path, root: int) -> None:
    inner = tmp_path / "tree" / "inner"
    inner.mkdir()
    visit = beneath.folders(root)
    next(visit).enter(b"inner")
    inner.rmdir()
    inner.symlink_to("/etc")

    with pytest.raises(NotADirectoryError):
        next(visit)


def test_folders_skips_what_vanished_when_that_is_expected(tmp_path: Path, root: int) -> None:
    visit = beneath.folders(root, may_vanish=True)
    next(visit).enter(b"inner")

    assert list(visit) == []


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"..", b"outside"),
        (b"",),
        (b".",),
        (b"link",),
        (b"folder link", b"outside"),
        (b"a/../../outside",),
        (b"nul\0",),
        (b"pipe",),
        (b"a",),
        (b"absent",),
    ],
)
def test_open_file_finds_nothing_that_is_no_file_beneath(
    tmp_path: Path, root: int, parts: Parts
) -> None:
    tree = tmp_path / "tree"
    (tmp_path / "outside").write_text("secret")
    (tree / "a").mkdir()
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "folder link").symlink_to(tmp_path)
    os.mkfifo(tree / "pipe")

    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        os.close(beneath.open_file(root, parts))


def test_open_file_opens_a_file_in_a_folder(tmp_path: Path, root: int) -> None:
    (tmp_path / "tree" / "a").mkdir()
    (tmp_path / "tree" / "a" / "file").write_text("content")

    with os.fdopen(beneath.open_file(root, (b"a", b"file")), "rb") as file:
        assert file.read() == b"content"


def test_change_mode_leaves_alone_what_a_link_names(tmp_path: Path, root: int) -> None:
    outside = tmp_path / "outside"
    outside.touch(mode=0o600)
    (tmp_path / "tree" / "link").symlink_to(outside)

    beneath.change_mode(root, b"link", 0o4777)

    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


def test_remove_leaves_nothing_of_a_hostile_tree_and_all_of_what_it_names(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = tmp_path / "tree"
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "inner" / "file").touch(mode=0o000)
    (tree / "closed" / "inner").chmod(0o000)
    (tree / "closed").chmod(0o000)
    (tree / "link").symlink_to(kept)
    (tree / ".lifted-").mkdir()
    os.link(kept / "file", tree / "second name")
    os.mkfifo(tree / "pipe")
    tree.chmod(0o500)

    beneath.remove(tree)

    assert not tree.exists()
    assert [path.name for path in kept.iterdir()] == ["file"]


def test_remove_copes_with_a_tree_deeper_than_any_path(tmp_path: Path) -> None:
    depth = 3000
    (tmp_path / "tree").mkdir()
    above = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=above)
        below = os.open("deep", os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)

    beneath.remove(tmp_path / "tree")

    assert not (tmp_path / "tree").exists()


def test_remove_does_nothing_when_there_is_nothing(tmp_path: Path) -> None:
    beneath.remove(tmp_path / "absent")
    beneath.remove(tmp_path / "absent" / "below")


def test_remove_refuses_to_remove_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    with pytest.raises(NotADirectoryError):
        beneath.remove(tmp_path / "link")

    assert (tmp_path / "kept" / "file").exists()


def test_mounted_in_knows_what_is_mounted_at_and_beneath_a_folder(tmp_path: Path) -> None:
    assert beneath.mounted_in(Path("/proc"))
    assert beneath.mounted_in(Path("/"))
    assert not beneath.mounted_in(tmp_path)
    assert not beneath.mounted_in(Path("/pro"))
