"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.whole_file import write_whole


def test_write_whole_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "page").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "page", b"new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "page").read_bytes() == b"new"


def test_write_whole_leaves_the_old_file_and_nothing_else_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "page"
    target.mkdir()
    (target / "inside").write_text("kept")
    with pytest.raises(OSError, match="directory"):
        write_whole(target, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["page"]
