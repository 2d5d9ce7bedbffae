"""What a MariaDB or MySQL database is, in numbers: taken at capture, and again from what came back.

Both sides run exactly the same queries, in sessions whose settings are the same. A checksum is the
sum of 60 bits of the MD5 of each row's text, whatever the order of rows. Not `CHECKSUM TABLE`: it
takes FLOATs as they are stored, of which a dump carries six digits only (MariaDB 10.11: 16777218
comes back as 16777200), and so would raise a false alarm. Not a sum of CRC-32: that is linear, and
values swapped between two rows may leave it as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, tzinfo

import pymysql

from dr_orchestrator.assets.database_baseline import (
    SAMPLE_ROWS,
    Measured,
    PacedLooker,
    Questions,
    ask,
    less_closely,
)
from dr_orchestrator.assets.mariadb_catalog import Facts, Table, row_text
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
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

_LOCK_SECONDS = 20


def settle_session(connection: Connection) -> None:
    """Wait for another program's locks so long and no longer; all else is settled by connecting."""
    connection.execute(f"set session lock_wait_timeout = {_LOCK_SECONDS}")


def algorithm(connection: Connection) -> str:
    """Return how checksums are made, and what they depend on: equal within one series only."""
    version = connection.version
    return f"md5-sum/{version.vendor}-{version.series}"


class Looker(PacedLooker[Connection, Table, pymysql.MySQLError]):
    """Looks at table after table; what it raises is a `pymysql.MySQLError`."""

    errors = pymysql.MySQLError

    def _is_lost(self, error: pymysql.MySQLError) -> bool:
        return is_lost(error, self._connection)

    def _took_too_long(self, error: pymysql.MySQLError) -> bool:
        return took_too_long(error)

    def _why_not(self, error: pymysql.MySQLError) -> str:
        if is_locked(error):
            return "another program locks it"
        if is_gone(error):
            return "it was dropped or altered meanwhile"
        return f"reading it failed: {failure_words(error)}"

    def _look_at(self, table: Table, level: Level, limit: timedelta | None) -> TableBaseline:
        with limited(self._connection, limit), savepoint(self._connection):
            found = self._connection.rows(_look_query(table, level))
        rows, checksum = found[0]
        counted_only = level is Level.COUNTS
        return TableBaseline(
            rows=int(rows), checksum=None if counted_only else str(int(checksum)), level=level
        )


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
    looker = Looker(connection, clock, budget)

    def answered(query: str, zone: tzinfo) -> Value:
        with limited(connection, looker.time_left()), savepoint(connection):
            return answer(connection, query, zone)

    answers = ask(questions, answered)
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
    baseline = DatabaseBaseline(
        level=min(looked_at, key=lambda one: one.depth),
        algorithm=algorithm(connection),
        tables=tables,
        objects=facts.objects,
        sequences=facts.sequences,
        queries=answers.queries,
        newest=answers.newest,
        seconds=round(clock.monotonic() - begun, 3),
    )
    return Measured(baseline=baseline, conditions=(*answers.conditions, *less_closely(less)))


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
