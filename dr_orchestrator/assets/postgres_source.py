"""The server in production that is captured: how it is reached, and what it says of itself.

Nothing here writes to it. Its words never go into an error: they may name a patient.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import psycopg

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import CaptureFailed, PasswordRefused
from dr_orchestrator.plan.model import PostgresAsset
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.servers.postgres_connection import (
    Address,
    Connection,
    connect,
    server_identity,
)

OLDEST_MAJOR = 12
"""What the queries on the catalogs here are written for."""
_CLOCKS_APART = timedelta(seconds=60)
_KEPT_SETTINGS = (
    "TimeZone",
    "default_text_search_config",
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
    "shared_preload_libraries",
)
"""Settings outside the database that its queries, or its restart, depend on."""


class SecretReader(Protocol):
    """Reads what a reference leads to."""

    def read(self, reference: SecretReference, /) -> Secret:
        """Return the secret.

        Raises:
            SecretUnavailable: the reference leads nowhere.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A database in production, as the plan names it."""

    asset: PostgresAsset
    password: Secret | None
    runtime_folder: Path
    """Where a password file may lie for a while; nobody else may enter it."""

    @property
    def address(self) -> Address:
        """Where the server listens."""
        asset = self.asset
        return Address(host=asset.host, port=asset.port, user=asset.user, sslmode=asset.sslmode)

    def connect(self) -> Connection:
        """Connect to the database.

        Raises:
            CaptureFailed: it cannot be reached, or refuses us.
        """
        try:
            connection = connect(self.address, self.asset.database, password=self.password)
        except psycopg.Error as error:
            raise self.refusal(str(error)) from None
        if connection.info.server_version // 10000 < OLDEST_MAJOR:
            connection.close()
            raise CaptureFailed(
                f"{self.asset.host} runs a PostgreSQL older than {OLDEST_MAJOR}, which is not "
                "supported"
            )
        return connection

    @contextmanager
    def client_environment(self) -> Iterator[Mapping[str, str]]:
        """Give PostgreSQL's own programs the way to the database, the password in a file.

        libpq takes a plain file of mode 0600 only, no pipe. It is gone when the block is left.
        """
        self.runtime_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="pg-", dir=self.runtime_folder))
        try:
            passfile = folder / "pgpass"
            passfile.touch(mode=0o600)
            if self.password is not None:
                escaped = self.password.reveal().replace("\\", r"\\").replace(":", r"\:")
                passfile.write_text(f"*:*:*:*:{escaped}\n")
            environment = self.address.environment(self.asset.database)
            yield {**environment, "PGPASSFILE": str(passfile)}
        finally:
            shutil.rmtree(folder)

    def refusal(self, text: str) -> CaptureFailed:
        """Return the error that says in our words what libpq said."""
        asset = self.asset
        where = f"{asset.host}:{asset.port}"
        for sign, words, hint in _REFUSALS:
            if sign in text:
                kind = PasswordRefused if sign == _WRONG_PASSWORD else CaptureFailed
                return kind(
                    words.format(where=where, user=asset.user, database=asset.database),
                    hint=hint.format(user=asset.user, database=asset.database),
                )
        return CaptureFailed(
            f"no connection to the PostgreSQL server at {where}",
            hint="the server's own log says why it refused",
        )


_WRONG_PASSWORD = "password authentication failed"  # noqa: S105 - what libpq says
_REFUSALS = (
    (
        _WRONG_PASSWORD,
        "the PostgreSQL server at {where} refused {user}: wrong password",
        "check what the asset's `password` refers to",
    ),
    (
        "no password supplied",
        "the PostgreSQL server at {where} wants a password of {user}",
        "give the asset a `password` reference",
    ),
    (
        "authentication failed",
        "the PostgreSQL server at {where} refused {user}",
        "pg_hba.conf of the server says how {user} may log in",
    ),
    (
        "no pg_hba.conf entry",
        "the PostgreSQL server at {where} does not let {user} in from here",
        "add a line to its pg_hba.conf: host {database} {user} ADDRESS/32 scram-sha-256",
    ),
    (
        'role "',
        "the PostgreSQL server at {where} has no user {user}",
        "as its superuser: CREATE ROLE {user} LOGIN BYPASSRLS IN ROLE pg_read_all_data",
    ),
    (
        'database "',
        "the PostgreSQL server at {where} has no database {database}",
        "check the asset's `database`",
    ),
    (
        "too many clients",
        "the PostgreSQL server at {where} has no connection left",
        "raise its max_connections",
    ),
    (
        "remaining connection slots",
        "the PostgreSQL server at {where} has no connection left",
        "raise its max_connections",
    ),
    (
        "starting up",
        "the PostgreSQL server at {where} is still starting",
        "try again in a moment",
    ),
    (
        "SSL",
        "no encrypted connection to the PostgreSQL server at {where}",
        "the asset's `sslmode` and the server's certificate do not fit",
    ),
    (
        "could not translate host name",
        "the name of the PostgreSQL server at {where} is not known",
        "check the asset's `host`, and name resolution on this machine",
    ),
    (
        "FATAL",
        "the PostgreSQL server at {where} refused {user}, or the database {database}",
        "the server's own log says why",
    ),
    (
        "",
        "the PostgreSQL server at {where} cannot be reached",
        "is it running, and does a firewall let this machine in?",
    ),
)
"""What libpq says -> what we say. The last one holds for all else: refused, no route, timed out.

A server may speak another language than English: what it says then counts as a refusal only."""


def describe(connection: Connection) -> dict[str, str]:
    """Return what a server must offer to take this database back."""
    row = connection.execute(
        """select to_jsonb(d), pg_encoding_to_char(d.encoding), t.spcname,
                  pg_database_size(d.oid)
           from pg_database d join pg_tablespace t on t.oid = d.dattablespace
           where d.datname = current_database()"""
    ).fetchone()
    assert row is not None  # noqa: S101 - we are connected to it
    facts, encoding, tablespace, size = row
    extensions = connection.execute("select extname, extversion from pg_extension order by 1")
    settings = connection.execute(
        "select name, reset_val from pg_settings where name = any(%s) order by 1",
        (list(_KEPT_SETTINGS),),
    )
    version = connection.info.parameter_status("server_version") or ""
    return {
        "version": version.split(" ")[0],
        "major": str(connection.info.server_version // 10000),
        "database": facts["datname"],
        "database_bytes": str(size),
        "encoding": encoding,
        "locale_provider": facts.get("datlocprovider") or "c",
        "collate": facts["datcollate"],
        "ctype": facts["datctype"],
        "locale": facts.get("datlocale") or facts.get("daticulocale") or "",
        "tablespace": tablespace,
        "identity": server_identity(connection),
        "extensions": json.dumps(dict(extensions.fetchall())),
        "settings": json.dumps(dict(settings.fetchall())),
    }


def clock_condition(connection: Connection, clock: Clock) -> tuple[str, ...]:
    """Return a sentence where the server's clock and ours are more than a minute apart."""
    # As a number: a time is written as the database's DateStyle has it.
    row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    assert row is not None  # noqa: S101 - a function always answers
    difference = timedelta(seconds=abs(row[0] - clock.now().timestamp()))
    if difference <= _CLOCKS_APART:
        return ()
    return (
        f"the database server's clock and this machine's are {duration_words(difference)} apart",
    )
