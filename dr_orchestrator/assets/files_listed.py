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
from io import BufferedReader
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets.files_sealed import Seal, Sealed, digest_of
from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.beneath import Parts
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify

_COLUMNS = {2: "one or two columns: path, and SHA-256", 4: "path, hash, size, and whether sealed"}
_SEALED = {
    Sealed.FITS: ("opened",),
    Sealed.BROKEN: ("unsealed",),
    Sealed.KEY_MISSING: ("unsealed",),
    Sealed.UNKNOWN: ("unknown_seals",),
}


@dataclass(frozen=True, kw_only=True)
class Closely:
    """How closely files are looked at, and what the columns of a row may be."""

    columns: int = 2
    """2: path, hash. 4: also size in bytes, and whether the file is sealed."""
    hashes: tuple[str, ...] = ("sha256",)
    """Algorithms, told apart by the length of a hash."""
    seal: Seal | None = None
    read_at_most: int | None = None
    """Bytes; of files that come after so much was read only presence and size are looked at."""
    ignore_case: bool = False


_PLAINLY = Closely()


@dataclass(frozen=True, kw_only=True)
class ListedFiles:
    """What became of the files that rows name."""

    listed: int
    """Rows that name a file; a row with an empty path names none."""
    missing: int
    different: int
    """There, but the row has the hash of another content."""
    hashed: int
    """There, and compared with the row's hash."""
    unknown_hashes: int
    """There, but what the row has for a hash is none, so that nothing was compared."""
    resized: int = 0
    """There, not read, and not of the size that the row has."""
    opened: int = 0
    """Sealed, and sealed with the key that came back."""
    unsealed: int = 0
    """Sealed with another key, or damaged."""
    unknown_seals: int = 0
    """Said to be sealed, but in no way that is known."""
    unread: int = 0
    """Could have been read, but enough was read already."""
    unrestored: int = 0
    """Of `listed`: the repository lists it, and it did not come back, as only a share did."""

    @property
    def result(self) -> Result:
        """Failed where a file is missing or different; unproven where one cannot be compared.

        Rows that name no file at all pass: whether rows are missing is the baseline's question.
        """
        if self.missing or self.different or self.resized or self.unsealed:
            return Result.FAILED
        return Result.UNPROVEN if self.unknown_hashes or self.unknown_seals else Result.PASSED

    @property
    def how_there(self) -> str:
        """What to say beside how many are there, where not all of them came back."""
        if not self.unrestored:
            return ""
        return f" ({self.unrestored:,} as the repository lists them)"

    def verification(self, title: str, asset: str) -> Verification:
        """Return this as a verification of the plan's check `title`."""
        there = self.listed - self.missing - self.different
        return Verification(
            title=title,
            asset=asset,
            result=self.result,
            expected=f"{count_words(self.listed, 'file')} that the rows name",
            actual=f"{there:,} of {self.listed:,} there{self.how_there}, {self.hashed:,} hashed",
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
    rows: Iterable[tuple[object, ...]],
    prefix: Mapping[str, str],
    root: Path,
    closely: Closely = _PLAINLY,
    *,
    share: FilesShare | None = None,
) -> ListedFiles:
    """Look up every file that `rows` name beneath `root`.

    A row is a path, and if there is a second column the file's hash (hex or bytes; null where it
    has none); further columns as `closely` says. `prefix` says for the start of a path where that
    is beneath `root`; the longest that fits counts. A path that leads elsewhere, or anything but a
    regular file, counts as missing. Where only a share of the files came back, the others are there
    if the repository lists them.

    Raises:
        CouldNotVerify: a row is of another shape, or a file there cannot be read.
    """
    try:
        folder = beneath.open_root(root)
        try:
            return _Look(folder, _Mapping(prefix), closely, share).at(rows)
        finally:
            os.close(folder)
    except OSError as error:
        raise CouldNotVerify(
            f"a restored file cannot be read: {(error.strerror or '').lower()}"
        ) from None


class _Look:
    """One look at all files that rows name."""

    def __init__(
        self, folder: int, mapping: _Mapping, closely: Closely, share: FilesShare | None
    ) -> None:
        self._folder = folder
        self._mapping = mapping
        self._closely = closely
        self._share = share
        self._read = 0

    def at(self, rows: Iterable[tuple[object, ...]]) -> ListedFiles:
        counts = dict.fromkeys(ListedFiles.__dataclass_fields__, 0)
        for row in rows:
            for name in self._row(row):
                counts[name] += 1
        return ListedFiles(**counts)

    def _row(self, row: tuple[object, ...]) -> tuple[str, ...]:
        """Return which of the counts this row adds to."""
        columns = self._closely.columns
        if not 1 <= len(row) <= columns:
            raise CouldNotVerify(f"the query must answer {_COLUMNS[columns]}")
        path, expected, size, sealed = (*row, None, None, None)[:4]
        if isinstance(path, bytes):  # as concat() may answer
            path = path.decode(errors="surrogateescape")
        if path is None or path == "":
            return ()
        parts = self._mapping.parts(path) if isinstance(path, str) else None
        descriptor = None if parts is None else self._open(parts)
        if descriptor is None:
            return ("listed", *self._elsewhere(parts, size))
        with os.fdopen(descriptor, "rb") as file:
            return ("listed", *self._content(file, expected, size, is_sealed=bool(sealed)))

    def _elsewhere(self, parts: Parts | None, size: object) -> tuple[str, ...]:
        """Return what a file adds to that did not come back."""
        if self._share is None or parts is None:
            return ("missing",)
        found = self._share.size_of(parts, ignore_case=self._closely.ignore_case)
        if found is None:
            return ("missing",)
        is_other = isinstance(size, int) and size != found
        return ("unrestored", "resized") if is_other else ("unrestored",)

    def _open(self, parts: Parts) -> int | None:
        """Open a file beneath the folder; `None` where there is none."""
        try:
            return beneath.open_file(self._folder, parts)
        except (FileNotFoundError, NotADirectoryError):
            written = self._as_written(parts) if self._closely.ignore_case else None
            return None if written is None else beneath.open_file(self._folder, written)
        except OSError as error:
            if error.errno in beneath.IMPOSSIBLE_NAME:
                return None
            raise

    def _as_written(self, parts: Parts) -> Parts | None:
        """Return the path of the one file whose name differs in case only."""
        written: Parts = ()
        for part in parts:
            wanted = os.fsdecode(part).casefold()
            try:
                folder = beneath.open_folder(self._folder, written)
            except NotADirectoryError:
                return None
            try:
                with os.scandir(folder) as found:
                    names = [each.name for each in found]
            finally:
                os.close(folder)
            same = [os.fsencode(name) for name in names if name.casefold() == wanted]
            if len(same) != 1:
                return None
            written = (*written, same[0])
        return written

    def _content(
        self, file: BufferedReader, expected: object, size: object, *, is_sealed: bool
    ) -> tuple[str, ...]:
        """Return what the content of a file that is there adds to."""
        there, seal = os.fstat(file.fileno()).st_size, self._closely.seal
        limit = self._closely.read_at_most
        enough = limit is not None and self._read >= limit
        if is_sealed:
            if seal is None or enough:
                return ("unread",) if enough else ()
            self._read += there
            return _SEALED[seal.look(file)]
        if expected is None or enough:
            counts = ("unread",) if expected is not None else ()
            return (*counts, "resized") if isinstance(size, int) and size != there else counts
        digest = digest_of(self._closely.hashes, expected)
        if digest is None:
            return ("unknown_hashes",)
        self._read += there
        algorithm, wanted = digest
        if hashlib.file_digest(file, algorithm).digest() != wanted:
            return ("hashed", "different")
        return ("hashed",)


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
