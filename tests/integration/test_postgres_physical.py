"""The physical method against a real server: copy, start, compare."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.core.baseline import DatabaseBaseline, Level
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.process import SystemLauncher
from tests.support.postgres import (
    EMR,
    SEARCH_PATH,
    Bench,
    Production,
    busy,
    cluster,
    production,
    results,
    revived,
)
from tests.support.sandbox import open_sandbox, short_folder

ALL_PASSED = ["passed"] * 6


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production("max_prepared_transactions=5") as running:
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


def test_physical_comes_back_in_a_real_sandbox_when_the_practice_goes_on_working(
    server: Production, bench: Bench
) -> None:
    work = """insert into emr.patient (name) values ('Late Comer');
              insert into emr.setting values ('queue', 'x');
              delete from emr.setting where name = 'queue'"""
    still = "select count(*) from emr.document"
    moving = "select count(*) from emr.patient"
    with server.database("emr", EMR):
        with busy(server, "emr", work):
            state, kept, captured = bench.capture(cluster(server.asset()), queries=(still, moving))
        tables = baseline_of(state).tables
        assert captured.scope == "cluster"
        assert tables["emr.encounter"].settled
        assert not tables["emr.patient"].settled
        assert not tables["emr.setting"].settled  # the queue came and went
        assert baseline_of(state).queries == {still: 50}
    with open_sandbox() as place:
        folder = place.target.path / "database"
        folder.mkdir()
        shutil.copytree(kept, folder / "cluster", symlinks=True)
        place.adopt(folder)
        request = RestoreRequest(asset_id="database", state=state, place=place, sidecars={}, jobs=2)
        with bench.driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(folder / "cluster")
            verifications = restoration.compare()
            assert results(verifications) == ALL_PASSED
            assert verifications[0].proves is Depth.L3
            assert "2 could not be compared exactly" in str(verifications[1].actual)
            assert restoration.loading_proof_seconds > 0
            assert restoration.value(still, zone=UTC) == 50


def test_staging_is_gone_when_the_capture_is_left(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR):
        request = bench.request(cluster(server.asset()))
        assert bench.driver.staging_bytes(request) > 20_000_000
        with bench.driver.capture(request) as capture:
            assert any(request.staging.iterdir())
            assert capture.instant.tzinfo is UTC
        assert list(request.staging.iterdir()) == []


def test_unlogged_tables_are_left_out_and_said(server: Production, bench: Bench) -> None:
    schema = """create unlogged table queue (id int); insert into queue values (1);
                create table kept (id int); insert into kept values (1);"""
    with server.database("emr", schema):
        state, kept, _ = bench.capture(cluster(server.asset()))
    assert baseline_of(state).tables["public.queue"].level is Level.NONE
    assert baseline_of(state).level is Level.FULL
    assert "1 unlogged table empty in a physical backup" in state.conditions
    with revived(bench, state, kept) as restoration:
        verifications = restoration.compare()
        assert restoration.value("select count(*) from queue", zone=UTC) == 0
    assert results(verifications) == ALL_PASSED
    assert "1 left out" in str(verifications[1].actual)


def test_tablespaces_come_back_beside_the_data_and_production_is_not_touched(
    server: Production, bench: Bench
) -> None:
    space = Path(tempfile.mkdtemp(prefix="dro-"))
    if os.getuid() == 0:
        owner = server.data.stat()
        os.chown(space, owner.st_uid, owner.st_gid)
    try:
        server.run(f"create tablespace slow location '{space}'")
        schema = """create table image (id int, scan text) tablespace slow;
                    insert into image select i, md5(i::text) from generate_series(1, 500) i"""
        with server.database("emr", schema):
            state, kept, _ = bench.capture(cluster(server.asset()))
            logical, archive, captured = bench.capture(server.asset())
        server.run("drop tablespace slow")
    finally:
        shutil.rmtree(space)
    (oid,) = json.loads(state.server["tablespaces"])
    link = kept / "data" / "pg_tblspc" / oid
    assert "staging" in str(link.readlink())
    with revived(bench, state, kept) as restoration:
        assert results(restoration.compare()) == ALL_PASSED
    with revived(bench, logical, archive, captured.sidecars) as restoration:
        assert results(restoration.compare()) == ["passed"] * 5


def test_settings_of_production_do_not_keep_the_copy_from_starting(
    server: Production, bench: Bench
) -> None:
    with server.database("emr", EMR):
        server.run("alter system set shared_preload_libraries = 'not_on_this_machine'")
        server.run("alter system set archive_command = 'touch /tmp/dro-archive-command-ran'")
        server.run("alter system set listen_addresses = '*'")
        try:
            state, kept, _ = bench.capture(cluster(server.asset()))
        finally:
            server.run("alter system reset all")
    assert b"not_on_this_machine" in (kept / "data" / "postgresql.auto.conf").read_bytes()
    (kept / "data" / "standby.signal").touch()
    with revived(bench, state, kept) as restoration:
        assert results(restoration.compare()) == ALL_PASSED
        assert restoration.value("select pg_is_in_recovery()", zone=UTC) is False
        assert (
            restoration.value("select current_setting('listen_addresses') = ''", zone=UTC) is True
        )
        assert (
            restoration.value(
                """select current_setting('fsync')::boolean and
                      current_setting('full_page_writes')::boolean and
                      current_setting('synchronous_commit')::boolean""",
                zone=UTC,
            )
            is True
        )


def test_prepared_transactions_come_back(server: Production, bench: Bench) -> None:
    with server.database("emr", "create table t (a int)"):
        with server.connect("emr") as connection:
            connection.execute("begin")
            connection.execute("insert into t values (1)")
            connection.execute("prepare transaction 'open'")
        try:
            state, kept, _ = bench.capture(cluster(server.asset()))
        finally:
            with server.connect("emr") as connection:
                connection.execute("rollback prepared 'open'")
    with revived(bench, state, kept) as restoration:
        assert restoration.value("select count(*) from pg_prepared_xacts", zone=UTC) == 1


def test_other_databases_of_the_cluster_are_said(server: Production, bench: Bench) -> None:
    with server.database("emr", EMR), server.database("imaging"):
        state, _, _ = bench.capture(cluster(server.asset()))
    assert any(text.startswith("1 other database of the cluster") for text in state.conditions)


def test_handed_over_cluster_starts_with_the_commands_it_comes_with(
    server: Production, bench: Bench
) -> None:
    if os.getuid() != 0:
        pytest.skip("the commands are root's")
    with server.database("emr", EMR):
        state, kept, _ = bench.capture(cluster(server.asset()))
    with short_folder() as above:
        restored, place = above / "restored", above / "handed over"
        shutil.copytree(kept, restored, symlinks=True)
        place.mkdir(mode=0o700)
        steps = bench.driver.hand_over(state, restored, {}, place)
        commands = [shlex.split(step) for step in steps if step.startswith(("chown", "runuser"))]
        chown, start, ask = commands
        subprocess.run(chown, check=True)
        try:
            subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
            answer = subprocess.run(
                [*ask, "--tuples-only", "--command=select count(*) from emr.patient"],
                check=True,
                capture_output=True,
            )
            assert answer.stdout.strip() == b"501"
        finally:
            stop = ["stop" if word == "start" else word for word in start]
            subprocess.run([*stop, "--mode=immediate"], check=False, stdout=subprocess.DEVNULL)


def test_a_cluster_without_any_settled_table_is_unproven(server: Production, bench: Bench) -> None:
    busily = busy(server, "emr", "insert into t values (1)")
    with server.database("emr", "create table t (a int)"), busily:
        state, kept, _ = bench.capture(cluster(server.asset()))
    with revived(bench, state, kept) as restoration:
        verifications = restoration.compare()
    assert verifications[0].result is Result.PASSED
    assert verifications[1].result is Result.UNPROVEN
