"""A SQLite database, damaged as a file before it is opened."""

# ruff: noqa: S608 - SQL over our own data
from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from dr_orchestrator.assets.base import Tree
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.process import SystemLauncher
from scripts.mutation import practice
from scripts.mutation.practice import CHECKS, COLUMNS, Row
from scripts.mutation.rows import row_kinds
from scripts.mutation.trial import Kind
from scripts.mutation.verdict import Living, System
from tests.support.assets import capture_request, restore_request, state_of
from tests.support.plain_place import plain_place

_FILE = "hash of the file"
_SCHEMA = """
create table patient (id integer primary key autoincrement, name text not null, born text,
    balance numeric not null default 0, phone text, active integer not null, photo blob);
create table visit (id integer primary key, patient_id integer not null references patient,
    seen_at text not null, minutes integer check (minutes > 0), room integer, note text);
create table lab (id integer primary key, visit_id integer not null references visit,
    taken text not null, code text not null, unit text, amount numeric);
create table document (id integer primary key, patient_id integer, path text not null unique,
    sha256 text not null);
create table setting (name text, content text);
create table pair (a integer, b text, primary key (a, b)) without rowid;
create index visit_patient on visit (patient_id);
create index lab_code on lab (code, taken);
create view visit_list as select p.name, v.seen_at from patient p join visit v
    on v.patient_id = p.id;
create view unpaid as select name from patient where balance < 0;
create trigger visit_note after insert on visit when new.note = ''
    begin update visit set note = 'none' where id = new.id; end;
create virtual table search using fts5(body);
insert into pair values (1, 'one'), (2, 'two');
insert into search values ('a letter'), ('another letter');
"""


def fill(path: Path, data: Mapping[str, Sequence[Row]]) -> None:
    """Make a database of a practice."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(_SCHEMA)
        for table, rows in data.items():
            marks = ", ".join("?" for _ in COLUMNS[table])
            database.executemany(f"insert into {table} values ({marks})", map(_stored, rows))
        database.commit()


def _stored(row: Row) -> Row:
    return tuple(_value(value) for value in row)


def _value(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return str(value)
    return value


class SqliteCopy:
    """A copy that came back, before it is opened. Fulfils `Rows`."""

    def __init__(self, path: Path, before: Mapping[str, Sequence[Row]], others: Path) -> None:
        self.path = path
        self.before = before
        self.others = others
        self._database = sqlite3.connect(path, isolation_level=None)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(query, _stored(values)).fetchall()

    def do(self, statement: str, *values: object) -> int:
        return self._database.execute(statement, _stored(values)).rowcount

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True)
class SqliteSubject:
    """A database in use, and one capture of it."""

    launcher: SystemLauncher
    folder: Path
    system: System
    driver: SqliteDriver
    state: AssetState
    kept: Path
    name: str = "SQLite"

    @property
    def kinds(self) -> Sequence[Kind[Any]]:
        return (*row_kinds(_FILE), *_OBJECT_KINDS, *_FILE_KINDS)

    @contextmanager
    def damaged(self, kind: Kind[Any], random: Random, where: list[str]) -> Iterator[Living]:
        with self._place() as (there, living):
            copy = SqliteCopy(there, practice.rows(months_ago=1), self.folder)
            try:
                where.append(kind.damage(copy, random))
            finally:
                copy.close()
            yield living()

    @contextmanager
    def clean(self, *, busy: bool) -> Iterator[Living]:
        with _written_to(self.folder / "emr.db") if busy else contextlib.nullcontext():
            state, kept = capture(self.system, self.driver, self.folder)
        with self._place(state, kept) as (_, living):
            yield living()

    @contextmanager
    def _place(
        self, state: AssetState | None = None, kept: Path | None = None
    ) -> Iterator[tuple[Path, Callable[[], Living]]]:
        """Put a copy into a new place; also return what brings it to life."""
        state, kept = state or self.state, kept or self.kept
        with plain_place(self.launcher) as place:
            there = place.root / "emr.db"
            shutil.copyfile(kept, there)
            with self.driver.restoration(restore_request(state, place)) as restoration:

                def living() -> Living:
                    place.adopt(there)
                    restoration.prepare()
                    restoration.load(there)
                    return Living(
                        system=self.system,
                        states={"database": state},
                        restorations={"database": restoration},
                    )

                yield there, living


def capture(system: System, driver: SqliteDriver, folder: Path) -> tuple[AssetState, Path]:
    """Capture the database; return its state, and the file as a repository gives it back."""
    staging, kept = folder / "staging", folder / "kept.db"
    staging.mkdir()
    asset = system.asset("database")
    request = capture_request(asset, staging=staging, queries=system.queries("database"))
    with driver.capture(request) as captured:
        assert isinstance(captured.content, Tree)
        shutil.copyfile(captured.content.path, kept)
        captured.measure()
        state = state_of(captured.finish(), kept)
    shutil.rmtree(staging)
    return state, kept


@contextmanager
def open_sqlite(launcher: SystemLauncher, folder: Path) -> Iterator[SqliteSubject]:
    """Make a database of a practice, and capture it."""
    fill(folder / "emr.db", practice.rows())
    fill(folder / "before.db", practice.rows(months_ago=1))
    fill(folder / "another.db", practice.rows(practice=1))
    asset = {"kind": "sqlite", "path": str(folder / "emr.db")}
    system = System({"database": asset}, CHECKS)
    driver = SqliteDriver(SystemClock())
    state, kept = capture(system, driver, folder)
    own = folder / "captured.db"
    kept.rename(own)
    yield SqliteSubject(launcher, folder, system, driver, state, own)


@contextmanager
def _written_to(path: Path) -> Iterator[None]:
    """Write to a database for the block, as the program that uses it does."""
    stop = threading.Event()

    def work() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
            while not stop.is_set():
                with database:
                    database.execute("update visit set minutes = minutes + 1 where id < 50")
                stop.wait(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


# --- damage that only SQLite can take ---------------------------------------------------------


def _run(*choices: str) -> Callable[[SqliteCopy, Random], str]:
    """Return a damage that runs one of these statements."""

    def damage(copy: SqliteCopy, random: Random) -> str:
        statement = random.choice(choices)
        for part in statement.split(";;"):
            copy.do(part)
        return statement

    return damage


def _edit_schema(before: str, after: str) -> Callable[[SqliteCopy, Random], str]:
    """Return a damage that rewrites a definition where SQLite keeps it."""

    def damage(copy: SqliteCopy, _: Random) -> str:
        copy.do("pragma writable_schema = on")
        changed = copy.do(
            "update sqlite_master set sql = replace(sql, ?, ?) where instr(sql, ?)",
            before,
            after,
            before,
        )
        assert changed == 1
        return before

    return damage


def _objects(title: str, damage: Callable[[SqliteCopy, Random], str]) -> Kind[SqliteCopy]:
    return Kind(title=title, damage=damage, claimed_by=_FILE, few=True)


_OBJECT_KINDS = (
    _objects("table missing", _run("drop table lab", "drop table pair", "drop table document")),
    _objects("table too many", _run("create table lab_old as select * from lab")),
    _objects("column missing", _run("alter table lab drop column unit")),
    _objects("column too many", _run("alter table lab add column extra text")),
    _objects("view missing", _run("drop view visit_list", "drop view unpaid")),
    _objects(
        "view changed", _run("drop view unpaid;;create view unpaid as select name from patient")
    ),
    _objects("trigger missing", _run("drop trigger visit_note")),
    _objects("trigger changed", _edit_schema("set note = 'none'", "set note = 'some'")),
    _objects("index missing", _run("drop index visit_patient", "drop index lab_code")),
    _objects(
        "index on another column",
        _run("drop index lab_code;;create index lab_code on lab (unit, taken)"),
    ),
    _objects("check lost", _edit_schema("check (minutes > 0)", "")),
    _objects("foreign key lost", _edit_schema("references visit", "")),
    _objects("default lost", _edit_schema("default 0", "")),
    _objects("not null lost", _edit_schema("code text not null", "code text")),
    _objects(
        "collation of a column changed",
        _edit_schema("code text not null", "code text collate nocase not null"),
    ),
    _objects("sequence behind", _run("update sqlite_sequence set seq = seq - 1")),
    _objects("sequence lost", _run("delete from sqlite_sequence")),
)


def _older_database(copy: SqliteCopy, _: Random) -> str:
    shutil.copyfile(copy.others / "before.db", copy.path)
    return "the whole file"


def _another_practice(copy: SqliteCopy, _: Random) -> str:
    shutil.copyfile(copy.others / "another.db", copy.path)
    return "the whole file"


def _truncated(copy: SqliteCopy, random: Random) -> str:
    size = copy.path.stat().st_size
    at = random.randrange(1, size)
    if random.random() < 0.5:  # noqa: PLR2004
        at -= at % 4096
    with copy.path.open("r+b") as file:
        file.truncate(at)
    return f"at {at} of {size}"


def _emptied(copy: SqliteCopy, _: Random) -> str:
    copy.path.write_bytes(b"")
    return "the whole file"


def _flipped(copy: SqliteCopy, random: Random) -> str:
    at = random.randrange(copy.path.stat().st_size)
    content = bytearray(copy.path.read_bytes())
    content[at] ^= 1 << random.randrange(8)
    copy.path.write_bytes(content)
    return f"byte {at}"


def _zeroed(copy: SqliteCopy, random: Random) -> str:
    """Leave a hole, as restic does where a pack cannot be read."""
    content = bytearray(copy.path.read_bytes())
    pages = [at for at in range(0, len(content), 4096) if any(content[at : at + 4096])]
    at = random.choice(pages)
    content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    copy.path.write_bytes(content)
    return f"page at {at}"


def _index_page(copy: SqliteCopy, random: Random) -> str:
    """Damage entries of an index only: no table's row is another."""
    copy.do("pragma writable_schema = on")
    pages = dict(copy.ask("select name, rootpage from sqlite_master"))
    changed = copy.do(
        "update sqlite_master set rootpage = ? where name = ?", pages["visit_patient"], "lab_code"
    )
    assert changed == 1
    del random
    return "lab_code"


_FILE_KINDS = (
    _objects("index damaged", _index_page),
    _objects("an older state of the whole database", _older_database),
    _objects("the database of another practice", _another_practice),
    Kind(title="file cut short", damage=_truncated, claimed_by=_FILE),
    _objects("file emptied", _emptied),
    Kind(title="one bit of the file flipped", damage=_flipped, claimed_by=_FILE, quick=True),
    Kind(title="a block of zeros in the file", damage=_zeroed, claimed_by=_FILE),
)
