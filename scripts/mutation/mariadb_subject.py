"""A MariaDB database, by both methods: damaged before it is loaded, and while it lives."""

# ruff: noqa: S608 - SQL over our own data
from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pymysql

from dr_orchestrator.assets import mariadb_physical_restoration
from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.assets.mariadb_restoration import short_name
from dr_orchestrator.process import SystemLauncher
from scripts.mutation import kept as keeping
from scripts.mutation import practice
from scripts.mutation.kept import (
    ASSET,
    BeforeLoad,
    Kept,
    Sidecars,
    brought_back,
    capture,
    damaged_copy,
    living,
    put,
    request,
)
from scripts.mutation.mariadb_kinds import ACCOUNT_KINDS, LIVING_KINDS, dump_kinds, stream_kinds
from scripts.mutation.practice import CHECKS, COLUMNS, Row
from scripts.mutation.rows import row_kinds
from scripts.mutation.trial import Kind
from scripts.mutation.verdict import Living, System
from tests.support.mariadb import BACKUP_USER, Bench, Production, production
from tests.support.mariadb import busy as written_to
from tests.support.plain_place import PlainPlace, plain_place

_SUPERUSER = "dro_sandbox"
"""The account that a private server lets in (servers/mariadb_server.py)."""
_GIVE_UP = timedelta(seconds=20)
_PATIENCE = 300
_NEXT_TO_NOTHING = 500
"""Bytes of the log that are not in the tables yet: an empty transaction has some."""
_SCHEMA = r"""
create table patient (
    id int unsigned not null auto_increment primary key, name varchar(200) not null, born date,
    balance decimal(12, 3) not null default 0, phone text, active bool not null, photo blob,
    unique key patient_once (id, name)
) engine=InnoDB character set utf8mb4 collate utf8mb4_unicode_ci;
create table visit (
    id int unsigned not null auto_increment primary key, patient_id int unsigned not null,
    seen_at datetime not null, minutes int, room int, note text, key visit_patient (patient_id),
    constraint visit_of foreign key (patient_id) references patient (id),
    constraint visit_lasts check (minutes > 0)
) engine=InnoDB;
create table lab (
    id int not null, visit_id int unsigned not null, taken date not null,
    code varchar(60) not null, unit text, amount decimal(20, 6), primary key (id, taken),
    key lab_code (code)
) engine=InnoDB partition by range (year(taken)) (
    partition p2025 values less than (2026), partition p2026 values less than (2027));
create table document (
    id int not null primary key, patient_id int, path varchar(190) not null unique,
    sha256 char(64) not null
) engine=InnoDB;
create table setting (name text, content text) engine=InnoDB;
create table appointment (
    id int not null auto_increment primary key, at datetime, key appointment_at (at)
) engine=MyISAM;
create sequence invoice start with 4711;
create definer=emr_owner@localhost view visit_list as
    select p.name, v.seen_at from patient p join visit v on v.patient_id = p.id;
create view unpaid as select name from patient where balance < 0;
create definer=emr_owner@localhost function fee(minutes int) returns int deterministic
    return 2 * minutes;
create event nightly on schedule every 1 day starts '2026-01-01 02:00:00' do
    delete from setting where name = 'stale';
grant select on emr.visit_list to 'Dr. O''Hara'@'localhost';
"""
_AFTERWARDS = """
create definer=emr_owner@localhost trigger stamp before insert on visit for each row
    set new.note = coalesce(new.note, 'none');
alter table patient auto_increment = 5000;
insert into appointment (at)
    select timestamp '2026-01-05 08:00:00' + interval seq hour from seq_1_to_900;
select nextval(invoice);
"""


def _fill(server: Production, name: str, data: Mapping[str, Sequence[Row]]) -> None:
    server.run(f"create database {name} character set utf8mb4 collate utf8mb4_general_ci")
    server.run(_SCHEMA.replace("emr.", f"{name}."), name)
    with contextlib.closing(_connect(Path(server.host), "root", name)) as connection:
        for table, rows in data.items():
            marks = ", ".join("%s" for _ in COLUMNS[table])
            connection.cursor().executemany(f"insert into {table} values ({marks})", rows)
    server.run(_AFTERWARDS, name)


def _write_out(server: Production) -> None:
    """Have the server write everything to its tables: what its log has besides is there twice."""
    server.run("set global innodb_max_dirty_pages_pct_lwm = 0")
    server.run("set global innodb_max_dirty_pages_pct = 0")
    query = "show global status like 'Innodb_checkpoint_age'"
    with contextlib.closing(server.connect()) as connection:
        for _ in range(_PATIENCE):
            ((_, age),) = connection.rows(query)
            if int(age) < _NEXT_TO_NOTHING:
                return
            time.sleep(0.1)
    raise AssertionError("the server does not write its tables")


class MariadbCopy:
    """A restored database that lives. Fulfils `Rows`."""

    def __init__(self, place: PlainPlace, database: str, before: Mapping[str, Any]) -> None:
        folder = place.root / short_name(ASSET)
        self.data = Path(f"{folder}-data") / database
        """Of the database."""
        self.before = before
        self._connection = _connect(Path(f"{folder}-run") / "s", _SUPERUSER, database)
        # Foreign keys and checks may not keep damage away.
        self.do("set foreign_key_checks = 0")
        self.do("set check_constraint_checks = 0")

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.execute(query.replace("?", "%s"), values or None)
        return list(cursor.fetchall())

    def do(self, statement: str, *values: object) -> int:
        changed: int = self._connection.cursor().execute(
            statement.replace("?", "%s"), values or None
        )
        return changed

    def close(self) -> None:
        self._connection.close()


def _connect(socket: Path, user: str, database: str) -> pymysql.Connection[Any]:
    return pymysql.connect(
        unix_socket=str(socket), user=user, database=database, charset="utf8mb4", autocommit=True
    )


@dataclass(frozen=True)
class MariadbSubject:
    """A server in use, and one capture of it."""

    name: str
    kinds: Sequence[Kind[Any]]
    server: Production
    bench: Bench
    system: System
    kept: Kept
    place: PlainPlace
    restoration: Restoration | None
    """The server into which a dump is loaded again and again; none for the physical method."""

    @contextmanager
    def damaged(self, kind: Kind[Any], random: Random, where: list[str]) -> Iterator[Living]:
        if isinstance(kind, BeforeLoad):
            with self._reloaded(kind, random, where) as alive:
                yield alive
        elif isinstance(kind, Sidecars):
            sidecars = dict(self.kept.captured.sidecars)
            where.append(kind.damage(sidecars, random))
            with brought_back(self.bench, self.system, self.kept, sidecars) as alive:
                yield alive
        else:
            with self._changed(kind, random, where) as alive:
                yield alive

    @contextmanager
    def clean(self, *, busy: bool) -> Iterator[Living]:
        write = "update visit set minutes = minutes % 60 + 1 where id % 50 = 7"
        with written_to(self.server, "emr", write) if busy else contextlib.nullcontext():
            kept = capture(self.bench, self.system)
        try:
            with brought_back(self.bench, self.system, kept, kept.captured.sidecars) as alive:
                yield alive
        finally:
            keeping.remove(kept.path)

    @contextmanager
    def _reloaded(self, kind: BeforeLoad, random: Random, where: list[str]) -> Iterator[Living]:
        kept = self.kept
        with damaged_copy(
            kept.path, self.bench.folder, lambda copy: where.append(kind.damage(copy, random))
        ) as there:
            if self.restoration is not None:
                self.restoration.load(put(there, self.place))
                yield living(self.system, kept.state, self.restoration)
            else:
                damaged = replace(kept, path=there)
                with brought_back(self.bench, self.system, damaged, {}) as alive:
                    yield alive

    @contextmanager
    def _changed(self, kind: Kind[Any], random: Random, where: list[str]) -> Iterator[Living]:
        """Change it once it lives. Loading a dump again leaves nothing of the trial before."""

        def change(place: PlainPlace) -> None:
            database = self.kept.state.server["database"]
            copy = MariadbCopy(place, database, practice.rows(months_ago=1))
            with contextlib.closing(copy):
                where.append(kind.damage(copy, random))

        if self.restoration is not None:
            self.restoration.load(put(self.kept.path, self.place))
            change(self.place)
            yield living(self.system, self.kept.state, self.restoration)
        else:
            with brought_back(self.bench, self.system, self.kept, {}, then=change) as alive:
                yield alive


def _system(server: Production, database: str, *, logical: bool) -> System:
    asset = {
        "kind": "mariadb",
        "host": server.host,
        "port": server.port,
        "database": database,
        "user": BACKUP_USER,
        "password": {"env": "EMR_DB_PASSWORD"},
        "sslmode": "disable",
        **({} if logical else {"method": "physical", "scope": "cluster"}),
    }
    return System({ASSET: asset}, CHECKS)


@contextmanager
def open_logical(launcher: SystemLauncher, folder: Path) -> Iterator[MariadbSubject]:
    """Make a server with a practice's database, and capture that by mariadb-dump."""
    with production() as server, ExitStack() as alive:
        _fill(server, "emr", practice.rows())
        _fill(server, "emr_before", practice.rows(months_ago=1))
        _fill(server, "emr_another", practice.rows(practice=1))
        bench = Bench(launcher, folder)
        system = _system(server, "emr", logical=True)
        kept = capture(bench, system)
        before, another = (
            capture(bench, _system(server, name, logical=True)).path
            for name in ("emr_before", "emr_another")
        )
        place = alive.enter_context(plain_place(launcher))
        asked = request(kept.state, place, kept.captured.sidecars)
        restoration = alive.enter_context(bench.driver.restoration(asked))
        restoration.prepare()
        yield MariadbSubject(
            name="MariaDB, logical",
            kinds=(*row_kinds(), *LIVING_KINDS, *dump_kinds(before, another), *ACCOUNT_KINDS),
            server=server,
            bench=bench,
            system=system,
            kept=kept,
            place=place,
            restoration=restoration,
        )


@contextmanager
def open_physical(launcher: SystemLauncher, folder: Path) -> Iterator[MariadbSubject]:
    """Make a server with a practice's database, and capture the whole server.

    Each trial brings it back anew, so of the damage to what lives there is a selection.

    Without a piece of its log or of its system's files `mariadb-backup --prepare` (10.11) may turn
    in circles for ever. The product gives up after hours; nobody wants to wait for that here.
    """
    mariadb_physical_restoration._RECOVERY_LIMIT = _GIVE_UP  # noqa: SLF001
    bench = Bench(launcher, folder)
    with production() as server, ExitStack() as alive:
        others = []
        for data in (practice.rows(months_ago=1), practice.rows(practice=1)):
            _fill(server, "emr", data)
            others.append(capture(bench, _system(server, "emr", logical=False)).path)
            server.run("drop database emr")
        _fill(server, "emr", practice.rows())
        _write_out(server)
        system = _system(server, "emr", logical=False)
        yield MariadbSubject(
            name="MariaDB, physical",
            kinds=(*stream_kinds(*others), *_SELECTED),
            server=server,
            bench=bench,
            system=system,
            kept=capture(bench, system),
            place=alive.enter_context(plain_place(launcher)),
            restoration=None,
        )


_OF_ROWS = {
    "one row missing",
    "values swapped between two rows",
    "characters of four bytes lost",
    "number rounded",
    "times moved by a time zone",
    "a table from last month",
}
_SELECTED = (
    *(replace(kind, few=True) for kind in row_kinds() if kind.title in _OF_ROWS),
    *(
        replace(kind, claimed_by=kind.claimed_by or "rows")
        for kind in LIVING_KINDS
        if kind.title == "index damaged"
    ),
)
