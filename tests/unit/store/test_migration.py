"""The migrations, run one after the other, make exactly the tables the code describes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from dr_orchestrator.core.point import AssetKind, AssetSummary, Method
from dr_orchestrator.core.record import PointRecorded
from dr_orchestrator.store.codec import decode_entry
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.schema import STORE_VERSION, metadata
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import FakeClock
from tests.support.evidence import DOCUMENTS, make_point

_POINT_OF_0001 = (
    '{"point":{"as_of":"2026-11-21T19:15:00.000000Z","assets":{"database":{"bytes":7,'
    '"kind":"sqlite","level":"full","method":"copy"}},"copies":[],"data_as_of":null,'
    '"finished":"2026-11-21T19:16:00.000000Z","id":"p1","label":null,"practice":"riverside",'
    '"run":"r1","skew_seconds":2.5,"system":"emr"}}'
)
"""As that version wrote it down."""


def test_migrations_lead_to_the_tables_of_the_schema(tmp_path: Path) -> None:
    open_store(tmp_path, FakeClock()).close()
    described = create_engine("sqlite://")
    metadata.create_all(described)
    migrated = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")

    with described.connect() as wanted, migrated.connect() as found:
        statements = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        made = {name: _normal(sql) for name, sql in found.exec_driver_sql(statements)}
        assert made.pop("alembic_version")
        assert made == {name: _normal(sql) for name, sql in wanted.exec_driver_sql(statements)}
        context = MigrationContext.configure(found, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    described.dispose()
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
        assert decode_entry(line.kind, line.payload) == PointRecorded(point=point)
        dumps = replace(DOCUMENTS, data_as_of=point.as_of - timedelta(days=1))
        newer = make_point(point.as_of, assets={"dumps": dumps})
        store.record(PointRecorded(point=newer))
        assert store.find_point("riverside", newer.id).assets == {"dumps": dumps}


def test_store_version_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(configuration())

    assert script.get_heads() == [STORE_VERSION]
    assert all(len(each.revision) == 4 for each in script.walk_revisions())


def _normal(sql: str) -> list[str]:
    """Return the words of a statement; constraints may stand in any order."""
    return sorted(sql.replace(",", " ").replace("(", " ( ").replace(")", " ) ").split())
