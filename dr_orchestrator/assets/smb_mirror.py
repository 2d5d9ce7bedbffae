"""The copy of a share that is kept from one backup to the next, and what two listings say of it.

What is gone from the share leaves the mirror only when a *complete* listing of the share does not
have it: nothing is deleted here because something could not be seen. Names of files are patient
data: out of here come numbers, endings of names, and paths that are only ever hashed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets.smb_share import Item
from dr_orchestrator.beneath import Parts
from dr_orchestrator.errors import CaptureFailed

_NANOSECONDS = 1_000_000
_TIMES_APART_MS = 1
"""rclone 1.60 takes times of a share that are this close for the same."""
KEPT_MS = 2**31 * 1000
"""Further from 1970, file systems here may cut a time off (before 1901; XFS also after 2038), and
rclone 1.60 takes one after 2262 for one of the 17th century. Such a file is copied anew each time.
"""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
IN_USE = frozenset(
    {
        *(".mdf", ".ndf", ".ldf", ".edb"),  # SQL Server, Exchange
        *(".pst", ".ost", ".nsf"),  # Outlook, Notes
        *(".qbw", ".tlg"),  # QuickBooks
        *(".mdb", ".accdb", ".fdb", ".gdb"),  # Access, Firebird, InterBase
        *(".vhd", ".vhdx", ".avhdx", ".vmdk"),  # disks of virtual machines
        *(".hc", ".tc"),  # VeraCrypt and TrueCrypt, which also set the time back
    }
)
"""Endings of files that a program writes to in many places for as long as it has them open."""


class _Hashes:
    """A set of byte strings, kept as 8 bytes each."""

    def __init__(self) -> None:
        self._values = array("Q")
        self._sorted = True

    def add(self, *words: bytes) -> None:
        self._values.append(_hash(words))
        self._sorted = False

    def has(self, *words: bytes) -> bool:
        if not self._sorted:
            self._values = array("Q", sorted(self._values))
            self._sorted = True
        value = _hash(words)
        index = bisect_left(self._values, value)
        return index < len(self._values) and self._values[index] == value


def _hash(words: tuple[bytes, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(b"\0".join(words), digest_size=8).digest())


class FirstListing:
    """What the share held before it was copied, in 16 bytes a name."""

    def __init__(self, marker: str | None) -> None:
        self._marker = None if marker is None else marker_parts(marker)
        self._names = _Hashes()
        self._states = _Hashes()
        self.files = 0
        self.has_marker = marker is None
        self.in_use: Counter[str] = Counter()
        """Ending -> how many files a program may be writing to."""

    def take(self, item: Item) -> None:
        """Take note of a file or folder."""
        self._names.add(_kind(item.is_folder), *item.parts)
        self.has_marker = self.has_marker or item.parts == self._marker
        if item.is_folder:
            return
        self.files += 1
        self._states.add(*_state(item))
        if (ending := ending_of(item.parts)) in IN_USE:
            self.in_use[ending] += 1

    def names(self, parts: Parts, *, folder: bool) -> bool:
        """Whether there was a file, or folder, of this path."""
        return self._names.has(_kind(folder), *parts)

    def holds(self, item: Item) -> bool:
        """Whether the file was there in this very state."""
        return self._states.has(*_state(item))


@dataclass
class SecondListing:
    """What the share held after it was copied, beside what it held before and what was copied."""

    first: FirstListing
    mirror: int
    """Descriptor of the mirror."""
    locked: frozenset[Parts]
    """What rclone found held open by others."""
    files: int = 0
    unchanged: int = 0
    changed: set[Parts] = field(default_factory=set)
    """Files that are there now and were not, or were otherwise: any copy of them may be torn."""
    held_open: Counter[str] = field(default_factory=Counter)
    """Ending -> how many unchanged files could not be copied since others hold them open."""
    uncopied: int = 0
    """Unchanged files that were not copied for another reason."""

    @property
    def vanished(self) -> int:
        """How many files of the first listing are not there now, or are otherwise."""
        return self.first.files - self.unchanged

    def take(self, item: Item) -> None:
        """Hold a file against the first listing and against its copy."""
        if item.is_folder:
            return
        self.files += 1
        if not self.first.holds(item):
            self.changed.add(item.parts)
            return
        self.unchanged += 1
        if is_copied(self.mirror, item):
            return
        if item.parts in self.locked:
            self.held_open[ending_of(item.parts) or "no ending"] += 1
        else:
            self.uncopied += 1


@dataclass(frozen=True)
class Mirror:
    """A copy of a share."""

    files: Path
    """The folder that stands for the one on the share."""

    def is_of(self, identity: str) -> bool:
        """Whether it is the copy of this share, and of no other."""
        try:
            return self._owner.read_bytes() == identity.encode()
        except FileNotFoundError:
            return False

    def start_over(self, identity: str) -> None:
        """Empty it, and write down which share it is of from now on.

        What it was of is forgotten first: were we stopped halfway, the next backup starts over too.
        """
        self._owner.unlink(missing_ok=True)
        self.prune(FirstListing(None))
        new = self._owner.with_suffix(".new")
        with os.fdopen(os.open(new, _NEW_FILE, 0o600), "wb") as file:
            file.write(identity.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._owner)

    def drop(self, parts: Parts) -> None:
        """Remove one file."""
        self.files.joinpath(*map(os.fsdecode, parts)).unlink()

    def prune(self, listing: FirstListing) -> None:
        """Remove what a complete listing of the share does not have."""
        root = beneath.open_root(self.files)
        try:
            for folder in beneath.folders(root):
                for entry in tuple(folder.entries()):
                    parts = (*folder.parts, entry.name)
                    if not entry.is_folder:
                        if not (entry.is_file and listing.names(parts, folder=False)):
                            os.unlink(entry.name, dir_fd=folder.descriptor)
                    elif listing.names(parts, folder=True):
                        folder.enter(entry.name)
                    else:
                        beneath.remove(self.files / os.fsdecode(b"/".join(parts)))
        finally:
            os.close(root)

    @property
    def _owner(self) -> Path:
        return self.files.with_name("share.json")

    def folders(self) -> Iterator[Parts]:
        """Yield the path of every folder, the mirror itself first."""
        root = beneath.open_root(self.files)
        try:
            for folder in beneath.folders(root):
                for entry in folder.entries():
                    if entry.is_folder:
                        folder.enter(entry.name)
                yield folder.parts
        finally:
            os.close(root)


def mirror_bytes(folder: Path) -> int:
    """Return how many bytes of files the mirror in `folder` has; 0 where there is none yet."""
    try:
        root = beneath.open_root(_files(folder))
    except FileNotFoundError:
        return 0
    total = 0
    try:
        for each in beneath.folders(root, may_vanish=True):
            for entry in each.entries():
                if entry.is_folder:
                    each.enter(entry.name)
                elif entry.is_file:
                    total += entry.stat.st_size
    finally:
        os.close(root)
    return total


@contextmanager
def opened_mirror(folder: Path, name: str) -> Iterator[Mirror]:
    """Lend the mirror in `folder` of the share `name`, made if need be, to nobody else meanwhile.

    Raises:
        CaptureFailed: another capture has it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    _files(folder).mkdir(mode=0o700, exist_ok=True)
    # The kernel lets go of it when we die. Never removed: another process may just have opened it.
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CaptureFailed(
                f"{name} was not captured: another backup of it is still running",
                hint="wait for that one to end, or back up less often",
            ) from None
        yield Mirror(_files(folder))
    finally:
        os.close(descriptor)


def _files(folder: Path) -> Path:
    return folder / "files"


def is_copied(mirror: int, item: Item) -> bool:
    """Whether the mirror has the file with the size and time that it has on the share."""
    try:
        found = beneath.status(mirror, item.parts)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in beneath.IMPOSSIBLE_NAME:  # Windows has names that are too long here
            return False
        raise
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_size == item.size
        and (
            abs(found.st_mtime_ns // _NANOSECONDS - item.modified_ms) <= _TIMES_APART_MS
            or abs(item.modified_ms) > KEPT_MS
        )
    )


def _kind(folder: bool) -> bytes:  # noqa: FBT001 - it is the value itself
    return b"folder" if folder else b"file"


def _state(item: Item) -> tuple[bytes, ...]:
    return (b"%d" % item.size, b"%d" % item.modified_ms, *item.parts)


def ending_of(parts: Parts) -> str:
    """Return `.pst` of a file's name, at most eight characters of it, so that it tells no more."""
    ending = os.path.splitext(os.fsdecode(parts[-1]))[1].lower()  # noqa: PTH122 - a name only
    return ending if len(ending) <= _LONGEST_ENDING and ending.isascii() else ""


_LONGEST_ENDING = 8


def marker_parts(marker: str) -> Parts:
    """Return where a plan's `marker` lies in the folder."""
    return tuple(os.fsencode(part) for part in marker.split("/") if part)
