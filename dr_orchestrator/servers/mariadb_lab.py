"""A MariaDB server as a lab: how it is reached, and how a restoration uses it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pymysql

from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.lab import OpenServer, ServerAccess
from dr_orchestrator.servers.mariadb_connection import (
    Address,
    Connection,
    client_settings,
    connect,
    failure_words,
)
from dr_orchestrator.servers.mariadb_programs import Vendor
from dr_orchestrator.servers.place import Place
from dr_orchestrator.servers.relay import Line, dial_path

_CONNECT_SECONDS = 5
"""A lab is near; and at every start we may have to find out that it is gone."""


class LabMariadb:
    """A lab server, or a live one, as a restoration uses it, in the stead of a private server; see
    `MariadbServer`.
    """

    def __init__(self, lab: OpenServer, place: Place, name: str) -> None:
        """Open the door for programs inside `place`, in a new folder `name`.

        Raises:
            CouldNotVerify: the server is gone by now.
        """
        self.title = lab.access.words
        self._lab = lab
        self._leaving = contextlib.ExitStack()
        try:
            with contextlib.closing(self.connect(lab.maintenance_database)) as connection:
                self.version = connection.version
        except pymysql.MySQLError as error:
            raise CouldNotVerify(f"{self.title} does not answer: {failure_words(error)}") from None
        self._door = self._leaving.enter_context(lab.door(place, name))

    def connect(self, database: str | None = None) -> Connection:
        """Connect as the account that we have there, directly.

        Raises:
            pymysql.MySQLError: it fails.
        """
        access = self._lab.access
        return connect(lab_address(access), database, password=access.password)

    def admit_loader(self, database: str) -> None:
        """Change nothing: the account may fill our databases and nothing else anyway."""

    def client_options(self) -> tuple[str, ...]:
        """Return the first arguments that lead a client program inside the place to the server."""
        return (
            f"--defaults-file={self._door.login}",
            # Production has the table: that it would not be made anew as strictly is no damage.
            "--init-command=set session innodb_strict_mode = 0",
        )

    @property
    def running(self) -> bool:
        """Whether it is still the server that was found fit."""
        return self._lab.still_there()

    def failure(self, what: str) -> CouldNotVerify:
        """Return the error that says `what`: a lab's trouble is never the backup's."""
        return CouldNotVerify(what, hint="the server's own log says why")

    def stop(self) -> None:
        """Let nobody inside speak to the server any more."""
        self._leaving.close()


def lab_address(access: ServerAccess) -> Address:
    """Return where our own connections go."""
    return Address(
        host=access.host,
        port=access.port,
        user=access.user,
        sslmode=access.sslmode,
        connect_seconds=_CONNECT_SECONDS,
    )


def dial_mariadb(access: ServerAccess) -> Line:
    """Open a line to the server. The client inside encrypts by itself, over a unix socket too.

    Raises:
        OSError: it cannot be opened.
    """
    if access.host.startswith("/"):
        return dial_path(Path(access.host))
    line = socket.create_connection((access.host, access.port), timeout=_CONNECT_SECONDS)
    line.settimeout(None)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def login_file(access: ServerAccess, host: str, *, encrypted: bool) -> str:
    """Return the defaults file of a client inside, whose way to the server is the socket `host`."""
    inside = Address(host=host, port=access.port, user=access.user)
    return client_settings(inside, access.password, Vendor.MARIADB, encrypted=encrypted)


def server_identity(connection: Connection) -> str:
    """Return what this server is known by under every name it has.

    `server_uid` is made of the host and the data directory (MariaDB 10.5.26, 10.6.19, 10.11.9 and
    later); where there is none, host, port and data directory stand for it.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    found = connection.rows("show global variables like 'server_uid'")
    if found and found[0][1]:
        return f"mariadb {found[0][1]}"
    row = connection.rows("select @@hostname, @@port, @@datadir")[0]
    return f"mariadb {':'.join(map(str, row))}"
