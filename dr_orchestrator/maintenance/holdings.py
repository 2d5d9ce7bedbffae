"""What a repository lists, sorted by what it is. Pure.

A snapshot says by its tags what it is (`repositories/manifests.py`). They decide what is looked at,
never what is kept: whoever can write to a repository can write any tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dr_orchestrator.core.point import PointCopy
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.manifests import ASSET, MANIFEST, tag_value


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a repository listed, whoever saved it."""

    snapshots: tuple[Snapshot, ...]
    recorded: frozenset[str]
    """The points that were on record in it before it was asked: what came on record since may be
    newer than the answer."""

    def of_practice(self, practice: str) -> tuple[Snapshot, ...]:
        """Return the snapshots that say they are of a practice."""
        return tuple(each for each in self.snapshots if tag_value(each, "practice") == practice)


@dataclass(frozen=True)
class Remains:
    """The snapshots that say they are of one point."""

    manifests: list[Snapshot] = field(default_factory=list)
    assets: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True)
class Holdings:
    """The snapshots of one practice in one repository."""

    points: Mapping[str, Remains]
    """By the id of the point."""
    ids: frozenset[str]
    """Every id a snapshot has, or had before somebody changed its tags."""

    def lacks(self, copy: PointCopy) -> bool:
        """Return whether anything is gone of what the record says is here."""
        return not self.ids.issuperset(copy.all_snapshots)


def sort_snapshots(snapshots: Iterable[Snapshot]) -> Holdings:
    """Return the manifests and assets among `snapshots` by the point they are of."""
    points: dict[str, Remains] = {}
    ids: set[str] = set()
    for snapshot in snapshots:
        ids.update(filter(None, (snapshot.id, snapshot.original)))
        kind, point = tag_value(snapshot, "dro"), tag_value(snapshot, "point")
        if point and kind == MANIFEST:
            points.setdefault(point, Remains()).manifests.append(snapshot)
        elif point and kind == ASSET:
            points.setdefault(point, Remains()).assets.append(snapshot)
    return Holdings(points, frozenset(ids))
