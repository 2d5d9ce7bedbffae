"""A MariaDB or MySQL database at a glance: a few queries on its catalog, no row of any table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pymysql

from dr_orchestrator.assets.mariadb_source import Source
from dr_orchestrator.assets.outline import DatabaseOutline, OutlinedTable, TimeColumn
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.servers.mariadb_connection import Connection, Row, identifier

_TABLES = """
    select table_name, coalesce(table_rows, 0), coalesce(data_length + index_length, 0), engine
    from information_schema.tables
    where table_schema = database() and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')
    order by table_name"""
_TIMES = """
    select c.table_name, c.column_name, c.data_type, (
        select count(*) from information_schema.statistics s
        where s.table_schema = c.table_schema and s.table_name = c.table_name
          and s.column_name = c.column_name and s.seq_in_index = 1)
    from information_schema.columns c
    where c.table_schema = database() and c.data_type in ('datetime', 'timestamp')
    order by c.table_name, c.ordinal_position"""
_OTHERS = """
    select schema_name from information_schema.schemata
    where schema_name not in ('information_schema', 'performance_schema', 'mysql', 'sys')
      and schema_name <> database()
    order by 1"""
_WITH_TRANSACTIONS = frozenset({"INNODB", "ROCKSDB", "TOKUDB", "SEQUENCE"})


def outline(source: Source) -> DatabaseOutline:
    """Return what the catalog tells.

    Raises:
        CaptureFailed: it cannot be reached, or refuses us.
    """
    try:
        with contextlib.closing(source.connect()) as connection:
            connection.execute("set session transaction read only")
            tables = connection.rows(_TABLES)
            columns = connection.rows(_TIMES)
            return DatabaseOutline(
                engine=f"{connection.version.vendor.product} {connection.version}",
                bytes=sum(int(size) for _, _, size, _ in tables),
                tables=tuple(_table(row, columns) for row in tables),
                remarks=tuple(_remarks(connection, tables)),
            )
    except pymysql.MySQLError as error:
        raise source.unreadable(error) from None


def _table(row: Row, columns: Sequence[Row]) -> OutlinedTable:
    name = str(row[0])
    times = (
        TimeColumn(
            name=identifier(str(column)),
            has_zone=str(kind).lower() == "timestamp",
            indexed=bool(indexed),
        )
        for table, column, kind, indexed in columns
        if table == row[0]
    )
    return OutlinedTable(
        name=name, label=identifier(name), rows=int(str(row[1])), times=tuple(times)
    )


def _remarks(connection: Connection, tables: Sequence[Row]) -> Iterator[str]:
    if _is_replica(connection):
        yield "a replica: its backups are as old as what it has replayed"
    locked = [str(name) for name, _, _, engine in tables if _is_locked(engine)]
    if locked:
        count = count_words(len(locked), "table")
        yield f"{count} without transactions, locked while dumped: {some_names(locked)}"
    others = [str(row[0]) for row in connection.rows(_OTHERS)]
    if others:
        count = count_words(len(others), "other database")
        yield f"{count} on this server, not in this plan: {some_names(others)}"


def _is_locked(engine: object) -> bool:
    return str(engine or "").upper() not in _WITH_TRANSACTIONS


def _is_replica(connection: Connection) -> bool:
    """Whether it says that it replays another server; who may not ask, takes it for none."""
    for asked in ("show replica status", "show slave status"):  # the new name, and the old
        with contextlib.suppress(pymysql.MySQLError):
            return bool(connection.rows(asked))
    return False
