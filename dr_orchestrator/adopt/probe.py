"""What is there to protect: each asset that somebody named, looked at without changing anything.

What cannot be reached is told and not raised: whoever writes a first plan wants the rest of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.adopt.address import Named
from dr_orchestrator.assets.base import CaptureRequest
from dr_orchestrator.errors import CaptureFailed, ProgramMissing, SecretUnavailable
from dr_orchestrator.plan.model import FilesAsset, MariadbAsset, PostgresAsset, SqliteAsset

if TYPE_CHECKING:
    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.assets.outline import DatabaseOutline, FolderOutline
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import AssetKind
    from dr_orchestrator.errors import DroError
    from dr_orchestrator.plan.model import Asset
    from dr_orchestrator.secrets import SecretReader


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of one asset."""

    named: Named
    outline: DatabaseOutline | FolderOutline | None = None
    """`None` where it could not be looked at."""
    trouble: DroError | None = None
    """Why a backup made now would fail."""
    unloadable: DroError | None = None
    """Why this machine could not prove one."""
    conditions: tuple[str, ...] = ()
    """What a backup made now would say of itself."""


@dataclass(frozen=True, kw_only=True)
class ProbeTools:
    """What is looked with; made by `app.py`."""

    drivers: Mapping[AssetKind, AssetDriver]
    secrets: SecretReader
    clock: Clock
    scratch: Path
    """A private folder."""


def probe(practice: str, system: str, named: Named, tools: ProbeTools) -> Found:
    """Look at one asset: what it holds, and whether it could be backed up and proven from here."""
    outline = None
    try:
        outline = _outline(named.asset, tools)
        probed = tools.drivers[named.asset.kind].probe(
            CaptureRequest(
                practice=practice,
                system=system,
                asset_id=named.name,
                asset=named.asset,
                staging=tools.scratch,
                mirror=tools.scratch,
                files_key=b"",
            )
        )
    except (CaptureFailed, ProgramMissing, SecretUnavailable) as error:
        return Found(named=named, outline=outline, trouble=error)
    return Found(
        named=named,
        outline=outline,
        unloadable=probed.unloadable,
        conditions=probed.conditions,
    )


def _outline(asset: Asset, tools: ProbeTools) -> DatabaseOutline | FolderOutline:
    """Return what an asset holds; the libraries of an engine are loaded where one is asked for."""
    match asset:
        case PostgresAsset():
            from dr_orchestrator.assets import postgres_outline, postgres_source

            password = tools.secrets.read(asset.password) if asset.password else None
            return postgres_outline.outline(postgres_source.Source(asset, password, tools.scratch))
        case MariadbAsset():
            from dr_orchestrator.assets import mariadb_outline, mariadb_source

            password = tools.secrets.read(asset.password) if asset.password else None
            return mariadb_outline.outline(mariadb_source.Source(asset, password, tools.scratch))
        case SqliteAsset():
            from dr_orchestrator.assets import sqlite_outline

            return sqlite_outline.outline(asset)
        case FilesAsset():
            from dr_orchestrator.assets import files_outline

            return files_outline.outline(asset, tools.clock)
    raise TypeError(asset.kind)
