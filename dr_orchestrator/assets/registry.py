"""Which driver protects which kind of asset. A new kind is one line here, and its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.assets.command import CommandDriver
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.mariadb import MariadbDriver
from dr_orchestrator.assets.postgres import PostgresDriver
from dr_orchestrator.assets.smb import SmbDriver
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
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
    mariadb_programs: tuple[str, ...],
    commands_allowed: bool,
    runtime: Path,
) -> Mapping[AssetKind, AssetDriver]:
    """Return the driver of every kind. `runtime` is a private folder for short-lived files.

    Without `commands_allowed`, no program that a plan names runs: for plans out of a repository.
    """
    return {
        AssetKind.POSTGRES: PostgresDriver(
            launcher=launcher,
            programs=PostgresPrograms(launcher, postgres_programs),
            secrets=secrets,
            clock=clock,
            runtime_folder=runtime,
        ),
        AssetKind.MARIADB: MariadbDriver(
            launcher=launcher,
            programs=MariadbPrograms(launcher, mariadb_programs),
            secrets=secrets,
            clock=clock,
            runtime_folder=runtime,
        ),
        AssetKind.SQLITE: SqliteDriver(clock),
        AssetKind.COMMAND: CommandDriver(
            launcher, secrets, clock, commands_allowed=commands_allowed
        ),
        AssetKind.FILES: FilesDriver(clock),
        AssetKind.SMB: SmbDriver(launcher, secrets, clock, runtime),
    }
