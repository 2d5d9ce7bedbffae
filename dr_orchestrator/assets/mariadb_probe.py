"""Whether a MariaDB or MySQL database could be captured now, and what is captured be loaded."""

from __future__ import annotations

import pymysql

from dr_orchestrator.assets.base import Probed
from dr_orchestrator.assets.mariadb_baseline import settle_session
from dr_orchestrator.assets.mariadb_catalog import read_facts, require_readable, server_rights
from dr_orchestrator.assets.mariadb_lab_restoration import LabRestoration
from dr_orchestrator.assets.mariadb_logical import client_for, lock_wanted
from dr_orchestrator.assets.mariadb_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.mariadb_physical import programs_to_copy, require_copyable
from dr_orchestrator.assets.mariadb_physical_restoration import PROGRAMS
from dr_orchestrator.assets.mariadb_source import Source, clock_condition
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import Method
from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.servers.mariadb_connection import Connection, failure_words
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Version

_MAY_LOCK = {"RELOAD", "FLUSH_TABLES", "ALL PRIVILEGES"}
_NO_RIGHT = 1227
"""ER_SPECIFIC_ACCESS_DENIED_ERROR, which FLUSH TABLES answers without the right to it."""


def probe(source: Source, *, programs: MariadbPrograms, clock: Clock) -> Probed:
    """See `AssetDriver.probe`."""
    physical = source.asset.method is Method.PHYSICAL
    with source.connect() as connection:
        version = connection.version
        if physical:
            programs_to_copy(version, programs)
        else:
            client_for(version, programs)
        try:
            if physical:
                require_copyable(connection, source)
            settle_session(connection)
            require_readable(connection, source.asset.database, source.asset.user)
            if not physical:
                _require_lockable(connection, source)
            return Probed(
                server=f"{version.vendor.product} {version}",
                conditions=clock_condition(connection, clock),
                unloadable=_unloadable(source, programs, version),
                certificate=connection.certificate,
            )
        except pymysql.MySQLError as error:
            raise source.unreadable(error) from None


def _require_lockable(connection: Connection, source: Source) -> None:
    """Make sure that we may lock a server whose tables cannot be read at one instant otherwise."""
    facts = read_facts(connection)
    if facts.without_transactions and not server_rights(connection) & _MAY_LOCK:
        refused = pymysql.OperationalError(_NO_RIGHT)
        raise lock_wanted(source, facts, failure_words(refused))


def _unloadable(
    source: Source, programs: MariadbPrograms, version: Version
) -> ProgramMissing | None:
    try:
        if source.asset.method is Method.PHYSICAL:
            programs.same_series(version, *PROGRAMS)
        else:
            loading = LabRestoration if source.asset.lab else LogicalRestoration
            programs.at_least(version, *loading.programs)
    except ProgramMissing as error:
        return error
    return None
