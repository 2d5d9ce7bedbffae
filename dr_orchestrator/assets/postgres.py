"""The driver for PostgreSQL: which method captures an asset, and which brings it back."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dr_orchestrator.assets.base import (
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.dump_hand_over import hand_over_postgres, sandbox_bytes
from dr_orchestrator.assets.postgres_dump_restoration import restore_dump
from dr_orchestrator.assets.postgres_lab_restoration import restore_to_lab
from dr_orchestrator.assets.postgres_live_restoration import restore_live
from dr_orchestrator.assets.postgres_logical import GLOBALS, capture_logically
from dr_orchestrator.assets.postgres_logical_restoration import restore_logically
from dr_orchestrator.assets.postgres_physical import (
    DATA,
    TABLESPACES,
    capture_physically,
    staging_bytes,
)
from dr_orchestrator.assets.postgres_physical_restoration import (
    opened_cluster,
    restore_physically,
    rewrite_links,
    set_aside,
)
from dr_orchestrator.assets.postgres_probe import probe
from dr_orchestrator.assets.postgres_restoration import recorded_major, recorded_settings
from dr_orchestrator.assets.postgres_source import SecretReader, Source
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState, Method
from dr_orchestrator.errors import CaptureFailed, ProgramMissing
from dr_orchestrator.plan.model import PostgresAsset
from dr_orchestrator.process import Launcher
from dr_orchestrator.servers.postgres_programs import PostgresPrograms

_EMPTY_CLUSTER = 64 * 1024 * 1024
_LARGEST_WAL = 1024 * 1024 * 1024
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.65535")
_ARCHIVE = "database.pgdump"
_PRODUCTION_FILES = (
    b"postgresql.auto.conf",
    b"postgresql.conf",
    b"pg_hba.conf",
    b"pg_ident.conf",
)


@dataclass(frozen=True)
class PostgresDriver:
    """Captures PostgreSQL databases and clusters, and brings them back."""

    launcher: Launcher
    programs: PostgresPrograms
    secrets: SecretReader
    clock: Clock
    runtime_folder: Path
    """For password files that live as long as a capture; swept at start by whoever owns it."""

    def capture(self, request: CaptureRequest) -> AbstractContextManager[Capture]:
        source = self._source(request)
        capture = (
            capture_physically if source.asset.method is Method.PHYSICAL else capture_logically
        )
        return capture(
            request,
            source,
            launcher=self.launcher,
            programs=self.programs,
            clock=self.clock,
        )

    def probe(self, request: CaptureRequest) -> Probed:
        return probe(self._source(request), programs=self.programs, clock=self.clock)

    def staging_bytes(self, request: CaptureRequest) -> int:
        source = self._source(request)
        return staging_bytes(source) if source.asset.method is Method.PHYSICAL else 0

    def sandbox_bytes(self, state: AssetState) -> int:
        """See `AssetDriver`; what restic writes is part of it."""
        if state.method is Method.PHYSICAL:
            return state.bytes + _EMPTY_CLUSTER
        if state.method is Method.DUMP:
            return sandbox_bytes(state, empty_server=_EMPTY_CLUSTER)
        loaded = int(state.server.get("database_bytes", "0")) or 2 * state.bytes
        return state.bytes + loaded + loaded // 4 + _EMPTY_CLUSTER + min(loaded, _LARGEST_WAL)

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        if request.state.method is Method.PHYSICAL:
            return restore_physically(request, programs=self.programs, clock=self.clock)
        if request.state.method is Method.DUMP:
            return restore_dump(request, programs=self.programs, clock=self.clock)
        if request.live is not None:
            return restore_live(request, request.live, programs=self.programs, clock=self.clock)
        if request.lab is not None:
            return restore_to_lab(request, request.lab, programs=self.programs, clock=self.clock)
        return restore_logically(request, programs=self.programs, clock=self.clock)

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        if state.method is Method.PHYSICAL:
            return self._hand_over_cluster(state, restored, place)
        if state.method is Method.DUMP:
            return hand_over_postgres(
                restored, place, lambda major, name: self._program(major, name) if major else name
            )
        return self._hand_over_archive(state, restored, sidecars, place)

    def _source(self, request: CaptureRequest) -> Source:
        asset = request.asset
        if not isinstance(asset, PostgresAsset):
            raise TypeError("not a PostgreSQL asset")
        if asset.method is Method.PHYSICAL and asset.scope != "cluster":
            raise CaptureFailed(
                "the physical method takes the whole cluster, and the plan does not say so",
                hint="write `scope: cluster`",
            )
        password = None if asset.password is None else self.secrets.read(asset.password)
        return Source(asset, password, self.runtime_folder)

    def _program(self, major: int, name: str) -> str:
        """Return what to call a program: where it is on this machine, or where Debian has it."""
        try:
            return self.programs.at_least(major, name).path(name)
        except ProgramMissing:
            return f"/usr/lib/postgresql/{major}/bin/{name}"

    def _hand_over_archive(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        archive, roles = place / _ARCHIVE, place / GLOBALS
        restored.rename(archive)
        archive.chmod(0o600)
        roles.touch(mode=0o600)
        roles.write_bytes(sidecars.get(GLOBALS, b""))
        major = recorded_major(state)
        database = state.server.get("database", "")
        encoding = state.server.get("encoding", "UTF8")
        psql, pg_restore, createdb = (
            self._program(major, name) for name in ("psql", "pg_restore", "createdb")
        )
        server = "--host=HOST --username=postgres"
        roles_first = f"{psql} --no-psqlrc {server} --dbname=postgres --file={_quoted(roles)}"
        create = f"{createdb} {server} --template=template0 --locale=C.UTF-8 --encoding={encoding}"
        load = f"{pg_restore} --exit-on-error --jobs=4 {server}"
        where = (
            f"load them into a PostgreSQL {major} or newer that does not have this database yet, "
            "with its name or socket folder for HOST:"
        )
        return (
            f"{place} holds the archive of the database, and its roles",
            where,
            roles_first,
            f"{load} --create --dbname=postgres {_quoted(archive)}",
            "where it says that a locale does not exist, make the database and load into that:",
            f"{create} {shlex.quote(database)}",
            f"{load} --dbname={shlex.quote(database)} {_quoted(archive)}",
            "then give the database's users their passwords: they are not in the backup",
        )

    def _hand_over_cluster(self, state: AssetState, restored: Path, place: Path) -> tuple[str, ...]:
        with opened_cluster(restored) as cluster:
            rewrite_links(cluster, place)
            set_aside(cluster, _PRODUCTION_FILES)
            _write(cluster, "postgresql.conf", _standalone_settings(state, place))
            _write(cluster, "pg_hba.conf", "local all all peer map=recovery\n")
            superuser = state.server.get("superuser", "postgres").replace('"', '""')
            _write(cluster, "pg_ident.conf", f'recovery postgres "{superuser}"\n')
        (restored / DATA).rename(place / DATA)
        (restored / TABLESPACES).rename(place / TABLESPACES)
        major = recorded_major(state)
        pg_ctl, psql = self._program(major, "pg_ctl"), self._program(major, "psql")
        database = shlex.quote(state.server.get("database", "postgres"))
        user = shlex.quote(state.server.get("superuser", "postgres"))
        data, log = place / DATA, place / "postgres.log"
        start = f"{pg_ctl} start --wait --pgdata={_quoted(data)} --log={_quoted(log)}"
        sockets = _quoted(_socket_folder(place))
        ask = f"{psql} --host={sockets} --username={user} --dbname={database}"
        settings = (
            "production's settings lie beside its own, with .production at the end of their names "
            f"(Debian keeps them in /etc/postgresql/{major}): take over listen_addresses and "
            "pg_hba.conf first"
        )
        return (
            f"{data} is a data directory of PostgreSQL {major}, ready to start",
            "the account postgres must own it, and be able to pass the folders above it:",
            f"chown -R postgres: {_quoted(place)}",
            f"runuser -u postgres -- {start}",
            f"runuser -u postgres -- {ask}",
            f"it listens on a unix socket in {_socket_folder(place)} only",
            settings,
        )


def _socket_folder(place: Path) -> Path:
    """Return where a unix socket's path is short enough: 107 bytes."""
    return place if len(os.fsencode(place)) < _LONGEST_SOCKET_FOLDER else Path("/tmp")  # noqa: S108


def _standalone_settings(state: AssetState, place: Path) -> str:
    """Return settings with which the cluster starts alone, archiving and replicating nothing."""
    recovery = (
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_worker_processes",
    )
    kept = recorded_settings(state)
    lines = [f"{name} = {kept[name]}" for name in recovery if kept.get(name, "").isdigit()]
    folder = str(_socket_folder(place)).replace("'", "''")
    lines += [
        "listen_addresses = ''",
        f"unix_socket_directories = '{folder}'",
        "archive_mode = off",
        "max_logical_replication_workers = 0",
    ]
    return "\n".join((*lines, ""))


def _write(folder: int, name: str, content: str) -> None:
    """Write a new file in an open folder."""
    descriptor = os.open(
        name,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
        dir_fd=folder,
    )
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
