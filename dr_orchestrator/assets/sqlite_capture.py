"""Copying a SQLite database that is in use, by SQLite's own online backup.

Never by copying files: `cp` of a database in WAL mode loses every row that is still in the -wal,
and what it makes passes `integrity_check`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from dr_orchestrator.assets import sqlite_inside
from dr_orchestrator.assets.base import Captured, CaptureRequest, Tree
from dr_orchestrator.assets.sqlite_value import NoValue, as_value
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CaptureFailed, SpaceExhausted
from dr_orchestrator.plan.model import SqliteAsset

ALREADY_DAMAGED = "the database was damaged already when it was captured"
_T = TypeVar("_T")
_BUSY_SECONDS = 0.25
_LOOK_SECONDS = 10.0
"""How long a look waits for another program's write."""
_CAUSES = {
    "SQLITE_NOTADB": "it is not a SQLite database, or it is encrypted",
    "SQLITE_CORRUPT": "SQLite finds it damaged",
    "SQLITE_CANTOPEN": "SQLite cannot open it",
    "SQLITE_READONLY_CANTINIT": "SQLite cannot open its write-ahead log",
    "SQLITE_PERM": "it may not be read",
    "SQLITE_BUSY": "the program that uses it keeps it locked",
    "SQLITE_LOCKED": "the program that uses it keeps it locked",
}


class SqliteCapture:
    """A copy of a database. Keeps the promises of `Capture`."""

    def __init__(self, clock: Clock, request: CaptureRequest) -> None:
        if not isinstance(request.asset, SqliteAsset):
            raise TypeError("not a sqlite asset")
        self._clock = clock
        self._request = request
        self._asset = request.asset
        self._copy = request.staging / self._asset.path.name
        self._instant = clock.now()
        self._server: dict[str, str] = {}
        self._baseline: DatabaseBaseline | None = None
        self._conditions: tuple[str, ...] = ()

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Tree:
        return Tree(path=self._copy, expected_files=1)

    def copy(self) -> None:
        """Copy the database as it is now into the staging folder.

        Raises:
            CaptureFailed: it is not there, is no database, or stays locked.
            SpaceExhausted: the staging folder's disk is full.
        """
        self._require_database()
        try:
            with contextlib.closing(open_source(self._asset.path)) as source:
                self._server = _properties(source)
                with contextlib.closing(sqlite3.connect(self._copy)) as target:
                    self._instant = self._clock.now()
                    source.backup(
                        target, pages=-1, progress=self._stay_in_time(), sleep=_BUSY_SECONDS
                    )
                    # Or opening the copy, which has the header of the source, would make a new log.
                    target.execute("PRAGMA journal_mode = delete")
        except sqlite3.Error as error:
            raise self._failure(error) from None
        _flush(self._copy)

    def look_briefly(self) -> None:
        """See that the database is there and can be read.

        Raises:
            CaptureFailed: it is not there, is no database, or stays locked.
        """
        self._require_database()
        try:
            with contextlib.closing(open_source(self._asset.path, _LOOK_SECONDS)) as source:
                _properties(source)
                source.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def measure(self) -> None:
        try:
            with contextlib.closing(sqlite_inside.connect(str(self._copy))) as connection:
                measurement = _Measurement(self._clock, self._request, self._asset, connection)
                baseline = measurement.take()
        except sqlite3.Error as error:  # not even its list of tables can be read
            raise self._failure(error) from None
        self._baseline = replace(baseline, sha256=_sha256(self._copy))
        self._conditions = tuple(measurement.conditions)

    def finish(self) -> Captured:
        return Captured(
            kind=AssetKind.SQLITE,
            method=Method.COPY,
            scope="file",
            captured_at=self._instant,
            tools={"sqlite": sqlite3.sqlite_version},
            server=self._server,
            baseline=self._baseline,
            conditions=self._conditions,
        )

    def _require_database(self) -> None:
        path = self._asset.path
        try:
            size = path.stat().st_size if path.is_file() else None
        except OSError as error:
            raise CaptureFailed(
                f"the database {path} was not captured: {(error.strerror or '').lower()}"
            ) from None
        if size is None:
            raise CaptureFailed(
                f"the database {path} was not captured: there is no such file",
                hint="is the share mounted? SQLite would make a new, empty database there",
            )
        if size == 0:
            raise CaptureFailed(
                f"the database {path} was not captured: the file is empty, which no database is"
            )

    def _stay_in_time(self) -> Callable[[int, int, int], None]:
        deadline = self._clock.monotonic() + self._asset.timeout.total_seconds()

        def look_at_the_clock(_status: int, remaining: int, _pages: int) -> None:
            if remaining and self._clock.monotonic() > deadline:
                raise CaptureFailed(
                    f"the database {self._asset.path} was not captured: the program that uses it "
                    "kept it locked longer than the plan's timeout"
                )

        return look_at_the_clock

    def _failure(self, error: sqlite3.Error) -> CaptureFailed | SpaceExhausted:
        code = sqlite_inside.code(error)
        if code == "SQLITE_FULL":
            return SpaceExhausted(
                f"the disk of {self._request.staging} is too small for a copy of the database"
            )
        return refusal(self._asset.path, error)


def open_source(path: Path, busy_seconds: float = _BUSY_SECONDS) -> sqlite3.Connection:
    """Open a database that is in use, for reading only.

    Raises:
        sqlite3.Error: it is not there, or cannot be opened.
    """
    address = quote(os.fsencode(os.path.realpath(path)))
    return sqlite3.connect(
        f"file:{address}?mode=ro", uri=True, isolation_level=None, timeout=busy_seconds
    )


def refusal(path: Path, error: sqlite3.Error) -> CaptureFailed:
    """Return the error that says in our words what SQLite said."""
    code = sqlite_inside.code(error)
    cause = next((words for name, words in _CAUSES.items() if code.startswith(name)), code)
    hint = "in WAL mode SQLite must be able to write beside the database, to read it"
    return CaptureFailed(
        f"the database {path} was not captured: {cause}", hint=hint if "open" in cause else ""
    )


@dataclass
class _Measurement:
    """A baseline being taken of a copy, within the plan's budget."""

    clock: Clock
    request: CaptureRequest
    asset: SqliteAsset
    connection: sqlite3.Connection
    conditions: list[str] = field(default_factory=list)

    def take(self) -> DatabaseBaseline:
        begun = self.clock.monotonic()
        budget = self.asset.baseline.budget.total_seconds()
        objects = dict(self._try(partial(sqlite_inside.objects, self.connection)) or {})
        sequences = self._try(partial(sqlite_inside.sequences, self.connection)) or {}
        # The first half may not use up all: what is counted only, must still be counted.
        stop = self._stop_after(begun + budget)
        tables = self._count(stop)
        if self.asset.baseline.level in {Level.FULL, Level.SAMPLED}:
            self._add_checksums(tables, stop)
        self._look_for_damage(objects, stop)
        # Answers that checks wait for are not a matter of budget.
        self._stop_after(self.clock.monotonic() + self.asset.timeout.total_seconds())
        queries, newest = self._ask()
        return DatabaseBaseline(
            level=min((table.level for table in tables.values()), key=_depth, default=Level.FULL),
            algorithm=sqlite_inside.ALGORITHM,
            tables=tables,
            objects=objects,
            sequences=sequences,
            queries=queries,
            newest=newest,
            seconds=round(self.clock.monotonic() - begun, 3),
        )

    def _stop_after(self, deadline: float) -> Callable[[], bool]:
        def expired() -> bool:
            return self.clock.monotonic() > deadline

        sqlite_inside.stop_when(self.connection, expired)
        return expired

    def _count(self, expired: Callable[[], bool]) -> dict[str, TableBaseline]:
        tables = {}
        for name in sqlite_inside.tables(self.connection):
            rows = (
                None
                if expired()
                else self._try(partial(sqlite_inside.count, self.connection, name))
            )
            level = Level.NONE if rows is None else Level.COUNTS
            tables[name] = TableBaseline(rows=rows, level=level)
        return tables

    def _add_checksums(self, tables: dict[str, TableBaseline], expired: Callable[[], bool]) -> None:
        counted = [(table.rows, name) for name, table in tables.items() if table.rows is not None]
        for rows, name in sorted(counted):  # the small ones first: more tables fit into the budget
            sampled = (
                self.asset.baseline.level is Level.SAMPLED
                and rows > sqlite_inside.SAMPLED_FROM_ROWS
            )
            if expired():
                return
            checksum = self._try(
                partial(sqlite_inside.checksum, self.connection, name, sampled=sampled)
            )
            if checksum is not None:
                level = Level.SAMPLED if sampled else Level.FULL
                tables[name] = replace(tables[name], checksum=checksum, level=level)

    def _look_for_damage(self, objects: dict[str, int], expired: Callable[[], bool]) -> None:
        if expired():
            return
        violations = self._try(partial(sqlite_inside.foreign_key_violations, self.connection))
        if violations is not None:
            objects[sqlite_inside.FOREIGN_KEYS] = violations
        if self._try(partial(sqlite_inside.damages, self.connection, quick=True)):
            self._say_damaged()

    def _say_damaged(self) -> None:
        if ALREADY_DAMAGED not in self.conditions:
            self.conditions.append(ALREADY_DAMAGED)

    def _try(self, ask: Callable[[], _T]) -> _T | None:
        """Return the answer, or `None` where time ran out or the data cannot be read."""
        try:
            return ask()
        except sqlite3.Error as error:
            if sqlite_inside.code(error).startswith("SQLITE_CORRUPT"):
                self._say_damaged()
            return None

    def _ask(self) -> tuple[Mapping[str, Value], datetime | None]:
        queries: dict[str, Value] = {}
        failed = 0
        for sql in self.request.queries:
            try:
                queries[sql] = self._value(sql, UTC)
            except NoValue:
                failed += 1
        if failed:
            self.conditions.append(
                f"{count_words(failed, 'check')} expected to answer as at capture got no value"
            )
        newest = None
        if self.request.newest is not None:
            with contextlib.suppress(NoValue):
                found = self._value(self.request.newest, self.request.newest_zone or UTC)
                newest = found if isinstance(found, datetime) else None
            if newest is None:
                self.conditions.append("the query for the newest row answered no time at capture")
        return queries, newest

    def _value(self, sql: str, zone: tzinfo) -> Value:
        try:
            kind, value = sqlite_inside.one_value(self.connection, sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise NoValue("the query failed") from error
        return as_value(kind, value, zone)


def _depth(level: Level) -> int:
    return level.depth


def _properties(source: sqlite3.Connection) -> dict[str, str]:
    names = ("journal_mode", "encoding", "page_size", "user_version", "application_id")
    return {name: str(source.execute(f"PRAGMA {name}").fetchone()[0]) for name in names}


def _flush(path: Path) -> None:
    for each, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(each, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
