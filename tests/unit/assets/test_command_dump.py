"""A dump on disk: what tells it from another one, and what its end must be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.command_dump import ends_with, look_at, sha256_of_dump


def _tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_look_at_counts_files_of_a_tree_and_others_apart(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "d", {"a": b"12", "b/c": b"345"})
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    dump = look_at(folder)
    assert (dump.files, dump.size, dump.others, dump.end) == (2, 5, 2, b"")


def test_look_at_reads_the_end_of_what_is_one_file(tmp_path: Path) -> None:
    content = b"0" * 5000 + b"end"
    path = _tree(tmp_path, {"x/a": content}) / "x" / "a"
    assert (look_at(path).files, look_at(path).size, look_at(path).end) == (
        1,
        5003,
        content[-4096:],
    )
    assert (look_at(path.parent).size, look_at(path.parent).end) == (5003, b"")


def test_state_is_another_after_a_write_that_keeps_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before, times = look_at(path), path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look_at(path).state != before.state


def test_sha256_of_a_file_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert sha256_of_dump(path) == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"a": b"1", "b": b"3"},
        {"a": b"1", "c": b"2"},
        {"a": b"1"},
        {"a": b"2", "b": b"1"},
        {"a": b"1", "b": b"2", "c": b""},
        {"a": b"1", "x/b": b"2"},
    ],
)
def test_sha256_of_a_tree_is_another_when_anything_is(
    tmp_path: Path, changed: dict[str, bytes]
) -> None:
    one = sha256_of_dump(_tree(tmp_path / "one", {"a": b"1", "b": b"2"}))
    assert sha256_of_dump(_tree(tmp_path / "same", {"b": b"2", "a": b"1"})) == one
    assert sha256_of_dump(_tree(tmp_path / "other", changed)) != one


def test_sha256_of_a_tree_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"1")
    folder = _tree(tmp_path / "d", {"a": b"1"})
    (folder / "link").symlink_to(tmp_path / "outside")
    before = sha256_of_dump(folder)
    (tmp_path / "outside").write_bytes(b"2")
    assert sha256_of_dump(folder) == before


@pytest.mark.parametrize(
    ("end", "whole"),
    [
        (b"rows\n-- Dump completed on 2026-11-21\n", True),
        (b"-- Dump completed on 2026-11-21 \r\n\n", True),
        (b"-- Dump completed on 2026-11-21\ninsert", False),
        (b"-- Dump compl", False),
        (b"", False),
        (b"-- Dump completed on" + b" " * 5000, False),
    ],
)
def test_ends_with_matches_up_to_the_very_end(end: bytes, whole: bool) -> None:
    for pattern in (r"-- Dump completed on [-0-9]+", r"(?i)-- DUMP completed on [-0-9]+\s*$"):
        assert ends_with(end, pattern) is whole


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=10))
def test_ends_with_is_false_for_every_dump_that_was_cut(content: bytes, cut: int) -> None:
    whole = content + b"<the end>"
    assert ends_with(whole, "<the end>")
    assert not ends_with(whole[:-cut], "<the end>") or content.rstrip().endswith(b"<the end>")
