"""The logical method against a real server: capture, load, compare."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import RestoreRequest, Stream
from dr_orchestrator.assets.postgres_logical import GLOBALS
from dr_orchestrator.core.baseline import DatabaseBaseline, Level
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.plan.model import BaselineSpec
from dr_orchestrator.process import SystemLauncher
from tests.support.postgres import (
    BACKUP_PASSWORD,
    EMR,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    busy,
    production,
    results,
    revived,
    save_stream,
    state_of,
)
from tests.support.sandbox import open_sandbox

ALL_PASSED = ["passed"] * 5


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


def baseline_of(state: object) -> DatabaseBaseline:
    baseline = getattr(state, "baseline", None)
    assert isinstance(baseline, DatabaseBaseline)
    return baseline


def test_logical_comes_back_equal_in_a_real_sandbox_when_the_practice_goes_on_working(
    server: Production, bench: Bench
) -> None:
    work = """insert into emr.patient (name) values ('Late Comer');
              update emr.setting set value = value || '.' where name = 'practice';
              delete from emr.lab where id = (select min(id) from emr.lab)"""
    count = "select count(*) from emr.patient"
    with server.database("emr", EMR), busy(server, "emr", work):
        state, kept, captured = bench.capture(
            server.asset(), queries=(count,), newest="select max(seen_at) from emr.encounter"
        )
    assert baseline_of(state).level is Level.FULL
    assert baseline_of(state).newest == datetime(2026, 1, 19, 22, 0, tzinfo=UTC)
    with open_sandbox() as place:
        folder = place.target.path / "database"
        folder.mkdir()
        shutil.copy(kept, folder / "database.pgdump")
        place.adopt(folder)
        request = RestoreRequest(
            asset_id="database", state=state, place=place, sidecars=captured.sidecars, jobs=2
        )
        with bench.driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(folder / "database.pgdump")
            assert results(restoration.compare()) == ALL_PASSED
            assert restoration.conditions == ()
            assert restoration.value(count, zone=UTC) == baseline_of(state).queries[count]
            rows = list(restoration.rows("select path, sha256 from emr.document"))
            assert len(rows) == 50


def test_capture_records_what_a_server_must_offer(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        state, _, captured = bench.capture(server.asset())
    assert state.server["database"] == "emr"
    assert state.server["encoding"] == "UTF8"
    assert state.server["collate"] == "C.UTF-8"
    assert '"pg_trgm"' in state.server["extensions"]
    assert state.tools["pg_dump"].split(".")[0] == state.server["major"]
    assert b'CREATE ROLE "Dr. O\'Hara"' in captured.sidecars[GLOBALS]
    assert b"SCRAM" not in captured.sidecars[GLOBALS]
    assert captured.scope == "database"


def test_capture_takes_the_baseline_in_the_snapshot_of_the_archive(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        request = bench.request(server.asset())
        with bench.driver.capture(request) as capture:
            server.run("delete from emr.document; update emr.setting set value = 'x'", "emr")
            capture.measure()
            kept = bench.folder / "kept"
            content = capture.content
            assert isinstance(content, Stream)
            save_stream(content, kept)
            captured = capture.finish()
    assert captured.baseline is not None
    state = state_of(captured, kept)
    assert baseline_of(state).tables["emr.document"].rows == 50
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED


def test_capture_holds_a_schema_change_off_instead_of_waiting_behind_it(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        altered = threading.Thread(
            target=server.run, args=("alter table emr.document add column pages int", "emr")
        )
        with bench.driver.capture(bench.request(server.asset())) as capture:
            altered.start()
            capture.measure()
            assert altered.is_alive()
        altered.join(20)
        assert not altered.is_alive()


def test_an_empty_database_passes_when_it_was_empty(server: Production, bench: Bench) -> None:
    with server.database("vacant"):
        state, kept, captured = bench.capture(server.asset("vacant"))
    with revived(bench, state, kept, captured.sidecars) as restoration:
        verifications = restoration.compare()
    assert results(verifications) == ALL_PASSED
    assert verifications[0].actual == "no table, as at capture"
    assert "the database vacant holds no table: is it the one meant?" in state.conditions


def test_names_that_need_quoting_come_back(server: Production, bench: Bench) -> None:
    name = "Dr. \"Who\" = 'x' %s ü dbname"
    schema = """
        create schema "Größe; drop";
        create table "Größe; drop"."Pa ""ti"" ent%s" ("Na'me %(x)s" text primary key, "select" int,
            "t" int);
        insert into "Größe; drop"."Pa ""ti"" ent%s" values ('a', 1, 2), ('b', 2, 3);
        create table "UPPER" (); create table "with.dot" (a int); create table "new
line" (a int default 1); insert into "new
line" values (1);
        create sequence "Größe; drop"."Se'q"; select nextval('"Größe; drop"."Se''q"');
    """
    with server.database(name, schema):
        state, kept, captured = bench.capture(server.asset(name))
    assert '"Größe; drop"."Pa ""ti"" ent%s"' in baseline_of(state).tables
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED
        query = 'select count(*) from "Größe; drop"."Pa ""ti"" ent%s"'
        assert restoration.value(query, zone=UTC) == 2


def test_a_database_named_like_one_of_a_new_cluster_comes_back(
    server: Production, bench: Bench
) -> None:
    server.run("create table public.note (id int); insert into note values (1)")
    try:
        state, kept, captured = bench.capture(server.asset("postgres"))
    finally:
        server.run("drop table public.note")
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED


def test_inherited_columns_in_another_order_are_no_difference(
    server: Production, bench: Bench
) -> None:
    schema = """
        create table parent (a int); create table child (b text) inherits (parent);
        alter table parent add column c int;
        insert into child values (1, 'x', 2), (3, 'y', 4); insert into parent values (9, 9);
        create table dropped (a int, b int, c int); alter table dropped drop column b;
        insert into dropped values (1, 2);
    """
    with server.database("inherit", schema):
        state, kept, captured = bench.capture(server.asset("inherit"))
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED


def test_a_stale_materialised_view_is_no_false_alarm(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        server.run("insert into emr.encounter (patient_id, seen_at) values (1, now())", "emr")
        state, kept, captured = bench.capture(server.asset())
    with revived(bench, state, kept, captured.sidecars) as restoration:
        tables = restoration.compare()[0]
    assert tables.result is Result.PASSED
    assert "1 made anew by loading" in str(tables.actual)


def test_settings_of_the_database_come_back_and_hold_for_queries(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        server.run("alter database emr set search_path = emr, public", "emr")
        server.run("alter database emr set default_transaction_read_only = on", "emr")
        state, kept, captured = bench.capture(server.asset())
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert restoration.value("select count(*) from patient", zone=UTC) == 501
        zone = "select current_setting('TimeZone') = 'America/Chicago'"
        assert restoration.value(zone, zone=UTC) is True
        assert results(restoration.compare()) == ALL_PASSED


def test_an_unknown_locale_is_replaced_and_said(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset())
    elsewhere = dict(state.server) | {"collate": "en_XX.UTF-8", "ctype": "en_XX.UTF-8"}
    with revived(bench, replace(state, server=elsewhere), kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED
        assert "the locale en_XX.UTF-8 is not on this machine" in restoration.conditions[0]


def test_an_icu_locale_comes_back(server: Production, bench: Bench) -> None:
    options = "encoding 'UTF8' locale_provider icu icu_locale 'de-DE' locale 'C.UTF-8'"
    schema = "create table t (a text primary key); insert into t values ('ä'), ('z'), ('a')"
    with server.database("icu", schema, options):
        state, kept, captured = bench.capture(server.asset("icu"))
    assert state.server["locale"] == "de-DE"
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert restoration.conditions == ()
        assert restoration.value("select max(a) = 'z' from t", zone=UTC) is True


@pytest.mark.parametrize("level", [Level.SAMPLED, Level.COUNTS])
def test_a_less_close_baseline_is_compared_as_it_was_taken(
    server: Production, bench: Bench, level: Level
) -> None:
    spec = BaselineSpec(level=level, budget=timedelta(minutes=1))
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset(baseline=spec))
    tables = baseline_of(state).tables
    assert tables["emr.patient"].level is level
    assert tables["emr.setting"].level is Level.COUNTS  # it has no primary key
    assert baseline_of(state).level is Level.COUNTS
    with revived(bench, state, kept, captured.sidecars) as restoration:
        verifications = restoration.compare()
    assert results(verifications) == ALL_PASSED
    assert "counted only" in str(verifications[0].actual)


def test_a_budget_that_is_used_up_is_said_and_leaves_the_result_unproven(
    server: Production, bench: Bench
) -> None:
    spec = BaselineSpec(level=Level.FULL, budget=timedelta(milliseconds=1))
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset(baseline=spec))
    assert baseline_of(state).level is Level.NONE
    assert any("the time for the baseline was used up" in text for text in state.conditions)
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert restoration.compare()[0].result is Result.UNPROVEN


def test_value_answers_numbers_and_times_and_nothing_else(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset())
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert restoration.value("select 12.50::numeric", zone=UTC) == 12.5
        assert restoration.value("select null::int", zone=UTC) is None
        for query in (
            "select name from emr.patient order by id desc limit 1",
            "select * from emr.patient limit 1",
            "select id from emr.patient",
            "select id from emr.patient where false",
            "select 1; select 2",
            f"select '{PATIENT}'::int",
            "delete from emr.patient",
            "select 'infinity'::timestamptz",
            "nonsense",
        ):
            with pytest.raises(CouldNotVerify) as raised:
                restoration.value(query, zone=UTC)
            assert PATIENT not in str(raised.value)
            assert "relation" not in str(raised.value)


def test_handed_over_archive_loads_with_the_commands_it_comes_with(
    server: Production, bench: Bench, tmp_path: Path
) -> None:
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset())
    place = tmp_path / "handed over"
    place.mkdir(mode=0o700)
    steps = bench.driver.hand_over(state, kept, captured.sidecars, place)
    commands = [step for step in steps if step.startswith("/") and "--" in step]
    with production() as fresh:
        for command in commands[:2]:
            argv = shlex.split(command.replace("HOST", fresh.host))
            subprocess.run(argv, check=True, capture_output=True)
        with fresh.connect("emr") as connection:
            rows = connection.execute("select count(*) from emr.patient").fetchone()
            assert rows == (501,)
    assert (place / "database.pgdump").stat().st_mode & 0o777 == 0o600


def test_no_secret_and_no_patient_leaves(server: Production, bench: Bench, tmp_path: Path) -> None:
    seen: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and int(process.name) != os.getpid():
                    for name in ("cmdline", "environ"):
                        try:
                            seen.append((process / name).read_bytes().decode(errors="replace"))
                        except OSError:
                            continue
            stop.wait(0.02)

    watcher = threading.Thread(target=watch)
    with server.database("emr", EMR):
        watcher.start()
        try:
            state, kept, captured = bench.capture(
                server.asset(), queries=("select name from emr.patient",)
            )
        finally:
            stop.set()
            watcher.join(10)
    everything = "\n".join(seen)
    assert "PGPASSFILE=" in everything  # pg_dump was seen
    for canary in (BACKUP_PASSWORD, PATIENT):
        assert canary not in everything
        assert canary not in repr(state)
        assert canary not in repr(captured)
    assert list((tmp_path / "runtime").iterdir()) == []
    assert PATIENT.encode() in kept.read_bytes()


def test_every_kind_of_column_comes_back_equal_whatever_the_settings_for_text(
    server: Production, bench: Bench
) -> None:
    schema = """
        create extension hstore;
        create type pair as (a int, b text);
        create table kinds (
            f4 real, f8 double precision, n numeric, m money, i interval, ts timestamp,
            tz timestamptz, d date, t time, tt timetz, b bytea, c char(5), v varchar, j json,
            jb jsonb, x xml, ip inet, u uuid, p point, r int4range, mr nummultirange, tv tsvector,
            h hstore, co pair, ia int[], ta text[], rc regclass, o oid, bits bit varying, by bool);
        insert into kinds values (
            0.1, 1 / 3.0, 1.50, 1234.5, '1 year 2 days 03:04:05.678', '2026-03-08 02:30', now(),
            '2026-02-03', '10:11:12', '10:11:12+02', '\\x00ff', 'ab', E'tab\\tback\\\\',
            '{"b": 1,  "a":2}',
            '{"b": 1,  "a":2}', '<a b="c"/>', '10.0.0.0/8', gen_random_uuid(), '(0.1,1e300)',
            '[1,5)', '{[1,2),[3.5,4]}', 'a:1 b:2', 'k=>v', row(1, 'x, "y"'), '{1,NULL,3}',
            '{"a b",NULL,"\\"q\\""}', 'kinds', 42, B'101', true);
        insert into kinds default values;
        alter database kinds set extra_float_digits = 0;
        alter database kinds set datestyle = 'German, DMY';
        alter database kinds set intervalstyle = 'iso_8601';
        alter database kinds set bytea_output = 'escape';
        alter database kinds set timezone = 'Asia/Kolkata';
        drop schema if exists nothing;
    """
    with server.database("kinds", schema):
        state, kept, captured = bench.capture(server.asset("kinds"))
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED


def test_a_database_without_the_schema_public_passes(server: Production, bench: Bench) -> None:
    with server.database("emr", "drop schema public; create schema own; create table own.t ()"):
        state, kept, captured = bench.capture(server.asset())
    with revived(bench, state, kept, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ALL_PASSED
