"""The MariaDB driver keeps the promises of assets/base.py, in both methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.process import SystemLauncher
from tests.support.asset_contract import AssetDriverContract, Subject
from tests.support.mariadb import EMR, SEARCH_PATH, Bench, Production, physical, production


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running, running.database("emr", EMR):
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


class TestLogical(AssetDriverContract):
    """A database."""

    @pytest.fixture
    def subject(self, server: Production, bench: Bench) -> Subject:
        return Subject(
            bench.driver,
            lambda: bench.request(server.asset()),
            lambda: bench.request(server.asset("no_such_database")),
        )


class TestPhysical(AssetDriverContract):
    """A whole server."""

    @pytest.fixture
    def subject(self, server: Production, bench: Bench) -> Subject:
        return Subject(
            bench.driver,
            lambda: bench.request(physical(server.asset())),
            lambda: bench.request(physical(server.asset("no_such_database"))),
        )
