"""Capturing one MariaDB or MySQL database with mariadb-dump, and its baseline in the same snapshot.

A server has no snapshot that two sessions could share. So a third session holds the global read
lock for the moment in which ours and mariadb-dump's begin: nothing can be written between the two.
mariadb-dump therefore starts when the capture is entered, not when somebody takes its stream; the
lock is never held while anything else is waited for. Only where tables of engines without snapshots
exist (MyISAM, Aria) is it held until they are read: so the baseline begins at once as well.

Without the right to lock, the database is looked at right before and right after mariadb-dump's
snapshot, and what was the same both times is settled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import Captured, CaptureRequest, Stream
from dr_orchestrator.assets.database_baseline import Measured, bracket, questions_of
from dr_orchestrator.assets.mariadb_baseline import measure, settle_session
from dr_orchestrator.assets.mariadb_catalog import (
    FINGERPRINT,
    Facts,
    read_facts,
    read_names,
    require_readable,
)
from dr_orchestrator.assets.mariadb_dump import is_complete
from dr_orchestrator.assets.mariadb_lock import LockRefused, ReadLock
from dr_orchestrator.assets.mariadb_relay import Relay
from dr_orchestrator.assets.mariadb_source import (
    USERS,
    Source,
    clock_condition,
    describe,
    read_users,
)
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.wording import count_words, duration_words, some_names
from dr_orchestrator.errors import CaptureFailed, ProgramMissing
from dr_orchestrator.process import Child, Command, Launcher, exit_words, known_cause
from dr_orchestrator.servers.mariadb_connection import Connection, failure_words, is_damage
from dr_orchestrator.servers.mariadb_programs import (
    MariadbPrograms,
    ProgramFolder,
    Vendor,
    Version,
)

_HEAD = re.compile(rb"\A(?:/\*M?!999999\\- [^\n]*\n)?-- (?:MariaDB|MySQL) dump ")
_BEGIN = "start transaction with consistent snapshot, read only"
_SNAPSHOT_SECONDS = 20
"""Until mariadb-dump writes its first words, and so has its snapshot: 0.07 s on an idle machine."""
_MYSQLS_CLIENT = Version(Vendor.MARIADB, (10, 5, 0))
"""MariaDB's client that reads MySQL 8, where MySQL's own is not on this machine."""
_SAME_FOR_ALL = (
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--skip-dump-date",
    "--order-by-primary",
    "--skip-extended-insert",
    "--skip-add-locks",  # a table whose default is of a sequence could not be loaded under them
    "--no-tablespaces",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1073741824",
)
_OF_MYSQLS_OWN = ("--set-gtid-purged=OFF", "--column-statistics=0")


class LogicalCapture:
    """A database, held at one snapshot."""

    def __init__(
        self,
        request: CaptureRequest,
        source: Source,
        connection: Connection,
        *,
        clock: Clock,
        launcher: Launcher,
        programs: ProgramFolder,
        defaults: Path,
    ) -> None:
        self._request = request
        self._source = source
        self._connection = connection
        self._clock = clock
        self._launcher = launcher
        self._programs = programs
        self._defaults = defaults
        self._later: Connection | None = None
        self._lock: ReadLock | None = None
        self._lock_needed_by = {"dump", "baseline"}
        self._measured: Measured | None = None
        self._measuring: Future[Measured] | None = None
        self._pool = ThreadPoolExecutor(1, "baseline")
        self._conditions = clock_condition(connection, clock)
        settle_session(connection)
        require_readable(connection, source.asset.database, source.asset.user)
        self._facts: Facts = read_facts(connection)
        self._server = describe(connection, self._facts)
        self._users, without = read_users(connection, source.asset.database, self._facts.definers)
        self._conditions += (
            *self._facts.conditions,
            *self._facts.lost_in_a_dump,
            *without,
        )
        if not self._facts.tables:
            self._conditions += (
                f"the database {source.asset.database} holds no table: is it the one meant?",
            )
        self._relay = Relay(request.staging, lambda: self._no_lock_for("dump"))
        self._producer: Child | None = None
        try:
            self._instant = self._fix_instant()
            self._measuring = self._pool.submit(self._measure)
        except BaseException:
            self.leave()
            raise

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Stream:
        return Stream(
            name=f"{self._request.asset_id}.sql",
            start=self._start,
            check=check_dump,
            failure=self._failure,
        )

    def measure(self) -> None:
        if self._measuring is None:
            raise CaptureFailed("the baseline was never begun")
        try:
            self._measured = self._measuring.result()
        except pymysql.MySQLError as error:
            raise CaptureFailed(
                f"the baseline of {self._source.asset.database} could not be taken: "
                f"{failure_words(error)}"
            ) from None

    def finish(self) -> Captured:
        if self._producer is None or self._producer.returncode != 0:
            raise self._failure()
        if self._measured is None:
            raise CaptureFailed("the baseline was not taken")
        self._require_lock_kept()
        baseline, changed = self._without_what_changed(self._measured.baseline)
        return Captured(
            kind=AssetKind.MARIADB,
            method=Method.LOGICAL,
            scope="database",
            captured_at=self._instant,
            tools={"mariadb-dump": str(self._programs.version)},
            server=self._server,
            baseline=baseline,
            conditions=(
                *self._conditions,
                *self._lock_conditions(),
                *self._measured.conditions,
                *changed,
            ),
            sidecars={USERS: self._users},
        )

    def leave(self) -> None:
        """Let everything go. A baseline that is still being taken is broken off."""
        if self._producer is not None:
            self._producer.end()
        self._relay.close()
        if self._lock is not None:
            self._lock.release()
        mine = [each for each in (self._connection, self._later) if each is not None]
        if self._measuring is not None and not self._measuring.done():
            for each in mine:
                self._source.break_off(each)
        self._pool.shutdown()
        for each in mine:
            each.close()

    def _fix_instant(self) -> datetime:
        """Begin our transaction and mariadb-dump's at the same instant, and return it."""
        try:
            self._lock = ReadLock(self._source, self._clock)
        except LockRefused as refused:
            if self._facts.without_transactions:
                raise lock_wanted(self._source, self._facts, str(refused)) from None
            sentence = (
                f"the server could not be locked for a moment ({refused}): the data was looked at "
                "right before and right after its snapshot"
            )
            self._conditions += (sentence,)
        try:
            self._connection.execute(_BEGIN)
            instant = self._clock.now()
            self._producer = self._relay.start(self._launch)
            if not self._relay.wait_for_output(_SNAPSHOT_SECONDS):
                if self._relay.ended:  # so mariadb-dump has, or is about to
                    self._producer.wait(timedelta(seconds=_SNAPSHOT_SECONDS))
                raise self._failure()
            # mariadb-dump has its list of tables now, and under the lock it cannot have changed.
            if read_names(self._connection) != self._facts.names:
                self._facts = read_facts(self._connection)
            if self._lock is None:
                self._later = self._source.connect()
                settle_session(self._later)
                self._later.execute(_BEGIN)
        finally:
            if self._lock is not None and not self._facts.without_transactions:
                self._lock.release()
        return instant

    def _launch(self, stdout: int) -> Child:
        version = self._programs.version
        return self._launcher.start(
            Command(
                argv=(
                    self._programs.path("mariadb-dump"),
                    f"--defaults-file={self._defaults}",
                    *_SAME_FOR_ALL,
                    *(_OF_MYSQLS_OWN if version.vendor is Vendor.MYSQL else ()),
                    "--",
                    self._source.asset.database,
                ),
                timeout=self._source.asset.timeout,
            ),
            stdout=stdout,
        )

    def _start(self, stdout: int) -> Child:
        if self._producer is None:
            raise CaptureFailed("mariadb-dump was never started")
        self._relay.hand_to(stdout)
        return self._producer

    def _no_lock_for(self, work: str) -> None:
        """Release the lock once neither the dump nor the baseline needs it."""
        self._lock_needed_by.discard(work)
        if self._lock is not None and not self._lock_needed_by:
            self._lock.release()

    def _require_lock_kept(self) -> None:
        if self._lock is None:
            return
        self._lock.release()
        if self._lock.lost:
            raise CaptureFailed(
                "the server gave our read lock up before all was read",
                hint="did somebody end the session? try again",
            )

    def _lock_conditions(self) -> tuple[str, ...]:
        unsafe = self._facts.without_transactions
        if self._lock is None or not unsafe:
            return ()
        held = duration_words(timedelta(seconds=max(0.1, self._lock.seconds)))
        sentence = (
            f"{count_words(len(unsafe), 'table')} without transactions ({some_names(unsafe)}): "
            f"nobody could write to the server for {held}"
        )
        return (sentence,)

    def _measure(self) -> Measured:
        try:
            before = self._look(self._connection)
        finally:
            self._no_lock_for("baseline")
        if self._later is None:
            return before
        after = self._look(self._later)
        baseline = bracket(before.baseline, after.baseline, set())
        conditions = dict.fromkeys((*before.conditions, *after.conditions))
        return replace(before, baseline=baseline, conditions=tuple(conditions))

    def _look(self, connection: Connection) -> Measured:
        spec = self._source.asset.baseline
        return measure(
            connection,
            self._clock,
            self._facts,
            level=spec.level,
            budget=spec.budget if self._later is None else spec.budget / 2,
            questions=questions_of(self._request),
            on_only_snapshots_left=lambda: self._no_lock_for("baseline"),
        )

    def _without_what_changed(
        self, baseline: DatabaseBaseline
    ) -> tuple[DatabaseBaseline, tuple[str, ...]]:
        """Leave out of the comparison what somebody redefined while it was captured.

        A definition is of no snapshot: of a table that is altered meanwhile nobody knows which one
        the dump has.
        """
        try:
            self._connection.execute("rollback")
            now = read_facts(self._connection)
        except pymysql.MySQLError as error:
            raise self._source.unreadable(error) from None
        kept = {
            kind: count
            for kind, count in self._facts.objects.items()
            if now.objects.get(kind) == count
        }
        shapes = {table.label: (table.engine, table.columns, table.defined) for table in now.tables}
        tables = {
            table.label: replace(baseline.tables[table.label], settled=False)
            for table in self._facts.tables
            if shapes.get(table.label) != (table.engine, table.columns, table.defined)
        }
        kinds = {
            kind.removeprefix(FINGERPRINT) for kind in self._facts.objects.keys() - kept.keys()
        }
        sentences = []
        if kinds:
            listed = ", ".join(sorted(kinds))
            sentences.append(f"definitions changed while they were captured: {listed}")
        if tables:
            altered = some_names(list(tables))
            sentences.append(f"altered, renamed or dropped while they were captured: {altered}")
        changed = replace(baseline, objects=kept, tables={**baseline.tables, **tables})
        return changed, tuple(sentences)

    def _failure(self) -> CaptureFailed:
        if self._producer is None:
            return CaptureFailed("the dump was never made")
        code = self._producer.returncode
        if code is None:
            return CaptureFailed("mariadb-dump has not ended yet: the dump is not complete")
        words, hint = _cause(self._producer.stderr)
        return CaptureFailed(f"mariadb-dump failed ({exit_words(code)}{words})", hint=hint)


@contextmanager
def capture_logically(
    request: CaptureRequest,
    source: Source,
    *,
    launcher: Launcher,
    programs: MariadbPrograms,
    clock: Clock,
) -> Iterator[LogicalCapture]:
    """Hold the database at one snapshot; see `AssetDriver.capture`."""
    with source.connect() as connection, source.client_file(connection) as defaults:
        folder = client_for(connection.version, programs)
        try:
            capture = LogicalCapture(
                request,
                source,
                connection,
                clock=clock,
                launcher=launcher,
                programs=folder,
                defaults=defaults,
            )
        except pymysql.MySQLError as error:
            raise source.unreadable(error) from None
        try:
            yield capture
        finally:
            capture.leave()


def check_dump(first: bytes, last: bytes, size: int) -> None:
    """Make sure that a stream begins and ends as a whole dump does.

    mariadb-dump's exit code alone is no proof, and a dump cut at the end of a statement loads
    without an error.

    Raises:
        CaptureFailed: it does not.
    """
    if not _HEAD.match(first):
        raise CaptureFailed("what mariadb-dump wrote is not a dump")
    if size < len(last) or not is_complete(last):
        raise CaptureFailed("the dump that mariadb-dump wrote has no end: it is not complete")


def lock_wanted(source: Source, facts: Facts, why: str) -> CaptureFailed:
    """Return the error for tables without transactions on a server that cannot be locked."""
    unsafe = facts.without_transactions
    return CaptureFailed(
        f"{count_words(len(unsafe), 'table')} of {source.asset.database} without "
        f"transactions ({some_names(unsafe)}) can only be captured while nobody writes, and "
        f"the server could not be locked: {why}",
        hint=f"GRANT RELOAD ON *.* TO {source.asset.user}; keep the backup away from "
        "long queries; or change the tables to InnoDB",
    )


def client_for(version: Version, programs: MariadbPrograms) -> ProgramFolder:
    """Return the programs that dump a server; MariaDB's for MySQL, where its own are missing.

    Raises:
        ProgramMissing: there are none.
    """
    try:
        return programs.at_least(version, "mariadb-dump")
    except ProgramMissing:
        if version.vendor is not Vendor.MYSQL:
            raise
        return programs.at_least(_MYSQLS_CLIENT, "mariadb-dump")


_CODE = re.compile(r"(?:[Ee]rror:? |\()(\d{3,4})\b")
_HINTS = (
    (
        frozenset({1044, 1045, 1142, 1227, 1370}),
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT on the database, and SELECT ON mysql.proc",
    ),
    (
        frozenset({1146, 1412}),
        "schedule the backup away from the job that drops, empties or changes tables",
    ),
    (frozenset({1153, 2020}), "raise max_allowed_packet of the server"),
)
_DAMAGE_HINT = "production itself is damaged: repair it, and do not let older backups expire"


def _cause(stderr: str) -> tuple[str, str]:
    """Return what mariadb-dump said in our own words, and what to do."""
    match = _CODE.search(stderr)
    if match is None:
        denied = "insufficent privileges" in stderr or "insufficient privileges" in stderr
        return (": a right is missing", _HINTS[0][1]) if denied else (known_cause(stderr), "")
    error = pymysql.MySQLError(int(match[1]))
    hints = (hint for codes, hint in _HINTS if int(match[1]) in codes)
    return f": {failure_words(error)}", _DAMAGE_HINT if is_damage(error) else next(hints, "")
