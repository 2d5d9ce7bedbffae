"""A PostgreSQL database at a glance: a few queries on its catalogs, no row of any table."""

from __future__ import annotations

from typing import Any

import psycopg

from dr_orchestrator.assets.outline import DatabaseOutline, OutlinedTable, TimeColumn
from dr_orchestrator.assets.postgres_source import Source
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.servers.postgres_connection import failure_words, identifier

_DATABASE = """
    select pg_database_size(current_database()), pg_is_in_recovery(),
           array(select extname::text from pg_extension where extname <> 'plpgsql' order by 1),
           array(select datname::text from pg_database
                 where not datistemplate and datname not in (current_database(), 'postgres')
                 order by 1)"""
_TABLES = """
    select n.nspname, c.relname, c.relpersistence = 'u',
           (select sum(greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 0))::bigint
            from pg_class t
            where t.oid = c.oid or t.oid in (
                select relid from pg_partition_tree(c.oid) where isleaf and c.relkind = 'p')),
           coalesce((
               select jsonb_agg(jsonb_build_array(a.attname, a.atttypid = 'timestamptz'::regtype,
                                exists (select from pg_index i
                                        where i.indrelid = c.oid and i.indkey[0] = a.attnum))
                                order by a.attnum)
               from pg_attribute a
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)), '[]')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    order by 1, 2"""


def outline(source: Source) -> DatabaseOutline:
    """Return what the catalogs tell.

    Raises:
        CaptureFailed: it cannot be reached, or refuses us.
    """
    try:
        with source.connect() as connection:
            connection.execute("set default_transaction_read_only = on")
            found = connection.execute(_DATABASE).fetchone()
            rows = connection.execute(_TABLES).fetchall()
            version = connection.info.parameter_status("server_version") or ""
    except psycopg.Error as error:
        raise CaptureFailed(
            f"{source.asset.database} could not be read: {failure_words(error)}"
        ) from None
    assert found is not None  # noqa: S101 - functions always answer
    size, is_replica, extensions, others = found
    unlogged = [identifier(row[0], row[1]) for row in rows if row[2]]
    return DatabaseOutline(
        engine=f"PostgreSQL {version.split(' ')[0]}",
        bytes=int(size),
        tables=tuple(_table(*row) for row in rows),
        remarks=_remarks(is_replica=is_replica, unlogged=unlogged, used=extensions, others=others),
    )


def _table(schema: str, name: str, _unlogged: bool, rows: int, times: list[Any]) -> OutlinedTable:  # noqa: FBT001 - a row
    columns = (
        TimeColumn(name=identifier(column), has_zone=zoned, indexed=indexed)
        for column, zoned, indexed in times
    )
    label = identifier(schema, name)
    return OutlinedTable(name=name, label=label, rows=int(rows or 0), times=tuple(columns))


def _remarks(
    *, is_replica: bool, unlogged: list[str], used: list[str], others: list[str]
) -> tuple[str, ...]:
    remarks = []
    if is_replica:
        remarks.append(
            "a replica: what it replays may break off a long backup (max_standby_streaming_delay)"
        )
    if unlogged:
        remarks.append(f"unlogged, so empty after a crash: {some_names(unlogged)}")
    if used:
        remarks.append(f"extensions, which restore tests need here too: {', '.join(used)}")
    if others:
        count = count_words(len(others), "other database")
        remarks.append(f"{count} on this server, not in this plan: {some_names(others)}")
    return tuple(remarks)
