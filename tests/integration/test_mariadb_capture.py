"""What is captured of a MariaDB server is of one instant, and the baseline is of the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Captured, Stream
from dr_orchestrator.assets.mariadb_baseline import Looker, settle_session
from dr_orchestrator.assets.mariadb_catalog import read_facts
from dr_orchestrator.assets.mariadb_lock import ReadLock
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level
from dr_orchestrator.plan.model import BaselineSpec
from dr_orchestrator.process import SystemLauncher
from tests.support.mariadb import (
    EMR,
    OLD_TABLES,
    SEARCH_PATH,
    Bench,
    Production,
    busy,
    physical,
    production,
    save_stream,
)

ODD = """
create table odd (
    id int primary key, place geometry not null, six inet6, u uuid, b bit(9), t tinytext,
    e enum('a', 'ä') character set latin1, v varchar(10) character set cp1250, h int invisible,
    `we#ird``col` text, m mediumblob, f float, r double
);
insert into odd (id, place, six, u, b, t, e, v, `we#ird``col`, m, f, r)
    values (1, point(1, 2), '::1', uuid(), 300, 'x', 'ä', 'ž', 'we#rd', char(0, 255, 39, 92, 10),
            16777217, 1e-300);
insert into odd (id, place) values (2, point(1, 2));
create table kept_history (
    id int primary key, since timestamp(6) generated always as row start,
    till timestamp(6) generated always as row end, period for system_time (since, till)
) with system versioning;
insert into kept_history (id) values (1);
create table computed (one int as (1) virtual);
insert into computed values (), ();
"""
"""Types whose text, size or character set is not the usual, and values that a server makes."""


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


def baseline_of(captured: Captured) -> DatabaseBaseline:
    assert isinstance(captured.baseline, DatabaseBaseline)
    return captured.baseline


def require_equal_when_loaded(server: Production, dump: Path, then: DatabaseBaseline) -> None:
    """Load the dump beside the original, and look at it as a restore does."""
    with server.database("again"):
        server.run(dump.read_text(), "again")
        with contextlib.closing(server.connect("again")) as connection:
            settle_session(connection)
            facts = read_facts(connection)
            looker = Looker(connection, SystemClock(), None)
            assert {table.label for table in facts.tables} == set(then.tables)
            for table in facts.tables:
                expected = then.tables[table.label]
                if expected.settled:
                    assert (table.label, looker.at(table, expected.level)) == (
                        table.label,
                        expected,
                    )
            assert facts.objects == then.objects
            for name, number in then.sequences.items():
                assert facts.sequences[name] >= number


def test_logical_capture_is_of_one_instant_while_the_practice_works(
    server: Production, bench: Bench
) -> None:
    with (
        server.database("emr", EMR, ODD),
        busy(server, "emr", "insert into document values (uuid(), 'new')"),
        busy(server, "emr", "update patient set balance = balance + 1 where id = 1"),
    ):
        query = "select count(*) from visit"
        _, dump, captured = bench.capture(
            server.asset(),
            queries=(query, "select max(changed) from patient where id = 2"),
            newest="select max(seen_at) from encounter",
        )
        require_equal_when_loaded(server, dump, baseline_of(captured))
    baseline = baseline_of(captured)
    assert baseline.level is Level.FULL
    assert all(table.settled for table in baseline.tables.values())
    assert baseline.tables["document"].rows == dump.read_text().count("INSERT INTO `document`")
    assert baseline.tables["patient"].rows == 501
    assert baseline.algorithm == "md5-sum/mariadb-10.11"
    assert baseline.queries[query] == 3000
    # a TIMESTAMP is an instant; a DATETIME is read in the zone the request names, UTC here
    assert datetime(2026, 3, 8, 18, tzinfo=UTC) in baseline.queries.values()
    assert baseline.newest == datetime(2026, 1, 19, 22, tzinfo=UTC)
    assert baseline.sequences["invoice"] > 4711
    for kind in ("views", "triggers", "events", "foreign keys"):
        assert baseline.objects[kind] == 1
    assert baseline.objects["routines"] == 2
    assert captured.server["character_set"] == "utf8mb4"
    assert captured.server["definers"] == '["emr_owner@localhost", "root@localhost"]'
    assert captured.tools["mariadb-dump"].startswith("10.11.")
    assert "2 columns of type FLOAT: a dump keeps six digits of each value" in captured.conditions


def test_accounts_are_kept_locked_and_without_a_hash(server: Production, bench: Bench) -> None:
    server.run(
        """create role doctors; grant doctors to 'Dr. O''Hara'@localhost;
           set default role doctors for 'Dr. O''Hara'@localhost;
           create user tls@'10.%' identified by 'canary' require ssl;
           create database other; grant select on other.* to tls@'10.%'"""
    )
    with server.database("emr", EMR):
        _, _, captured = bench.capture(server.asset())
        users = captured.sidecars["users.sql"].decode()
        server.run(users)  # it is SQL
    server.run("drop database other; drop role doctors; drop user tls@'10.%'")
    statements = [line for line in users.splitlines() if not line.startswith("--")]
    assert "IDENTIFIED" not in "".join(statements)
    assert "'*" not in users
    assert "CREATE USER IF NOT EXISTS 'emr_owner'@'localhost' ACCOUNT LOCK;" in statements
    assert "CREATE ROLE IF NOT EXISTS `doctors`;" in statements
    assert "GRANT SELECT, INSERT, UPDATE ON `emr`.* TO `Dr. O'Hara`@`localhost`;" in statements
    assert "GRANT USAGE ON *.* TO `tls`@`10.%` REQUIRE SSL;" in statements
    assert "SET DEFAULT ROLE `doctors` FOR `Dr. O'Hara`@`localhost`;" in statements
    assert "other" not in users
    assert "passwords of database users are not in the backup" in captured.conditions


def test_tables_without_transactions_are_captured_while_nobody_can_write(
    server: Production, bench: Bench
) -> None:
    insert = "insert into appointment (at, note) values (now(), 'x')"
    with (
        server.database("old", EMR, OLD_TABLES),
        busy(server, "old", insert),
        busy(server, "old", "insert into document values (uuid(), 'new')"),
    ):
        _, dump, captured = bench.capture(server.asset("old"))
        require_equal_when_loaded(server, dump, baseline_of(captured))
    tables = baseline_of(captured).tables
    assert all(table.settled for table in tables.values())
    assert tables["appointment"].rows == dump.read_text().count("INSERT INTO `appointment`")
    (said,) = [text for text in captured.conditions if "nobody could write" in text]
    assert said.startswith("2 tables without transactions (appointment, recall): ")


def test_lock_is_gone_once_the_snapshot_stands(server: Production, bench: Bench) -> None:
    with (
        server.database("emr", EMR),
        contextlib.closing(server.connect("emr")) as other,
        bench.driver.capture(bench.request(server.asset())) as capture,
    ):
        other.execute("set session lock_wait_timeout = 1")
        other.execute("insert into document values ('late', 'x')")  # nobody took the stream yet
        assert isinstance(capture.content, Stream)
        save_stream(capture.content, bench.folder / "kept")
        capture.measure()
        assert baseline_of(capture.finish()).tables["document"].rows == 50
    assert "'late'" not in (bench.folder / "kept").read_text()


def test_lock_for_old_tables_does_not_wait_for_a_repository(
    server: Production, bench: Bench
) -> None:
    with (
        server.database("old", OLD_TABLES),
        contextlib.closing(server.connect("old")) as other,
        bench.driver.capture(bench.request(server.asset("old"))) as capture,
    ):
        other.execute("set session lock_wait_timeout = 20")
        other.execute("insert into appointment (note) values ('late')")  # nobody took the stream
        assert isinstance(capture.content, Stream)
        save_stream(capture.content, bench.folder / "kept")
        capture.measure()
        assert baseline_of(capture.finish()).tables["appointment"].rows == 1000


def test_without_the_right_to_lock_what_was_the_same_before_and_after_is_settled(
    server: Production, bench: Bench
) -> None:
    server.run("revoke reload on *.* from backup")
    try:
        with (
            server.database("emr", EMR),
            busy(server, "emr", "insert into document values (uuid(), 'new')"),
        ):
            _, dump, captured = bench.capture(server.asset())
            require_equal_when_loaded(server, dump, baseline_of(captured))
    finally:
        server.run("grant reload on *.* to backup")
    tables = baseline_of(captured).tables
    assert {name for name, table in tables.items() if not table.settled} == {"document"}
    rows, later = tables["document"].rows, tables["document"].rows_after
    assert rows is not None
    assert later is not None
    assert rows <= dump.read_text().count("INSERT INTO `document`") <= later
    assert sum("could not be locked" in text for text in captured.conditions) == 1


def test_definition_changed_meanwhile_is_said_and_not_compared(
    server: Production, bench: Bench
) -> None:
    with (
        server.database("emr", EMR),
        bench.driver.capture(bench.request(server.asset())) as capture,
    ):
        capture.measure()
        server.run("drop trigger stamp; create table later (id int)", "emr")
        assert isinstance(capture.content, Stream)
        save_stream(capture.content, bench.folder / "kept")
        captured = capture.finish()
    baseline = baseline_of(captured)
    assert "triggers" not in baseline.objects
    assert baseline.objects["views"] == 1
    assert "definitions changed while they were captured: columns, definers, tables, triggers" in (
        captured.conditions
    )


def test_table_put_in_the_place_of_another_meanwhile_is_not_compared(
    server: Production, bench: Bench
) -> None:
    """The dump may have the rows of both, of one, or of neither."""
    with server.database("emr", EMR):
        server.run("create table fresh like setting", "emr")
        time.sleep(1.1)  # a server knows to the second when a table was altered
        with bench.driver.capture(bench.request(server.asset())) as capture:
            server.run("rename table setting to old, fresh to setting, old to fresh", "emr")
            assert isinstance(capture.content, Stream)
            save_stream(capture.content, bench.folder / "kept")
            capture.measure()
            captured = capture.finish()
    tables = baseline_of(captured).tables
    assert {name for name, table in tables.items() if not table.settled} == {"fresh", "setting"}
    assert "altered, renamed or dropped while they were captured: fresh, setting" in (
        captured.conditions
    )


def test_budget_used_up_is_said(server: Production, bench: Bench) -> None:
    spec = BaselineSpec(level=Level.FULL, budget=timedelta(milliseconds=1))
    with server.database("emr", EMR):
        _, _, captured = bench.capture(server.asset(baseline=spec))
    assert baseline_of(captured).level is Level.NONE
    assert any("the time for the baseline was used up" in text for text in captured.conditions)


def test_sampled_and_counts_look_less_closely(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR), contextlib.closing(server.connect("emr")) as connection:
        (lab,) = [table for table in read_facts(connection).tables if table.name == "lab"]
        looker = Looker(connection, SystemClock(), None)
        full, sampled, counts = (
            looker.at(lab, level) for level in (Level.FULL, Level.SAMPLED, Level.COUNTS)
        )
        connection.execute("update lab set value = value + 1 where id = 7")
        assert looker.at(lab, Level.FULL).checksum != full.checksum
        assert looker.at(lab, Level.SAMPLED).checksum != sampled.checksum
    assert full.rows == sampled.rows == counts.rows == 4000
    assert counts.checksum is None


def test_values_swapped_between_two_rows_change_the_checksum(
    server: Production, bench: Bench
) -> None:
    with server.database("swapped"), contextlib.closing(server.connect("swapped")) as connection:
        connection.execute(
            "create table t (id int primary key, a char(3), b char(3)) engine=InnoDB"
        )
        connection.execute("insert into t values (1, 'abc', 'xyz'), (2, 'def', 'uvw')")
        (table,) = read_facts(connection).tables
        looker = Looker(connection, SystemClock(), None)
        checksums = {looker.at(table, Level.FULL).checksum}
        for change in (
            "update t set b = if(id = 1, 'uvw', 'xyz')",
            "update t set a = null where id = 1",
            "update t set a = '' where id = 1",
            "update t set a = 'a#b', b = 'c' where id = 1",
            "update t set a = 'a', b = 'b#c' where id = 1",
            "update t set a = 'n', b = '' where id = 1",
        ):
            connection.execute(change)
            checksums.add(looker.at(table, Level.FULL).checksum)
    assert len(checksums) == 7


def test_fingerprints_see_what_counts_do_not(server: Production, bench: Bench) -> None:
    changes = {
        "indexes": "alter table encounter drop index encounter_seen, add index encounter_seen (id)",
        "columns": "alter table document modify path varchar(190) collate utf8mb4_bin not null",
        "tables": "alter table setting engine=Aria",
        "triggers": "create or replace trigger stamp before insert on encounter for each row do 0",
        "routines": "create or replace procedure close_day(in day date) do 0",
        "views": "alter sql security invoker view visit as select name, born from patient",
        "events": "alter event nightly do select 1",
        "check constraints": "alter table encounter drop constraint encounter_year, "
        "add constraint encounter_year check (seen_at > '1800-01-01')",
        "foreign keys": "alter table encounter drop foreign key encounter_patient, "
        "add constraint encounter_patient_2 foreign key (patient_id) references patient (id) "
        "on delete cascade",
        "partitions": "alter table lab reorganize partition p2026 into "
        "(partition p2026 values less than (2028))",
    }
    with server.database("emr", EMR), contextlib.closing(server.connect("emr")) as connection:
        then = read_facts(connection).objects
        for kind, change in changes.items():
            connection.execute(change)
            now = read_facts(connection).objects
            assert then[f"fingerprint of {kind}"] != now[f"fingerprint of {kind}"], kind
            assert {name for name in now if not name.startswith("fingerprint")} == {
                name for name in then if not name.startswith("fingerprint")
            }
            then = now


def test_physical_capture_settles_what_did_not_change(server: Production, bench: Bench) -> None:
    with (
        server.database("emr", EMR, OLD_TABLES),
        busy(server, "emr", "insert into document values (uuid(), 'new')"),
        server.database("other"),
    ):
        _, stream, captured = bench.capture(physical(server.asset()))
    baseline = baseline_of(captured)
    assert captured.scope == "cluster"
    assert stream.read_bytes()[:8] == b"XBSTCK01"
    assert {name for name, table in baseline.tables.items() if not table.settled} == {"document"}
    assert baseline.tables["appointment"].rows == 1000
    assert captured.tools["mariadb-backup"].startswith("10.11.")
    assert '"innodb_page_size": "16384"' in captured.server["settings"]
    assert "1 other database of the server copied without a baseline" in captured.conditions


def test_capture_over_the_network_and_nothing_is_left_behind(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        _, dump, captured = bench.capture(server.asset(host="127.0.0.1", sslmode="prefer"))
        assert dump.read_text().endswith("-- Dump completed\n")
        assert baseline_of(captured).level is Level.FULL
        with contextlib.closing(server.connect()) as root:
            assert root.one("select count(*) from information_schema.processlist") == 1
    assert list((bench.folder / "runtime").iterdir()) == []
    assert list((bench.folder / "staging-1").iterdir()) == []


def test_empty_database_is_captured_and_said(server: Production, bench: Bench) -> None:
    with server.database("empty"):
        _, _, captured = bench.capture(server.asset("empty"))
    assert baseline_of(captured).tables == {}
    assert "the database empty holds no table: is it the one meant?" in captured.conditions


def test_names_that_are_awkward_are_captured(server: Production, bench: Bench) -> None:
    name = "--od`d na.me"
    table = "create table `od``d #1` (`from` int primary key, `x``y` text); "
    with server.database(name.replace("`", "``")):
        with contextlib.closing(server.connect(name)) as connection:
            for statement in (table, "insert into `od``d #1` values (1, 'x')"):
                connection.execute(statement)
        _, dump, captured = bench.capture(server.asset(name))
    assert baseline_of(captured).tables["od`d #1"].rows == 1
    assert "VALUES (1,'x')" in dump.read_text()
    assert replace(captured, conditions=()).server["database"] == name


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_table_made_right_before_the_lock_is_in_the_baseline(
    server: Production, bench: Bench, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    class Late(ReadLock):
        def _take(self) -> None:
            server.run(f"create table report_4711 engine={engine} as select 1 as n", "emr")
            super()._take()

        def release(self) -> None:
            held = not self._released.is_set()
            super().release()
            if held:
                server.run("insert into report_4711 values (2)", "emr")

    monkeypatch.setattr("dr_orchestrator.assets.mariadb_logical.ReadLock", Late)
    with server.database("emr", EMR):
        _, dump, captured = bench.capture(server.asset())
        require_equal_when_loaded(server, dump, baseline_of(captured))
    assert baseline_of(captured).tables["report_4711"].rows == 1
