"""The physical method of MariaDB against a real server: copy, start, compare."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Captured, RestoreRequest
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Depth
from dr_orchestrator.process import SystemLauncher
from tests.support.mariadb import (
    ACCOUNT,
    EMR,
    OLD_TABLES,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    busy,
    physical,
    production,
)
from tests.support.postgres import results
from tests.support.sandbox import open_sandbox, short_folder
from tests.support.servers import server_user

STILL = "select count(*) from document"
EVERY_SECOND = """
create table ticked (at datetime);
create event tick on schedule every 1 second do insert into ticked values (now());
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production("--innodb-page-size=32k", "--innodb-undo-tablespaces=3") as running:
        yield running


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path_factory.mktemp("bench"))
    launcher.close()


@pytest.fixture(scope="module")
def kept(server: Production, bench: Bench) -> tuple[AssetState, Path, Captured]:
    """Copy the server while the practice goes on working."""
    work = "insert into patient (name) values ('Late Comer')"
    with server.database("emr", EMR, OLD_TABLES, EVERY_SECOND), busy(server, "emr", work):
        return bench.capture(physical(server.asset()), queries=(STILL,))


def test_physical_comes_back_in_a_real_sandbox(
    bench: Bench, kept: tuple[AssetState, Path, Captured]
) -> None:
    state, copy, captured = kept
    assert captured.scope == "cluster"
    with open_sandbox() as place:
        folder = place.target.path / "database"
        folder.mkdir()
        there = Path(shutil.copy(copy, folder / "server.xbstream"))
        place.adopt(folder)
        request = RestoreRequest(asset_id="database", state=state, place=place, sidecars={}, jobs=2)
        with bench.driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(there)
            verifications = restoration.compare()
            assert results(verifications) == ["passed"] * 5, verifications
            assert "1 could not be compared exactly" in str(verifications[0].actual)
            assert restoration.depth is Depth.L3
            assert restoration.value(STILL, zone=UTC) == 50
            assert restoration.value("select @@innodb_page_size", zone=UTC) == 32768
            assert restoration.value("select count(*) from ticked", zone=UTC) == 0
    assert PATIENT not in repr(verifications)


def test_what_is_handed_over_starts_by_the_commands_it_comes_with(
    bench: Bench, kept: tuple[AssetState, Path, Captured]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("the commands are for root")
    state, copy, _ = kept
    with short_folder() as folder:
        place = folder / "handed over"
        place.mkdir()
        restored = Path(shutil.copy(copy, folder / "restored"))
        lines = bench.driver.hand_over(state, restored, {}, place)
        # a machine without the server's package has no `mysql`
        account = server_user(ACCOUNT).pw_name
        lines = tuple(
            line.replace("-u mysql", f"-u {account}").replace("mysql:", f"{account}:")
            for line in lines
        )
        make, unpack, prepare, start, ask = (line for line in lines if "--" in line)
        for command in (make, unpack, prepare):
            subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        argv = shlex.split(start.removesuffix(" &"))
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
            question = shlex.split(ask.replace("--password", "--skip-password"))
            try:
                counted = _patiently([*question, "--execute=select count(*) from encounter"])
                assert "3000" in counted
            finally:
                subprocess.run([*question, "--execute=shutdown"], check=False)
                server.wait(30)


def _patiently(argv: list[str]) -> str:
    deadline = time.monotonic() + 30
    while True:
        asked = subprocess.run(argv, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout
        assert time.monotonic() < deadline, asked.stderr
        time.sleep(0.1)
