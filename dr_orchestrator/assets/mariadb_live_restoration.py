"""Loading a dump of mariadb-dump into a new database on a server that people work with.

As into a lab: by a client in a sandbox, without accounts and rights of production. But nothing
makes room: the database is made by us or not at all, and what was loaded of it only in part is
dropped again, since it would look like all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pymysql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.mariadb_lab_restoration import LabRestoration
from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import SandboxNotRemoved, TargetRefused
from dr_orchestrator.servers.lab import OpenLive
from dr_orchestrator.servers.mariadb_connection import Connection, failure_code, identifier
from dr_orchestrator.servers.mariadb_lab import LabMariadb
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor
from dr_orchestrator.servers.mariadb_server import MariadbServer

_EXISTS = 1007


class LiveRestoration(LabRestoration):
    """One database, loaded from a dump into a new one on a live server."""

    otherwise: ClassVar[str] = "restore it with --to: it comes back with the commands that load it"

    def __init__(
        self, request: RestoreRequest, live: OpenLive, programs: MariadbPrograms, clock: Clock
    ) -> None:
        super().__init__(request, live, programs, clock)
        self._is_made = False

    def prepare(self) -> None:
        super().prepare()
        server = self._server
        if isinstance(server, LabMariadb) and server.version.vendor is Vendor.MYSQL:
            raise TargetRefused(
                f"{server.title} runs MySQL, and only MariaDB can be loaded into from here",
                hint=self.otherwise,
            )

    def _make_room(self, connection: Connection) -> None:
        """Remove nothing: see the module."""

    def _create(self, connection: Connection, statement: str) -> None:
        try:
            super()._create(connection, statement)
        except pymysql.MySQLError as error:
            if failure_code(error) != _EXISTS:
                raise
            raise TargetRefused(
                f"the database {self.database} exists already on {self._lab.access.words}",
                hint="give it another name",
            ) from None
        self._is_made = True

    def _give_rights(self, server: MariadbServer) -> None:
        """Give none, and say whether events run from now on."""
        with contextlib.closing(server.connect()) as connection:
            scheduler = connection.one("select @@global.event_scheduler")
            events = connection.one(
                "select count(*) from information_schema.events where event_schema = %s",
                self.database,
            )
        if scheduler == "ON" and events:
            self._conditions.append("events of the database run there from now on")

    def undo(self) -> None:
        """Drop the database again, if it was made.

        Raises:
            SandboxNotRemoved: it could not be dropped.
        """
        if not self._is_made:
            return
        try:
            with contextlib.closing(self._started().connect()) as connection:
                connection.execute(f"drop database if exists {identifier(self.database)}")
        except pymysql.MySQLError:
            raise SandboxNotRemoved(
                f"the database {self.database} was loaded only in part on "
                f"{self._lab.access.words}, and could not be dropped",
                hint="drop it by hand: it must not be taken for the whole",
            ) from None


@contextmanager
def restore_live(
    request: RestoreRequest, live: OpenLive, *, programs: MariadbPrograms, clock: Clock
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
