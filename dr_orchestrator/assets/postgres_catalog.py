"""What PostgreSQL's catalogs say of a database: tables, objects, and what is hidden from us.

What belongs to the system or to an extension is left out: a dump does not hold it either. Names in
catalogs are no patient data, so they may appear in errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from dr_orchestrator.assets.postgres_definitions import read_definitions
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.servers.postgres_connection import Connection, identifier

LARGE_OBJECTS = "large objects"
"""Their name among the tables; no table's name has a space without quotes."""
_NOT_DEFINED = "how columns, views, routines and the like are defined could not be read"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, or a populated materialised view, as the catalogs describe it."""

    schema: str
    name: str
    kind: str
    """`r` table, `m` materialised view."""
    unlogged: bool
    size: int
    """Bytes on disk."""
    columns: tuple[str, ...]
    """In the order of their names."""
    key: tuple[str, ...]
    """The primary key's columns, in its order."""
    text_key: tuple[bool, ...]
    """Which of those sort by a collation."""

    @property
    def label(self) -> str:
        """Its qualified name."""
        return identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the catalogs say: cheap, exact, and taken before the data is."""

    tables: tuple[Table, ...]
    objects: Mapping[str, int]
    sequences: Mapping[str, int]
    conditions: tuple[str, ...] = ()


def read_facts(connection: Connection) -> Facts:
    """Return what the catalogs say of the database."""
    objects: dict[str, int] = dict(connection.execute(_OBJECTS).fetchall())
    definitions = read_definitions(connection)
    return Facts(
        tables=read_tables(connection),
        objects=objects | definitions,
        sequences=_read_sequences(connection),
        conditions=_foreign_conditions(objects) + (() if definitions else (_NOT_DEFINED,)),
    )


def require_readable(connection: Connection, user: str) -> None:
    """Make sure that nothing is hidden from us.

    Raises:
        CaptureFailed: row security hides rows of a table, or the right to read one is missing.
    """
    hidden, closed = _read_hidden(connection)
    if hidden:
        raise CaptureFailed(
            f"row-level security hides rows of {some_names(hidden)} from {user}: the backup would "
            "be incomplete without a sign of it",
            hint=f"as a superuser of the server: ALTER ROLE {identifier(user)} BYPASSRLS",
        )
    if closed:
        raise CaptureFailed(
            f"{user} may not read {some_names(closed)}",
            hint="as a superuser of the server: GRANT pg_read_all_data TO "
            f"{identifier(user)} (before PostgreSQL 14: GRANT USAGE ON SCHEMA, and SELECT on its "
            "tables and sequences)",
        )
    if objects := _count_closed_objects(connection):
        raise CaptureFailed(
            f"{user} may not read {count_words(objects, 'large object')}",
            hint=f"as a superuser of the server: ALTER ROLE {identifier(user)} SET "
            "lo_compat_privileges = on",
        )


def read_tables(connection: Connection) -> tuple[Table, ...]:
    """Return the tables that hold rows: ordinary ones, partitions, populated materialised views."""
    return tuple(
        Table(
            schema=schema,
            name=name,
            kind=kind,
            unlogged=unlogged,
            size=size or 0,
            columns=tuple(columns),
            key=tuple(key),
            text_key=tuple(text_key),
        )
        for schema, name, kind, unlogged, size, columns, key, text_key in connection.execute(
            _TABLES
        )
    )


def read_views(connection: Connection) -> Mapping[str, bool]:
    """Return materialised view -> whether it is populated."""
    rows = connection.execute(_VIEWS)
    return {identifier(schema, name): populated for schema, name, populated in rows}


def _read_sequences(connection: Connection) -> dict[str, int]:
    """Return the last value of each sequence that counts upwards and never starts over."""
    rows = connection.execute(_SEQUENCES)
    return {identifier(schema, name): value for schema, name, value in rows}


def _foreign_conditions(objects: Mapping[str, int]) -> tuple[str, ...]:
    count = objects["foreign tables"]
    if not count:
        return ()
    words = count_words(count, "foreign table")
    return (f"the rows of {words} lie on another server and are not in the backup",)


def _read_hidden(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the tables with rows hidden from us, and those (and sequences) we may not read."""
    rows = connection.execute(_HIDDEN).fetchall()
    hidden = [identifier(schema, name) for schema, name, active, _ in rows if active]
    closed = [identifier(schema, name) for schema, name, _, shut in rows if shut]
    return hidden, closed


def _count_closed_objects(connection: Connection) -> int:
    """Return how many large objects we may not read; no role reads them all by right."""
    newer = connection.info.server_version >= _ASKS_OF_OBJECTS
    row = connection.execute(_CLOSED_OBJECTS if newer else _CLOSED_OBJECTS_BEFORE_18).fetchone()
    return int(row[0]) if row else 0


def _query(template: str, **parts: str | sql.Composable) -> sql.Composed:
    """Return a query with our own conditions in it."""
    text = {name: sql.SQL(part) if isinstance(part, str) else part for name, part in parts.items()}
    return sql.SQL(template).format(**text)


def _not_of_an_extension(catalog: str, alias: str) -> sql.Composed:
    return _query(
        """not exists (select from pg_depend d where d.classid = {catalog}::regclass
                       and d.objid = {alias}.oid and d.deptype = 'e')""",
        catalog=sql.Literal(catalog),
        alias=alias,
    )


_OURS = r"""
    n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and n.nspname !~ '^pg_(toast_)?temp_'"""
_OUR_TABLES = _query(
    "{ours} and {free} and c.relpersistence <> 't'",
    ours=_OURS,
    free=_not_of_an_extension("pg_class", "c"),
)
_PRIMARY_KEY = """
    array(select {what} from pg_index i,
                 unnest(i.indkey) with ordinality k(num, at) join pg_attribute a on a.attnum = k.num
          where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid
            and k.at <= i.indnkeyatts
          order by k.at)"""
_TABLES = _query(
    """
    select n.nspname, c.relname, c.relkind::text, c.relpersistence = 'u', pg_table_size(c.oid),
           array(select a.attname::text from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 order by a.attname collate "C"),
           {key}, {text_key}
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (c.relkind = 'r' or (c.relkind = 'm' and c.relispopulated)) and {ours}
    order by 1, 2""",
    key=_query(_PRIMARY_KEY, what="a.attname::text"),
    text_key=_query(_PRIMARY_KEY, what="a.attcollation <> 0"),
    ours=_OUR_TABLES,
)
_VIEWS = _query(
    """
    select n.nspname, c.relname, c.relispopulated
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'm' and {ours}""",
    ours=_OUR_TABLES,
)
_SEQUENCES = _query(
    """
    select n.nspname, c.relname, s.last_value
    from pg_sequences s
    join pg_namespace n on n.nspname = s.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = s.sequencename
    where s.last_value is not null and s.increment_by > 0 and not s.cycle and {ours}
    order by 1, 2""",
    ours=_OUR_TABLES,
)
_HIDDEN = _query(
    """
    select n.nspname, c.relname, row_security_active(c.oid),
           not has_schema_privilege(n.oid, 'usage') or not case
               when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select')
               else has_table_privilege(c.oid, 'select') end
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'S', 'm') and {ours}
    order by 1, 2""",
    ours=_OUR_TABLES,
)


_ASKS_OF_OBJECTS = 18_00_00
_CLOSED_OBJECTS = sql.SQL(
    """select count(*) from pg_largeobject_metadata o
       where not current_setting('lo_compat_privileges')::boolean
         and not has_largeobject_privilege(o.oid, 'select')"""
)
_CLOSED_OBJECTS_BEFORE_18 = sql.SQL(
    """select count(*) from pg_largeobject_metadata o
       where not current_setting('lo_compat_privileges')::boolean
         and not pg_has_role(o.lomowner, 'usage')
         and not exists (select from aclexplode(o.lomacl) a
                         where a.privilege_type = 'SELECT'
                           and (a.grantee = 0 or pg_has_role(a.grantee, 'usage')))"""
)


def _in_schemas(what: str, catalog: str, schema: str, condition: str) -> sql.Composed:
    return _query(
        """select {what}, count(*) from {catalog} o join pg_namespace n on n.oid = o.{schema}
           where {ours} and {free} and {condition}""",
        what=sql.Literal(what),
        catalog=catalog,
        schema=schema,
        ours=_OURS,
        free=_not_of_an_extension(catalog, "o"),
        condition=condition,
    )


def _on_tables(what: str, catalog: str, table: str, condition: str) -> sql.Composed:
    return _query(
        """select {what}, count(*) from {catalog} o join pg_class c on c.oid = o.{table}
                  join pg_namespace n on n.oid = c.relnamespace
           where {ours} and {condition}""",
        what=sql.Literal(what),
        catalog=catalog,
        table=table,
        ours=_OUR_TABLES,
        condition=condition,
    )


# Of what is copied to each partition the original is counted: how copies are marked has changed
# between versions.
_OBJECTS = sql.SQL(" union all ").join(
    (
        *(
            _in_schemas(
                what,
                "pg_class",
                "relnamespace",
                f"o.relkind in ({kinds}) and o.relpersistence <> 't'",
            )
            for what, kinds in (
                ("tables", "'r', 'p'"),
                ("views", "'v'"),
                ("materialised views", "'m'"),
                ("foreign tables", "'f'"),
                ("sequences", "'S'"),
            )
        ),
        _in_schemas("routines", "pg_proc", "pronamespace", "true"),
        _in_schemas(
            "types",
            "pg_type",
            "typnamespace",
            """(o.typtype in ('d', 'e', 'r') or (o.typtype = 'c' and exists (
                   select from pg_class k where k.oid = o.typrelid and k.relkind = 'c')))""",
        ),
        _on_tables("indexes", "pg_index", "indrelid", "o.indisvalid"),
        _on_tables(
            "invalid indexes", "pg_index", "indrelid", "not o.indisvalid and c.relkind <> 'p'"
        ),
        _on_tables(
            "constraints",
            "pg_constraint",
            "conrelid",
            "o.contype in ('c', 'f', 'p', 'u', 'x') and o.conparentid = 0",
        ),
        _on_tables(
            "triggers",
            "pg_trigger",
            "tgrelid",
            "not o.tgisinternal and coalesce((to_jsonb(o) ->> 'tgparentid')::oid, 0) = 0",
        ),
        _on_tables("row security policies", "pg_policy", "polrelid", "true"),
        _on_tables("rules", "pg_rewrite", "ev_class", "o.rulename <> '_RETURN'"),
        _query(
            "select 'event triggers', count(*) from pg_event_trigger o where {free}",
            free=_not_of_an_extension("pg_event_trigger", "o"),
        ),
        _query(
            "select 'schemas', count(*) from pg_namespace n where {ours} and {free}",
            ours=_OURS,
            free=_not_of_an_extension("pg_namespace", "n"),
        ),
        sql.SQL("select 'extensions', count(*) from pg_extension"),
        _query(
            "select {what}, count(*) from pg_largeobject_metadata", what=sql.Literal(LARGE_OBJECTS)
        ),
    )
)
