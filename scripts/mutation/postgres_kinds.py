"""Damage to a PostgreSQL database that lives: to its objects, and to files under its server."""

# ruff: noqa: S608 - SQL over our own data
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from scripts.mutation.rows import ROWS
from scripts.mutation.trial import Kind

if TYPE_CHECKING:
    from scripts.mutation.postgres_subject import PostgresCopy

_OBJECTS = "objects"
_DEFINITIONS = "definitions"
_PAGE = 8192

Damage = Callable[["PostgresCopy", Random], str]


@dataclass(frozen=True, kw_only=True)
class OnDisk(Kind["PostgresCopy"]):
    """Damage to files that the server has not read yet."""


def _run(*choices: str) -> Damage:
    """Return a damage that runs one of these, each one or more statements."""

    def damage(copy: PostgresCopy, random: Random) -> str:
        statement = random.choice(choices)
        copy.do(statement)
        return statement

    return damage


def _kind(title: str, damage: Damage, claimed_by: str = "", **more: Any) -> Kind[Any]:
    return Kind(title=title, damage=damage, claimed_by=claimed_by, few=True, **more)


def _behind(copy: PostgresCopy, random: Random) -> str:
    sequences = ("invoice", "patient_id_seq", "visit_id_seq")
    name = random.choice(sequences)
    back = random.randrange(1, 100)
    copy.ask(f"select setval('{name}', (select last_value - {back} from {name}))")
    return name


def _large_object(copy: PostgresCopy, random: Random) -> str:
    number = random.randrange(1, 4)
    copy.ask(f"select lo_put({number}, {random.randrange(3000)}, '\\x7a7a7a')")
    return str(number)


def _another_order(copy: PostgresCopy, random: Random) -> str:
    """Write every row anew, in another order: no practice would miss that."""
    table, key = random.choice((("visit", "note"), ("patient", "balance"), ("lab", "amount")))
    copy.do(
        f"create temp table kept as select * from {table}; delete from {table};"
        f"insert into {table} select * from kept order by {key}, id desc"
    )
    return table


def _file_of(copy: PostgresCopy, relation: str) -> Path:
    ((path,),) = copy.ask(f"select pg_relation_filepath('{relation}')")
    return copy.data / str(path)


def _flip_in_row(copy: PostgresCopy, random: Random) -> str:
    """Flip a bit in the text of a row, on its page."""
    path = _file_of(copy, "visit")
    content = bytearray(path.read_bytes())
    marks = [at for at in range(len(content)) if content.startswith(b"blood pressure", at)]
    at = random.choice(marks) + random.randrange(14)
    content[at] ^= 1 << random.randrange(7)
    path.write_bytes(content)
    return f"visit, byte {at}"


def _zero_page(copy: PostgresCopy, random: Random) -> str:
    relation = random.choice(("visit", "patient", "lab_2025", "document"))
    path = _file_of(copy, relation)
    content = bytearray(path.read_bytes())
    at = random.randrange(0, len(content), _PAGE)
    content[at : at + _PAGE] = bytes(_PAGE)
    path.write_bytes(content)
    return f"{relation}, page {at // _PAGE}"


def _cut_file(copy: PostgresCopy, random: Random) -> str:
    relation = random.choice(("visit", "patient", "lab_2025"))
    path = _file_of(copy, relation)
    pages = path.stat().st_size // _PAGE
    keep = random.randrange(pages)
    with path.open("r+b") as file:
        file.truncate(keep * _PAGE)
    return f"{relation}, {keep} of {pages} pages"


def _damage_index(copy: PostgresCopy, random: Random) -> str:
    """Make every entry of a page of an index lead elsewhere; no row is another."""
    relation = random.choice(("visit_patient", "patient_pkey", "document_pkey"))
    path = _file_of(copy, relation)
    content = bytearray(path.read_bytes())
    at = random.randrange(_PAGE, len(content), _PAGE)
    middle = at + _PAGE // 2
    content[middle : at + _PAGE - 64] = random.randbytes(at + _PAGE - 64 - middle)
    path.write_bytes(content)
    return f"{relation}, page {at // _PAGE}"


LIVING_KINDS: tuple[Kind[Any], ...] = (
    _kind("table missing", _run("drop table setting", "drop table document"), ROWS, quick=True),
    _kind("partition missing", _run("drop table lab_2025", "drop table lab_2026"), ROWS),
    _kind("partition detached", _run("alter table lab detach partition lab_2025"), _OBJECTS),
    _kind("table too many", _run("create table lab_old as select * from lab"), _OBJECTS),
    _kind("column missing", _run("alter table lab drop column unit"), ROWS),
    _kind("column too many", _run("alter table lab add column extra text"), ROWS),
    _kind(
        "column of a narrower type",
        _run(
            "alter table lab alter code type varchar(30)",
            "alter table visit alter minutes type smallint",
        ),
        _DEFINITIONS,
    ),
    _kind(
        "numbers became floating point",
        _run("alter table lab alter amount type real"),
        _DEFINITIONS,
    ),
    _kind(
        "collation of a column changed",
        _run('alter table visit alter note type text collate "C"'),
        _DEFINITIONS,
    ),
    _kind(
        "collation of the database changed",
        _run("update pg_database set datcollate = 'POSIX' where datname = current_database()"),
    ),
    _kind("default lost", _run("alter table patient alter balance drop default"), _DEFINITIONS),
    _kind("not null lost", _run("alter table lab alter code drop not null"), _DEFINITIONS),
    _kind("primary key lost", _run("alter table document drop constraint document_pkey"), _OBJECTS),
    _kind(
        "foreign key lost",
        _run(
            "alter table visit drop constraint visit_patient_id_fkey",
            "alter table lab drop constraint lab_visit_id_fkey",
        ),
        _OBJECTS,
    ),
    _kind("check lost", _run("alter table visit drop constraint visit_minutes_check"), _OBJECTS),
    _kind(
        "check of a domain lost", _run("alter domain hash drop constraint hash_check"), _DEFINITIONS
    ),
    _kind("unique lost", _run("alter table document drop constraint document_path_key"), _OBJECTS),
    _kind(
        "unique index became an ordinary one",
        _run("drop index patient_once; create index patient_once on patient (id, name)"),
        _DEFINITIONS,
    ),
    _kind(
        "index missing",
        _run("drop index visit_patient", "drop index patient_name"),
        _OBJECTS,
        quick=True,
    ),
    _kind(
        "index on another column",
        _run("drop index visit_patient; create index visit_patient on visit (room)"),
        _DEFINITIONS,
    ),
    _kind(
        "index not usable",
        _run("update pg_index set indisvalid = false where indexrelid = 'visit_patient'::regclass"),
        "indexes",
    ),
    OnDisk(title="index damaged", damage=_damage_index, few=True),
    _kind("view missing", _run("drop view visit_list", "drop view unpaid"), _OBJECTS),
    _kind(
        "view changed",
        _run("create or replace view unpaid as select name from patient"),
        _DEFINITIONS,
    ),
    _kind(
        "materialised view without its rows",
        _run("refresh materialized view visits_by_day with no data"),
        ROWS,
    ),
    _kind("routine missing", _run("drop function fee"), _OBJECTS),
    _kind(
        "routine changed",
        _run(
            "create or replace function fee(minutes integer) returns integer language sql as "
            "'select 3 * minutes'"
        ),
        _DEFINITIONS,
    ),
    _kind("trigger missing", _run("drop trigger stamp on visit"), _OBJECTS),
    _kind(
        "trigger changed",
        _run(
            "drop trigger stamp on visit; create trigger stamp after insert on visit "
            "for each row execute function stamp()"
        ),
        _DEFINITIONS,
    ),
    _kind("trigger switched off", _run("alter table visit disable trigger stamp"), _DEFINITIONS),
    _kind("event trigger missing", _run("drop event trigger watched"), _OBJECTS),
    _kind("rule missing", _run("drop rule no_delete on setting"), _OBJECTS),
    _kind("row security policy missing", _run("drop policy own on document"), _OBJECTS),
    _kind("type missing", _run("drop type payer"), _OBJECTS),
    _kind("extension missing", _run("drop extension pg_trgm cascade"), _OBJECTS),
    Kind(title="sequence behind", damage=_behind, claimed_by="sequences"),
    _kind("sequence lost", _run("drop sequence invoice"), "sequences"),
    _kind("sequence ahead", _run("select setval('invoice', 5000)"), harmless=True, quick=True),
    _kind("large object missing", _run("select lo_unlink(1)", "select lo_unlink(3)"), ROWS),
    Kind(title="content of a large object changed", damage=_large_object, claimed_by=ROWS),
    _kind(
        "owner changed",
        _run("alter table patient owner to current_user", "alter view unpaid owner to emr_owner"),
        _DEFINITIONS,
    ),
    _kind("rights lost", _run('revoke all on visit_list from "Dr. O\'Hara"')),
    _kind("table became unlogged", _run("alter table setting set unlogged"), _DEFINITIONS),
    OnDisk(title="one bit of a row flipped on its page", damage=_flip_in_row, claimed_by=ROWS),
    OnDisk(title="a page of a table lost", damage=_zero_page, claimed_by=ROWS),
    OnDisk(title="the file of a table cut short", damage=_cut_file, claimed_by=ROWS),
    Kind(title="rows in another order", damage=_another_order, harmless=True, few=True),
    _kind("tables rewritten", _run("vacuum full"), harmless=True),
    _kind("indexes made anew", _run("reindex table visit"), harmless=True),
    _kind("statistics gathered", _run("analyze"), harmless=True),
)
