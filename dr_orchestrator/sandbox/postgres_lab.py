"""A PostgreSQL server as a lab: whether it is fit, and what we made on it.

The account is no superuser, and that is what keeps hostile data in: without it nothing that came
back runs a program, reads a file or opens a connection on the lab's machine (`COPY … FROM PROGRAM`,
untrusted languages, `dblink`, `postgres_fdw`, subscriptions), and only databases of the account's
own can be dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg import sql

from dr_orchestrator.errors import SandboxUnavailable
from dr_orchestrator.servers.lab import MARKER_DATABASE, ServerAccess
from dr_orchestrator.servers.postgres_connection import Connection, connect, server_identity
from dr_orchestrator.servers.postgres_lab import dial_postgres, lab_address
from dr_orchestrator.servers.relay import Dial

_ANY_DATABASE = "postgres"
_OLDEST_MAJOR = 13
"""Since when a database can be dropped whoever is connected."""


class PostgresLabEngine:
    """What it takes to use a PostgreSQL server as a lab."""

    default_port = 5432
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    @contextmanager
    def session(
        self, access: ServerAccess, database: str | None = MARKER_DATABASE
    ) -> Iterator[PostgresLabSession]:
        try:
            connection = connect(
                lab_address(access), database or _ANY_DATABASE, password=access.password
            )
        except psycopg.Error as error:
            raise _refusal(access, str(error)) from None
        with contextlib.closing(connection):
            yield PostgresLabSession(connection)

    def dial(self, access: ServerAccess) -> Dial:
        return partial(dial_postgres, access)

    def login(self, access: ServerAccess, *, encrypted: bool) -> Callable[[str], str]:
        del encrypted  # the line itself is: see `dial_postgres`
        password = "" if access.password is None else access.password.reveal()
        escaped = password.replace("\\", r"\\").replace(":", r"\:")
        return lambda _host: f"*:*:*:*:{escaped}\n" if password else ""


class PostgresLabSession:
    """Our own connection to the marker database; see `LabSession`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def title(self) -> str:
        return f"PostgreSQL {self._major}"

    @property
    def identity(self) -> str:
        return server_identity(self._connection)

    @property
    def started(self) -> float:
        row = self._connection.execute(
            "select extract(epoch from pg_postmaster_start_time())::float8"
        ).fetchone()
        return float(row[0]) if row else 0.0

    @property
    def encrypted(self) -> bool:
        return self._connection.pgconn.ssl_in_use

    def marker_version(self) -> int | None:
        try:
            rows = self._connection.execute("select version from public.marker").fetchall()
        except psycopg.ProgrammingError:
            return None
        return int(rows[0][0]) if len(rows) == 1 else None

    def unfit(self) -> str:
        if self._major < _OLDEST_MAJOR:
            return f"it runs a PostgreSQL older than {_OLDEST_MAJOR}"
        row = self._connection.execute(
            """select rolcreatedb,
                      rolsuper or rolreplication or rolbypassrls or rolcreaterole
                      or exists (select from pg_auth_members where member = pg_roles.oid)
               from pg_roles where rolname = current_user"""
        ).fetchone()
        may_make, may_more = row or (False, False)
        if not may_make:
            return "its account may not make databases"
        if may_more:
            return "its account may do more than make databases, and so might what was restored"
        if self._connection.execute("show archive_mode").fetchone() != ("off",):
            return "it archives its write-ahead log, which would keep what was restored"
        return ""

    def databases(self) -> frozenset[str]:
        rows = self._connection.execute("select datname from pg_database").fetchall()
        return frozenset(row[0] for row in rows)

    def record(self, database: str, *, owner: str, host: str, run: str) -> None:
        self._connection.execute(
            "insert into public.made (name, owner, host, run) values (%s, %s, %s, %s)",
            (database, owner, host, run),
        )

    def recorded(self, database: str, *, owner: str) -> bool:
        row = self._connection.execute(
            "select from public.made where name = %s and owner = %s", (database, owner)
        ).fetchone()
        return row is not None

    def make(self, database: str) -> None:
        statement = sql.SQL("create database {} template template0 encoding 'UTF8' locale 'C'")
        self._connection.execute(statement.format(sql.Identifier(database)))

    def drop(self, database: str) -> None:
        statement = sql.SQL("drop database if exists {} with (force)")
        self._connection.execute(statement.format(sql.Identifier(database)))
        self._connection.execute("delete from public.made where name = %s", (database,))

    @property
    def _major(self) -> int:
        return self._connection.info.server_version // 10000


def _refusal(access: ServerAccess, text: str) -> SandboxUnavailable:
    """Return the error for a connection that failed, by what libpq says of it."""
    if f'database "{MARKER_DATABASE}" does not exist' in text:
        return SandboxUnavailable(
            f"{access.words} carries no marker database, so nothing is restored to it",
            hint="docs/howto/lab-server.md says how to make it: only on a server that is nothing "
            "but a lab",
        )
    refused = "FATAL" in text or "password" in text
    what = f"refuses the account {access.user}" if refused else "cannot be reached"
    return SandboxUnavailable(
        f"{access.words} {what}",
        hint=access.advice,
    )
