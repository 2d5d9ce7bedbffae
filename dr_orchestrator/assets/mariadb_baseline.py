"""What a MariaDB or MySQL database is, in numbers: taken at capture, and again from what came back.

Both sides run exactly the same queries, in sessions whose settings are the same. A checksum is the
sum of 60 bits of the MD5 of each row's text, whatever the order of rows. Not `CHECKSUM TABLE`: it
takes FLOATs as they are stored, of which a dump carries six digits only (MariaDB 10.11: 16777218
comes back as 16777200), and so would raise a false alarm. Not a sum of CRC-32: that is linear, and
values swapped between two rows may leave it as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pymysql

from dr_orchestrator.assets.mariadb_catalog import Facts, Table, row_text, some_names
from dr_orchestrator.assets.postgres_baseline import Measured, Questions
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.mariadb_connection import (
    Connection,
    answer,
    failure_words,
    identifier,
    is_gone,
    is_locked,
    is_lost,
    limited,
    savepoint,
    took_too_long,
)

SAMPLE_ROWS = 10_000
"""At the level `sampled`, so many rows from each end of the primary key are in the checksum."""

_LOCK_SECONDS = 20
_NO_BUDGET = timedelta(seconds=0.05)
_SHARE = 0.5
"""Of the time that is left, for one attempt at one table: the rest is for those after it."""
_TELLING_SIZE = 16 * 1024 * 1024
"""Bytes of a table whose reading says something about the speed: less is overhead."""
_LEVELS = (Level.FULL, Level.SAMPLED, Level.COUNTS)


def settle_session(connection: Connection) -> None:
    """Wait for another program's locks so long and no longer; all else is settled by connecting."""
    connection.execute(f"set session lock_wait_timeout = {_LOCK_SECONDS}")


def algorithm(connection: Connection) -> str:
    """Return how checksums are made, and what they depend on: equal within one series only."""
    version = connection.version
    return f"md5-sum/{version.vendor}-{version.series}"


class Looker:
    """Looks at table after table, as closely as the time allows."""

    def __init__(self, connection: Connection, clock: Clock, budget: timedelta | None) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = None if budget is None else clock.monotonic() + budget.total_seconds()
        self._seconds_per_byte: dict[Level, float] = {}

    def look(self, table: Table, wanted: Level) -> tuple[TableBaseline, str]:
        """Return what was found at the closest level that was possible, and why it is not closer.

        Raises:
            pymysql.MySQLError: the connection is lost.
        """
        reason = ""
        for level in _LEVELS[_LEVELS.index(wanted) :]:
            if level is Level.SAMPLED and not table.key:
                continue
            limit = self._limit(level, table.size)
            if limit is not None and limit < _NO_BUDGET:
                reason = "the time for the baseline was used up"
                continue
            try:
                return self.at(table, level, limit), reason
            except pymysql.MySQLError as error:
                if took_too_long(error):
                    reason = "the time for the baseline was used up"
                    continue
                if is_lost(error, self._connection):
                    raise
                return TableBaseline(rows=None, level=Level.NONE), _why(error)
        return TableBaseline(rows=None, level=Level.NONE), reason

    def at(self, table: Table, level: Level, limit: timedelta | None = None) -> TableBaseline:
        """Return what a look at exactly this level finds.

        Raises:
            pymysql.MySQLError: the query fails, or takes longer than `limit`.
        """
        begun = self._clock.monotonic()
        with limited(self._connection, limit), savepoint(self._connection):
            found = self._connection.rows(_look_query(table, level))
        if table.size >= _TELLING_SIZE:
            seconds = self._clock.monotonic() - begun
            self._seconds_per_byte[level] = seconds / table.size
        rows, checksum = found[0]
        counted_only = level is Level.COUNTS
        return TableBaseline(
            rows=int(rows), checksum=None if counted_only else str(int(checksum)), level=level
        )

    def time_left(self) -> timedelta:
        """Return the time for one attempt at something."""
        return self._limit(Level.COUNTS, 0) or timedelta()

    def _limit(self, level: Level, size: int) -> timedelta | None:
        """Return the time for one attempt; nothing, where the speed so far says it is futile."""
        if self._deadline is None:
            return None
        left = (self._deadline - self._clock.monotonic()) * _SHARE
        if self._seconds_per_byte.get(level, 0.0) * size > left:
            return timedelta()
        return timedelta(seconds=max(0.0, left))


def measure(
    connection: Connection,
    clock: Clock,
    facts: Facts,
    *,
    level: Level,
    budget: timedelta,
    questions: Questions,
    on_only_snapshots_left: Callable[[], None] = lambda: None,
) -> Measured:
    """Take the baseline in the transaction that is open; its settings must be settled already.

    `on_only_snapshots_left` is called once all else is read that no snapshot holds for.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    begun = clock.monotonic()
    conditions: list[str] = []
    looker = Looker(connection, clock, budget)
    asked, newest = _ask(connection, questions, looker, conditions)
    tables: dict[str, TableBaseline] = {}
    looked_at = [level]
    less: dict[str, list[str]] = {}
    pending = sorted(facts.tables, key=lambda table: (table.transactional, table.size))
    for table in pending:
        if table.transactional:
            on_only_snapshots_left()
        tables[table.label], why = looker.look(table, level)
        looked_at.append(tables[table.label].level)
        if why:
            less.setdefault(why, []).append(table.label)
    on_only_snapshots_left()
    for why, names in less.items():
        conditions.append(f"{some_names(names)}: looked at less closely, {why}")
    baseline = DatabaseBaseline(
        level=min(looked_at, key=lambda one: one.depth),
        algorithm=algorithm(connection),
        tables=tables,
        objects=facts.objects,
        sequences=facts.sequences,
        queries=asked,
        newest=newest,
        seconds=round(clock.monotonic() - begun, 3),
    )
    return Measured(baseline=baseline, conditions=tuple(conditions))


def _ask(
    connection: Connection, questions: Questions, looker: Looker, conditions: list[str]
) -> tuple[dict[str, Value], datetime | None]:
    """Ask the plan's own queries.

    A query that fails must not keep the data from being captured.
    """
    answers: dict[str, Value] = {}
    newest = None
    asked: list[tuple[str, tzinfo | None]] = [
        (query, None) for query in dict.fromkeys(questions.queries)
    ]
    if questions.newest:
        asked.append((questions.newest, questions.zone))
    for query, zone in asked:
        try:
            with limited(connection, looker.time_left()), savepoint(connection):
                value = answer(connection, query, zone or UTC)
        except CouldNotVerify as error:
            conditions.append(f"a query of the plan had no answer at capture: {error.message}")
            continue
        if zone is None:
            answers[query] = value
        elif isinstance(value, datetime):
            newest = value
    return answers, newest


def _why(error: Exception) -> str:
    if is_locked(error):
        return "another program locks it"
    if is_gone(error):
        return "it was dropped or altered meanwhile"
    return f"reading it failed: {failure_words(error)}"


def _look_query(table: Table, level: Level) -> str:
    parts = {
        "table": identifier(table.name),
        "hash": f"cast(conv(left(md5({row_text(table)}), 15), 16, 10) as unsigned)",
        "key": ", ".join(identifier(name) for name in table.key),
        "back": ", ".join(f"{identifier(name)} desc" for name in table.key),
        "sample": str(SAMPLE_ROWS),
    }
    return _LOOK_QUERIES[level].format(**parts)


_LOOK_QUERIES = {
    Level.FULL: "select count(*), coalesce(sum({hash}), 0) from {table}",
    Level.SAMPLED: """
        select (select count(*) from {table}),
               (select coalesce(sum(hash), 0) from (
                   (select {hash} as hash from {table} order by {key} limit {sample})
                   union all
                   (select {hash} from {table} order by {back} limit {sample})
               ) as ends)""",
    Level.COUNTS: "select count(*), null from {table}",
}
