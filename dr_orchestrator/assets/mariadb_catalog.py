"""What a MariaDB or MySQL catalog says of a database: tables, objects, and what is hidden from us.

Besides counts there is a fingerprint of every kind of definition, so that a lost index, another
collation or an emptied trigger is seen. Only what loading a dump brings back unchanged goes into
it: no statistics, no row formats, no dates of an event. Names are no patient data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pymysql

from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.servers.mariadb_connection import (
    Connection,
    Row,
    failure_code,
    failure_words,
    identifier,
)
from dr_orchestrator.servers.mariadb_programs import Vendor

FINGERPRINT = "fingerprint of "
"""How the kinds of `Facts.objects` begin that are no counts: equal, or something differs."""
DEFINERS = f"{FINGERPRINT}definers"
"""Apart from what they define: a lab server does not get production's accounts."""
_ROWS_ELSEWHERE = frozenset(
    {"BLACKHOLE", "CONNECT", "FEDERATED", "MRG_MYISAM", "OQGRAPH", "SPIDER", "VIRTUAL"}
)
"""Engines whose rows a dump leaves out (mariadb-dump's `--no-data-med`): they lie elsewhere."""
_NEEDED = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""Without one of these the catalog, and a dump with it, lacks objects without a word."""
_NO_EXECUTE = 1370
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<on>\*|`(?:[^`]|``)*`)\.\* TO ")
_OLD_FORMAT = re.compile(r" /\*.*?\*/")
"""`timestamp /* mariadb-5.3 */`: loading a dump makes it the new format."""
_LARGE = frozenset({"mediumtext", "longtext", "mediumblob", "longblob"})
_TEXT = frozenset({"text", "blob"})
_SHORT = frozenset(
    {"char", "varchar", "binary", "varbinary", "tinytext", "tinyblob", "enum", "set"}
)
_GEOMETRY = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"}
    | {"multipolygon", "geometrycollection", "geomcollection"}
)
_PLAIN = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"}
    | {"date", "datetime", "timestamp", "time", "year"}
)
_NOTHING = "''"
_TEXTS_WHOLE = 8
"""So many columns of 64 KiB fit into the smallest packet of any supported server's default."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column whose values a dump carries."""

    name: str
    type: str
    """`varchar`, `int` …"""
    nullable: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that holds rows of its own, as the catalog describes it."""

    name: str
    engine: str
    transactional: bool
    """Whether a snapshot holds for it."""
    versioned: bool
    """Whether it keeps its history (MariaDB's system versioning)."""
    size: int
    """Bytes of its rows, about."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """The primary key's columns, in its order."""
    changed: str = ""
    """When it was last written to, as far as the server knows; to the second."""
    defined: str = ""
    """When it was last made, altered or renamed, to the second: MariaDB calls it `create_time`."""

    @property
    def label(self) -> str:
        """What it is called in a baseline."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the catalog says: cheap, exact, but of no snapshot."""

    tables: tuple[Table, ...]
    objects: Mapping[str, int]
    sequences: Mapping[str, int]
    """Next number: of each sequence, and of each table with AUTO_INCREMENT."""
    definers: tuple[str, ...] = ()
    """`user@host` of whoever views, routines, triggers and events run as."""
    conditions: tuple[str, ...] = ()
    lost_in_a_dump: tuple[str, ...] = ()
    """What a dump does not carry, each a sentence."""
    views: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    """Of all tables, views and sequences."""

    @property
    def without_transactions(self) -> tuple[str, ...]:
        """The tables that no snapshot holds for."""
        return tuple(table.label for table in self.tables if not table.transactional)


def read_facts(connection: Connection) -> Facts:
    """Return what the catalog says of the session's database.

    Raises:
        pymysql.MySQLError: the connection is lost, or a right is missing.
    """
    tables = connection.rows(_TABLES)
    definitions = _definitions(connection)
    own = [row for row in tables if row[1] != "SEQUENCE" and not _rows_elsewhere(row)]
    sequences = [str(row[0]) for row in tables if row[1] == "SEQUENCE"]
    objects: dict[str, int] = {"tables": len(tables) - len(sequences), "sequences": len(sequences)}
    for kind, rows in definitions.items():
        if kind in _COUNTED:
            objects[kind] = len({row[: _COUNTED[kind]] for row in rows})
        objects[FINGERPRINT + kind] = _fingerprint(rows)
    foreign = len(tables) - len(sequences) - len(own)
    return Facts(
        tables=_read_tables(connection, own),
        objects=objects,
        sequences=_read_sequences(connection, sequences, own),
        definers=_read_definers(connection),
        conditions=_rows_missing(foreign),
        lost_in_a_dump=_lost_in_a_dump(connection, own),
        views=tuple(str(row[0]) for row in definitions["views"]),
        names=frozenset(str(row[0]) for row in definitions["tables"]),
    )


def read_names(connection: Connection) -> frozenset[str]:
    """Return the names of all tables, views and sequences: what there is, at little cost.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    return frozenset(str(row[0]) for row in connection.rows(_NAMES))


def require_readable(connection: Connection, database: str, user: str) -> None:
    """Make sure that nothing is hidden from us: a catalog leaves out what one may not see.

    Raises:
        CaptureFailed: a right is missing, or a view cannot be dumped.
        pymysql.MySQLError: the connection is lost.
    """
    rights = _rights(connection, database)
    missing = [right for right in _NEEDED if right not in rights and "ALL PRIVILEGES" not in rights]
    if missing:
        raise CaptureFailed(
            f"{user} lacks the right {', '.join(missing)} on {database}: the backup would be "
            "incomplete without a sign of it",
            hint=f"GRANT {', '.join(_NEEDED)} ON {identifier(database)}.* TO {user}",
        )
    _require_routines(connection, user, rights)
    for view in (str(row[0]) for row in connection.rows(_VIEW_NAMES)):
        try:
            connection.rows(f"show fields from {identifier(view)}")
        except pymysql.MySQLError as error:
            if failure_code(error) == _NO_EXECUTE:
                raise CaptureFailed(
                    f"{user} may not run a function that the view {view} uses, which keeps "
                    f"{database} from being dumped",
                    hint=f"GRANT EXECUTE ON {identifier(database)}.* TO {user}",
                ) from None
            raise CaptureFailed(
                f"the view {view} does not work in production, and keeps {database} from being "
                f"dumped: {failure_words(error)}",
                hint="repair or drop the view; a DEFINER that is gone can be made anew",
            ) from None


def row_text(table: Table) -> str:
    """Return SQL for the text of one row, the same wherever the row is equal.

    It is what a dump carries: a FLOAT with its six digits. Text is taken as the bytes it is stored
    as, and large values by their MD5, since a row longer than `max_allowed_packet` would be NULL.
    Lengths and NULLs stand at the end, so that no two different rows have the same text.
    """
    texts = sum(column.type in _TEXT for column in table.columns)
    parts: list[str] = []
    ends: list[str] = []
    for column in table.columns:
        name = identifier(column.name)
        if column.type in _SHORT or (column.type in _TEXT and texts <= _TEXTS_WHOLE):
            parts.append(f"cast({name} as binary)")
            ends.append(f"coalesce(length({name}), 'n')")
            continue
        parts.append(_one_value(column, name))
        if column.nullable:
            ends.append(f"isnull({name})")
    return f"concat_ws('#', {', '.join((_NOTHING, *parts, *ends))})"


def _one_value(column: Column, name: str) -> str:
    if column.type in _PLAIN:
        return name
    if column.type == "bit":
        return f"{name} + 0"
    if column.type in _LARGE or column.type in _TEXT:
        return f"md5({name})"
    if column.type in _GEOMETRY:
        return f"concat(st_srid({name}), md5(st_aswkb({name})))"
    if column.type == "vector":
        return f"md5(hex({name}))"
    return f"md5(cast({name} as char))"


def server_rights(connection: Connection) -> set[str]:
    """Return our rights on the whole server, in capitals.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    return _rights(connection, None)


def _rights(connection: Connection, database: str | None) -> set[str]:
    """Return our rights on the server, and on all of one database; by ourselves or by a role."""
    found: set[str] = set()
    for grant in _grants(connection):
        match = _GRANT.match(grant)
        of_database = database is not None and match and _names(match["on"], database)
        if match and (match["on"] == "*" or of_database):
            found |= {right.strip().upper() for right in match["rights"].split(",")}
    return found


def _grants(connection: Connection) -> list[str]:
    lines = [str(row[0]) for row in connection.rows("show grants")]
    if connection.version.vendor is Vendor.MARIADB:
        for whose in ("current_role", "public"):
            try:
                lines += [str(row[0]) for row in connection.rows(f"show grants for {whose}")]
            except pymysql.MySQLError:  # no role; PUBLIC is known since 10.11
                continue
    return lines


def _names(pattern: str, database: str) -> bool:
    """Whether a grant's pattern, `emr%` in backticks, is for this database."""
    text = pattern.strip("`").replace("``", "`")
    signs = {"%": ".*", "_": "."}
    regex = "".join(
        re.escape(part[1:]) if part.startswith("\\") else signs.get(part, re.escape(part))
        for part in re.findall(r"\\.|.", text, re.DOTALL)
    )
    return re.fullmatch(regex, database, re.IGNORECASE | re.DOTALL) is not None


def _require_routines(connection: Connection, user: str, rights: set[str]) -> None:
    """Make sure that we see every routine, and what is in it."""
    if rights & {"SHOW CREATE ROUTINE", "SHOW_ROUTINE", "ALL PRIVILEGES"}:
        return
    if connection.version.vendor is Vendor.MYSQL:  # a global SELECT shows them too
        return
    try:
        connection.rows("select 1 from mysql.proc limit 0")
    except pymysql.MySQLError as error:
        raise CaptureFailed(
            f"{user} may not read stored procedures and functions ({failure_words(error)}): the "
            "backup would be incomplete without a sign of it",
            hint=f"GRANT SELECT ON mysql.proc TO {user}",
        ) from None


def _read_tables(connection: Connection, rows: Iterable[Row]) -> tuple[Table, ...]:
    columns: dict[str, list[Column]] = {}
    for table, name, kind, nullable in connection.rows(_COLUMNS):
        column = Column(name=name, type=str(kind).lower(), nullable=nullable == "YES")
        columns.setdefault(table, []).append(column)
    keys: dict[str, list[str]] = {}
    for table, name in connection.rows(_KEYS):
        keys.setdefault(table, []).append(name)
    safe = {str(row[0]).upper() for row in connection.rows(_TRANSACTIONAL)}
    return tuple(
        Table(
            name=name,
            engine=str(engine),
            transactional=str(engine).upper() in safe,
            versioned=kind == "SYSTEM VERSIONED",
            size=int(size or 0),
            columns=tuple(columns.get(name, ())),
            key=tuple(keys.get(name, ())),
            changed=str(changed or ""),
            defined=str(defined or ""),
        )
        for name, kind, engine, size, _, changed, defined in rows
    )


def _rows_elsewhere(row: Row) -> bool:
    return str(row[2]).upper() in _ROWS_ELSEWHERE


def _read_sequences(
    connection: Connection, sequences: Iterable[str], tables: Iterable[Row]
) -> dict[str, int]:
    found = {}
    for name in sequences:
        query = f"select next_not_cached_value from {identifier(name)}"  # noqa: S608 - quoted
        found[name] = int(connection.one(query))
    return found | {str(row[0]): int(row[4]) for row in tables if row[4]}


def _read_definers(connection: Connection) -> tuple[str, ...]:
    return tuple(sorted(str(row[0]) for row in connection.rows(_DEFINERS)))


def _rows_missing(foreign: int) -> tuple[str, ...]:
    words = count_words(foreign, "table")
    return (f"the rows of {words} lie elsewhere and are not in the backup",) if foreign else ()


def _lost_in_a_dump(connection: Connection, tables: Iterable[Row]) -> tuple[str, ...]:
    lost: tuple[str, ...] = ()
    history = [str(row[0]) for row in tables if row[1] == "SYSTEM VERSIONED"]
    if history:
        lost += (f"earlier versions of rows are not in the backup: {some_names(history)}",)
    floats = int(connection.one(_FLOATS) or 0)
    if floats:
        words = count_words(floats, "column")
        lost += (f"{words} of type FLOAT: a dump keeps six digits of each value",)
    return lost


def _definitions(connection: Connection) -> dict[str, list[Row]]:
    """Return every definition, by kind, as it is after a dump was loaded as well."""
    database = str(connection.one("select database()"))
    found: dict[str, list[Row]] = {}
    for kind, query in _DEFINITIONS.items():
        if connection.version.vendor is Vendor.MYSQL:
            query = _MYSQL_DEFINITIONS.get(kind, query)  # noqa: PLW2901 - the vendor's own
        found[kind] = [
            tuple(_neutral(value, database) for value in row) for row in connection.rows(query)
        ]
    return found


def _neutral(value: object, database: str) -> object:
    """Return a value without the database's own name, which a restore may change."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return _OLD_FORMAT.sub("", value).replace(f"{identifier(database)}.", "")
    return value


def _fingerprint(rows: Iterable[Row]) -> int:
    """Return 48 bits that change with any definition, whatever the order they are listed in."""
    lines = sorted(repr(row) for row in rows)
    return int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest()[:6])


_TABLES = """
    select table_name, table_type, engine, data_length, auto_increment, update_time, create_time
    from information_schema.tables
    where table_schema = database() and table_type not in ('VIEW', 'SYSTEM VIEW')
      and coalesce(table_type, '') not like '%TEMPORARY%'
    order by table_name"""
_COLUMNS = """
    select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_schema = database()
      and not (coalesce(generation_expression, '') <> '' and extra like '%VIRTUAL%')
      and coalesce(generation_expression, '') not in ('ROW START', 'ROW END')
    order by table_name, ordinal_position"""
_KEYS = """
    select table_name, column_name from information_schema.statistics
    where table_schema = database() and index_name = 'PRIMARY'
    order by table_name, seq_in_index"""
_TRANSACTIONAL = "select engine from information_schema.engines where transactions = 'YES'"
_NAMES = "select table_name from information_schema.tables where table_schema = database()"
_VIEW_NAMES = "select table_name from information_schema.views where table_schema = database()"
_FLOATS = """
    select count(*) from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = database() and c.data_type = 'float' and t.table_type <> 'VIEW'"""
_DEFINERS = """
    select definer from information_schema.views where table_schema = database()
    union select definer from information_schema.routines where routine_schema = database()
    union select definer from information_schema.triggers where trigger_schema = database()
    union select definer from information_schema.events where event_schema = database()"""
_DEFINITIONS = {
    "tables": """
        select table_name, engine, table_collation, table_comment, table_type
        from information_schema.tables where table_schema = database()""",
    "columns": """
        select table_name, column_name, ordinal_position, column_default, is_nullable, column_type,
               collation_name, extra, generation_expression, column_comment
        from information_schema.columns where table_schema = database()""",
    "indexes": """
        select table_name, index_name, seq_in_index, column_name, non_unique, sub_part, index_type,
               collation
        from information_schema.statistics where table_schema = database()""",
    "foreign keys": """
        select k.table_name, k.constraint_name, k.ordinal_position, k.column_name,
               nullif(k.referenced_table_schema, database()), k.referenced_table_name,
               k.referenced_column_name, r.update_rule, r.delete_rule
        from information_schema.key_column_usage k
        join information_schema.referential_constraints r
          on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name
             and r.table_name = k.table_name
        where k.table_schema = database() and k.referenced_table_name is not null""",
    "check constraints": """
        select table_name, constraint_name, check_clause
        from information_schema.check_constraints where constraint_schema = database()""",
    "partitions": """
        select table_name, partition_name, subpartition_name, partition_method,
               partition_expression, partition_description
        from information_schema.partitions
        where table_schema = database() and partition_name is not null""",
    "views": """
        select table_name, security_type, check_option, is_updatable
        from information_schema.views where table_schema = database()""",
    "routines": """
        select routine_type, routine_name, dtd_identifier, routine_definition, sql_data_access,
               is_deterministic, security_type, sql_mode, routine_comment
        from information_schema.routines where routine_schema = database()""",
    "triggers": """
        select trigger_name, event_object_table, event_manipulation, action_timing, action_order,
               action_statement, sql_mode
        from information_schema.triggers where trigger_schema = database()""",
    "events": """
        select event_name, event_type, interval_value, interval_field, event_definition,
               on_completion, sql_mode
        from information_schema.events where event_schema = database()""",
    "definers": """
        select 'view', table_name, definer from information_schema.views
        where table_schema = database()
        union all select routine_type, routine_name, definer from information_schema.routines
        where routine_schema = database()
        union all select 'trigger', trigger_name, definer from information_schema.triggers
        where trigger_schema = database()
        union all select 'event', event_name, definer from information_schema.events
        where event_schema = database()""",
}
"""What a kind's definitions consist of; the first columns name the object."""
_MYSQL_DEFINITIONS = {
    "check constraints": """
        select t.table_name, c.constraint_name, c.check_clause
        from information_schema.check_constraints c
        join information_schema.table_constraints t
          on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name
        where c.constraint_schema = database()""",
}
_COUNTED = {
    "columns": 2,
    "indexes": 2,
    "foreign keys": 2,
    "check constraints": 2,
    "partitions": 3,
    "views": 1,
    "routines": 2,
    "triggers": 1,
    "events": 1,
}
"""Of how many columns the name of an object of a kind consists."""
