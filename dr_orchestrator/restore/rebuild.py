"""Read back from a repository what the record should know: on a new machine, or after a loss.

The repository alone is enough to recover, so this needs nothing but the plan (or its copy out of
the repository) and the key. What it reads is data: checked, recorded, never run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
    from dr_orchestrator.repositories.base import Repository, Snapshot
    from dr_orchestrator.repositories.manifests import FoundManifest
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
    repository is forgotten, and nobody relies on it, until a person releases the repository.

    Of several manifests that say they are of one point the one on record counts, here or in another
    repository it was copied to; where none of them is, none counts.

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
        known = {point.id: point for point in store.points(practice)}
        usable, unusable = _sifted(list_manifests(repository, practice), known, repository_name)
        points = []
        for found in usable:
            copy = replace(copy_of(found, repository_name, clock.now()), read_back=True)
            point = point_of(found.manifest, (copy,))
            entries: list[Entry] = [PointRecorded(point=point)]
            if point.id not in known or not known[point.id].copy_in(repository_name):
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


def _sifted(
    listed: Iterable[tuple[Snapshot, FoundManifest | DroError]],
    known: Mapping[str, RecoveryPoint],
    repository: str,
) -> tuple[list[FoundManifest], list[tuple[str, str]]]:
    """Return one manifest of each point, and (short snapshot id, why) of those that are none."""
    unusable: list[tuple[str, str]] = []
    by_point: dict[str, list[FoundManifest]] = {}
    for snapshot, found in listed:
        if isinstance(found, DroError):
            unusable.append((snapshot.id[:8], found.message))
        else:
            by_point.setdefault(found.manifest.point, []).append(found)
    usable = []
    for point, claims in by_point.items():
        manifests = {each.sha256: each for each in claims}
        of_record, is_here = _on_record(known.get(point), repository)
        chosen = next((each for each in manifests.values() if each.sha256 in of_record), None)
        if chosen is None and len(manifests) == 1 and not is_here:
            (chosen,) = manifests.values()
        if chosen is not None:
            usable.append(chosen)
        why = (
            f"another manifest of {point} is on record"
            if is_here or chosen is not None
            else f"{len(manifests)} manifests that differ say that they are of {point}: forget the "
            "others, and read the repository back again"
        )
        unusable += [(each.snapshot[:8], why) for each in manifests.values() if each is not chosen]
    return usable, unusable


def _on_record(point: RecoveryPoint | None, repository: str) -> tuple[frozenset[str], bool]:
    """Return the hashes that the manifest of a point may have in a repository, and whether that is
    on record: else it may be a copy of what another repository holds.
    """
    copies = point.copies if point is not None else ()
    here = [copy for copy in copies if copy.repository == repository]
    return frozenset(copy.manifest_sha256 for copy in here or copies), bool(here)
