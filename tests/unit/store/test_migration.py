"""The migrations, run one after the other, make exactly the tables the code describes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, insert

from dr_orchestrator import __version__
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method
from dr_orchestrator.core.record import PointRecorded, RunOpened
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import SpaceExhausted
from dr_orchestrator.store.codec import decode_entry, encode_entry, instant_text
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.rows import copy_row, restore_test_row, run_row
from dr_orchestrator.store.schema import STORE_VERSION, metadata
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import DOCUMENTS, PRACTICE, make_point, make_run, make_test

POINT = make_point(START)
VERSIONS = [f"{number:04}" for number in range(1, int(STORE_VERSION))]
_POINT_OF_0001 = (
    '{"point":{"as_of":"2026-11-21T19:15:00.000000Z","assets":{"database":{"bytes":7,'
    '"kind":"sqlite","level":"full","method":"copy"}},"copies":[{'
    '"manifest_sha256":"5","manifest_snapshot":"4","recorded_at":"2026-11-21T19:16:00.000000Z",'
    '"repository":"onsite","snapshots":{"database":"3"}}],"data_as_of":null,'
    '"finished":"2026-11-21T19:16:00.000000Z","id":"p1","label":null,"practice":"riverside",'
    '"run":"r1","skew_seconds":2.5,"system":"emr"}}'
)
"""As that version wrote it down."""
_RUN_OF_0003 = (
    '{"run":{"attempt":1,"cancel_requested":false,"due_at":null,"finished_at":null,'
    '"heartbeat_at":null,"host":"clinic","id":"r1","operation":"backup","outcome":null,"pid":7,'
    '"pid_started":"boot/9","practice":"riverside","reason":"","repository":null,'
    '"schedule_id":null,"started_at":"2026-11-21T19:15:00.000000Z","system":"emr"}}'
)


def test_migrations_lead_to_the_tables_of_a_new_store(tmp_path: Path) -> None:
    open_store(tmp_path, FakeClock()).close()
    new = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    migrated = create_engine("sqlite://")

    with new.connect() as wanted, migrated.connect() as found:
        command.upgrade(configuration(found), "head")
        statements = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        made = {name: _normal(sql) for name, sql in found.exec_driver_sql(statements)}
        assert {"alembic_version", "evidence", "evidence_no_delete"} <= made.keys()
        assert made == {name: _normal(sql) for name, sql in wanted.exec_driver_sql(statements)}
        versions = "SELECT version_num FROM alembic_version"
        assert [found.exec_driver_sql(versions).all(), wanted.exec_driver_sql(versions).all()] == [
            [(STORE_VERSION,)]
        ] * 2
        context = MigrationContext.configure(found, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    new.dispose()
    migrated.dispose()


def test_upgrade_from_0001_keeps_what_was_recorded(tmp_path: Path) -> None:
    old = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with old.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        connection.exec_driver_sql(
            "INSERT INTO point VALUES ('riverside', 'p1', 'emr', 'r1', NULL, "
            "'2026-11-21T19:15:00.000000Z', '2026-11-21T19:16:00.000000Z', NULL, 2.5)"
        )
        connection.exec_driver_sql(
            "INSERT INTO point_asset VALUES "
            "('riverside', 'p1', 'database', 'sqlite', 'copy', 7, 'full')"
        )
        connection.exec_driver_sql(
            "INSERT INTO point_copy VALUES ('riverside', 'p1', 'onsite', '4', '5', "
            """'{"database":"3"}', '2026-11-21T19:16:00.000000Z')"""
        )
        connection.exec_driver_sql(
            "INSERT INTO journal (at, kind, practice, payload) VALUES "
            f"('2026-11-21T19:16:00.000000Z', 'point_recorded', 'riverside', '{_POINT_OF_0001}')"
        )
    old.dispose()

    with open_store(tmp_path, FakeClock()) as store:
        (point,) = store.points("riverside")
        (line,) = store.journal()
        assert point.assets["database"] == AssetSummary(
            kind=AssetKind.SQLITE, method=Method.COPY, bytes=7, level="full", data_as_of=None
        )
        (copy,) = point.copies
        assert copy.read_back  # the run that made it is not on record
        as_recorded = replace(point, copies=(replace(copy, read_back=False),))
        assert decode_entry(line.kind, line.payload) == PointRecorded(point=as_recorded)
        dumps = replace(DOCUMENTS, data_as_of=point.as_of - timedelta(days=1))
        newer = make_point(point.as_of, assets={"dumps": dumps})
        store.record(PointRecorded(point=newer))
        assert store.find_point("riverside", newer.id).assets == {"dumps": dumps}


def test_upgrade_from_0003_keeps_the_runs(tmp_path: Path) -> None:
    """The table is written anew: what is in it, and what stands in the journal, is read as ever."""
    old = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with old.begin() as connection:
        command.upgrade(configuration(connection), "0003")
        insert = (
            "INSERT INTO run (id, operation, practice, system, host, pid, pid_started, started_at, "
            "finished_at, outcome, reason, schedule_id, due_at, attempt, cancel_requested) VALUES "
            "(?, 'backup', 'riverside', 'emr', 'clinic', 7, 'boot/9', ?, ?, ?, '', ?, ?, 1, 0)"
        )
        begun, ended = "2026-11-21T19:15:00.000000Z", "2026-11-21T19:16:00.000000Z"
        connection.exec_driver_sql(insert, ("r1", begun, None, None, None, None))
        connection.exec_driver_sql(insert, ("r2", begun, ended, "done", "emr/backup", begun))
        connection.exec_driver_sql(
            "INSERT INTO journal (at, kind, practice, payload) VALUES "
            f"('{begun}', 'run_opened', 'riverside', '{_RUN_OF_0003}')"
        )
    old.dispose()

    with open_store(tmp_path, FakeClock()) as store:
        (still_open,) = store.open_runs()
        (line,) = store.journal()
        assert decode_entry(line.kind, line.payload) == RunOpened(run=still_open)
        (done,) = store.practice_record("riverside").last_runs
        assert (done.id, done.outcome, done.schedule_id) == ("r2", Outcome.DONE, "emr/backup")
        assert done.due_at == still_open.started_at
        again = replace(done, id="r3", attempt=2, finished_at=None, outcome=None)
        store.record(RunOpened(run=again))
        with pytest.raises(ValueError, match="attempt"):
            store.record(RunOpened(run=replace(again, id="r4")))


@pytest.mark.parametrize("version", VERSIONS)
def test_upgrade_from_any_version_keeps_its_rows_and_a_copy_of_it(
    version: str, tmp_path: Path
) -> None:
    _make_old_store(tmp_path / FILE_NAME, version)

    with open_store(tmp_path, FakeClock()) as store:
        (point,) = store.points("riverside")
        (test,) = store.tests("riverside")
        (ended,) = store.runs(since=START, limit=2).closed
        assert point.id == test.point == POINT.id
        assert point.assets.keys() == POINT.assets.keys()
        assert {each.server for each in point.assets.values()} == {""}
        assert (ended.id, ended.outcome) == ("old", Outcome.DONE)
        assert [line.kind for line in store.journal()] == ["run_opened"]
        store.record(PointRecorded(point=make_point(START + timedelta(hours=1))))
        assert len(store.points("riverside")) == 2
        assert list(store.evidence.lines("riverside"))
    (kept,) = tmp_path.glob(f"{FILE_NAME}.before-*")
    assert kept.name == f"{FILE_NAME}.before-{version}"
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]
        assert copy.execute("SELECT id FROM run").fetchall() == [("old",)]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert not list(tmp_path.glob("*.part*"))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as now:
        assert now.execute("SELECT version FROM written_by").fetchall() == [(__version__,)]


def _make_old_store(file: Path, version: str) -> None:
    """Make a store as an older version of this program did: the columns that it had."""
    old = create_engine(f"sqlite:///{file}")
    run = make_run(START, id="old", finished_at=START, outcome=Outcome.DONE)
    rows: dict[str, list[dict[str, Any]]] = {
        "run": [run_row(run) | {"cancel_requested": 0}],
        "point": [vars(POINT)],
        "point_asset": [
            vars(each) | {"practice": PRACTICE, "point": POINT.id, "asset": name}
            for name, each in POINT.assets.items()
        ],
        "point_copy": [copy_row(POINT, each) for each in POINT.copies],
        "restore_test": [restore_test_row(make_test(START, point=POINT.id))],
    }
    with old.begin() as connection:
        command.upgrade(configuration(connection), version)
        there = MetaData()
        there.reflect(connection)
        for name, values in rows.items():
            table = there.tables[name]
            for each in values:
                known = {key: _plain(value) for key, value in each.items() if key in table.c}
                connection.execute(insert(table).values(known))
        connection.exec_driver_sql(
            "INSERT INTO journal (at, kind, practice, payload) VALUES (?, 'run_opened', ?, ?)",
            (instant_text(START), PRACTICE, encode_entry(RunOpened(run=run))),
        )
    old.dispose()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return instant_text(value)
    return value.value if isinstance(value, Enum) else value


def test_upgrade_that_finds_no_room_for_a_copy_changes_nothing(tmp_path: Path) -> None:
    _make_old_store(tmp_path / FILE_NAME, "0008")
    (tmp_path / f"{FILE_NAME}.before-0008").mkdir()  # nothing can take its place

    with pytest.raises(SpaceExhausted, match="no copy of"):
        open_store(tmp_path, FakeClock())

    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as store:
        assert store.execute("SELECT version_num FROM alembic_version").fetchall() == [("0008",)]


def test_store_version_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(configuration())

    assert script.get_heads() == [STORE_VERSION]
    assert all(len(each.revision) == 4 for each in script.walk_revisions())


def _normal(sql: str) -> list[str]:
    """Return the words of a statement; constraints may stand in any order.

    SQLite puts the name of a table into quotes once it was written anew.
    """
    plain = sql.replace('"', "").replace(",", " ")
    return sorted(plain.replace("(", " ( ").replace(")", " ) ").split())
