"""Capturing a whole MariaDB server with mariadb-backup.

It reads the files of the server's data directory while the server works, so it must run on the
server's own machine, as somebody who may read them; the server is reached by its unix socket, which
proves both. What it copies is of the moment its copy ends, and no snapshot is of that moment: the
database is looked at before and after, and what was the same both times is settled.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import Captured, CaptureRequest, Stream
from dr_orchestrator.assets.database_baseline import Measured, bracket, questions_of
from dr_orchestrator.assets.mariadb_baseline import measure, settle_session
from dr_orchestrator.assets.mariadb_catalog import (
    Facts,
    read_facts,
    require_readable,
    server_rights,
)
from dr_orchestrator.assets.mariadb_source import Source, clock_condition, describe
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.process import Child, Command, Launcher, exit_words, known_cause
from dr_orchestrator.servers.mariadb_connection import Connection, failure_words
from dr_orchestrator.servers.mariadb_programs import (
    MariadbPrograms,
    ProgramFolder,
    Vendor,
    Version,
)

_MAGIC = b"XBSTCK01"
_LAST_OF_FILE = b"E"
_COMPLETED = "completed OK!"
_BEGIN = "start transaction with consistent snapshot, read only"
_RIGHTS = ("RELOAD", "PROCESS", "LOCK TABLES")
_MONITOR = {"BINLOG MONITOR", "REPLICATION CLIENT"}
"""Names of one right: it had another before MariaDB 10.5."""


class PhysicalCapture:
    """A server, copied as a stream while it works."""

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
        self._producer: Child | None = None
        self._before: Measured | None = None
        self._measuring = threading.Lock()
        self._folder = require_copyable(connection, source)
        self._conditions = clock_condition(connection, clock)
        settle_session(connection)
        require_readable(connection, source.asset.database, source.asset.user)
        self._facts: Facts = read_facts(connection)
        self._server = describe(connection, self._facts)
        self._conditions += (*self._facts.conditions, *_other_databases(connection))
        connection.execute(_BEGIN)
        self._instant = clock.now()

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Stream:
        return Stream(
            name=f"{self._request.asset_id}.xbstream",
            start=self._start,
            check=self._check,
            failure=self._failure,
        )

    def measure(self) -> None:
        with self._measuring:
            self._before = self._look(self._connection, self._facts)

    def finish(self) -> Captured:
        if self._producer is None or self._producer.returncode != 0:
            raise self._failure()
        self._require_completed()
        if self._before is None:
            raise CaptureFailed("the baseline was not taken")
        facts, after = self._look_again()
        then = {table.label: table.changed for table in self._facts.tables}
        changed = {table.label for table in facts.tables if then.get(table.label) != table.changed}
        conditions = dict.fromkeys((*self._conditions, *self._before.conditions, *after.conditions))
        return Captured(
            kind=AssetKind.MARIADB,
            method=Method.PHYSICAL,
            scope="cluster",
            captured_at=self._instant,
            tools={"mariadb-backup": str(self._programs.version)},
            server=self._server,
            baseline=bracket(self._before.baseline, after.baseline, changed),
            conditions=tuple(conditions),
        )

    def leave(self) -> None:
        """Let everything go. A baseline that is still being taken is broken off."""
        if self._producer is not None:
            self._producer.end()
        if not self._measuring.acquire(blocking=False):
            self._source.break_off(self._connection)
            self._measuring.acquire()
        self._connection.close()

    def _start(self, stdout: int) -> Child:
        self._producer = self._launcher.start(
            Command(
                argv=(
                    self._programs.path("mariadb-backup"),
                    f"--defaults-file={self._defaults}",
                    "--backup",
                    "--stream=xbstream",
                    f"--datadir={self._folder}",
                    f"--target-dir={self._request.staging}",
                ),
                timeout=self._source.asset.timeout,
            ),
            stdout=stdout,
        )
        return self._producer

    def _check(self, first: bytes, last: bytes, _size: int) -> None:
        check_stream(first, last)
        self._require_completed()

    def _require_completed(self) -> None:
        """Raise where mariadb-backup did not say at the end that it completed its work."""
        stderr = "" if self._producer is None else self._producer.stderr
        if not stderr.rstrip().endswith(_COMPLETED):
            raise CaptureFailed("mariadb-backup did not report that its copy is complete")

    def _look(self, connection: Connection, facts: Facts) -> Measured:
        spec = self._source.asset.baseline
        try:
            return measure(
                connection,
                self._clock,
                facts,
                level=spec.level,
                budget=spec.budget / 2,
                questions=questions_of(self._request),
            )
        except pymysql.MySQLError as error:
            raise CaptureFailed(
                f"the baseline of {self._source.asset.database} could not be taken: "
                f"{failure_words(error)}"
            ) from None

    def _look_again(self) -> tuple[Facts, Measured]:
        with self._source.connect() as connection:
            try:
                settle_session(connection)
                facts = read_facts(connection)
                connection.execute(_BEGIN)
            except pymysql.MySQLError as error:
                raise self._source.unreadable(error) from None
            measured = self._look(connection, facts)
            return facts, replace(measured, conditions=(*facts.conditions, *measured.conditions))

    def _failure(self) -> CaptureFailed:
        if self._producer is None:
            return CaptureFailed("the server was never copied")
        code = self._producer.returncode
        if code is None:
            return CaptureFailed("mariadb-backup has not ended yet: the copy is not complete")
        words, hint = _cause(self._producer.stderr)
        return CaptureFailed(f"mariadb-backup failed ({exit_words(code)}{words})", hint=hint)


@contextmanager
def capture_physically(
    request: CaptureRequest,
    source: Source,
    *,
    launcher: Launcher,
    programs: MariadbPrograms,
    clock: Clock,
) -> Iterator[PhysicalCapture]:
    """Hold a look at the database, and copy its server; see `AssetDriver.capture`."""
    with source.connect() as connection, source.client_file(connection) as defaults:
        folder = programs_to_copy(connection.version, programs)
        try:
            capture = PhysicalCapture(
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


def programs_to_copy(version: Version, programs: MariadbPrograms) -> ProgramFolder:
    """Return the programs that copy a server.

    Raises:
        CaptureFailed: none can.
        ProgramMissing: they are not on this machine.
    """
    if version.vendor is not Vendor.MARIADB:
        raise CaptureFailed(
            "the physical method is for MariaDB only, and this server is MySQL",
            hint="write `method: logical`",
        )
    return programs.same_series(version, "mariadb-backup")


def require_copyable(connection: Connection, source: Source) -> Path:
    """Return the server's data directory, having made sure that we may copy it.

    Raises:
        CaptureFailed: it is not on this machine, or a right is missing.
        pymysql.MySQLError: the connection is lost.
    """
    folder = _readable_data_directory(connection, source)
    _require_rights(connection, source)
    return folder


def check_stream(first: bytes, last: bytes) -> None:
    """Make sure that a stream begins with a chunk, and ends with the last one of a file.

    A chunk (xbstream.h): the magic, a byte of flags, its type, the length of its path in four
    bytes, the path; the last chunk of each file is of type `E` and has nothing more.

    Raises:
        CaptureFailed: it does not.
    """
    if not first.startswith(_MAGIC):
        raise CaptureFailed("what mariadb-backup wrote is not a copy")
    chunk = last[last.rfind(_MAGIC) + len(_MAGIC) :] if _MAGIC in last else b""
    length = int.from_bytes(chunk[2:6], "little")
    if chunk[1:2] != _LAST_OF_FILE or len(chunk) != 6 + length:
        raise CaptureFailed("the copy that mariadb-backup wrote has no end: it is not complete")


def _readable_data_directory(connection: Connection, source: Source) -> Path:
    """Return the server's data directory, which is certain to be the one of the server we asked.

    Raises:
        CaptureFailed: it is not on this machine, or we may not read it.
    """
    pid = connection.peer_pid
    if pid is None:
        raise CaptureFailed(
            f"{source.asset.host} is not a unix socket: the physical method copies the files of "
            "a server on this machine",
            hint="run the backup on the server's machine with the socket's path as `host`, or "
            "write `method: logical`",
        )
    folder = Path(str(connection.one("select @@datadir")))
    try:
        same = Path(f"/proc/{pid}/cwd").samefile(folder)
        with (folder / "aria_log_control").open("rb"):
            pass
    except OSError:
        raise CaptureFailed(
            "the data directory of the server cannot be read from here",
            hint="run the backup as root, or as the server's own user, outside of any container",
        ) from None
    if not same:
        raise CaptureFailed(
            "the data directory on this machine is not the one of the server that answers",
            hint="does the server run in a container? write `method: logical`",
        )
    return folder


def _require_rights(connection: Connection, source: Source) -> None:
    """Raise where a right is missing that mariadb-backup needs."""
    rights = server_rights(connection)
    missing = [right for right in _RIGHTS if right not in rights]
    if not rights & _MONITOR:
        missing.append("BINLOG MONITOR")
    if missing and "ALL PRIVILEGES" not in rights:
        raise CaptureFailed(
            f"{source.asset.user} may not copy the server: it lacks {', '.join(missing)}",
            hint=f"GRANT {', '.join(missing)} ON *.* TO {source.asset.user}",
        )


def _other_databases(connection: Connection) -> tuple[str, ...]:
    count = connection.one(
        """select count(*) from information_schema.schemata
           where schema_name not in (database(), 'information_schema', 'mysql',
                                     'performance_schema', 'sys')"""
    )
    if not count:
        return ()
    return (f"{count_words(int(count), 'other database')} of the server copied without a baseline",)


def _cause(stderr: str) -> tuple[str, str]:
    """Return what mariadb-backup said in our own words, and what to do."""
    lowered = stderr.lower()
    for sign, words, hint in _CAUSES:
        if sign in lowered:
            return words, hint
    return known_cause(stderr), ""


_RIGHTS_HINT = f"GRANT {', '.join(_RIGHTS)}, BINLOG MONITOR ON *.* TO the backup user"
_CAUSES = (
    ("access denied", ": a right is missing", _RIGHTS_HINT),
    ("missing required privilege", ": a right is missing", _RIGHTS_HINT),
    (
        "can't open file",
        ": it may not read a file of the server",
        "run the backup as root, or as the server's own user",
    ),
    (
        "database page corruption",
        ": it found damaged pages",
        "production itself is damaged: do not let older backups expire",
    ),
    ("lost connection", ": the connection was lost", ""),
    ("server has gone away", ": the connection was lost", ""),
    ("log copying being too slow", ": the server wrote faster than it was copied", ""),
    ("too many open files", ": too many open files", "raise the limit of open files"),
)
