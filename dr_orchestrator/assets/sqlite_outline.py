"""A SQLite database at a glance: its list of tables, no row of any."""

from __future__ import annotations

import contextlib
import re
import sqlite3

from dr_orchestrator.assets import sqlite_inside
from dr_orchestrator.assets.outline import DatabaseOutline, OutlinedTable, TimeColumn
from dr_orchestrator.assets.sqlite_capture import open_source, refusal
from dr_orchestrator.plan.model import SqliteAsset

_TIME = re.compile(r"datetime|timestamp", re.IGNORECASE)
_WAIT_SECONDS = 10.0
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def outline(asset: SqliteAsset) -> DatabaseOutline:
    """Return what the file tells of itself.

    Raises:
        CaptureFailed: it is not there, is no database, or stays locked.
    """
    try:
        with contextlib.closing(open_source(asset.path, _WAIT_SECONDS)) as connection:
            mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            names = sqlite_inside.tables(connection)
            tables = tuple(_table(connection, name) for name in names)
    except sqlite3.Error as error:
        raise refusal(asset.path, error) from None
    return DatabaseOutline(engine=f"SQLite, journal mode {mode}", bytes=pages * page, tables=tables)


def _table(connection: sqlite3.Connection, name: str) -> OutlinedTable:
    columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
    leading = connection.execute(
        "SELECT i.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE i.seqno = 0",
        (name,),
    )
    indexed = {str(row[0]) for row in leading}
    times = (
        TimeColumn(name=_quoted(column), has_zone=False, indexed=column in indexed)
        for column, kind in columns
        if _TIME.search(kind or "")
    )
    rows = 0
    with contextlib.suppress(sqlite3.OperationalError):  # a table may have no rowid
        newest = connection.execute(f"SELECT max(_rowid_) FROM {_quoted(name)}").fetchone()[0]  # noqa: S608
        rows = int(newest or 0)
    return OutlinedTable(name=name, label=_quoted(name), rows=rows, times=tuple(times))


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
