"""Definitions that come back as they were are no false alarm, however a dump writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.assets.postgres_baseline import settle_session
from dr_orchestrator.assets.postgres_catalog import read_facts
from dr_orchestrator.assets.postgres_definitions import KINDS, OWNERS, read_definitions
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.servers.postgres_connection import Connection
from tests.support.postgres import (
    SEARCH_PATH,
    Bench,
    Production,
    cluster,
    production,
    results,
    revived,
)

EVERYTHING = (Path(__file__).parents[1] / "support" / "postgres_definitions.sql").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        running.run("alter role backup bypassrls")
        running.run("alter role backup set quote_all_identifiers = on")
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


def settled(connection: Connection) -> Connection:
    connection.execute("begin isolation level repeatable read read only")
    settle_session(connection)
    return connection


def test_everything_that_can_be_defined_comes_back_as_it_was(
    server: Production, bench: Bench
) -> None:
    with server.database("everything", EVERYTHING):
        state, kept, captured = bench.capture(server.asset("everything"))
        copied, data, _ = bench.capture(cluster(server.asset("everything")))
    assert isinstance(state.baseline, DatabaseBaseline)
    assert isinstance(copied.baseline, DatabaseBaseline)
    taken = {kind: mark for kind, mark in state.baseline.objects.items() if kind in KINDS}
    assert len(taken) == 13
    assert all(taken.values())  # 0 is that of an empty list
    assert taken.items() <= copied.baseline.objects.items()
    with revived(bench, state, kept, captured.sidecars) as restoration:
        verifications = restoration.compare()
        assert results(verifications) == ["passed"] * 5, verifications
        assert verifications[4].actual == "13 kinds equal"
    with revived(bench, copied, data) as restoration:
        assert results(restoration.compare()) == ["passed"] * 6


def test_reading_definitions_gives_up_when_a_view_cannot_be_locked(server: Production) -> None:
    """And leaves the transaction usable."""
    with (
        server.database("locked", "create view a as select 1"),
        server.connect("locked") as other,
        server.connect("locked") as connection,
    ):
        settled(connection).execute("set local lock_timeout = '50ms'")
        whole = read_definitions(connection)
        assert whole.keys() == KINDS
        assert OWNERS in whole
        other.execute("begin")
        other.execute("lock table a")
        assert read_definitions(connection) == {}
        assert "defined could not be read" in " ".join(read_facts(connection).conditions)
        other.execute("rollback")
        assert read_definitions(connection) == whole
