"""Dumps of PostgreSQL that other people's jobs write, brought back to life by real programs."""

from __future__ import annotations

import contextlib
import gzip
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Restoration, RestoreRequest
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, ProgramMissing
from dr_orchestrator.process import SystemLauncher
from tests.support.dumps import POSTGRES, dump_state, pg_dump
from tests.support.postgres import EMR, PATIENT, SEARCH_PATH, Bench, Production, production, revived
from tests.support.sandbox import open_sandbox

OTHER = "dr. who's"
NEWEST = "select max(seen_at) from emr.encounter"
WHOLE = "7 tables, 7,553 rows"


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running, running.database("emr", EMR), running.database(OTHER) as other:
        running.run("create table x (a int); insert into x values (1)", other)
        running.run("alter database emr set search_path to 'emr', 'public'")
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


def kept(bench: Bench, content: bytes, name: str = "emr.sql") -> Path:
    path = bench.folder / name
    path.write_bytes(content)
    return path


@contextlib.contextmanager
def alive(bench: Bench, content: bytes) -> Iterator[Restoration]:
    """Bring a dump back to life in a real sandbox."""
    path = kept(bench, content)
    with open_sandbox() as place:
        there = place.target.path / "emr.sql"
        shutil.copy(path, there)
        place.adopt(there)
        state = dump_state(AssetKind.POSTGRES, path)
        request = RestoreRequest(asset_id="database", state=state, place=place, sidecars={}, jobs=2)
        with bench.driver.restoration(request) as restoration:
            restoration.prepare()
            restoration.load(there)
            yield restoration


def test_a_plain_dump_comes_back_and_says_what_it_is(server: Production, bench: Bench) -> None:
    with alive(bench, pg_dump(server, "--clean", "emr")) as restoration:
        (compared,) = restoration.compare()
        assert (compared.result, compared.actual) == (Result.UNPROVEN, WHOLE)
        assert compared.reason == NO_BASELINE
        assert restoration.depth is Depth.L3
        assert restoration.conditions == (
            "the dump names 3 roles and holds none of them: they were made up for the test",
        )
        assert restoration.value(NEWEST, zone=UTC) == datetime(2026, 1, 19, 22, tzinfo=UTC)
        assert len(list(restoration.rows("select path from emr.document"))) == 50


@pytest.mark.parametrize(
    ("options", "pack"),
    [
        (
            ("--create", "--clean", "--use-set-session-authorization", "--rows-per-insert=500"),
            gzip.compress,
        ),
        (("--format=custom",), gzip.compress),
        (("--format=tar",), bytes),
    ],
)
def test_each_form_of_a_dump_comes_back(
    server: Production, bench: Bench, options: tuple[str, ...], pack: type[bytes]
) -> None:
    with alive(bench, pack(pg_dump(server, *options, "emr"))) as restoration:
        assert restoration.compare()[0].actual == WHOLE
        by_name = f"select count(*) from patient where name = '{PATIENT}'"
        assert restoration.value(by_name, zone=UTC) == 1  # by the database's own search path


@pytest.mark.parametrize("form", ["custom", "tar"])
def test_an_archive_that_is_cut_off_fails_and_keeps_nobody_waiting(
    server: Production, bench: Bench, form: str
) -> None:
    whole = pg_dump(server, f"--format={form}", "emr")
    path = kept(bench, whole[: len(whole) // 2])
    state = dump_state(AssetKind.POSTGRES, path)
    with pytest.raises(LoadFailed, match=r"cut off|truncated"), revived(bench, state, path):
        pass


def test_of_a_whole_cluster_the_largest_database_is_looked_at_and_named(
    server: Production, bench: Bench
) -> None:
    with alive(bench, pg_dump(server, "--clean", program="pg_dumpall")) as restoration:
        assert restoration.compare()[0].actual == WHOLE
        (several,) = restoration.conditions
        assert several.startswith(f"the dump holds 2 databases ({OTHER}, emr): emr, which has the")


def test_a_dump_of_a_newer_server_asks_for_its_programs(bench: Bench) -> None:
    path = kept(bench, POSTGRES.replace("pg_dump version 15.18", "pg_dump version 44.1").encode())
    state = dump_state(AssetKind.POSTGRES, path)
    with pytest.raises(ProgramMissing, match="version 44 or newer"), revived(bench, state, path):
        pass


def test_a_dump_of_another_kind_than_the_plan_says_is_unproven(bench: Bench) -> None:
    path = kept(bench, b"-- MySQL dump 10.13\nCREATE TABLE `a` (`b` int);\n")
    state = dump_state(AssetKind.POSTGRES, path)
    with pytest.raises(CouldNotVerify, match="of MariaDB or MySQL"), revived(bench, state, path):
        pass
