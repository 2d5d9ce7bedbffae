"""The migrations, run one after the other, make exactly the tables the code describes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from dr_orchestrator.core.point import AssetKind, AssetSummary, Method
from dr_orchestrator.core.record import PointRecorded, RunOpened
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.store.codec import decode_entry
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.schema import STORE_VERSION, metadata
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import FakeClock
from tests.support.evidence import DOCUMENTS, make_point

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
