"""A few files of a share, drawn anew at each backup and compared with their copies in the mirror.

rclone takes a file that kept its size and time for the one it copied before, and so does everybody
who reads a share. Some programs set the time back, and another disk may stand behind the same name.
No backup can read everything each time; a draw finds what happens often soon, and the rest late.
Names of files are patient data: they reach rclone on its stdin, and no message.
"""

from __future__ import annotations

import heapq
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dr_orchestrator import beneath
from dr_orchestrator.assets.smb_mirror import IN_USE, KEPT_MS, Mirror, ending_of, is_copied
from dr_orchestrator.assets.smb_share import DIFFERS, EQUAL, Item, Share

_FILES = 30
_BYTES = 256 * 1024 * 1024
"""Of all files of a sample together. A file that is larger is never drawn."""
_LAST_CONTROL = 0x1F


@dataclass
class Compared:
    """What came of comparing a sample."""

    files: int = 0
    stale: Counter[str] = field(default_factory=Counter)
    """Ending -> how many had other content than their copies, with the same size and time."""
    unread: int = 0
    """Files that could not be read, and were not held open by others."""


class Sample:
    """Files drawn from a listing, another draw each time."""

    def __init__(self) -> None:
        self._drawn: list[tuple[int, Item]] = []

    def offer(self, item: Item) -> None:
        """Draw the item, perhaps.

        Not one that a program may have open: Windows tells its new time only once it is closed.
        """
        if (
            not item.is_folder
            and 0 < item.size <= _BYTES
            and abs(item.modified_ms) <= KEPT_MS
            and ending_of(item.parts) not in IN_USE
            and min(b"".join(item.parts)) > _LAST_CONTROL  # they are handed over line by line
        ):
            heapq.heappush(self._drawn, (secrets.randbits(64), item))
            if len(self._drawn) > _FILES:
                heapq.heappop(self._drawn)

    def compare(self, share: Share, mirror: Mirror) -> Compared:
        """Compare what was drawn, and was copied by an earlier backup, with its copy.

        A file that is not as it was listed any more, once it was compared, says nothing: a copy
        that differs from it is dropped, to be made anew.

        Raises:
            CaptureFailed: the server went away.
        """
        items = tuple(self._copied(mirror))
        if not items:
            return Compared()
        found, complaints = share.compare([item.parts for item in items], mirror.files)
        suspects = [item for item in items if found.get(item.parts) != EQUAL]
        settled: set[Item] = set()
        if suspects:
            share.list(settled.add, only=[item.parts for item in suspects])
        compared = Compared(len(items))
        for item in suspects:
            differs = found.get(item.parts) == DIFFERS
            if item not in settled:
                if differs:
                    mirror.drop(item.parts)
            elif differs:
                compared.stale[ending_of(item.parts) or "no ending"] += 1
            elif item.parts not in complaints.locked:
                compared.unread += 1
        return compared

    def _copied(self, mirror: Mirror) -> Iterator[Item]:
        root = beneath.open_root(mirror.files)
        total = 0
        try:
            for _, item in self._drawn:
                if total + item.size <= _BYTES and is_copied(root, item):
                    total += item.size
                    yield item
        finally:
            os.close(root)
