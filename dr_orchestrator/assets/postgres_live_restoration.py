"""Loading an archive of pg_dump into a new database on a server that people work with.

As into a lab: by programs in a sandbox, without roles, owners and privileges of production. But
nothing makes room: the database is made by us or not at all, and what was loaded of it only in part
is dropped again, since it would look like all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import psycopg
from psycopg import sql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.postgres_lab_restoration import LabRestoration
from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import SandboxNotRemoved, TargetRefused
from dr_orchestrator.servers.lab import OpenLive
from dr_orchestrator.servers.postgres_connection import Connection
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from dr_orchestrator.servers.postgres_server import PostgresServer

_WAITS = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Seconds between attempts to drop what was loaded in part."""


class LiveRestoration(LabRestoration):
    """One database, loaded from an archive into a new one on a live server."""

    otherwise: ClassVar[str] = "restore it with --to: it comes back with the commands that load it"

    def __init__(
        self, request: RestoreRequest, live: OpenLive, programs: PostgresPrograms, clock: Clock
    ) -> None:
        super().__init__(request, live, programs, clock)
        self._is_made = False

    def _make_room(self, connection: Connection) -> None:
        """Remove nothing: see the module."""

    def _create(self, connection: Connection, locale: dict[str, str]) -> None:
        try:
            super()._create(connection, locale)
        except psycopg.errors.DuplicateDatabase:
            raise TargetRefused(
                f"the database {self.database} exists already {self.place_words}",
                hint="give it another name",
            ) from None
        self._is_made = True

    def _require_makeable(self, server: PostgresServer) -> None:
        """See `LabRestoration`; here the account may be a superuser."""
        with server.connect(server.maintenance_database) as connection:
            row = connection.execute(
                "select rolsuper from pg_roles where rolname = current_user"
            ).fetchone()
        if row != (True,):
            super()._require_makeable(server)

    def undo(self) -> None:
        """Drop the database again, if it was made.

        Raises:
            SandboxNotRemoved: it could not be dropped.
        """
        if not self._is_made or self._server is None:
            return
        drop = sql.SQL("drop database if exists {} with (force)").format(
            sql.Identifier(self.database)
        )
        for patience in _WAITS:  # what loaded it may not have left the server yet
            try:
                with self._server.connect(self._server.maintenance_database) as connection:
                    connection.execute(drop)
            except psycopg.Error:
                self._clock.sleep(patience)
            else:
                return
        raise SandboxNotRemoved(
            f"the database {self.database} was loaded only in part {self.place_words}, and "
            "could not be dropped",
            hint="drop it by hand: it must not be taken for the whole",
        )


@contextmanager
def restore_live(
    request: RestoreRequest, live: OpenLive, *, programs: PostgresPrograms, clock: Clock
) -> Iterator[LiveRestoration]:
    """Bring a database to a live server; where the block fails there is none of it."""
    restoration = LiveRestoration(request, live, programs, clock)
    try:
        yield restoration
    except BaseException:
        restoration.undo()
        raise
    finally:
        restoration.leave()
