"""The migrations, run one after the other, make exactly the tables the code describes."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.schema import STORE_VERSION, metadata
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import FakeClock


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


def test_store_version_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(configuration())

    assert script.get_heads() == [STORE_VERSION]
    assert all(len(each.revision) == 4 for each in script.walk_revisions())


def _normal(sql: str) -> list[str]:
    """Return the words of a statement; constraints may stand in any order."""
    return sorted(sql.replace(",", " ").replace("(", " ( ").replace(")", " ) ").split())
