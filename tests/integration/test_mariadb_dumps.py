"""Dumps of MariaDB that other people's jobs write, brought back to life by real programs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result
from dr_orchestrator.errors import CouldNotVerify, ProgramMissing
from dr_orchestrator.process import SystemLauncher
from tests.support.dumps import MARIADB, dump_state, mariadb_dump
from tests.support.mariadb import (
    EMR,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    production,
    revived,
)

NEWEST = "select max(seen_at) from encounter"
WHOLE = "6 tables, 7,554 rows"
OPTIONS = ("--routines", "--events")


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running, running.database("emr", EMR), running.database("bill") as other:
        running.run("create table x (a int); insert into x values (1)", other)
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


def kept(bench: Bench, content: bytes) -> Path:
    path = bench.folder / "emr.sql"
    path.write_bytes(content)
    return path


def test_a_dump_of_one_database_comes_back_with_what_runs_in_it(
    server: Production, bench: Bench
) -> None:
    path = kept(bench, gzip.compress(mariadb_dump(server, *OPTIONS, "emr")))
    with revived(bench, dump_state(AssetKind.MARIADB, path), path) as restoration:
        (compared,) = restoration.compare()
        assert (compared.result, compared.actual) == (Result.UNPROVEN, WHOLE)
        assert compared.reason == NO_BASELINE
        assert restoration.depth is Depth.L3
        (accounts,) = restoration.conditions
        assert accounts.startswith("the dump holds no accounts: emr_owner@localhost, which views")
        assert restoration.value(NEWEST, zone=UTC) == datetime(2026, 1, 19, 22, tzinfo=UTC)
        assert restoration.value("select count(*) from visit", zone=UTC) == 3000
        assert len(list(restoration.rows("select path from document"))) == 50


def test_of_all_databases_the_largest_is_looked_at_and_the_servers_own_are_left_out(
    server: Production, bench: Bench
) -> None:
    """Without comments, so that its end is where it gives the settings back."""
    options = (*OPTIONS, "--all-databases", "--add-drop-database", "--skip-comments")
    path = kept(bench, mariadb_dump(server, *options))
    with revived(bench, dump_state(AssetKind.MARIADB, path), path) as restoration:
        assert restoration.compare()[0].actual == WHOLE
        by_name = f"select count(*) from patient where name = '{PATIENT}'"
        assert restoration.value(by_name, zone=UTC) == 1
        assert restoration.value("select count(*) from visit", zone=UTC) == 3000
        server_of, _, own, several = restoration.conditions
        assert server_of.startswith("the dump does not say which server it is of")
        assert "the server's own databases" in own
        assert several.startswith("the dump holds 2 databases (bill, emr): emr, which has the most")


@pytest.mark.parametrize(
    ("server_version", "kind", "words"),
    [
        ("8.0.36", CouldNotVerify, "of MySQL"),
        ("99.1.2-MariaDB", ProgramMissing, "version 99.1 or newer"),
    ],
)
def test_a_dump_that_no_program_here_takes_is_unproven(
    bench: Bench, server_version: str, kind: type[Exception], words: str
) -> None:
    path = kept(bench, MARIADB.replace("10.11.19-MariaDB-0+deb12u1", server_version).encode())
    state = dump_state(AssetKind.MARIADB, path)
    with pytest.raises(kind, match=words), revived(bench, state, path):
        pass


@pytest.mark.parametrize("content", [b"PGDMP\1\2", b"--\n-- PostgreSQL database dump\n--\n"])
def test_a_dump_of_another_kind_than_the_plan_says_is_unproven(
    bench: Bench, content: bytes
) -> None:
    path = kept(bench, content)
    state = dump_state(AssetKind.MARIADB, path)
    with pytest.raises(CouldNotVerify, match="of PostgreSQL"), revived(bench, state, path):
        pass
