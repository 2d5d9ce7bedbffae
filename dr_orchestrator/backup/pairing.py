"""Which snapshots of another tool belong together: the points that were there all along. Pure.

Nobody captured them together, so nearness in time is all there is to go by. What a snapshot says of
itself is believed here: it is another tool's, and nothing of ours tells better.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.repositories.base import Snapshot


@dataclass(frozen=True)
class Pair:
    """The snapshots that one recovery point is made of, by asset."""

    led_by: str
    """The asset that it is of the instant of; of each other it has what is nearest."""
    snapshots: Mapping[str, Snapshot]

    @property
    def as_of(self) -> datetime:
        """When the leading one was saved."""
        return self.snapshots[self.led_by].time


def pair(held: Mapping[str, Sequence[Snapshot]]) -> tuple[Pair, ...]:
    """Return the points in what is held of each asset, each oldest first; none twice.

    Each snapshot of the first asset that has any leads one, with what is nearest of each other: the
    very same where it holds that too, of two that are as near the newer one. The newest of every
    asset is in a point, if need be in one that it leads itself, since it is what people want back.
    """
    found = {asset: snapshots for asset, snapshots in held.items() if snapshots}
    pairs: dict[frozenset[tuple[str, str]], Pair] = {}
    for each in _led(found):
        key = frozenset((asset, snapshot.id) for asset, snapshot in each.snapshots.items())
        pairs.setdefault(key, each)
    return tuple(pairs.values())


def _led(held: Mapping[str, Sequence[Snapshot]]) -> Iterator[Pair]:
    lines = {asset: _Line(snapshots) for asset, snapshots in held.items()}

    def around(led_by: str, leading: Snapshot) -> Pair:
        others = {asset: line.nearest(leading) for asset, line in lines.items()}
        return Pair(led_by, others | {led_by: leading})

    used: set[tuple[str, str]] = set()
    for first, snapshots in list(held.items())[:1]:
        for leading in snapshots:
            made = around(first, leading)
            used.update((asset, each.id) for asset, each in made.snapshots.items())
            yield made
    for asset, snapshots in held.items():
        if (asset, snapshots[-1].id) not in used:
            yield around(asset, snapshots[-1])


class _Line:
    """The snapshots of one asset, oldest first: at least one."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots
        self._times = [each.time for each in snapshots]
        self._ids = frozenset(each.id for each in snapshots)

    def nearest(self, leading: Snapshot) -> Snapshot:
        """Return the one that is nearest in time: that very one, or the newer of two."""
        if leading.id in self._ids:
            return leading
        place = bisect_left(self._times, leading.time)
        around = self._snapshots[max(place - 1, 0) : place + 1]
        return min(reversed(around), key=lambda each: abs(each.time - leading.time))
