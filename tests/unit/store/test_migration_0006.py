"""Migration 0006 works out which copies of points a repository told of."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, insert

from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.rows import run_row
from dr_orchestrator.store.schema import run
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import make_run


def test_upgrade_from_0005_knows_whose_runs_are_on_record(tmp_path: Path) -> None:
    old = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    point = "INSERT INTO point VALUES (?, ?, 'emr', ?, NULL, ?, ?, NULL, 0)"
    copy = "INSERT INTO point_copy VALUES (?, ?, 'onsite', '4', '5', '{}', ?)"
    at = "2026-11-21T19:15:00.000000Z"
    with old.begin() as connection:
        command.upgrade(configuration(connection), "0005")
        connection.execute(insert(run).values(run_row(make_run(START, id="ours"))))
        for practice, id_ in (("riverside", "ours"), ("riverside", "told"), ("lakeside", "ours")):
            connection.exec_driver_sql(point, (practice, id_, id_, at, at))
            connection.exec_driver_sql(copy, (practice, id_, at))
    old.dispose()

    with open_store(tmp_path, FakeClock()) as store:
        found = {
            (practice, point.id): point.copies[0].read_back
            for practice in ("riverside", "lakeside")
            for point in store.points(practice)
        }
    assert found == {
        ("riverside", "ours"): False,
        ("riverside", "told"): True,
        ("lakeside", "ours"): True,
    }
