"""Files that rows name: mapped, looked up without following anything, counted, never shown."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dr_orchestrator.assets.files_listed import Closely, ListedFiles, check_listed
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify

_SHA = hashlib.sha256(b"scan").hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "documents"
    (root / "2026" / "11").mkdir(parents=True)
    (root / "2026" / "11" / "a.pdf").write_bytes(b"scan")
    (root / "top.pdf").write_bytes(b"scan")
    (tmp_path / "outside.pdf").write_bytes(b"scan")
    return root


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ({}, "2026/11/a.pdf"),
        ({}, "./2026//11/a.pdf"),
        ({"/share": "."}, "/share/2026/11/a.pdf"),
        ({"/share/": "."}, "/share/2026/11/a.pdf"),
        ({"/share": "wrong", "/share/new": "2026"}, "/share/new/11/a.pdf"),
        ({"\\\\server\\docs": "."}, "\\\\server\\docs\\2026\\11\\a.pdf"),
        ({"Z:": "."}, "Z:/2026/11/a.pdf"),
        ({"/share/a.pdf": "2026/11/a.pdf"}, "/share/a.pdf"),
        ({"": "2026"}, "11/a.pdf"),
        ({"/share": "."}, b"/share/2026/11/a.pdf"),
    ],
)
def test_check_listed_finds_a_file_by_the_longest_prefix(
    root: Path, prefix: dict[str, str], path: str | bytes
) -> None:
    found = check_listed([(path, _SHA)], prefix, root)

    assert found == ListedFiles(listed=1, missing=0, different=0, hashed=1, unknown_hashes=0)
    assert found.result is Result.PASSED


@pytest.mark.parametrize(
    "path",
    [
        "../outside.pdf",
        "2026/../../outside.pdf",
        "/etc/hostname",
        "/shared/top.pdf",
        "link.pdf",
        "folder/hostname",
        "pipe",
        "2026",
        ".",
        "nul\0.pdf",
        "\ud800",
        "x" * 5000,
        "absent.pdf",
        b"absent.pdf",
        7,
    ],
)
def test_check_listed_counts_as_missing_what_is_no_file_beneath(root: Path, path: object) -> None:
    (root / "link.pdf").symlink_to(root.parent / "outside.pdf")
    (root / "folder").symlink_to("/etc")
    os.mkfifo(root / "pipe")

    found = check_listed([(path, None)], {"/share": "."}, root)

    assert (found.listed, found.missing, found.result) == (1, 1, Result.FAILED)


@pytest.mark.parametrize(
    ("expected", "hashed", "different", "unknown"),
    [
        (None, 0, 0, 0),
        (_SHA.upper(), 1, 0, 0),
        (f"\\x{_SHA}", 1, 0, 0),
        (bytes.fromhex(_SHA), 1, 0, 0),
        (memoryview(bytes.fromhex(_SHA)), 1, 0, 0),
        ("0" * 64, 1, 1, 0),
        (hashlib.sha512(b"scan").hexdigest(), 0, 0, 1),
        ("", 0, 0, 1),
        (12, 0, 0, 1),
    ],
)
def test_check_listed_compares_the_hash_of_a_row(
    root: Path, expected: object, hashed: int, different: int, unknown: int
) -> None:
    found = check_listed([("top.pdf", expected)], {}, root)

    assert (found.hashed, found.different, found.unknown_hashes) == (hashed, different, unknown)
    assert (found.result is Result.PASSED) is (not different and not unknown)


def test_check_listed_says_in_numbers_what_is_wrong(root: Path) -> None:
    rows: list[tuple[object, ...]] = [("top.pdf", _SHA)] * 997
    rows += [("Jane Roe.pdf", None), ("top.pdf", "0" * 64), ("gone/Jane Roe.pdf", _SHA), (None,)]

    verification = check_listed(rows, {}, root).verification("scans", "documents")

    assert verification.result is Result.FAILED
    assert verification.expected == "1,000 files that the rows name"
    assert verification.actual == "997 of 1,000 there, 998 hashed"
    assert verification.reason == (
        "of 1,000 files that the rows name, 2 missing and 1 with another content"
    )
    assert "Roe" not in repr(verification)


def test_check_listed_passes_when_no_file_is_named(root: Path) -> None:
    # Whether rows are missing is the baseline's question: a new practice has none.
    assert check_listed([(None, None), ("", None)], {}, root).result is Result.PASSED


def test_check_listed_refuses_rows_of_another_shape(root: Path) -> None:
    with pytest.raises(CouldNotVerify, match="one or two columns"):
        check_listed([("a", "b", "c")], {}, root)


_CLOSELY = Closely(columns=4, hashes=("sha1", "sha3_512"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((hashlib.sha1(b"scan").hexdigest(),), {"hashed": 1}),  # noqa: S324 - what an EMR stored
        ((hashlib.sha3_512(b"scan").hexdigest(), 4, 0), {"hashed": 1}),
        ((hashlib.sha3_512(b"other").hexdigest(), 4, 0), {"hashed": 1, "different": 1}),
        ((_SHA, 4, 0), {"unknown_hashes": 1}),
        ((None, 4, 0), {}),
        ((None, 5, 0), {"resized": 1}),
        ((None, None, 1), {}),
    ],
)
def test_check_listed_looks_as_closely_as_it_is_told(
    root: Path, row: tuple[object, ...], expected: dict[str, int]
) -> None:
    found = check_listed([("top.pdf", *row)], {}, root, _CLOSELY)

    counts = {"missing": 0, "different": 0, "hashed": 0, "unknown_hashes": 0}
    assert found == ListedFiles(listed=1, **(counts | expected))


def test_check_listed_reads_no_more_than_it_may(root: Path) -> None:
    rows = [("top.pdf", _SHA, 4)] * 10 + [("top.pdf", _SHA, 5), ("gone.pdf", _SHA, 4)]
    closely = Closely(columns=4, read_at_most=10)

    found = check_listed(rows, {}, root, closely)

    # whole files: 3 of 4 bytes each are the first to reach 10
    assert (found.hashed, found.unread, found.resized, found.missing) == (3, 8, 1, 1)
    assert found.result is Result.FAILED


def test_check_listed_finds_a_file_in_another_case_only_where_that_is_meant(root: Path) -> None:
    (root / "2026" / "plan").touch()
    rows = [("2026/11/A.PDF",), ("2026/PLAN/x",), ("2026/12/a.pdf",)]

    assert check_listed(rows, {}, root).missing == 3
    assert check_listed(rows, {}, root, Closely(ignore_case=True)).missing == 2
    (root / "2026" / "11" / "a.PDF").touch()  # now it could be either
    assert check_listed(rows, {}, root, Closely(ignore_case=True)).missing == 3
