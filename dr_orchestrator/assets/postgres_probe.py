"""Whether a PostgreSQL database could be captured now, and what is captured be loaded here."""

from __future__ import annotations

import contextlib

import psycopg

from dr_orchestrator.assets.base import Probed
from dr_orchestrator.assets.postgres_baseline import settle_session
from dr_orchestrator.assets.postgres_catalog import require_readable
from dr_orchestrator.assets.postgres_lab_restoration import LabRestoration
from dr_orchestrator.assets.postgres_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.postgres_physical import require_let_in, require_replication
from dr_orchestrator.assets.postgres_physical_restoration import PROGRAMS
from dr_orchestrator.assets.postgres_source import Source, clock_condition
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import Method
from dr_orchestrator.errors import CaptureFailed, ProgramMissing
from dr_orchestrator.servers.certificate import greet_postgres, shown_certificate
from dr_orchestrator.servers.postgres_connection import Connection, failure_words
from dr_orchestrator.servers.postgres_programs import PostgresPrograms


def probe(source: Source, *, programs: PostgresPrograms, clock: Clock) -> Probed:
    """See `AssetDriver.probe`."""
    physical = source.asset.method is Method.PHYSICAL
    with source.connect() as connection:
        server = connection.info.server_version // 10000
        if physical:
            folder = programs.exactly(server, "pg_basebackup")
        else:
            folder = programs.at_least(server, "pg_dump", "pg_dumpall")
        try:
            conditions = _look(connection, source, clock)
        except psycopg.Error as error:
            raise CaptureFailed(
                f"{source.asset.database} could not be read: {failure_words(error)}"
            ) from None
        encrypted = connection.pgconn.ssl_in_use
        version = (connection.info.parameter_status("server_version") or "").split(" ")[0]
    if physical:
        require_let_in(source)
    return Probed(
        server=f"PostgreSQL {version}",
        conditions=conditions,
        unloadable=_unloadable(source, programs, server=server, client=folder.major),
        certificate=_certificate(source) if encrypted else None,
    )


def _look(connection: Connection, source: Source, clock: Clock) -> tuple[str, ...]:
    conditions = clock_condition(connection, clock)
    if source.asset.method is Method.PHYSICAL:
        require_replication(connection, source.asset.user)
    connection.execute("begin isolation level repeatable read read only")
    settle_session(connection)
    require_readable(connection, source.asset.user)
    return conditions


def _unloadable(
    source: Source, programs: PostgresPrograms, *, server: int, client: int
) -> ProgramMissing | None:
    try:
        if source.asset.method is Method.PHYSICAL:
            programs.exactly(server, *PROGRAMS)
        else:
            loading = LabRestoration if source.asset.lab else LogicalRestoration
            programs.at_least(max(server, client), *loading.programs)
    except ProgramMissing as error:
        return error
    return None


def _certificate(source: Source) -> bytes | None:
    address = source.address
    with contextlib.suppress(OSError):  # the connection itself worked
        return shown_certificate(
            address.host, address.port, seconds=address.connect_seconds, greet=greet_postgres
        )
    return None
