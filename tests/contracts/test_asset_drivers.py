"""The drivers that need no server keep the promises of assets/base.py."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import CaptureRequest
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.plan.model import FilesAsset, SqliteAsset
from tests.support.asset_contract import AssetDriverContract, Subject
from tests.support.assets import capture_request, files_asset


class TestFiles(AssetDriverContract):
    """A folder."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        folder = tmp_path / "documents"
        folder.mkdir()
        for number in range(20):
            (folder / f"scan-{number}.pdf").write_bytes(b"x" * number)
        return _subject(
            FilesDriver(SystemClock()), files_asset(folder), files_asset(tmp_path / "no"), tmp_path
        )


class TestSqlite(AssetDriverContract):
    """A database file."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        path = tmp_path / "emr.sqlite3"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("create table patient (id integer primary key, name text)")
            database.executemany("insert into patient values (?, ?)", [(n, "x") for n in range(50)])
        return _subject(
            SqliteDriver(SystemClock()),
            SqliteAsset(kind=AssetKind.SQLITE, path=path),
            SqliteAsset(kind=AssetKind.SQLITE, path=tmp_path / "no.sqlite3"),
            tmp_path,
        )


def _subject(
    driver: FilesDriver | SqliteDriver,
    asset: FilesAsset | SqliteAsset,
    nothing: FilesAsset | SqliteAsset,
    folder: Path,
) -> Subject:
    numbers = itertools.count()

    def request(of: FilesAsset | SqliteAsset) -> CaptureRequest:
        staging = folder / f"staging-{next(numbers)}"
        staging.mkdir()
        return capture_request(of, staging=staging)

    return Subject(driver, lambda: request(asset), lambda: request(nothing))
