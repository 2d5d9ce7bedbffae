"""A PostgreSQL server as a lab: how it is reached, and how a restoration uses it."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

import psycopg

from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.lab import OpenServer, ServerAccess
from dr_orchestrator.servers.place import Place
from dr_orchestrator.servers.postgres_connection import (
    Address,
    Connection,
    connect,
    failure_words,
)
from dr_orchestrator.servers.relay import Line, dial_path
from dr_orchestrator.servers.tls_line import TlsLine

_CONNECT_SECONDS = 5
"""A lab is near; and at every start we may have to find out that it is gone."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""Protocol 3.0, SSLRequest: answered by S or N."""
_SSL_GRANTED = b"S"
_AUTHENTICATION = b"R"
_SASL = struct.pack("!i", 10)
_HEAD_BYTES = 5
"""Of every message the server sends: its type, and its length without that."""
_BINDING = b"SCRAM-SHA-256-PLUS\0"


class LabPostgres:
    """A lab server, or a live one, as a restoration uses it, in the stead of a private server; see
    `PostgresServer`.
    """

    def __init__(self, lab: OpenServer, place: Place, name: str) -> None:
        """Open the door for programs inside `place`, in a new folder `name`.

        Raises:
            CouldNotVerify: the server is gone by now.
        """
        self.title = lab.access.words
        self.maintenance_database = lab.maintenance_database or lab.database
        self._lab = lab
        self._leaving = contextlib.ExitStack()
        try:
            with self.connect(self.maintenance_database) as connection:
                self.major = connection.info.server_version // 10000
        except psycopg.Error as error:
            raise CouldNotVerify(f"{self.title} does not answer: {failure_words(error)}") from None
        self._door = self._leaving.enter_context(lab.door(place, name))

    def connect(self, database: str) -> Connection:
        """Connect as the account that we have there, directly.

        Raises:
            psycopg.Error: it fails.
        """
        access = self._lab.access
        return connect(lab_address(access), database, password=access.password)

    def environment(self, database: str) -> Mapping[str, str]:
        """Return the environment that leads a program inside the place to the server."""
        door = self._door
        address = Address(host=door.host, port=door.port, user=door.user)
        return {
            **address.environment(database),
            "PGPASSFILE": str(door.login),
            "PGOPTIONS": "-c default_transaction_read_only=off",
        }

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


def dial_postgres(access: ServerAccess) -> Line:
    """Open a line to the server, encrypted as `sslmode` wants it: libpq does not encrypt what it
    says to a unix socket.

    Raises:
        OSError: it cannot be opened.
    """
    if access.host.startswith("/"):
        return dial_path(Path(access.host) / f".s.PGSQL.{access.port}")
    line = socket.create_connection((access.host, access.port), timeout=_CONNECT_SECONDS)
    try:
        encrypted = access.sslmode != "disable" and _grants_tls(line)
        if access.sslmode == "require" and not encrypted:
            raise ConnectionRefusedError("no encryption")
        line.settimeout(None)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _WithoutBinding(TlsLine(line)) if encrypted else line
    except BaseException:
        line.close()
        raise


def _grants_tls(line: socket.socket) -> bool:
    line.sendall(_SSL_REQUEST)
    return line.recv(1) == _SSL_GRANTED


class _WithoutBinding:
    """An encrypted line, without the server's offer to bind the login to the encryption.

    A libpq that does not encrypt by itself takes that offer for an attack, and gives up (`server
    offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection`, reproduced with 15).
    """

    def __init__(self, line: TlsLine) -> None:
        self._line = line
        self._first = True
        self.sendall, self.shutdown, self.close = line.sendall, line.shutdown, line.close

    def recv(self, bufsize: int, /) -> bytes:
        if not self._first:
            return self._line.recv(bufsize)
        self._first = False
        said = self._line.recv(bufsize)
        while said and len(said) < _length(said) and (more := self._line.recv(bufsize)):
            said += more
        end = _length(said)
        offer = said[_HEAD_BYTES:end]
        if said[:1] != _AUTHENTICATION or not offer.startswith(_SASL):
            return said
        offer = offer.replace(_BINDING, b"", 1)
        return _AUTHENTICATION + struct.pack("!i", 4 + len(offer)) + offer + said[end:]


def _length(said: bytes) -> int:
    """Return the length of the message that `said` begins with, its head until that is there."""
    if len(said) < _HEAD_BYTES:
        return _HEAD_BYTES
    length: int = struct.unpack("!i", said[1:_HEAD_BYTES])[0]
    return 1 + length
