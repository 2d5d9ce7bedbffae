"""Which jobs save to a repository, by what it lists: pure, and nothing of it is certain.

A job is told by host, paths and tags, as restic itself groups snapshots. Where a host or a tag is
another one each time (a container's name, a date), it tells no jobs apart and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from dr_orchestrator.repositories.manifests import tag_value

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.repositories.base import Snapshot

_LATELY = 30
"""Intervals that tell how often a job runs now."""
_MISSED = 3
_PATIENCE = timedelta(days=8)
"""A job that saved nothing for so long, and missed three of its turns, is taken for one that ended:
a weekly one is late by then."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The snapshots of one job."""

    host: str
    """Empty where it was another one each time."""
    paths: tuple[str, ...]
    tags: frozenset[str]
    snapshots: tuple[Snapshot, ...]
    """Oldest first."""

    @property
    def newest(self) -> Snapshot:
        """The last one."""
        return self.snapshots[-1]

    @property
    def every(self) -> timedelta | None:
        """How often it was made lately; `None` of a single one."""
        lately = self.snapshots[-_LATELY - 1 :]
        apart = sorted(later.time - earlier.time for earlier, later in pairwise(lately))
        return apart[len(apart) // 2] if apart else None


def group_snapshots(listed: Iterable[Snapshot]) -> tuple[Group, ...]:
    """Return what saves to a repository, without us: the group with the newest snapshot first."""
    theirs = sorted(
        (each for each in listed if not tag_value(each, "dro")),
        key=lambda each: (each.time, each.id),
    )
    groups = (
        _group(of_tags)
        for of_paths in _split(theirs, lambda each: each.paths)
        for of_host in _split_if_it_tells(of_paths, lambda each: each.hostname)
        for of_tags in _split_if_it_tells(of_host, lambda each: each.tags)
    )
    return tuple(sorted(groups, key=lambda each: each.newest.time, reverse=True))


def has_ended(group: Group, now: datetime) -> bool:
    """Whether its job seems to run no more, held against when anything was saved at all."""
    allowed = max(_PATIENCE, _MISSED * (group.every or timedelta()))
    return now - group.newest.time > allowed


def _group(snapshots: Sequence[Snapshot]) -> Group:
    newest = snapshots[-1]
    hosts = {each.hostname for each in snapshots}
    return Group(
        host=newest.hostname if len(hosts) == 1 else "",
        paths=newest.paths,
        tags=frozenset.intersection(*(each.tags for each in snapshots)),
        snapshots=tuple(snapshots),
    )


def _split(
    snapshots: Sequence[Snapshot], key: Callable[[Snapshot], Hashable]
) -> list[list[Snapshot]]:
    parts: dict[Hashable, list[Snapshot]] = {}
    for each in snapshots:
        parts.setdefault(key(each), []).append(each)
    return list(parts.values())


def _split_if_it_tells(
    snapshots: Sequence[Snapshot], key: Callable[[Snapshot], Hashable]
) -> list[list[Snapshot]]:
    parts = _split(snapshots, key)
    alone = sum(len(each) == 1 for each in parts)
    return parts if alone <= 1 else [list(snapshots)]
