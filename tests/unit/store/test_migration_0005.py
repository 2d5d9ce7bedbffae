"""Migration 0005 works out of the runs that are there what a verdict needs of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, insert

from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.rows import run_row
from dr_orchestrator.store.schema import run
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import make_run

HOUR = timedelta(hours=1)


def test_upgrade_from_0004_knows_the_first_and_the_newest_runs(tmp_path: Path) -> None:
    ended = {"finished_at": START + 5 * HOUR, "outcome": Outcome.FAILED}
    runs = [
        make_run(START, id="1", **ended),
        make_run(START - HOUR, id="2", **ended),
        make_run(START + HOUR, id="3"),
        make_run(START + HOUR, id="4", system="imaging"),
        make_run(START, id="5", operation=Operation.CHECK, system="", repository="a", **ended),
        make_run(START, id="6", operation=Operation.CHECK, system="", repository="b", **ended),
    ]
    old = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with old.begin() as connection:
        command.upgrade(configuration(connection), "0004")
        for each in runs:
            connection.execute(insert(run).values(run_row(each)))
    old.dispose()

    with open_store(tmp_path, FakeClock()) as store:
        record = store.practice_record("riverside")

    assert record.first_seen == {"emr": START - HOUR, "imaging": START + HOUR}
    assert [each.id for each in record.last_runs] == ["2", "5", "6"]
