"""What a PostgreSQL database is, in numbers: taken at capture, and again from what was restored.

Both sides run exactly the same queries, in sessions whose settings are made the same, so that equal
data gives equal checksums. A checksum is the sum of a hash of each row's text, whatever the order
of rows; columns are taken in the order of their names, since restoring an inherited table may
change their order. Hashes are promised equal within one major version only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import timedelta, tzinfo

import psycopg
from psycopg import sql

from dr_orchestrator.assets.database_baseline import (
    SAMPLE_ROWS,
    Measured,
    PacedLooker,
    Questions,
    ask,
    less_closely,
)
from dr_orchestrator.assets.postgres_catalog import LARGE_OBJECTS, Facts, Table
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.servers.postgres_connection import (
    Connection,
    answer,
    failure_words,
    limit_statements,
    savepoint,
    set_local,
)

_SAME_EVERYWHERE = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog",
}
"""All that changes how a value, or a definition, is written as text."""
_LOCK_SECONDS = 20


def settle_session(connection: Connection) -> None:
    """Make the session's settings the same as everywhere, for the rest of the transaction.

    With row security off the server refuses a query whose rows it would hide from us.
    """
    set_local(
        connection,
        {
            **_SAME_EVERYWHERE,
            "row_security": "off",
            "lock_timeout": f"{_LOCK_SECONDS}s",
            "statement_timeout": "0",
        },
    )
    # Since 14, on Linux: a query does not outlive us, not even when we are killed.
    with contextlib.suppress(psycopg.DataError), savepoint(connection, keep=True):
        connection.execute(
            """select set_config(name, '2s', true) from pg_settings
               where name = 'client_connection_check_interval'"""
        )


class Looker(PacedLooker[Connection, Table, psycopg.Error]):
    """Looks at table after table; what it raises is a `psycopg.Error`."""

    errors = psycopg.Error

    def _is_lost(self, error: psycopg.Error) -> bool:
        del error
        return bool(self._connection.closed)

    def _took_too_long(self, error: psycopg.Error) -> bool:
        return isinstance(error, psycopg.errors.QueryCanceled)

    def _why_not(self, error: psycopg.Error) -> str:
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return "another program locks it"
        if isinstance(error, psycopg.errors.UndefinedTable):
            return "it was dropped meanwhile"
        return f"reading it failed: {failure_words(error)}"

    def _look_at(self, table: Table, level: Level, limit: timedelta | None) -> TableBaseline:
        with savepoint(self._connection):
            if limit is not None:
                limit_statements(self._connection, limit)
            row = self._connection.execute(_look_query(table, level)).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always answers
        checksum = str(row[1]) if level is not Level.COUNTS else None
        return TableBaseline(rows=row[0], checksum=checksum, level=level)

    def large_objects(self, wanted: Level) -> TableBaseline:
        """Return what a look at all large objects finds; counted only, where they are too large.

        Raises:
            psycopg.Error: the connection is lost.
        """
        if wanted is Level.FULL:
            try:
                return self.large_objects_at(Level.FULL)
            except psycopg.Error:
                if self._connection.closed:
                    raise
        return self.large_objects_at(Level.COUNTS)

    def large_objects_at(self, level: Level) -> TableBaseline:
        """Return what a look at all large objects at exactly this level finds.

        Raises:
            psycopg.Error: the query fails, or takes too long.
        """
        limit = self._limit(level, 0)
        with savepoint(self._connection):
            if limit is not None and level is Level.FULL:
                limit_statements(self._connection, limit)
            row = self._connection.execute(_LARGE_OBJECTS_QUERIES[level]).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always answers
        checksum = str(row[1]) if level is Level.FULL else None
        return TableBaseline(rows=row[0], checksum=checksum, level=level)


def measure(
    connection: Connection,
    clock: Clock,
    facts: Facts,
    *,
    level: Level,
    budget: timedelta,
    questions: Questions,
    unlogged_too: bool,
) -> Measured:
    """Take the baseline in the transaction that is open; its settings must be settled already."""
    begun = clock.monotonic()
    looker = Looker(connection, clock, budget)

    def answered(query: str, zone: tzinfo) -> Value:
        """Ask as the application would: with the database's own settings."""
        with savepoint(connection):
            for name in _SAME_EVERYWHERE:
                connection.execute(sql.SQL("set local {} to default").format(_bare(name)))
            limit_statements(connection, looker.time_left())
            return answer(connection, query, zone)

    answers = ask(questions, answered)
    tables: dict[str, TableBaseline] = {}
    looked_at = [level]
    less: dict[str, list[str]] = {}
    for table in sorted(facts.tables, key=lambda table: table.size):
        if table.unlogged and not unlogged_too:
            tables[table.label] = TableBaseline(rows=None, level=Level.NONE)
            continue
        tables[table.label], why = looker.look(table, level)
        looked_at.append(tables[table.label].level)
        if why:
            less.setdefault(why, []).append(table.label)
    if facts.objects.get(LARGE_OBJECTS):
        tables[LARGE_OBJECTS] = looker.large_objects(level)
    baseline = DatabaseBaseline(
        level=min(looked_at, key=lambda one: one.depth),
        algorithm=f"hashtextextended/{connection.info.server_version // 10000}",
        tables=tables,
        objects=facts.objects,
        sequences=facts.sequences,
        queries=answers.queries,
        newest=answers.newest,
        seconds=round(clock.monotonic() - begun, 3),
    )
    conditions = (*facts.conditions, *answers.conditions, *less_closely(less))
    return Measured(baseline=baseline, conditions=conditions)


def _bare(name: str) -> sql.Identifier:
    return sql.Identifier(name.lower())


def _look_query(table: Table, level: Level) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier("t", column) for column in table.columns)
    parts = {
        "table": sql.Identifier(table.schema, table.name),
        "hash": sql.SQL(_HASH).format(row=columns),
        "key": sql.SQL(", ").join(_order(table, "asc")),
        "back": sql.SQL(", ").join(_order(table, "desc")),
        "sample": sql.Literal(SAMPLE_ROWS),
    }
    return sql.SQL(_LOOK_QUERIES[level]).format(**parts)


def _order(table: Table, direction: str) -> Iterable[sql.Composable]:
    """Yield what sorts by the primary key, in the same order whatever the locale."""
    for column, is_text in zip(table.key, table.text_key, strict=True):
        collation = sql.SQL(' collate "C" ' if is_text else " ")
        yield sql.Identifier("t", column) + collation + sql.SQL(direction)


_HASH = 'hashtextextended(row({row})::text collate "C", 0)'
_LOOK_QUERIES = {
    Level.FULL: "select count(*), coalesce(sum({hash}), 0) from only {table} as t",
    Level.SAMPLED: """
        select (select count(*) from only {table}),
               (select coalesce(sum(hash), 0) from (
                   (select {hash} as hash from only {table} as t order by {key} limit {sample})
                   union all
                   (select {hash} from only {table} as t order by {back} limit {sample})
               ) as ends)""",
    Level.COUNTS: "select count(*), null from only {table}",
}
_LARGE_OBJECTS_QUERIES = {
    Level.FULL: """
        select count(*),
               coalesce(sum(hashtextextended(
                   oid::text || ':' || encode(sha256(lo_get(oid)), 'hex') collate "C", 0)), 0)
        from pg_largeobject_metadata""",
    Level.COUNTS: "select count(*), null from pg_largeobject_metadata",
}
