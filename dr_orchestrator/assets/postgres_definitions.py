"""How a PostgreSQL database is defined, as one fingerprint for each kind of definition.

Counts do not show that a default, a unique index or the body of a trigger is another one; these do.
Only what loading a dump brings back unchanged goes into them: no order of columns (inheritance
changes it), no statistics, no tablespaces, no rights. The session's settings must be settled: with
a search path of `pg_catalog` alone the server writes every name that is not its own in full. Texts
are comparable within one major version only.
"""

# ruff: noqa: S608 - every part of the queries is ours
from __future__ import annotations

import psycopg
from psycopg import sql

from dr_orchestrator.assets.database_comparison import FINGERPRINT
from dr_orchestrator.servers.postgres_connection import Connection, savepoint

OWNERS = f"{FINGERPRINT}owners"
"""Apart from what they own: a lab server does not get production's roles."""


def read_definitions(connection: Connection) -> dict[str, int]:
    """Return the fingerprint of each kind of definition.

    Nothing at all where reading fails: the server writes definitions as they are now, which are not
    always those of our snapshot, and a view that is dropped in between must not keep the data from
    being captured.

    Raises:
        psycopg.Error: the connection is lost.
    """
    try:
        with savepoint(connection):
            return dict(connection.execute(_QUERY).fetchall())
    except psycopg.Error:
        if connection.closed:
            raise
        return {}


def _alike(text: str) -> str:
    """Return SQL for the text of an expression, without what loading a dump may change in it.

    That is where casts stand, since `status in ('a', 'b')` over varchar has them elsewhere
    afterwards, and brackets, of which `(a between 1 and 2) and b` has fewer (reproduced with 15).
    Literals and quoted names are kept as they are.
    """
    kept = r"""('(?:[^']|'')*'|"(?:[^"]|"")*")"""
    cast = r"""::[[:alnum:]_."$]+(?: varying| precision)?(?:\[\])*"""
    pattern = rf"{kept}|{cast}|[()\s]+".replace("'", "''")
    return rf"regexp_replace({text}, '{pattern}', '\1', 'g')"


def _no_extension_has(catalog: str, row: str, depends: str = "'e'") -> str:
    return f"""not exists (select from pg_depend d where d.classid = '{catalog}'::regclass
                           and d.objid = {row}.oid and d.deptype in ({depends}))"""


def _options(of: str) -> str:
    return f'array(select unnest({of}) collate "C" order by 1)'


def _collation(row: str, column: str) -> str:
    """Return SQL for a collation that is not its type's own."""
    return f"""(select m.nspname || '.' || l.collname from pg_collation l
                join pg_namespace m on m.oid = l.collnamespace join pg_type y on y.oid = {row}
                where l.oid = {column} and y.typcollation <> {column})"""


# A range type makes functions of its own, whose owner is whoever makes the type.
_OUR_ROUTINES = f"""pg_proc o join ours n on n.oid = o.pronamespace
        where {_no_extension_has("pg_proc", "o", "'e', 'i'")}"""
_OURS = f"""
    with ours as (
        select n.oid, n.nspname from pg_namespace n
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
          and n.nspname !~ '^pg_(toast_)?temp_'
    ), c as (
        select n.nspname, k.* from pg_class k join ours n on n.oid = k.relnamespace
        where k.relpersistence <> 't' and {_no_extension_has("pg_class", "k")}
    )"""
"""`c` is every relation that counts."""
_DEFINITIONS = {
    "tables": f"""
        select c.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity,
               c.relforcerowsecurity, {_alike("pg_get_partkeydef(c.oid)")},
               pg_get_expr(c.relpartbound, c.oid),
               array(select i.inhparent::regclass::text collate "C" from pg_inherits i
                     where i.inhrelid = c.oid order by 1)
        from c where c.relkind in ('r', 'p', 'f')""",
    # Once it was loaded a child's column is `not null` where its parent's is, and where it has no
    # default, but its parent's has one, it is `default null`.
    "columns": f"""
        select c.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
               {_collation("a.atttypid", "a.attcollation")},
               a.attnotnull or exists (
                   select from pg_inherits i join pg_attribute p on p.attrelid = i.inhparent
                   where i.inhrelid = c.oid and p.attname = a.attname and p.attnotnull),
               a.attidentity, a.attgenerated,
               nullif({_alike("pg_get_expr(e.adbin, e.adrelid)")}, 'NULL')
        from c join pg_attribute a on a.attrelid = c.oid
        left join pg_attrdef e on e.adrelid = c.oid and e.adnum = a.attnum
        where c.relkind in ('r', 'p', 'f', 'c') and a.attnum > 0 and not a.attisdropped""",
    # Of what is copied to each partition the original is taken, as where objects are counted.
    "constraints": f"""
        select c.nspname, c.relname, o.conname,
               case when o.contype in ('c', 'x') then {_alike("pg_get_constraintdef(o.oid)")}
                    else pg_get_constraintdef(o.oid) end
        from c join pg_constraint o on o.conrelid = c.oid
        where o.contype in ('c', 'f', 'p', 'u', 'x') and o.conparentid = 0""",
    "indexes": f"""
        select case when o.indexprs is null and o.indpred is null
                    then pg_get_indexdef(o.indexrelid)
                    else {_alike("pg_get_indexdef(o.indexrelid)")} end
        from c join pg_index o on o.indrelid = c.oid where o.indisvalid""",
    "views": f"""
        select c.nspname, c.relname, c.relkind, {_options("c.reloptions")},
               {_alike("pg_get_viewdef(c.oid)")}
        from c where c.relkind in ('v', 'm')""",
    # A body that is text comes back as it is; one that was parsed (BEGIN ATOMIC) has no text.
    "routines": f"""
        select o.oid::regprocedure::text, o.prokind, case
                   when o.prokind = 'a' then (
                       select row(pg_get_function_result(o.oid), g.aggkind, g.aggtransfn,
                                  g.aggfinalfn, g.agginitval, g.aggtranstype::regtype)::text
                       from pg_aggregate g where g.aggfnoid = o.oid)
                   when o.prosrc = '' then {_alike("pg_get_functiondef(o.oid)")}
                   else pg_get_functiondef(o.oid) end
        from {_OUR_ROUTINES}""",
    "triggers": f"""
        select {_alike("pg_get_triggerdef(o.oid)")}, o.tgenabled
        from c join pg_trigger o on o.tgrelid = c.oid
        where not o.tgisinternal and coalesce((to_jsonb(o) ->> 'tgparentid')::oid, 0) = 0""",
    "event triggers": f"""
        select o.evtname, o.evtevent, o.evtfoid::regproc::text, o.evtenabled, o.evttags
        from pg_event_trigger o where {_no_extension_has("pg_event_trigger", "o")}""",
    "rules": f"""
        select {_alike("pg_get_ruledef(o.oid)")}, o.ev_enabled
        from c join pg_rewrite o on o.ev_class = c.oid where o.rulename <> '_RETURN'""",
    "row security policies": f"""
        select c.nspname, c.relname, o.polname, o.polcmd, o.polpermissive,
               array(select case when r = 0 then '' else pg_get_userbyid(r) end collate "C"
                     from unnest(o.polroles) r order by 1),
               {_alike("pg_get_expr(o.polqual, o.polrelid)")},
               {_alike("pg_get_expr(o.polwithcheck, o.polrelid)")}
        from c join pg_policy o on o.polrelid = c.oid""",
    "sequences": """
        select c.nspname, c.relname, format_type(s.seqtypid, null), s.seqstart, s.seqincrement,
               s.seqmax, s.seqmin, s.seqcache, s.seqcycle
        from c join pg_sequence s on s.seqrelid = c.oid""",
    "types": f"""
        select n.nspname, o.typname, o.typtype, o.typnotnull, r.rngsubtype::regtype::text,
               case when o.typtype = 'd' then format_type(o.typbasetype, o.typtypmod) end,
               {_collation("o.typbasetype", "o.typcollation")},
               {_alike("pg_get_expr(o.typdefaultbin, 'pg_type'::regclass)")},
               array(select e.enumlabel::text from pg_enum e where e.enumtypid = o.oid
                     order by e.enumsortorder),
               array(select k.conname || ' ' || {_alike("pg_get_constraintdef(k.oid)")}
                     from pg_constraint k where k.contypid = o.oid and k.contype = 'c'
                     order by k.conname collate "C")
        from pg_type o join ours n on n.oid = o.typnamespace
        left join pg_range r on r.rngtypid = o.oid
        where o.typtype in ('d', 'e', 'r') and {_no_extension_has("pg_type", "o")}""",
    # Who owns `public` is the server's own choice, until PostgreSQL 14.
    "owners": f"""
        select c.relkind::text, c.nspname, c.relname, pg_get_userbyid(c.relowner)
        from c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select 'schema', n.nspname, '', pg_get_userbyid(o.nspowner)
        from pg_namespace o join ours n on n.oid = o.oid
        where n.nspname <> 'public' and {_no_extension_has("pg_namespace", "o")}
        union all
        select 'routine', n.nspname, o.oid::regprocedure::text, pg_get_userbyid(o.proowner)
        from {_OUR_ROUTINES}
        union all
        select 'type', n.nspname, o.typname, pg_get_userbyid(o.typowner)
        from pg_type o join ours n on n.oid = o.typnamespace
        where o.typtype in ('d', 'e', 'r') and {_no_extension_has("pg_type", "o")}""",
}
"""What a kind's definitions consist of. A kind of which that changes needs another name, or every
older recovery point would raise an alarm."""
KINDS = frozenset(FINGERPRINT + kind for kind in _DEFINITIONS)
"""What the fingerprints are called among the counts of objects."""


def _fingerprint(kind: str, query: str) -> str:
    """Return a query for 48 bits that change with any row of `query`, in whatever order."""
    return f"""
        select '{FINGERPRINT}{kind}', (coalesce(sum(
            hashtextextended(line::text collate "C", 0) & 281474976710655
        ), 0) % 281474976710656)::bigint from ({query}) line"""


_QUERY = sql.SQL(
    _OURS + " union all ".join(_fingerprint(kind, query) for kind, query in _DEFINITIONS.items())
)
