"""A dump that somebody else's job wrote: what it is, told by its first bytes when it came back.

Names are not trusted, nor that the job wrote what it was meant to: an empty file, the message of a
program that failed, or text that PowerShell re-encoded is what dead backup jobs leave behind. What
cannot be told apart from damage is said to be no dump; what is known to be something that is not
read here is unproven. Unpacking happens in this process, a block at a time, and starts no program.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.restored_file import opened_file
from dr_orchestrator.assets.script_lines import BLOCK
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, SpaceExhausted, TargetRefused

_HEAD = 64 * 1024
_LONGEST_MESSAGE = 512
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Of UTF-8, as programs on Windows put it before a text; no client passes over it everywhere."""
_TAR_MARK = (257, b"ustar")
_TAR_BLOCK = 512
_TAR_SIZE = slice(124, 136)
_ARCHIVE_MARK = b"PGDMP"
_CUSTOM, _TAR = 1, 3
"""Numbers of the formats, as pg_dump writes them into an archive's header."""
_NEWER_COMPRESSION = (1, 15)
"""From this version of the format on, how it is compressed is one byte instead of an integer."""
_JOB_FAILED = "the job that writes it failed: look at its log"
_PROGRAMS = (
    rb"pg_dump|pg_dumpall|psql|mysqldump|mysqlpump|mysql|mariadb-dump|mariadb|"
    rb"docker|podman|kubectl|sudo|ssh|bash|sh|cmd"
)
_MESSAGE = re.compile(
    rb"\s*(?:[\w./\\:() -]*[/\\])?(?P<program>%b)(?:\.exe)?: [^\n]*" % _PROGRAMS, re.IGNORECASE
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNREAD: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(sign, re.DOTALL), words)
    for sign, words in (
        (rb"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (rb"\x04\x22\x4d\x18", "compressed by lz4"),
        (rb"\x89LZO\0", "compressed by lzop"),
        (rb"LZIP", "compressed by lzip"),
        (rb"\x1f\x9d", "compressed by compress"),
        (rb"PK\x03\x04", "a zip archive"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (rb"Rar!\x1a\x07", "a RAR archive"),
        (rb"age-encryption\.org/|-----BEGIN AGE ", "encrypted by age"),
        (rb"-----BEGIN PGP MESSAGE|\x85..\x03|\x84.\x03|\x8c.\x04", "encrypted by GnuPG"),
        (rb"Salted__", "encrypted by OpenSSL"),
    )
)
"""What is no damage, and yet not read here: first bytes -> words."""


class Packing(StrEnum):
    """What a dump is compressed by."""

    NONE = ""
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"


class Format(StrEnum):
    """What a dump is, unpacked."""

    SQL = "sql"
    CUSTOM = "custom"
    """An archive of `pg_dump --format=custom`."""
    TAR = "tar"
    """An archive of `pg_dump --format=tar`."""


_PACKED_BY = {b"\x1f\x8b\x08": Packing.GZIP, b"BZh": Packing.BZIP2, b"\xfd7zXZ\0": Packing.XZ}


class _Source(Protocol):
    """Where unpacked bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return some more of them, nothing at the end."""
        ...


_UNPACK: dict[Packing, Callable[[BinaryIO], _Source]] = {
    Packing.NONE: lambda file: file,
    Packing.GZIP: lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    Packing.BZIP2: bz2.BZ2File,
    Packing.XZ: lzma.LZMAFile,
}


@dataclass(frozen=True)
class ForeignDump:
    """A dump as it came back."""

    path: Path
    packing: Packing
    format: Format
    head: bytes
    """The first 64 KiB, unpacked."""

    def blocks(self, *, at_most: int | None = None) -> Iterator[bytes]:
        """Yield all of it, unpacked.

        Raises:
            LoadFailed: it is cut off, or damaged.
            SpaceExhausted: it is larger than `at_most` bytes.
        """
        total = 0
        for block in _unpacked(self.path, self.packing):
            # psql passes over what follows a zero byte in a line, and rows are gone without a word
            if self.format is Format.SQL and b"\0" in block:
                raise LoadFailed(
                    "the dump is damaged: it has zero bytes, as no program writes them into SQL",
                    hint="the machine or its disk failed while it was written, or later",
                )
            total += len(block)
            if at_most is not None and total > at_most:
                raise SpaceExhausted(
                    f"the dump is larger unpacked than the sandbox has room: {size_words(at_most)}",
                    hint="make room where sandboxes are made, and try again",
                )
            yield block


@dataclass(frozen=True)
class ArchiveHeader:
    """What an archive of pg_dump says of itself."""

    database: str
    server: str
    """`15.18 (Debian 15.18-0+deb12u1)`."""
    tool: str
    """pg_dump's version."""


def look_at(restored: Path) -> ForeignDump:
    """Tell what came back, by its first bytes.

    Raises:
        LoadFailed: it is no dump: empty, a program's message, or nothing that is known.
        CouldNotVerify: it may be a dump, and is packed or encrypted as is not read here.
    """
    packed = _first_bytes(restored, Packing.NONE)
    packing = next((by for mark, by in _PACKED_BY.items() if packed.startswith(mark)), Packing.NONE)
    head = packed if packing is Packing.NONE else _first_bytes(restored, packing)
    return ForeignDump(restored, packing, _format_of(head), head)


def refuse_live(request: RestoreRequest) -> None:
    """Load nothing into a server that people work with that was not looked through.

    Raises:
        TargetRefused: that was asked.
    """
    if request.live is not None:
        raise TargetRefused(
            "a dump that another tool wrote may make databases, roles and more: it is not loaded "
            "into a server that people work with",
            hint="restore it with --to: it comes back with the commands that load it",
        )


def archive_header(head: bytes) -> ArchiveHeader | None:
    """Return what an archive's first bytes say; `None` where they are not as any pg_dump writes
    them (pg_backup_archiver.c, `WriteHead`).
    """
    start = _TAR_BLOCK if _is_tar(head) else 0
    if head[start : start + len(_ARCHIVE_MARK)] != _ARCHIVE_MARK:
        return None
    reader = _HeaderReader(head, start + len(_ARCHIVE_MARK))
    try:
        major, minor, _revision, reader.integer_bytes, _offset_bytes, _format = (
            reader.byte() for _ in range(6)
        )
        _compression = reader.byte() if (major, minor) >= _NEWER_COMPRESSION else reader.integer()
        for _part_of_the_date in range(7):
            reader.integer()
        return ArchiveHeader(reader.text(), reader.text(), reader.text())
    except IndexError:
        return None


def major_of(version: str) -> int:
    """Return a version's first number, 0 where it has none."""
    number = version.partition(".")[0]
    return int(number) if number.isdigit() else 0


def require_whole_tar(file: BinaryIO) -> None:
    """Make sure that a tar archive has all of its members, and its end.

    pg_restore 15.18 never comes to an end on one whose last member is cut off.

    Raises:
        LoadFailed: it is cut off.
    """
    at = 0
    while True:
        file.seek(at)
        header = file.read(_TAR_BLOCK)
        if len(header) < _TAR_BLOCK:
            raise LoadFailed("the archive is cut off: it has no end", hint=_JOB_FAILED)
        if not any(header):
            return
        at += _TAR_BLOCK + -(-_tar_number(header[_TAR_SIZE]) // _TAR_BLOCK) * _TAR_BLOCK


def room_of(place: Path) -> int:
    """Return the bytes that the disk of a place may still take: no dump may fill it."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _tar_number(digits: bytes) -> int:
    """Return a size as a tar header has it: octal, or where it is large, in base 256."""
    if digits[0] & 0x80:
        return int.from_bytes(digits[1:], "big")
    try:
        return int(digits.strip(b" \0") or b"0", 8)
    except ValueError:
        raise LoadFailed("the archive is damaged: a member of it has no size") from None


class _HeaderReader:
    """Reads numbers and texts as pg_dump writes them."""

    def __init__(self, head: bytes, at: int) -> None:
        self._head = head
        self._at = at
        self.integer_bytes = 4

    def byte(self) -> int:
        self._at += 1
        return self._head[self._at - 1]

    def integer(self) -> int:
        """Read a sign, then the number, its lowest byte first."""
        sign = -1 if self.byte() else 1
        return sign * sum(self.byte() << 8 * place for place in range(self.integer_bytes))

    def text(self) -> str:
        length = max(0, self.integer())
        found = self._head[self._at : self._at + length]
        if len(found) < length or b"\0" in found:
            raise IndexError
        self._at += length
        return found.decode(errors="replace")


def _format_of(head: bytes) -> Format:
    if not head.strip():
        raise LoadFailed("the dump is empty", hint=_JOB_FAILED)
    if head.startswith(_ARCHIVE_MARK):
        return Format.CUSTOM
    if _is_tar(head):
        if head[_TAR_BLOCK:].startswith(_ARCHIVE_MARK):
            return Format.TAR
        raise CouldNotVerify(
            "what came back is a tar archive, and none that pg_dump made: what is in it is not "
            "looked for",
            hint="have the job save the dump itself: the repository compresses and keeps it",
        )
    if head.startswith(_UTF16):
        raise LoadFailed(
            "the dump was written as UTF-16, as PowerShell's `>` does: no program loads it",
            hint="have the program write the file itself: `pg_dump --file=`, `--result-file=`",
        )
    if found := _MESSAGE.match(head[:_LONGEST_MESSAGE]):
        program = found["program"].decode().lower()
        raise LoadFailed(
            f"the file begins with a message of {program}, where the dump should",
            hint=_JOB_FAILED,
        )
    for sign, words in _UNREAD:
        if sign.match(head):
            raise CouldNotVerify(
                f"what came back is {words}, which is not read here: nothing says whether it loads",
                hint="have the job save the dump as it is, or compressed by gzip",
            )
    if b"\0" in head or head.startswith(tuple(_PACKED_BY)):
        raise LoadFailed(
            "what came back is no dump: neither SQL nor an archive of pg_dump",
            hint="it may be damaged, or encrypted by somebody else",
        )
    return Format.SQL


def _is_tar(head: bytes) -> bool:
    at, mark = _TAR_MARK
    return head[at : at + len(mark)] == mark


def _first_bytes(path: Path, packing: Packing) -> bytes:
    head = b""
    for block in _unpacked(path, packing, _HEAD):
        head += block
        if len(head) >= _HEAD:
            break
    return head[:_HEAD]


def _unpacked(path: Path, packing: Packing, size: int = BLOCK) -> Iterator[bytes]:
    with opened_file(path) as raw, io.BufferedReader(raw, BLOCK) as file:
        try:
            source = _UNPACK[packing](file)
            first = source.read(size)
            yield first.removeprefix(_BYTE_ORDER_MARK)
            while block := source.read(size):
                yield block
        except EOFError:
            raise LoadFailed(
                f"the dump is cut off: its {packing} stream has no end", hint=_JOB_FAILED
            ) from None
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError):
            raise _damaged(packing) from None
        except OSError as error:
            if error.errno is None:  # bz2's own way to say so
                raise _damaged(packing) from None
            raise CouldNotVerify(
                f"what came back could not be read: {os.strerror(error.errno)}"
            ) from None


def _damaged(packing: Packing) -> LoadFailed:
    return LoadFailed(f"the dump is damaged: its {packing} stream cannot be unpacked")
