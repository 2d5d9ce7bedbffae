"""Restore tests that load into a lab server: as deep as in a sandbox, and nothing is left there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.process import Command, Completed, SystemLauncher
from dr_orchestrator.sandbox.lab import LabDriver
from dr_orchestrator.settings import LabServer
from tests.support import mariadb
from tests.support.dumps import MARIADB, dump_state
from tests.support.lab import (
    LAB_PASSWORD,
    MariadbLab,
    PostgresLab,
    mariadb_lab,
    name_lab,
    postgres_lab,
    protect_by_lab,
)
from tests.support.postgres import EMR, FixedSecrets, Production, production
from tests.support.sandbox import open_sandbox
from tests.support.site import ROOT, Site, new_site

SETTINGS = "alter database emr set search_path to 'emr', 'public'"
"""Without it the plan's question after patients finds no table."""


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as server, server.database("emr", EMR):
        server.run(SETTINGS)
        yield server


@pytest.fixture(scope="module")
def lab() -> Iterator[PostgresLab]:
    with postgres_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def site(server: Production, lab: PostgresLab) -> Iterator[Site]:
    with new_site() as site:
        name_lab(site, lab)
        protect_by_lab(site, server)
        yield site


@pytest.fixture(scope="module")
def test_made(site: Site) -> dict[str, Any]:
    ended = site.dro("test", "riverside", "--json")
    assert ended.code == 0, ended.said
    test: dict[str, Any] = ended.json["tests"][0]
    return test


def test_a_database_is_proven_on_a_lab_as_deep_as_in_a_sandbox(test_made: dict[str, Any]) -> None:
    assert (test_made["result"], test_made["depth"]) == ("passed", "L4"), test_made
    assert 0 < test_made["rta_data_seconds"] <= test_made["rta_service_seconds"]
    assert test_made["data_age_seconds"] is not None
    assert test_made["sandbox"].endswith("lab server lab1 (PostgreSQL 15)")
    assert [each["result"] for each in test_made["verifications"]] == ["passed"] * 6
    assert any("without the owners, privileges" in each for each in test_made["conditions"])


def test_a_lab_keeps_nothing_of_a_test(
    test_made: dict[str, Any], site: Site, lab: PostgresLab
) -> None:
    assert lab.databases() == set()
    assert lab.made() == 0
    assert list((site.state / "labs").iterdir()) == []
    assert site.leftovers() == []


RUN = "20261121-191500-4k7q2z"


@pytest.fixture(scope="module")
def mariadb_made() -> Iterator[tuple[dict[str, Any], MariadbLab]]:
    with (
        mariadb.production() as server,
        server.database("emr", mariadb.EMR),
        mariadb_lab() as lab,
        new_site() as site,
    ):
        name_lab(site, lab)
        protect_by_lab(site, server)
        ended = site.dro("test", "riverside", "--json")
        assert ended.code == 0, ended.said
        assert site.leftovers() == []
        yield ended.json["tests"][0], lab


def test_a_mariadb_database_is_proven_on_a_lab_and_nothing_is_left_there(
    mariadb_made: tuple[dict[str, Any], MariadbLab],
) -> None:
    test, lab = mariadb_made
    assert (test["result"], test["depth"]) == ("passed", "L4"), test
    assert "lab server lab1 (MariaDB 10.11)" in test["sandbox"]
    assert {each["result"] for each in test["verifications"]} == {"passed"}
    assert lab.databases() == set()
    assert lab.made() == 0


def test_a_dump_that_another_tool_wrote_is_loaded_into_the_lab_and_makes_nothing_else_there(
    mariadb_made: tuple[dict[str, Any], MariadbLab], tmp_path: Path
) -> None:
    _, lab = mariadb_made
    settings = {"kind": "mariadb", "host": lab.host, "port": lab.port, "user": "dro_lab"}
    driver = LabDriver(
        {"lab1": LabServer.model_validate(settings | {"password": {"file": "/not-read"}})},
        secrets=FixedSecrets(LAB_PASSWORD),
        notes=tmp_path / "labs",
        owner=lambda: "our state",
        plans=tuple,
    )
    dump = tmp_path / "emr.sql"
    begin = "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `emr`;\nUSE `emr`;\nDROP TABLE"
    dump.write_text(MARIADB.replace("DROP TABLE", begin, 1))
    states = {"emr": dump_state(AssetKind.MARIADB, dump)}
    plan = load_plan(ROOT / "plans" / "example.yaml").plan
    launcher = SystemLauncher(mariadb.SEARCH_PATH)
    with open_sandbox() as sandbox, driver.open(RUN, {"emr": "lab1"}, states, plan) as labs:
        there = sandbox.target.path / "emr.sql"
        shutil.copy(dump, there)
        sandbox.adopt(there)
        request = RestoreRequest(
            asset_id="emr", state=states["emr"], place=sandbox, sidecars={}, jobs=1, lab=labs["emr"]
        )
        with mariadb.Bench(launcher, tmp_path).driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(there)
            assert restoration.compare()[0].actual == "1 table, 2 rows"
            assert "loaded into the lab server lab1" in restoration.conditions[-1]
        assert lab.databases() == {f"dro_{RUN.replace('-', '_')}"}
    launcher.close()
    assert lab.databases() == set()


def test_a_program_in_a_sandbox_reaches_the_lab_by_its_door_only(
    lab: PostgresLab, tmp_path: Path
) -> None:
    """As the programs of a `command` asset do; its database is there, and empty."""
    secret = {"file": "/not-read"}
    settings = {"kind": "postgres", "host": lab.host, "user": "dro_lab", "password": secret}
    driver = LabDriver(
        {"lab1": LabServer.model_validate(settings | {"port": lab.port})},
        secrets=FixedSecrets(LAB_PASSWORD),
        notes=tmp_path / "labs",
        owner=lambda: "our state",
        plans=tuple,
    )
    states = {
        "emr": AssetState(
            kind=AssetKind.COMMAND,
            method=Method.STREAM,
            scope="database",
            snapshot="0" * 64,
            path="/emr.dump",
            bytes=1,
            captured_at=datetime(2026, 11, 21, tzinfo=UTC),
        )
    }
    plan = load_plan(ROOT / "plans" / "example.yaml").plan
    with open_sandbox() as sandbox, driver.open(RUN, {"emr": "lab1"}, states, plan) as labs:

        def ask(host: str, login: Path) -> Completed:
            argv = (
                *("env", f"PGPASSFILE={login}", "psql", "-X", "-A", "-t", "-w"),
                *("-h", host, "-p", str(lab.port), "-U", "dro_lab"),
                *("-c", "select current_database()", labs["emr"].database),
            )
            return sandbox.inside.run(Command(argv=argv, timeout=timedelta(seconds=30)))

        with labs["emr"].door(sandbox, "door") as door:
            assert door.login.stat().st_mode & 0o777 == 0o600
            reached = ask(door.host, door.login)
            assert reached.stdout.decode().strip() == f"dro_{RUN.replace('-', '_')}", reached.stderr
            assert not ask(lab.host, door.login).ok
        assert not ask(door.host, door.login).ok
    assert lab.databases() == set()
