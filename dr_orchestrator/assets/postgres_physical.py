"""Capturing a whole PostgreSQL cluster with pg_basebackup.

The copy is proven byte by byte against the manifest that the server wrote. An exact baseline of it
does not exist, since the cluster goes on changing while it is copied: the database is looked at
before and after, and what was the same both times is settled.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from dr_orchestrator.assets.base import Captured, CaptureRequest, Tree
from dr_orchestrator.assets.database_baseline import Measured, bracket, questions_of
from dr_orchestrator.assets.postgres_baseline import (
    measure,
    settle_session,
)
from dr_orchestrator.assets.postgres_catalog import (
    Facts,
    read_facts,
    require_readable,
)
from dr_orchestrator.assets.postgres_source import Source, clock_condition, describe
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CaptureFailed, SpaceExhausted
from dr_orchestrator.process import Command, Completed, Launcher, exit_words, known_cause
from dr_orchestrator.servers.postgres_connection import (
    Connection,
    connect,
    failure_words,
    identifier,
)
from dr_orchestrator.servers.postgres_programs import PostgresPrograms, ProgramFolder

DATA = "data"
"""The data directory's name in what is saved."""
TABLESPACES = "tablespaces"
"""The folder beside it with the tablespaces, each named by its oid."""
_STATISTICS_SECONDS = 1.5
MANIFEST = "backup_manifest"
"""Written by pg_basebackup; pg_verifybackup holds the files against it."""
_WAL_ALLOWANCE = 64 * 1024 * 1024
_PREFERRED_WALSENDERS = 2


@dataclass(frozen=True)
class _Look:
    """A baseline, and the counters of changes that enclose it.

    Rows that come and go between two looks (a queue) leave the checksum as it was, but not the
    counter.
    """

    measured: Measured
    changes_earlier: Mapping[str, int]
    """How often each table had ever been changed, read before the snapshot was taken."""


class PhysicalCapture:
    """A cluster, copied to the staging folder."""

    def __init__(
        self,
        request: CaptureRequest,
        source: Source,
        clock: Clock,
        launcher: Launcher,
        programs: ProgramFolder,
    ) -> None:
        self._request = request
        self._source = source
        self._clock = clock
        self._launcher = launcher
        self._programs = programs
        self._root = request.staging / "cluster"
        self._conditions: tuple[str, ...] = ()
        with source.connect() as connection:
            self._conditions += clock_condition(connection, clock)
            require_replication(connection, source.asset.user)
            self._tablespaces = _read_tablespaces(connection)
            self._server = {**describe(connection), **self._describe_cluster(connection)}
            self._conditions += _cluster_conditions(connection)
            self._slots = _setting(connection, "max_replication_slots")
        self._after: _Look | None = None
        self._changes_later: Mapping[str, int] = {}
        try:
            self._before, self._instant = self._copy_beside_a_look()
            self._expected_files = self._count_files()
        except BaseException:
            self.leave()
            raise

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Tree:
        return Tree(path=self._root, expected_files=self._expected_files)

    def measure(self) -> None:
        begun = self._clock.monotonic()
        self._after = self._look(threading.Event())
        # Servers report their counters once a second while they work (pgstat.c, PostgreSQL 15).
        self._clock.sleep(max(0.0, begun + _STATISTICS_SECONDS - self._clock.monotonic()))
        try:
            with self._source.connect() as connection:
                self._changes_later = _read_changes(connection)
        except psycopg.Error as error:
            raise self._unreadable(error) from None

    def finish(self) -> Captured:
        if self._after is None:
            raise CaptureFailed("the baseline was not taken")
        before, after = self._before.measured, self._after.measured
        changes = {*self._before.changes_earlier.items()} ^ {*self._changes_later.items()}
        baseline = bracket(before.baseline, after.baseline, {name for name, _ in changes})
        conditions = dict.fromkeys((*self._conditions, *before.conditions, *after.conditions))
        return Captured(
            kind=AssetKind.POSTGRES,
            method=Method.PHYSICAL,
            scope="cluster",
            captured_at=self._instant,
            tools={"pg_basebackup": self._programs.version},
            server=self._server,
            baseline=baseline,
            conditions=tuple(conditions),
        )

    def leave(self) -> None:
        """Remove what was staged: it is the practice's data in the clear."""
        if self._root.exists():
            shutil.rmtree(self._root)

    def _copy_beside_a_look(self) -> tuple[_Look, datetime]:
        """Copy the cluster; return a look at it of before the copy, and when that was.

        The look holds a snapshot from before the copy began, so it may be taken meanwhile.
        """
        with ThreadPoolExecutor(1, "look") as pool:
            held = threading.Event()
            looking = pool.submit(self._look, held)
            looking.add_done_callback(lambda _ended: held.set())
            held.wait()
            if looking.done():
                looking.result()  # raises what kept it from holding a snapshot
            instant = self._clock.now()
            self._copy()
            return looking.result(), instant

    def _look(self, held: threading.Event) -> _Look:
        """Take the baseline, and before it how often each table was ever changed.

        `held` is set once the instant that is looked at is fixed.
        """
        spec = self._source.asset.baseline
        try:
            with self._source.connect() as connection:
                earlier = _read_changes(connection)
                connection.execute("begin isolation level repeatable read read only")
                settle_session(connection)
                require_readable(connection, self._source.asset.user)
                facts: Facts = read_facts(connection)  # the first query, which takes the snapshot
                held.set()
                measured = measure(
                    connection,
                    self._clock,
                    facts,
                    level=spec.level,
                    budget=spec.budget / 2,
                    questions=questions_of(self._request),
                    unlogged_too=False,
                )
                connection.execute("commit")
                unlogged = [table.label for table in facts.tables if table.unlogged]
        except psycopg.Error as error:
            raise self._unreadable(error) from None
        if unlogged:
            count = count_words(len(unlogged), "unlogged table")
            sentence = f"{count} empty in a physical backup"
            measured = replace(measured, conditions=(*measured.conditions, sentence))
        return _Look(measured, earlier)

    def _unreadable(self, error: psycopg.Error) -> CaptureFailed:
        return CaptureFailed(
            f"the baseline of {self._source.asset.database} could not be taken: "
            f"{failure_words(error)}"
        )

    def _describe_cluster(self, connection: Connection) -> dict[str, str]:
        superusers = connection.execute(
            """select rolname from pg_roles where rolsuper and rolcanlogin
               order by oid <> 10, oid limit 1"""
        ).fetchone()
        checksums = connection.execute("show data_checksums").fetchone()
        size = connection.execute(_CLUSTER_SIZE).fetchone()
        return {
            "superuser": superusers[0] if superusers else "postgres",
            "data_checksums": checksums[0] if checksums else "off",
            "tablespaces": json.dumps(self._tablespaces),
            "cluster_bytes": str(size[0] if size else 0),
        }

    def _copy(self) -> None:
        (self._root / TABLESPACES).mkdir(parents=True, mode=0o700)
        mapping = []
        for oid, location in self._tablespaces.items():
            old = location.replace("\\", r"\\").replace("=", r"\=")
            new = str(self._root / TABLESPACES / oid).replace("=", r"\=")
            mapping.append(f"--tablespace-mapping={old}={new}")
        with self._source.client_environment() as environment:
            completed = self._launcher.run(
                Command(
                    argv=(
                        self._programs.path("pg_basebackup"),
                        f"--pgdata={self._root / DATA}",
                        "--format=plain",
                        "--wal-method=stream",
                        "--checkpoint=fast",
                        "--manifest-checksums=SHA256",
                        "--no-password",
                        "--no-sync",  # it is read back at once, and thrown away
                        *(() if self._slots else ("--no-slot",)),
                        *mapping,
                    ),
                    env=environment,
                    timeout=self._source.asset.timeout,
                )
            )
        if not completed.ok:
            raise self._failure(completed)

    def _count_files(self) -> int:
        """Return how many files the manifest promises, itself included.

        Raises:
            CaptureFailed: there is no readable manifest: the copy is not complete.
        """
        try:
            manifest = json.loads((self._root / DATA / MANIFEST).read_bytes())
            return len(manifest["Files"]) + 1
        except (OSError, ValueError, KeyError):
            raise CaptureFailed("pg_basebackup left no readable manifest") from None

    def _failure(self, completed: Completed) -> CaptureFailed | SpaceExhausted:
        lowered = completed.stderr.lower()
        user = self._source.asset.user
        if "no space left" in lowered or "disk quota" in lowered:
            return SpaceExhausted(
                "the staging folder has no room for the cluster",
                hint="make room, or move staging in the machine's settings",
            )
        if "no pg_hba.conf entry" in lowered:
            return _not_let_in(user)
        if "checksum" in lowered:
            return CaptureFailed(
                "pg_basebackup found damaged pages: production itself is damaged",
                hint="do not let older backups expire; the server's log names the files",
            )
        return CaptureFailed(
            f"pg_basebackup failed ({exit_words(completed.returncode)}"
            f"{known_cause(completed.stderr)})"
        )


@contextmanager
def capture_physically(
    request: CaptureRequest,
    source: Source,
    *,
    launcher: Launcher,
    programs: PostgresPrograms,
    clock: Clock,
) -> Iterator[PhysicalCapture]:
    """Copy the cluster to the staging folder; see `AssetDriver.capture`."""
    with source.connect() as connection:
        major = connection.info.server_version // 10000
    folder = programs.exactly(major, "pg_basebackup")
    try:
        capture = PhysicalCapture(request, source, clock, launcher, folder)
    except psycopg.Error as error:
        raise CaptureFailed(
            f"{source.asset.database} could not be read: {failure_words(error)}"
        ) from None
    try:
        yield capture
    finally:
        capture.leave()


def require_replication(connection: Connection, user: str) -> None:
    """Make sure that we have the right to copy the cluster, and that the server allows it at all.

    Raises:
        CaptureFailed: we have not, or it does not.
    """
    row = connection.execute(
        "select rolreplication or rolsuper from pg_roles where rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        raise CaptureFailed(
            f"{user} may not copy the cluster: it lacks the REPLICATION right",
            hint=f"as a superuser of the server: ALTER ROLE {identifier(user)} REPLICATION; "
            f"and in pg_hba.conf: {_hba_line(user)}",
        )
    if _setting(connection, "max_wal_senders") < _PREFERRED_WALSENDERS:
        raise CaptureFailed(
            "the server allows no copy of the cluster: max_wal_senders is below 2",
            hint="set max_wal_senders = 10 and wal_level = replica, and restart the server",
        )


def require_let_in(source: Source) -> None:
    """Make sure that the server lets us in from here to copy the cluster.

    Raises:
        CaptureFailed: it does not.
    """
    database = source.asset.database
    try:
        connect(source.address, database, password=source.password, replication=True).close()
    except psycopg.Error as error:
        if "no pg_hba.conf entry" in str(error):
            raise _not_let_in(source.asset.user) from None
        raise source.refusal(str(error)) from None


def _not_let_in(user: str) -> CaptureFailed:
    return CaptureFailed(
        f"the server's pg_hba.conf does not let {user} copy the cluster from here",
        hint=f"add to pg_hba.conf, and reload: {_hba_line(user)}",
    )


def staging_bytes(source: Source) -> int:
    """Return an estimate of what a copy of the cluster takes."""
    with source.connect() as connection:
        row = connection.execute(_CLUSTER_SIZE).fetchone()
    size = int(row[0]) if row else 0
    return size + size // 10 + _WAL_ALLOWANCE


def _hba_line(user: str) -> str:
    return f"host replication {identifier(user)} ADDRESS/32 scram-sha-256"


def _setting(connection: Connection, name: str) -> int:
    row = connection.execute("select current_setting(%s)::int", (name,)).fetchone()
    return int(row[0]) if row else 0


def _read_tablespaces(connection: Connection) -> dict[str, str]:
    """Return oid -> folder of the tablespaces that lie outside the data directory."""
    rows = connection.execute(
        """select oid::text, pg_tablespace_location(oid) from pg_tablespace
           where pg_tablespace_location(oid) like '/%' order by oid"""
    )
    return dict(rows.fetchall())


def _cluster_conditions(connection: Connection) -> tuple[str, ...]:
    row = connection.execute(
        """select count(*) from pg_database
           where not datistemplate and datname not in (current_database(), 'postgres')"""
    ).fetchone()
    conditions: tuple[str, ...] = ()
    if row and row[0]:
        count = count_words(row[0], "other database")
        conditions += (f"{count} of the cluster proven byte by byte, without a baseline",)
    preloaded = connection.execute(  # not SHOW, which needs the right to read all settings
        "select setting from pg_settings where name = 'shared_preload_libraries'"
    ).fetchone()
    if preloaded and preloaded[0]:
        conditions += (f"production preloads libraries that a test does not: {preloaded[0]}",)
    return conditions


def _read_changes(connection: Connection) -> dict[str, int]:
    """Return how many rows of each table were ever changed, as the server's statistics say."""
    rows = connection.execute(
        "select schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables"
    )
    return {identifier(schema, name): count for schema, name, count in rows}


_CLUSTER_SIZE = """
    select coalesce(sum(case
        when has_database_privilege(oid, 'connect')
             or pg_has_role('pg_read_all_stats', 'usage') then pg_database_size(oid)
        end), 0)
    from pg_database"""
