"""Read back from a repository what the record should know: on a new machine, or after a loss.

The repository alone is enough to recover, so this needs nothing but the plan (or its copy out of
the repository) and the key. What it reads is data: checked, recorded, never run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import Entry, PointRecorded, RetentionFrozen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import DroError
from dr_orchestrator.repositories.manifests import copy_of, list_manifests, point_of
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class RebuildResult:
    """What a repository holds, and which of its manifests cannot be used."""

    points: tuple[RecoveryPoint, ...]
    unusable: tuple[tuple[str, str], ...]
    """(short snapshot id, why)."""


def rebuild_points(
    plan: Plan,
    repository_name: str,
    *,
    store: Store,
    clock: Clock,
    open_repository: Callable[[Plan, str], Repository],
) -> RebuildResult:
    """Record every recovery point of the practice that the repository holds. Points that are known
    already stay as they are; nothing is removed from the record. Where one is new, nothing in the
    repository is forgotten until a person releases it.

    Raises:
        DroError: the repository cannot be read.
    """
    practice = plan.practice.id
    with run_in_ledger(
        store,
        clock,
        Operation.REBUILD,
        practice=practice,
        system="",
        repository=repository_name,
    ) as run:
        repository = open_repository(plan, repository_name)
        known = {point.id for point in store.points(practice, repository=repository_name)}
        points, unusable = [], []
        for snapshot, found in list_manifests(repository, practice):
            if isinstance(found, DroError):
                unusable.append((snapshot.id[:8], found.message))
                continue
            copy = copy_of(found, repository_name, clock.now())
            point = point_of(found.manifest, (copy,))
            entries: list[Entry] = [PointRecorded(point=point)]
            if point.id not in known:
                # what a repository says of itself lets nothing be forgotten until a person looked
                entries.append(
                    RetentionFrozen(
                        practice=practice,
                        repository=repository_name,
                        at=clock.now(),
                        why="recovery points were read back from the repository",
                    )
                )
            store.record(*entries)
            points.append(point)
        if unusable:
            run.conclude(Outcome.PARTIAL, f"{len(unusable)} manifests cannot be used")
    return RebuildResult(points=tuple(points), unusable=tuple(unusable))
