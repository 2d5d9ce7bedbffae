"""A share of the files of a tree: what one restore test of a far copy brings back.

Which share a file is in is told by a hash of the folder it lies in, so that it is the same in every
recovery point, and after as many tests as there are shares each file was restored once. Files of
one folder lie side by side in the repository, and restic 0.14 reads what lies between two files it
wants unless that is more than 4 MiB (`maxUnusedRange`): a share of scattered files would bring
nearly everything over the line. Files in no folder are scattered nevertheless: a tree may have
nothing else, and would be one share.

Shares are told apart by the first byte of that hash, as restic tells shares of a repository apart:
so what was restored is known by byte, and a plan that asks for other shares starts nothing anew.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

MOST_PARTS = 256


@dataclass(frozen=True)
class Share:
    """One of so many equal shares."""

    part: int
    """Counted from 1."""
    parts: int

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.parts <= MOST_PARTS:
            raise ValueError("no such share")

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the files."""
        return self.parts == 1

    @property
    def first_bytes(self) -> range:
        """The first bytes of the hashes that are in it."""
        return range(MOST_PARTS)[self.part - 1 :: self.parts]

    def holds(self, path: bytes) -> bool:
        """Whether the file at `path`, relative to its tree, is in it."""
        together = path.rpartition(b"/")[0] or path
        return hashlib.blake2b(together, digest_size=1).digest()[0] in self.first_bytes

    def __str__(self) -> str:
        return f"{100 / self.parts:.2g} % of the files (part {self.part} of {self.parts})"


ALL_FILES = Share(1, 1)


class Listed(NamedTuple):
    """A file or link as a repository lists it."""

    path: str
    """Full; U+FFFD stands for each byte that is no UTF-8, as JSON has no other way to say it."""
    is_link: bool
    size: int
    """Bytes; 0 of a link."""
    changed_at: datetime | None = None
    """When its content was last changed, as far as the repository says."""


UNREADABLE = "\ufffd"
"""In a listed path: a byte that is no UTF-8."""
_NO_TEXT = re.compile("[\udc80-\udcff]")


def as_listed(path: bytes) -> str:
    """Return a path as a repository lists it: see `Listed.path`."""
    return _NO_TEXT.sub(UNREADABLE, path.decode(errors="surrogateescape"))
