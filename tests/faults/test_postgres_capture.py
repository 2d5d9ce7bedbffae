"""What goes wrong while PostgreSQL is captured must be a failure, with a sentence that helps."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dr_orchestrator.assets.base import Stream
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import CaptureFailed, DroError, ProgramMissing
from dr_orchestrator.plan.model import PostgresAsset
from dr_orchestrator.process import SystemLauncher
from tests.support.postgres import (
    BACKUP_PASSWORD,
    EMR,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    cluster,
    production,
    save_stream,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


class LateClock(SystemClock):
    def now(self) -> datetime:
        return super().now() - timedelta(hours=2)


def refused(bench: Bench, asset: PostgresAsset, *, by_probe: bool = True) -> DroError:
    """Capture, expecting an error on entering that tells nothing it should not.

    A probe says the same, unless it shows only while data is being read.
    """
    with pytest.raises(DroError) as raised:  # noqa: SIM117
        with bench.driver.capture(bench.request(asset)):
            pytest.fail("it was captured")
    if by_probe:
        with pytest.raises(type(raised.value)) as probed:
            bench.driver.probe(bench.request(asset))
        assert str(probed.value) == str(raised.value)
    chain = "".join(str(part) for part in (raised.value, raised.value.__cause__))
    assert BACKUP_PASSWORD not in chain
    assert PATIENT not in chain
    runtime = bench.folder / "runtime"
    assert not runtime.exists() or not list(runtime.iterdir())
    return raised.value


@pytest.mark.parametrize("physical", [False, True])
def test_wrong_password(server: Production, bench: Bench, physical: bool) -> None:
    bench = Bench(bench.launcher, bench.folder, password="canary-wrong")
    with server.database("emr"):
        asset = server.asset()
        error = refused(bench, cluster(asset) if physical else asset)
    assert isinstance(error, CaptureFailed)
    assert "refused backup: wrong password" in error.message
    assert "canary-wrong" not in str(error)


def test_server_down(bench: Bench, server: Production) -> None:
    error = refused(bench, server.asset(host="/nonexistent"))
    assert "cannot be reached" in error.message
    error = refused(bench, server.asset(host="127.0.0.1", port=1))
    assert "cannot be reached" in error.message


def test_database_absent(server: Production, bench: Bench) -> None:
    error = refused(bench, server.asset("nowhere"))
    assert "has no database nowhere" in error.message


def test_user_absent(server: Production, bench: Bench) -> None:
    error = refused(bench, server.asset("postgres", user="nobody_there"))
    assert "refused nobody_there" in error.message  # PostgreSQL does not tell which it was


def test_row_security_hides_rows(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        server.run(
            """alter table emr.patient enable row level security;
               create policy own on emr.patient using (false)""",
            "emr",
        )
        for asset in (server.asset(), cluster(server.asset())):
            error = refused(bench, asset)
            assert "row-level security hides rows of emr.patient from backup" in error.message
            assert "ALTER ROLE backup BYPASSRLS" in error.hint


def test_right_to_read_a_table_missing(server: Production, bench: Bench) -> None:
    server.run("create role limited login; alter role limited password 'canary-secret'")
    bench = Bench(bench.launcher, bench.folder, password="canary-secret")
    with server.database("emr", EMR):
        error = refused(bench, server.asset(user="limited"))
    server.run("drop role limited")
    assert "limited may not read emr.document, emr.empty_by_design" in error.message
    assert "GRANT pg_read_all_data TO limited" in error.hint


def test_right_to_read_large_objects_missing(server: Production, bench: Bench) -> None:
    server.run(
        """create role limited login; alter role limited password 'canary-secret';
           grant pg_read_all_data to limited"""
    )
    bench = Bench(bench.launcher, bench.folder, password="canary-secret")
    with server.database("emr", EMR):
        error = refused(bench, server.asset(user="limited"))
    server.run("drop role limited")
    assert "limited may not read 3 large objects" in error.message


def test_replication_right_missing(server: Production, bench: Bench) -> None:
    with server.database("emr"):
        server.run("alter role backup noreplication")
        try:
            error = refused(bench, cluster(server.asset()))
        finally:
            server.run("alter role backup replication")
    assert "lacks the REPLICATION right" in error.message
    assert "ALTER ROLE backup REPLICATION" in error.hint
    assert "host replication backup" in error.hint


def test_replication_not_let_in_by_pg_hba(server: Production, bench: Bench) -> None:
    hba = server.data / "pg_hba.conf"
    text = hba.read_text()
    hba.write_text(text.replace("local replication backup", "# "))
    server.run("select pg_reload_conf()")
    try:
        with server.database("emr"):
            time.sleep(0.2)
            request = bench.request(cluster(server.asset()))
            with pytest.raises(CaptureFailed) as raised, bench.driver.capture(request):
                pass
    finally:
        hba.write_text(text)
        server.run("select pg_reload_conf()")
    assert "pg_hba.conf does not let backup copy the cluster" in raised.value.message
    assert list(request.staging.iterdir()) == []


def test_physical_without_cluster_scope(server: Production, bench: Bench) -> None:
    asset = cluster(server.asset()).model_copy(update={"scope": "database"})
    assert "whole cluster" in refused(bench, asset).message


def test_programs_missing(server: Production, bench: Bench) -> None:
    bench = Bench(bench.launcher, bench.folder, patterns=("/nonexistent/*/bin",))
    with server.database("emr"):
        for asset in (server.asset(), cluster(server.asset())):
            error = refused(bench, asset)
            assert isinstance(error, ProgramMissing)
            assert "postgresql-client-15" in error.hint


def test_a_lock_is_not_waited_for_endlessly(
    server: Production, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dr_orchestrator.assets.postgres_logical._LOCK_WAIT", timedelta(seconds=1))
    with server.database("emr", EMR), server.connect("emr") as other:
        other.execute("begin; lock table emr.patient in access exclusive mode")
        error = refused(bench, server.asset(), by_probe=False)
        other.execute("rollback")
    assert "another program holds a lock" in error.message


def test_pg_dump_killed_in_mid_stream(server: Production, bench: Bench) -> None:
    bulk = "create table bulk as select repeat('x', 1000) from generate_series(1, 100000)"
    with server.database("emr", bulk):  # noqa: SIM117 - the one is inside the other
        with bench.driver.capture(bench.request(server.asset())) as capture:
            content = capture.content
            assert isinstance(content, Stream)
            read_end, write_end = os.pipe()
            producer = content.start(write_end)
            os.close(write_end)
            first = os.read(read_end, 65536)
            assert first.startswith(b"PGDMP")
            os.kill(producer.pid, signal.SIGKILL)
            while block := os.read(read_end, 65536):
                first += block
            os.close(read_end)
            assert producer.wait() == -signal.SIGKILL
            with pytest.raises(CaptureFailed):
                content.check(first[:4096], first[-4096:], len(first))
            capture.measure()
            with pytest.raises(CaptureFailed, match="ended by SIGKILL"):
                capture.finish()


def test_connection_cut_in_mid_capture(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):  # noqa: SIM117 - the one is inside the other
        with bench.driver.capture(bench.request(server.asset())) as capture:
            with server.connect() as other:
                other.execute(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where application_name = 'dro'"""
                )
            with pytest.raises(CaptureFailed, match=r"the connection was lost|admin shutdown"):
                capture.measure()
            content = capture.content
            assert isinstance(content, Stream)
            with pytest.raises(AssertionError, match="snapshot"):
                save_stream(content, bench.folder / "never")
            with pytest.raises(CaptureFailed, match="its snapshot was gone"):
                capture.finish()


def test_leaving_while_the_baseline_is_taken_breaks_it_off(
    server: Production, bench: Bench
) -> None:
    slow = "select count(*) from generate_series(1, 1000000000)"
    failed: list[BaseException] = []
    with server.database("emr", EMR):
        request = bench.request(server.asset(), queries=(slow,))
        begun = time.monotonic()
        with bench.driver.capture(request) as capture:

            def measure() -> None:
                try:
                    capture.measure()
                except CaptureFailed as error:
                    failed.append(error)

            thread = threading.Thread(target=measure)
            thread.start()
            time.sleep(0.3)
        thread.join(30)
        assert time.monotonic() - begun < 20
        still = "select count(*) from pg_stat_activity where application_name = 'dro'"
        with server.connect() as other:
            while other.execute(still).fetchone() != (0,):
                assert time.monotonic() - begun < 20
                time.sleep(0.1)
    assert len(failed) == 1


def test_a_failing_query_of_the_plan_does_not_keep_the_data_from_being_captured(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        queries = ("select nonsense", f"select '{PATIENT}'::int", "select 1/0")
        state, _, _ = bench.capture(server.asset(), queries=queries)
    assert getattr(state.baseline, "queries", None) == {}
    assert sum("no answer at capture" in text for text in state.conditions) == 3
    assert PATIENT not in repr(state.conditions)


def test_clocks_apart_are_said(server: Production, bench: Bench) -> None:
    late = replace(bench.driver, clock=LateClock())
    with server.database("emr"), late.capture(bench.request(server.asset())) as capture:
        content = capture.content
        assert isinstance(content, Stream)
        save_stream(content, bench.folder / "kept")
        capture.measure()
        conditions = capture.finish().conditions
    assert "the database server's clock and this machine's are 2 h apart" in conditions


def test_a_table_dropped_meanwhile_is_no_failure(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        stop = threading.Event()

        def churn() -> None:
            with psycopg.connect(
                host=server.host, dbname="emr", user="postgres", autocommit=True
            ) as connection:
                while not stop.is_set():
                    connection.execute("create table if not exists t (a int); drop table t")
                    stop.wait(0.05)

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            state, _, _ = bench.capture(server.asset())
        finally:
            stop.set()
            thread.join(10)
    assert getattr(state.baseline, "tables", {})["emr.patient"].rows == 501
