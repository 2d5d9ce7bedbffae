"""The logical method of MariaDB against a real server: dump, load, compare."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Captured, RestoreRequest
from dr_orchestrator.assets.mariadb_source import USERS
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Depth
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.process import SystemLauncher
from tests.support.mariadb import (
    EMR,
    OLD_TABLES,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    production,
)
from tests.support.postgres import results
from tests.support.sandbox import open_sandbox

EVERY_SECOND = """
create table ticked (at datetime);
create event tick on schedule every 1 second do insert into ticked values (now());
set timestamp = 1000000000;
create event one_time on schedule at current_timestamp + interval 1 day do delete from ticked;
create sequence ticket;
create table ticketed (number bigint default nextval(ticket));
insert into ticketed values (), ();
"""
"""The second event is over: a server whose scheduler is off keeps it, and makes none such anew.
Rows of the second table cannot be loaded while it alone is locked.
"""
STILL = "select count(*) from document"
NEWEST = "select max(seen_at) from encounter"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path_factory.mktemp("bench"))
    launcher.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture(scope="module")
def kept(server: Production, bench: Bench) -> tuple[AssetState, Path, Captured]:
    with server.database("emr", EMR, OLD_TABLES, EVERY_SECOND):
        return bench.capture(server.asset(), queries=(STILL, NEWEST))


def test_logical_comes_back_in_a_real_sandbox(
    bench: Bench, kept: tuple[AssetState, Path, Captured]
) -> None:
    state, dump, captured = kept
    with open_sandbox() as place:
        folder = place.target.path / "database"
        folder.mkdir()
        there = Path(shutil.copy(dump, folder / "database.sql"))
        place.adopt(folder)
        request = RestoreRequest(
            asset_id="database", state=state, place=place, sidecars=captured.sidecars, jobs=2
        )
        with bench.driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(there)
            loaded = time.monotonic()
            verifications = restoration.compare()
            assert results(verifications) == ["passed"] * 5, verifications
            assert verifications[0].actual == "10 of 10 tables equal"
            assert restoration.conditions == ()
            assert restoration.depth is Depth.L3
            assert isinstance(state.baseline, DatabaseBaseline)
            for query, answer in state.baseline.queries.items():
                assert restoration.value(query, zone=UTC) == answer
            zones = "select convert_tz('2026-07-01 12:00:00', 'America/Chicago', '+00:00')"
            assert restoration.value(zones, zone=UTC) == datetime(2026, 7, 1, 17, tzinfo=UTC)
            assert sum(1 for _ in restoration.rows("select * from encounter")) == 3000
            with pytest.raises(CouldNotVerify) as refused:
                restoration.value(f"select name from patient where name = '{PATIENT}'", zone=UTC)
            assert PATIENT not in str(refused.value)
            with pytest.raises(CouldNotVerify, match="would change data"):
                restoration.value("insert into setting values ('a', 'b') returning 1", zone=UTC)
            # An event that is due each second has not run, nor will it.
            time.sleep(max(0.0, loaded + 1.5 - time.monotonic()))
            assert restoration.value("select count(*) from ticked", zone=UTC) == 0
    assert PATIENT not in repr(verifications)


def test_what_is_handed_over_loads_by_the_commands_it_comes_with(
    server: Production, bench: Bench, kept: tuple[AssetState, Path, Captured], tmp_path: Path
) -> None:
    state, dump, captured = kept
    place = tmp_path / "handed over"
    place.mkdir()
    restored = Path(shutil.copy(dump, tmp_path / "restored"))
    lines = bench.driver.hand_over(state, restored, captured.sidecars, place)
    commands = [line for line in lines if "--host=HOST" in line]
    assert len(commands) == 4
    for command in commands:
        local = command.replace("--host=HOST", f"--socket={shlex.quote(server.host)}")
        subprocess.run(["sh", "-c", local.replace("--password", "--skip-password")], check=True)
    try:
        with server.connect("emr") as connection:
            assert connection.one("select count(*) from encounter") == 3000
            assert connection.one("select count(*) from visit") == 3000
    finally:
        server.run("drop database emr")
    assert (place / USERS).stat().st_mode & 0o777 == 0o600
    assert (place / "database.sql").stat().st_mode & 0o777 == 0o600
    assert not restored.exists()
