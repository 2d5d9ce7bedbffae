"""Only the files that were named stay of a tree that came back."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.share import Listed, as_listed
from dr_orchestrator.errors import RepositoryDamaged
from dr_orchestrator.restore.single_files import SingleFiles

_TREE = {
    "a.txt": b"a",
    "letters/2026/one.txt": b"one",
    "letters/2026/two.txt": b"two",
    "letters/2025/one.txt": b"old",
    "letters.txt": b"no folder",
}


class _Lister:
    """Lists a folder as a repository would that has it under `/srv/docs`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list_files(
        self, snapshot: str, take: Callable[[Listed], object], *, timeout: timedelta
    ) -> None:
        del snapshot, timeout
        take(Listed("/srv/beside", is_link=False, size=1))
        for each in sorted(self._folder.rglob("*")):
            if each.is_symlink() or each.is_file():
                inside = as_listed(os.fsencode(each.relative_to(self._folder)))
                size = 0 if each.is_symlink() else each.stat().st_size
                take(Listed(f"/srv/docs/{inside}", each.is_symlink(), size))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in _TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "link").symlink_to("letters")
    (tmp_path / os.fsdecode(b"latin-\xe4")).write_bytes(b"l1")
    (tmp_path / os.fsdecode(b"latin-\xf6")).write_bytes(b"l2")
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    return tmp_path


def _kept(tree: Path, *named: str, from_windows: bool = False) -> tuple[set[str], set[str]]:
    """Return what stays of the tree, and the names that nothing was there for."""
    single = SingleFiles("/srv/docs", named, from_windows=from_windows)
    single.look(_Lister(tree), "snapshot")  # type: ignore[arg-type]
    single.keep_only_these(tree)
    stays = {os.fsencode(each.relative_to(tree)) for each in tree.rglob("*") if not each.is_dir()}
    return {as_listed(each) for each in stays}, set(named) - single.found


@pytest.mark.parametrize(
    ("named", "stays"),
    [
        ("a.txt", {"a.txt"}),
        ("/srv/docs/a.txt", {"a.txt"}),
        ("./letters//2026/", {"letters/2026/one.txt", "letters/2026/two.txt"}),
        ("letters/2025/one.txt", {"letters/2025/one.txt"}),
        ("latin-\ufffd", {"latin-\ufffd"}),
    ],
)
def test_single_files_keeps_what_was_named_and_nothing_else(
    tree: Path, named: str, stays: set[str]
) -> None:
    assert _kept(tree, named) == (stays, set())
    folders = {each.name for each in tree.rglob("*") if each.is_dir()}
    assert folders == {part for path in stays for part in path.split("/")[:-1]}


def test_single_files_counts_files_that_are_listed_alike_and_for_no_other(tree: Path) -> None:
    single = SingleFiles("/srv/docs", ("latin-\ufffd", "a.txt"))
    single.look(_Lister(tree), "snapshot")  # type: ignore[arg-type]
    assert single.keep_only_these(tree) == 3
    (tree / "a.txt").unlink()
    with pytest.raises(RepositoryDamaged, match="1 of 2 files"):
        single.keep_only_these(tree)


def test_single_files_tells_which_names_are_not_there(tree: Path) -> None:
    names = ("a.txt", "letter", "../beside", "letters/2026/one", "empty", "A.TXT")
    assert _kept(tree, *names) == ({"a.txt"}, set(names) - {"a.txt"})


def test_single_files_takes_a_path_as_windows_writes_it(tree: Path) -> None:
    assert _kept(tree, r"letters\2025\one.txt", from_windows=True)[0] == {"letters/2025/one.txt"}


def test_single_files_fails_when_a_file_came_back_short(tree: Path) -> None:
    single = SingleFiles("/srv/docs", ("letters",))
    single.look(_Lister(tree), "snapshot")  # type: ignore[arg-type]
    (tree / "letters/2026/one.txt").write_bytes(b"o")
    (tree / "letters/2025/one.txt").unlink()

    with pytest.raises(RepositoryDamaged, match="2 of 3 files did not come back") as failed:
        single.keep_only_these(tree)
    assert "one" not in str(failed.value)
