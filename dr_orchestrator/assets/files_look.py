"""Looking at a tree of files: what is there, what changed between two looks, what is in a file.

Names of files are patient data. Out of here come numbers and keyed hashes, never a name; the only
exception is `Choice.parts`, with which a file is opened again.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dr_orchestrator import beneath
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_tally import Tally
from dr_orchestrator.beneath import Entry, Parts

_BLOCK = 1024 * 1024
_PATH_BYTES = 16
_STATE_BYTES = 8

Expired = Callable[[], bool]


class Seen(NamedTuple):
    """One name met in a tree."""

    parts: Parts
    entry: Entry
    folder: int
    """Descriptor of the folder it is in, open only while it is being looked at."""


def walk(root: int, *, excluded: Exclusion, above: Parts, may_vanish: bool) -> Iterator[Seen]:
    """Yield every name beneath the folder `root` that is not excluded, the folder itself not.

    `above` is where the folder lies, from the root of the file system: patterns may name that.
    """
    for folder in beneath.folders(root, may_vanish=may_vanish):
        for entry in folder.entries():
            parts = (*folder.parts, entry.name)
            if excluded.covers((*above, *parts)):
                continue
            if entry.is_folder:
                folder.enter(entry.name)
            yield Seen(parts, entry, folder.descriptor)


class Keyed:
    """Hashes that cannot be told from chance without the key."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def path(self, parts: Parts) -> bytes:
        """Return what stands for a file's path."""
        return self._hash(b"path\0" + b"/".join(parts), _PATH_BYTES)

    def folder(self, parts: Parts) -> bytes:
        """Return what stands for a folder's path."""
        return self._hash(b"folder\0" + b"/".join(parts), _PATH_BYTES)

    def state(self, parts: Parts, status: os.stat_result) -> int:
        """Return what changes when the file or folder changes.

        Not the inode: on a network share it may be another at every look. The change time, which
        no program can set back, does its work.
        """
        times = b"%d %d %d" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        kind = b"%o " % (status.st_mode >> 12)
        content = b"state\0" + kind + times + b"\0" + b"/".join(parts)
        return int.from_bytes(self._hash(content, _STATE_BYTES))

    def _hash(self, content: bytes, size: int) -> bytes:
        return hashlib.blake2b(content, key=self.key, digest_size=size).digest()


def _link_fact(seen: Seen) -> bytes:
    target = os.readlink(seen.entry.name, dir_fd=seen.folder)
    return b"link\0" + b"/".join(seen.parts) + b"\0" + os.fsencode(target)


def content_fact(parts: Parts, sha256: str) -> bytes:
    """Return what the tally of contents says of a file."""
    return b"content\0" + b"/".join(parts) + b"\0" + sha256.encode()


class Choice(NamedTuple):
    """A file chosen to be read."""

    rank: int
    """Any number that another key would have made another."""
    parts: Parts
    size: int


class FirstLook:
    """What a tree was before it was saved: enough to tell later what changed, in 8 bytes a file."""

    def __init__(self, keyed: Keyed, *, choose: int) -> None:
        self._keyed = keyed
        self._choose = choose
        self._chosen: list[Choice] = []
        self._states = array("Q")
        self._sorted = True
        self.folders: dict[bytes, int] = {}
        self.files = 0
        self.special = 0

    def add_folder(self, parts: Parts, status: os.stat_result) -> None:
        """Take note of a folder."""
        self.folders[self._keyed.folder(parts)] = self._keyed.state(parts, status)

    def add(self, seen: Seen) -> None:
        """Take note of a name."""
        if seen.entry.is_folder:
            self.add_folder(seen.parts, seen.entry.stat)
        elif seen.entry.is_file:
            self.files += 1
            self._offer(seen, self._note(seen))
        elif seen.entry.is_link:
            self._note(seen)
        else:
            self.special += 1

    def holds(self, state: int) -> bool:
        """Whether a file was met in this very state."""
        if not self._sorted:
            self._states = array("Q", sorted(self._states))
            self._sorted = True
        index = bisect_left(self._states, state)
        return index < len(self._states) and self._states[index] == state

    @property
    def chosen(self) -> list[Choice]:
        """The files to be read, another choice for every key, in the order to read them."""
        return sorted(self._chosen, reverse=True)

    def _note(self, seen: Seen) -> int:
        state = self._keyed.state(seen.parts, seen.entry.stat)
        self._states.append(state)
        self._sorted = False
        return state

    def _offer(self, seen: Seen, rank: int) -> None:
        if len(self._chosen) < self._choose:
            heapq.heappush(self._chosen, Choice(rank, seen.parts, seen.entry.stat.st_size))
        elif self._chosen and rank > self._chosen[0].rank:
            heapq.heapreplace(self._chosen, Choice(rank, seen.parts, seen.entry.stat.st_size))


class Listing:
    """Files and links of a tree, added up."""

    def __init__(self, key: bytes) -> None:
        self.tally = Tally(key)
        self.files = 0
        self.bytes = 0

    def add(self, seen: Seen) -> int:
        """Take a file or link in; return its keyed hash in the listing."""
        if seen.entry.is_link:
            return self.tally.add(_link_fact(seen))
        return self.add_file(seen.parts, seen.entry.stat.st_size)

    def add_file(self, parts: Parts, size: int) -> int:
        """Take a file in by its path and size; return its keyed hash in the listing."""
        self.files += 1
        self.bytes += size
        return self.tally.add(b"file\0" + b"/".join(parts) + b"\0%d" % size)


def sha256_of(descriptor: int, expired: Expired) -> str | None:
    """Return the SHA-256 of an open file, or `None` where time ran out first.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
        if expired():
            return None
    return digest.hexdigest()
