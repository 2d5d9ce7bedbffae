"""Capturing one PostgreSQL database with pg_dump, and its baseline in the very same snapshot.

One session exports its snapshot and holds it: pg_dump reads that state, and so does the baseline,
while the practice goes on working. The archive is a stream, uncompressed so that restic can
deduplicate it; docs/adr/0006-postgres-transports.md has the measurements behind that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from dr_orchestrator.assets.base import Captured, CaptureRequest, Stream
from dr_orchestrator.assets.database_baseline import Measured, questions_of
from dr_orchestrator.assets.postgres_baseline import measure, settle_session
from dr_orchestrator.assets.postgres_catalog import (
    Facts,
    read_facts,
    read_tables,
    require_readable,
)
from dr_orchestrator.assets.postgres_source import Source, clock_condition, describe
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.process import Child, Command, Launcher, exit_words, known_cause
from dr_orchestrator.servers.postgres_connection import (
    Connection,
    break_off,
    failure_words,
)
from dr_orchestrator.servers.postgres_programs import PostgresPrograms, ProgramFolder

GLOBALS = "globals.sql"
"""The sidecar with the cluster's roles."""

_MAGIC = b"PGDMP"
_LAST_BYTES = bytes(5)
"""An archive to a pipe ends with a zero length (sign and four bytes), or with the zero offset of
the last entry of its table of contents."""
_LOCK_WAIT = timedelta(seconds=60)
_LOCKED_AT_ONCE = 500
_ATTEMPTS = 3
_ROLES_LIMIT = timedelta(minutes=2)


class LogicalCapture:
    """A database, held at one exported snapshot."""

    def __init__(
        self,
        request: CaptureRequest,
        source: Source,
        connection: Connection,
        *,
        clock: Clock,
        launcher: Launcher,
        programs: ProgramFolder,
        environment: Mapping[str, str],
    ) -> None:
        self._request = request
        self._source = source
        self._connection = connection
        self._clock = clock
        self._launcher = launcher
        self._programs = programs
        self._environment = environment
        self._producer: Child | None = None
        self._measured: Measured | None = None
        self._measuring = threading.Lock()
        self._conditions = clock_condition(connection, clock)
        self._instant, self._snapshot = self._export()
        settle_session(connection)
        require_readable(connection, source.asset.user)
        self._facts: Facts = read_facts(connection)
        if not self._facts.tables:
            self._conditions += (
                f"the database {source.asset.database} holds no table: is it the one meant?",
            )
        self._server = describe(connection)
        self._globals = self._save_globals()

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Stream:
        return Stream(
            name=f"{self._request.asset_id}.pgdump",
            start=self._start,
            check=check_archive,
            failure=self._failure,
        )

    def measure(self) -> None:
        spec = self._source.asset.baseline
        with self._measuring:
            try:
                self._measured = measure(
                    self._connection,
                    self._clock,
                    self._facts,
                    level=spec.level,
                    budget=spec.budget,
                    questions=questions_of(self._request),
                    unlogged_too=True,
                )
            except psycopg.Error as error:
                raise CaptureFailed(
                    f"the baseline of {self._source.asset.database} could not be taken: "
                    f"{failure_words(error)}"
                ) from None

    def finish(self) -> Captured:
        if self._producer is None or self._producer.returncode != 0:
            raise self._failure()
        if self._measured is None:
            raise CaptureFailed("the baseline was not taken")
        return Captured(
            kind=AssetKind.POSTGRES,
            method=Method.LOGICAL,
            scope="database",
            captured_at=self._instant,
            tools={"pg_dump": self._programs.version},
            server=self._server,
            baseline=self._measured.baseline,
            conditions=(*self._conditions, *self._measured.conditions),
            sidecars={GLOBALS: self._globals},
        )

    def leave(self) -> None:
        """Let the snapshot go. A baseline that is still being taken is broken off."""
        if not self._measuring.acquire(blocking=False):
            break_off(self._connection)
            self._measuring.acquire()
        self._connection.close()

    def _export(self) -> tuple[datetime, str]:
        """Begin the transaction and return its instant and the name of its snapshot.

        The tables are locked before the snapshot is taken, as PostgreSQL's page on LOCK advises:
        a TRUNCATE in between would empty a table in a state that never was. Holding the locks also
        means that a schema change queues behind us, and not the baseline behind it.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._lock_and_export()
            except psycopg.errors.UndefinedTable:  # dropped since it was listed
                self._connection.rollback()
            except psycopg.errors.LockNotAvailable:
                raise CaptureFailed(
                    f"another program holds a lock on a table of {self._source.asset.database}: "
                    "a schema change, or a maintenance job",
                    hint="schedule the backup away from it",
                ) from None
            except psycopg.errors.InsufficientPrivilege:
                self._connection.rollback()
                return self._lock_and_export(lock=False)  # `require_readable` names the tables
            except psycopg.Error as error:
                raise CaptureFailed(
                    f"no snapshot of {self._source.asset.database} could be taken: "
                    f"{failure_words(error)}"
                ) from None
        raise CaptureFailed(
            f"tables of {self._source.asset.database} come and go: no snapshot could be taken",
            hint="schedule the backup away from the job that drops and creates tables",
        )

    def _lock_and_export(self, *, lock: bool = True) -> tuple[datetime, str]:
        connection = self._connection
        seconds = int(_LOCK_WAIT.total_seconds())
        connection.execute(f"set lock_timeout = '{seconds}s'")  # a table's size takes a lock too
        tables = [table for table in read_tables(connection) if table.kind == "r" and lock]
        connection.execute("begin isolation level repeatable read read only")
        limit = int(self._source.asset.timeout.total_seconds())
        # Not through set_config: a SELECT would take the snapshot before the locks.
        connection.execute(f"set local idle_in_transaction_session_timeout = '{limit}s'")
        for start in range(0, len(tables), _LOCKED_AT_ONCE):
            some = tables[start : start + _LOCKED_AT_ONCE]
            names = (sql.Identifier(table.schema, table.name) for table in some)
            statement = sql.SQL("lock table only {} in access share mode")
            connection.execute(statement.format(sql.SQL(", only ").join(names)))
        instant = self._clock.now()
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a function always answers
        return instant, row[0]

    def _start(self, stdout: int) -> Child:
        self._producer = self._launcher.start(
            Command(
                argv=(
                    self._programs.path("pg_dump"),
                    "--format=custom",
                    "--compress=0",
                    f"--snapshot={self._snapshot}",
                    f"--lock-wait-timeout={int(_LOCK_WAIT.total_seconds() * 1000)}",
                    "--no-password",
                ),
                env=self._environment,
                timeout=self._source.asset.timeout,
            ),
            stdout=stdout,
        )
        return self._producer

    def _failure(self) -> CaptureFailed:
        if self._producer is None:
            return CaptureFailed("the archive was never made")
        code = self._producer.returncode
        if code is None:
            return CaptureFailed("pg_dump has not ended yet: the archive is not complete")
        words, hint = _cause(self._producer.stderr)
        return CaptureFailed(f"pg_dump failed ({exit_words(code)}{words})", hint=hint)

    def _save_globals(self) -> bytes:
        """Return the SQL that makes the cluster's roles anew, without their passwords.

        Taken after the snapshot, so that every role the archive names is among them.
        """
        completed = self._launcher.run(
            Command(
                argv=(
                    self._programs.path("pg_dumpall"),
                    "--globals-only",
                    "--no-role-passwords",
                    "--no-tablespaces",
                    "--no-password",
                    f"--database={_connection_string(self._source.asset.database)}",
                ),
                env=self._environment,
                timeout=_ROLES_LIMIT,
            )
        )
        self._conditions += ("passwords of database users are not in the backup",)
        if completed.ok and completed.stdout:
            return completed.stdout
        sentence = (
            f"{self._source.asset.user} may not read all of the cluster's roles: their names and "
            "attributes were saved, their memberships and settings were not"
        )
        self._conditions += (sentence,)
        return _roles_from_catalog(self._connection)


@contextmanager
def capture_logically(
    request: CaptureRequest,
    source: Source,
    *,
    launcher: Launcher,
    programs: PostgresPrograms,
    clock: Clock,
) -> Iterator[LogicalCapture]:
    """Hold the database at one snapshot; see `AssetDriver.capture`."""
    connection = source.connect()
    with connection, source.client_environment() as environment:
        major = connection.info.server_version // 10000
        folder = programs.at_least(major, "pg_dump", "pg_dumpall")
        try:
            capture = LogicalCapture(
                request,
                source,
                connection,
                clock=clock,
                launcher=launcher,
                programs=folder,
                environment=environment,
            )
        except psycopg.Error as error:
            raise CaptureFailed(
                f"{source.asset.database} could not be read: {failure_words(error)}"
            ) from None
        try:
            yield capture
        finally:
            capture.leave()


def check_archive(first: bytes, last: bytes, size: int) -> None:
    """Make sure that a stream begins and ends as a whole archive does.

    Raises:
        CaptureFailed: it does not.
    """
    if not first.startswith(_MAGIC):
        raise CaptureFailed("what pg_dump wrote is not an archive")
    if size <= len(_MAGIC) + len(_LAST_BYTES) or not last.endswith(_LAST_BYTES):
        raise CaptureFailed("the archive that pg_dump wrote has no end: it is not complete")


def _connection_string(database: str) -> str:
    """Return `database` as a connection string: a plain name with a `=` would be taken for one."""
    escaped = database.replace("\\", r"\\").replace("'", r"\'")
    return f"dbname='{escaped}'"


def _roles_from_catalog(connection: Connection) -> bytes:
    """Return SQL that makes the roles anew, as far as every user may see them."""
    rows = connection.execute(
        """select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
                  rolreplication, rolbypassrls
           from pg_roles where rolname !~ '^pg_' order by 1"""
    )
    lines = ["-- roles as the catalog shows them"]
    for name, *values in rows:
        quoted = '"{}"'.format(name.replace('"', '""'))
        words = (word if value else f"NO{word}" for word, value in zip(_FLAGS, values, strict=True))
        lines += [f"CREATE ROLE {quoted};", f"ALTER ROLE {quoted} WITH {' '.join(words)};"]
    return "\n".join((*lines, "")).encode()


_FLAGS = (
    *("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB"),
    *("LOGIN", "REPLICATION", "BYPASSRLS"),
)
_CAUSES = (
    (
        "permission denied for large object",
        ": it may not read all large objects",
        "let the backup user be a superuser, or grant it SELECT on each large object",
    ),
    ("row-level security", ": row-level security hides rows", "ALTER ROLE … BYPASSRLS"),
    ("permission denied", ": permission denied", "GRANT pg_read_all_data TO the backup user"),
    (
        "lock timeout",
        ": another program holds a lock on a table",
        "schedule the backup away from it",
    ),
    ("conflict with recovery", ": the standby server cancelled it", "back up the primary server"),
    ("invalid snapshot identifier", ": its snapshot was gone", "was the connection cut?"),
    ("server closed the connection", ": the server closed the connection", ""),
    ("terminating connection", ": the server ended the connection", ""),
    ("invalid page", ": the server reports a damaged page", "production itself is damaged"),
    ("could not read block", ": the server reports a damaged page", "production itself is damaged"),
)


def _cause(stderr: str) -> tuple[str, str]:
    """Return what pg_dump said in our own words, and what to do."""
    lowered = stderr.lower()
    for sign, words, hint in _CAUSES:
        if sign in lowered:
            return words, hint
    return known_cause(stderr), ""
