"""A dump as it lies on disk, before it is saved and when it came back: how much it is, and what.

One that came back is hostile: it is opened beneath its folder, and links are not followed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import Seen, content_fact, sha256_of, walk
from dr_orchestrator.beneath import Parts

_EDGE = 4096
"""Bytes of the end of a dump that `ends_with` speaks of."""
_ALONE: Parts = ()
"""The path of a dump that is one file, beneath itself."""


@dataclass(frozen=True)
class Dump:
    """What a dump is, in numbers."""

    files: int
    size: int
    """Bytes of all its files."""
    others: int
    """Links, and whatever else is neither a file nor a folder: what they name is not saved."""
    state: str
    """Another one as soon as anybody writes to it."""
    end: bytes
    """The last 4 KiB of a dump that is one file; nothing of a folder."""


def look_at(path: Path) -> Dump:
    """Look at a dump, a folder or one file, without reading all of it.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    states, files, total, others, end = [], 0, 0, 0, b""
    for seen in _entries(path):
        found = seen.entry.stat
        times = b"%d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        states.append(b"/".join(seen.parts) + b"\0" + times)
        if seen.entry.is_file:
            files += 1
            total += found.st_size
            end = _end_of(seen) if seen.parts == _ALONE else b""
        elif not seen.entry.is_folder:
            others += 1
    return Dump(files, total, others, _digest(states), end)


def sha256_of_dump(path: Path) -> str:
    """Return the SHA-256 of the one file; of a folder that of the paths and contents in it.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    facts = []
    for seen in _entries(path):
        if seen.entry.is_file and seen.parts == _ALONE:
            return _sha256(seen)
        if seen.entry.is_file:
            facts.append(content_fact(seen.parts, _sha256(seen)))
        elif seen.entry.is_link:
            target = os.readlink(seen.entry.name, dir_fd=seen.folder)
            facts.append(b"link\0" + b"/".join(seen.parts) + b"\0" + os.fsencode(target))
    return _digest(facts)


def ends_with(end: bytes, pattern: str) -> bool:
    """Return whether `pattern` matches up to the very end, white space aside."""
    last = len(end.rstrip())
    return any(found.end() >= last for found in re.finditer(pattern.encode(), end))


def _entries(path: Path) -> Iterator[Seen]:
    """Yield what is in a folder, or the one file itself."""
    with ExitStack() as leaving:
        if path.is_dir() and not path.is_symlink():
            root = beneath.open_root(path)
            leaving.callback(os.close, root)
            yield from walk(root, excluded=Exclusion(()), above=(), may_vanish=False)
            return
        above = beneath.open_root(path.parent)
        leaving.callback(os.close, above)
        name = os.fsencode(path.name)
        yield Seen(_ALONE, beneath.Entry(name, beneath.status(above, (name,))), above)


def _sha256(seen: Seen) -> str:
    descriptor = beneath.open_in(seen.folder, seen.entry.name)
    try:
        return sha256_of(descriptor, lambda: False) or ""
    finally:
        os.close(descriptor)


def _end_of(seen: Seen) -> bytes:
    descriptor = beneath.open_in(seen.folder, seen.entry.name)
    try:
        os.lseek(descriptor, max(0, os.fstat(descriptor).st_size - _EDGE), os.SEEK_SET)
        return os.read(descriptor, _EDGE)
    finally:
        os.close(descriptor)


def _digest(facts: list[bytes]) -> str:
    # no name has two zero bytes in it, so no two lists of facts give the same text
    return hashlib.sha256(b"\0\0".join(sorted(facts))).hexdigest()
