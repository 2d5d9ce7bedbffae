"""The one whom a restored server lets in once its door is open: may read, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.servers.door import READER, Door, Readable
from tests.support import mariadb, postgres

_PASSWORD = "a password of the tests, it's long"
_MORE = """
create table emr.confided (id integer);
insert into emr.confided values (1), (2);
alter table emr.confided enable row level security;
alter role backup bypassrls;
create table emr.everybodys (id integer);
grant all on emr.everybodys to public;
create function emr.refuse() returns event_trigger language plpgsql as
    $$ begin if tg_tag = 'GRANT' then raise 'no grants here'; end if; end $$;
create event trigger refuse on ddl_command_end execute function emr.refuse();
alter database emr set default_transaction_read_only = off;
"""
_ROOT_VIEW = "create definer=root@localhost view seen as select count(*) as n from patient;"


@pytest.fixture(scope="module")
def launcher() -> Iterator[SystemLauncher]:
    launcher = SystemLauncher(postgres.SEARCH_PATH)
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def pg() -> Iterator[postgres.Production]:
    with (
        postgres.production() as server,
        server.database("emr", postgres.EMR),
        server.database("billing", "create table invoice (id integer);"),
    ):
        server.run(_MORE, "emr")
        yield server


@pytest.fixture(scope="module")
def my() -> Iterator[mariadb.Production]:
    with (
        mariadb.production() as server,
        server.database("emr", mariadb.EMR, _ROOT_VIEW),
        server.database("emr_2", "create table other (id int);"),
    ):
        yield server


def _door(living: Restoration) -> Door:
    assert isinstance(living, Readable)
    return living.admit_reader(Secret(_PASSWORD))


def test_the_reader_of_postgres_reads_all_and_changes_nothing(
    pg: postgres.Production, launcher: SystemLauncher, tmp_path: Path
) -> None:
    bench = postgres.Bench(launcher, tmp_path)
    state, kept, captured = bench.capture(postgres.cluster(pg.asset()))
    with postgres.revived(bench, state, kept, captured.sidecars) as living:
        door = _door(living)

        def session(database: str = "emr", user: str = READER, password: str = _PASSWORD) -> Any:
            return psycopg.connect(
                host=str(door.socket.parent),
                user=user,
                password=password,
                dbname=database,
                autocommit=True,
            )

        with session() as reader:
            one: Callable[[str], Any] = lambda text: reader.execute(text).fetchone()[0]  # noqa: E731
            assert one("select count(*) from emr.patient") == 501
            assert one("select count(*) from emr.visit") == 3000
            assert one("select count(*) from emr.confided") == 2, "hidden rows look lost"
            assert one("select last_value from emr.invoice") == 4711
            assert one("select sum(length(lo_get(oid))) from pg_largeobject_metadata") == 9_600
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute("insert into emr.everybodys values (1)")
            reader.execute("set default_transaction_read_only = off")
            for statement in (
                "delete from emr.patient",
                "drop table emr.patient",
                "select lo_unlink(oid) from pg_largeobject_metadata",
                "copy (select 1) to program 'true'",
                "copy (select 1) to '/tmp/out'",
                "select pg_read_file('postgresql.conf')",
                "select rolpassword from pg_authid",
                "create role another",
                f"alter role {READER} superuser",
                "set role emr_owner",
            ):
                with pytest.raises(psycopg.Error) as refused:
                    reader.execute(statement.encode())
                # a member of what it may see, of nothing else; before 16 lo_unlink asks the owner
                assert refused.value.sqlstate == "42501", statement
        with session("billing") as reader:
            assert reader.execute("select count(*) from invoice").fetchone() == (0,)
        for user in (postgres.SUPERUSER, "dro_sandbox", postgres.BACKUP_USER):
            with pytest.raises(psycopg.OperationalError, match="rejects"):
                session(user=user, password=postgres.BACKUP_PASSWORD)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            session(password="another")
        assert door.is_open()


def test_the_reader_of_mariadb_reads_all_and_changes_nothing(
    my: mariadb.Production, launcher: SystemLauncher, tmp_path: Path
) -> None:
    bench = mariadb.Bench(launcher, tmp_path)
    state, kept, captured = bench.capture(mariadb.physical(my.asset()))
    with mariadb.revived(bench, state, kept, captured.sidecars) as living:
        door = _door(living)

        def session(user: str = READER, password: str = _PASSWORD) -> Any:
            return closing(
                pymysql.connect(
                    unix_socket=str(door.socket), user=user, password=password, database="emr"
                )
            )

        with session() as reader, reader.cursor() as cursor:
            for table, rows in (("patient", 501), ("visit", 3000), ("seen", 1), ("invoice", 1)):
                cursor.execute(f"select * from {table}")
                assert len(cursor.fetchall()) == rows, table
            cursor.execute("show create view visit")
            for statement in (
                "delete from patient",
                "drop table patient",
                "create table more (id int)",
                "select * from patient into outfile 'out'",
                "select load_file('/etc/passwd') from mysql.global_priv",
                "select * from mysql.global_priv",
                "set global read_only = 0",
                "call close_day('2026-01-01')",
                "create user another",
                "grant all on *.* to dro_reader@localhost",
                "shutdown",
            ):
                with pytest.raises(pymysql.MySQLError) as refused:
                    cursor.execute(statement)
                assert refused.value.args[0] in {1044, 1045, 1142, 1227, 1290, 1370}, statement
        for user, password in (
            ("root", ""),
            ("dro_sandbox", ""),
            ("dro_load", ""),
            ("", ""),
            ("emr_owner", "canary-of-the-owner"),
            (mariadb.BACKUP_USER, mariadb.BACKUP_PASSWORD),
            (READER, "another"),
        ):
            with pytest.raises(pymysql.MySQLError), session(user, password):
                pass
        assert door.is_open()
