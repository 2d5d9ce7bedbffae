"""Connecting to a PostgreSQL server, with everything stated that libpq would else look up.

libpq reads PGHOST, PGSERVICE, ~/.pgpass and more on its own: a setting left open here could lead
to another server than the one that is meant.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify

Connection = psycopg.Connection[tuple[Any, ...]]

_NOTHING_LOADED = "-c session_preload_libraries= -c local_preload_libraries="
"""A database may ask for libraries that this machine does not have: no connection then."""

_NO_PASSFILE = "/nonexistent/pgpass"
"""Left empty, libpq would read ~/.pgpass."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens, and who we are to it."""

    host: str
    """Name, address, or folder of a unix socket."""
    port: int
    user: str
    sslmode: str = "disable"
    connect_seconds: int = 15

    def environment(self, database: str) -> Mapping[str, str]:
        """Return what leads PostgreSQL's own programs there; nothing of it is secret.

        By variables, since a name given as an argument may be taken for a connection string.
        """
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": database,
            "PGSSLMODE": self.sslmode,
            "PGCONNECT_TIMEOUT": str(self.connect_seconds),
            "PGAPPNAME": "dro",
        }


def connect(
    address: Address,
    database: str,
    *,
    password: Secret | None = None,
    options: str = "",
    autocommit: bool = True,
    replication: bool = False,
) -> Connection:
    """Open a connection that prepares nothing, so that a pooler in between does no harm.

    With `replication` it is one that could copy the cluster, which a server lets in by other lines
    of its pg_hba.conf.

    Raises:
        psycopg.Error: it fails. The text may name users and databases: classify it.
    """
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        dbname=database,
        password=password.reveal() if password is not None else None,
        passfile=_NO_PASSFILE,
        sslmode=address.sslmode,
        connect_timeout=address.connect_seconds,
        application_name="dro",
        client_encoding="UTF8",
        options=options,
        keepalives_idle=60,
        replication="true" if replication else None,
        autocommit=autocommit,
        prepare_threshold=None,
    )


def connect_privately(address: Address, database: str) -> Connection:
    """Open a connection to a private server; see `connect`."""
    return connect(address, database, options=_NOTHING_LOADED)


def server_identity(connection: Connection) -> str:
    """Return what this cluster, and any copy of its files, is known by; empty where the server
    does not tell us (managed ones). Nothing is executed that could break a transaction.
    """
    asked = "select has_function_privilege('pg_control_system()', 'execute')"
    if connection.execute(asked).fetchone() != (True,):
        return ""
    row = connection.execute("select system_identifier from pg_control_system()").fetchone()
    return f"postgres {row[0]}" if row else ""


def private_environment(address: Address, database: str) -> Mapping[str, str]:
    """Return what leads PostgreSQL's own programs to a private server."""
    return {
        **address.environment(database),
        "PGOPTIONS": f"{_NOTHING_LOADED} -c default_transaction_read_only=off",
    }


@contextmanager
def savepoint(connection: Connection, *, keep: bool = False) -> Iterator[None]:
    """Undo what happens in the block, settings too, and leave the transaction usable.

    With `keep` only what fails is undone.
    """
    connection.execute("savepoint dro")
    try:
        yield
        if not keep:
            connection.execute("rollback to savepoint dro")
    except BaseException:
        if not connection.closed:
            connection.execute("rollback to savepoint dro")
        raise
    finally:
        if not connection.closed:
            connection.execute("release savepoint dro")


def set_local(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set `settings` for the rest of the transaction."""
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, true)", (name, value))


def limit_statements(connection: Connection, limit: timedelta) -> None:
    """Have the server end any statement of this transaction that takes longer than `limit`."""
    milliseconds = max(1, round(limit.total_seconds() * 1000))
    set_local(connection, {"statement_timeout": str(milliseconds)})


def answer(connection: Connection, query: str, zone: tzinfo) -> Value:
    """Return the one value that `query`, a single statement, answers.

    Raises:
        CouldNotVerify: not one row of one column, a value of another kind, or the query fails. The
            message has neither the value nor the server's words in it.
    """
    try:
        # binary: the extended protocol takes one statement only, so nothing hides behind a `;`
        with connection.cursor(binary=True) as cursor:
            cursor.execute(query.encode())
            if cursor.description is None or len(cursor.description) != 1:
                raise CouldNotVerify("the query does not answer with one column")
            rows = cursor.fetchmany(2)
    except psycopg.Error as error:
        raise CouldNotVerify(f"the query failed: {failure_words(error)}") from None
    if len(rows) != 1:
        raise CouldNotVerify(f"the query answered {'no row' if not rows else 'several rows'}")
    return as_value(rows[0][0], zone)


def as_value(found: object, zone: tzinfo) -> Value:
    """Return what the database answered as one of the kinds that may leave a sandbox.

    Raises:
        CouldNotVerify: it is of another kind, text for one.
    """
    match found:
        case None | bool() | int():
            return found
        case float() if math.isfinite(found):
            return found
        case Decimal() if found.is_finite() and found == found.to_integral_value():
            return int(found)
        case Decimal() if found.is_finite():
            return float(found)
        case datetime():
            return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        case date():
            return datetime(found.year, found.month, found.day, tzinfo=zone).astimezone(UTC)
    raise CouldNotVerify(
        "the query answered something else than a number, a boolean or a time",
        hint="only such values may leave a sandbox: count or compare in the query",
    )


def break_off(connection: Connection) -> None:
    """Make what another thread does on this connection fail at once, there and on the server."""
    with contextlib.suppress(psycopg.Error, OSError):
        canceller = connection.pgconn.get_cancel()
        # First no answer and no next query can pass, then the query that runs is cancelled.
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
        canceller.cancel()


def failure_words(error: psycopg.Error) -> str:
    """Return what kind of failure it was, without the server's own words: those may hold rows."""
    kind = type(error).__name__
    if kind in {"Error", "DatabaseError", "InterfaceError", "OperationalError"}:
        return "the connection was lost" if error.sqlstate is None else "the server refused"
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()
    return f"{words} ({error.sqlstate})" if error.sqlstate else words


def identifier(*names: str) -> str:
    """Return a qualified name as a person writes it, the same in every version of PostgreSQL."""
    return ".".join(
        name
        if name[:1].isalpha()
        and name.isascii()
        and name.replace("_", "a").isalnum()
        and name == name.lower()
        else '"{}"'.format(name.replace('"', '""'))
        for name in names
    )


def composed(template: str, *names: str) -> sql.Composed:
    """Return `template` with its `{}` replaced by quoted names."""
    return sql.SQL(template).format(*(sql.Identifier(name) for name in names))
