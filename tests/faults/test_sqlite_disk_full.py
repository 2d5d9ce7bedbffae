"""The staging disk is too small for a copy of the database."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from pathlib import Path

import pytest

from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.errors import SpaceExhausted
from dr_orchestrator.plan.model import SqliteAsset
from tests.support.assets import baseline_spec, capture_request
from tests.support.sandbox import is_root


@pytest.mark.skipif(not is_root(), reason="only root can mount a small disk")
def test_capture_says_that_staging_is_full_when_it_is(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "emr.db")) as connection, connection:
        connection.execute("create table note (body blob)")
        connection.execute("insert into note values (zeroblob(4000000))")
    asset = SqliteAsset(
        kind=AssetKind.SQLITE, path=tmp_path / "emr.db", baseline=baseline_spec(Level.FULL)
    )
    staging = tmp_path / "staging"
    staging.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(staging)), check=True)
    try:
        driver, request = SqliteDriver(SystemClock()), capture_request(asset, staging=staging)

        assert driver.staging_bytes(request) > 4_000_000
        with pytest.raises(SpaceExhausted, match="too small"), driver.capture(request):
            pytest.fail("it was captured")
    finally:
        subprocess.run(("umount", str(staging)), check=True)
