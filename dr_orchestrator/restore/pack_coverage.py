"""What an EMR refers to and no asset of the plan covers: a gap, though nothing is damaged.

Names out of rows (folders, databases) are only compared with the plan's assets, never passed on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.plan.model import FilesAsset, MariadbAsset, PostgresAsset, SmbAsset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from dr_orchestrator.assets.base import Restoration
    from dr_orchestrator.core.point import AssetKind
    from dr_orchestrator.packs.model import Reference
    from dr_orchestrator.plan.model import Asset


def uncovered(
    reference: Reference,
    database: Restoration,
    planned: tuple[Asset, ...],
    *,
    kind: AssetKind,
    zone: tzinfo,
) -> str:
    """Return in words what a reference leads to that is not covered; empty where all is. `kind` is
    that of the database that is asked: another database that it names is one of the same server.

    Raises:
        CouldNotVerify: the query cannot be answered.
    """
    if reference.answers == "databases":
        planned = tuple(asset for asset in planned if asset.kind is kind)
    count = _count(reference, database, planned, zone=zone)
    if not count:
        return ""
    return f"{reference.what}: {count:,} (look at {reference.look})"


def _count(
    reference: Reference, database: Restoration, planned: tuple[Asset, ...], *, zone: tzinfo
) -> int:
    if reference.answers == "count":
        found = database.value(reference.sql, zone=zone)
        if not isinstance(found, int):
            raise CouldNotVerify("the query for what is not covered answers no number")
        return found
    names = _names(database.rows(reference.sql))
    if reference.answers == "folders":
        return sum(not _folder_covered(name, planned) for name in names)
    return sum(not _database_covered(name, planned) for name in names)


def _names(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    for row in rows:
        name = row[0] if row else None
        if isinstance(name, bytes):
            name = name.decode(errors="replace")
        if isinstance(name, str) and name:
            yield name


def _folder_covered(folder: str, planned: tuple[Asset, ...]) -> bool:
    wanted = _comparable(folder)
    return any(_holds(asset, wanted) for asset in planned)


def _holds(asset: Asset, wanted: str) -> bool:
    """Whether an asset has a folder in it, and does not leave it out."""
    if isinstance(asset, FilesAsset):
        place, above, patterns = _comparable(str(asset.path)), "", asset.exclude
    elif isinstance(asset, SmbAsset):
        # its patterns begin at its own folder
        place = above = _comparable(f"//{asset.host}/{asset.share}/{asset.path}")
        patterns = tuple(pattern.lower() for pattern in asset.exclude)
    else:
        return False
    if wanted != place and not wanted.startswith(f"{place.rstrip('/')}/"):
        return False
    inside = wanted.removeprefix(above).strip("/").split("/")
    return not Exclusion(patterns).covers(tuple(map(os.fsencode, inside)))


def _comparable(path: str) -> str:
    """Return a path so that two names of one folder are equal; shares know no case."""
    slashed = path.replace("\\", "/") if path.startswith("\\\\") else path
    normal = os.path.normpath(slashed)
    return normal.lower() if slashed.startswith("//") else normal


def _database_covered(name: str, planned: tuple[Asset, ...]) -> bool:
    return any(
        asset.scope == "cluster" or asset.database.lower() == name.lower()
        for asset in planned
        if isinstance(asset, MariadbAsset | PostgresAsset)
    )
