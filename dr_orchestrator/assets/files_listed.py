"""Restored files against the rows of a database that name them.

A row's path is patient data and comes from restored data, so it is hostile as well: it is mapped
to a name beneath the folder and looked up there without following any link. What comes out is
numbers; no path is in any result or error.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.beneath import Parts
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify

_SHA256_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class ListedFiles:
    """What became of the files that rows name."""

    listed: int
    """Rows that name a file; a row with an empty path names none."""
    missing: int
    different: int
    """There, but the row has the SHA-256 of another content."""
    hashed: int
    """There, and compared with the row's SHA-256."""
    unknown_hashes: int
    """There, but what the row has for a hash is no SHA-256, so that nothing was compared."""

    @property
    def result(self) -> Result:
        """Failed where a file is missing or different; unproven where a hash cannot be compared.

        Rows that name no file at all pass: whether rows are missing is the baseline's question.
        """
        if self.missing or self.different:
            return Result.FAILED
        return Result.UNPROVEN if self.unknown_hashes else Result.PASSED

    def verification(self, title: str, asset: str) -> Verification:
        """Return this as a verification of the plan's check `title`."""
        there = self.listed - self.missing - self.different
        return Verification(
            title=title,
            asset=asset,
            result=self.result,
            expected=f"{count_words(self.listed, 'file')} that the rows name",
            actual=f"{there:,} of {self.listed:,} there, {self.hashed:,} hashed",
            reason=self._reason(),
        )

    def _reason(self) -> str:
        if self.missing or self.different:
            return (
                f"of {count_words(self.listed, 'file')} that the rows name, {self.missing:,} "
                f"missing and {self.different:,} with another content"
            )
        if self.unknown_hashes:
            return f"{count_words(self.unknown_hashes, 'row')} with a hash that is no SHA-256"
        return ""


def check_listed(
    rows: Iterable[tuple[object, ...]], prefix: Mapping[str, str], root: Path
) -> ListedFiles:
    """Look up every file that `rows` name beneath `root`.

    A row is a path, and if there is a second column the file's SHA-256 (hex or bytes; null where it
    has none). `prefix` says for the start of a path where that is beneath `root`; the longest that
    fits counts. A path that leads elsewhere, or anything but a regular file, counts as missing.

    Raises:
        CouldNotVerify: a row is not of one or two columns, or a file there cannot be read.
    """
    mapping = _Mapping(prefix)
    counts = dict.fromkeys(("listed", "missing", "different", "hashed", "unknown_hashes"), 0)
    try:
        folder = beneath.open_root(root)
        try:
            for row in rows:
                for name in _look_up(folder, mapping, row):
                    counts[name] += 1
        finally:
            os.close(folder)
    except OSError as error:
        raise CouldNotVerify(
            f"a restored file cannot be read: {(error.strerror or '').lower()}"
        ) from None
    return ListedFiles(**counts)


def _look_up(folder: int, mapping: _Mapping, row: tuple[object, ...]) -> tuple[str, ...]:
    """Return which of the counts this row adds to."""
    if len(row) not in {1, 2}:
        raise CouldNotVerify("the query must answer one or two columns: path, and SHA-256")
    path, expected = row[0], row[1] if len(row) > 1 else None
    if path is None or path == "":
        return ()
    parts = mapping.parts(path) if isinstance(path, str) else None
    if parts is None:
        return ("listed", "missing")
    try:
        descriptor = beneath.open_file(folder, parts)
    except (FileNotFoundError, NotADirectoryError):
        return ("listed", "missing")
    except OSError as error:
        if error.errno in beneath.IMPOSSIBLE_NAME:
            return ("listed", "missing")
        raise
    with os.fdopen(descriptor, "rb") as file:
        if expected is None:
            return ("listed",)
        digest = _digest(expected)
        if digest is None:
            return ("listed", "unknown_hashes")
        if hashlib.file_digest(file, "sha256").digest() != digest:
            return ("listed", "hashed", "different")
    return ("listed", "hashed")


class _Mapping:
    """Where paths of rows are beneath the folder."""

    def __init__(self, prefix: Mapping[str, str]) -> None:
        self._prefixes = sorted(prefix.items(), key=lambda item: len(item[0]), reverse=True)

    def parts(self, path: str) -> Parts | None:
        """Return a row's path beneath the folder, or `None` where it cannot be in it."""
        for start, place in self._prefixes:
            if path.startswith(start) and _ends_a_name(start, path):
                # A share's name as Windows writes it has backslashes, and so has what follows.
                separated = path[len(start) :]
                rest = separated.replace("\\", "/") if "\\" in start else separated
                return _split(f"{place}/{rest}")
        return None if path.startswith("/") else _split(path)


def _ends_a_name(start: str, path: str) -> bool:
    """Whether `start` of `path` ends where a name does: `/share` is no start of `/shared/x`."""
    return start[-1:] in {"/", "\\", ""} or path[len(start) : len(start) + 1] in {"/", "\\", ""}


def _split(path: str) -> Parts | None:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    try:
        return (
            None
            if ".." in parts
            else tuple(part.encode(errors="surrogateescape") for part in parts)
        )
    except UnicodeEncodeError:
        return None


def _digest(expected: object) -> bytes | None:
    """Return a SHA-256 as 32 bytes, however the row has it; `None` where it is something else."""
    if isinstance(expected, memoryview):
        expected = bytes(expected)
    if isinstance(expected, str):
        try:
            expected = bytes.fromhex(expected.strip().removeprefix("\\x"))
        except ValueError:
            return None
    if isinstance(expected, bytes) and len(expected) == _SHA256_BYTES:
        return expected
    return None
