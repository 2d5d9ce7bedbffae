"""What another tool saves in a repository, told by what the plan says of it. Pure.

What a snapshot says of itself is all there is to go by; none that says it is ours is taken for
theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dr_orchestrator.repositories.manifests import tag_value

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Existing
    from dr_orchestrator.repositories.base import Snapshot


def candidates(existing: Existing, listed: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
    """Return the snapshots that may hold an asset, oldest first: of its tag and host, and not ours.

    Those that were saved under its path. Where there is none, those whose path ends like it: a tree
    that restic was given a relative path of begins with that, and the snapshot tells the full one.
    Where that is none either, all: of `restic backup .` nothing of the path is left in the tree.
    """
    fitting = [
        each
        for each in listed
        if not tag_value(each, "dro")
        and (existing.tag is None or existing.tag in each.tags)
        and existing.host in {None, each.hostname}
    ]
    path = PurePosixPath(existing.path)
    under = [each for each in fitting if any(map(path.is_relative_to, each.paths))]
    ending = [each for each in fitting if any(_may_begin(path, saved) for saved in each.paths)]
    return tuple(sorted(under or ending or fitting, key=lambda each: (each.time, each.id)))


def _may_begin(path: PurePosixPath, saved: str) -> bool:
    parts = PurePosixPath(saved).parts[1:]
    ends = (PurePosixPath("/", *parts[start:]) for start in range(len(parts)))
    return any(path.is_relative_to(end) for end in ends)


def existing_words(existing: Existing) -> str:
    """Return which path, tag and host the plan names."""
    tag = f" with the tag {existing.tag}" if existing.tag else ""
    host = f" of the host {existing.host}" if existing.host else ""
    return f"{existing.path}{tag}{host}"
