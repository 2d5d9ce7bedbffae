"""Which driver protects which kind of asset. A new kind is one line here, and its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.postgres import PostgresDriver
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.servers.postgres_programs import PostgresPrograms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.process import SystemLauncher
    from dr_orchestrator.secrets import SecretReader


def asset_drivers(
    *,
    launcher: SystemLauncher,
    clock: Clock,
    secrets: SecretReader,
    postgres_programs: tuple[str, ...],
    runtime: Path,
) -> Mapping[AssetKind, AssetDriver]:
    """Return the driver of every kind. `runtime` is a private folder for short-lived files."""
    programs = PostgresPrograms(launcher, postgres_programs)
    return {
        AssetKind.POSTGRES: PostgresDriver(
            launcher=launcher,
            programs=programs,
            secrets=secrets,
            clock=clock,
            runtime_folder=runtime,
        ),
        AssetKind.SQLITE: SqliteDriver(clock),
        AssetKind.FILES: FilesDriver(clock),
    }
