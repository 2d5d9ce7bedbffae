"""The scheduler as a process: what is due is run by child processes, and it stops in peace."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.schedule.planner import scheduled_operations
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.site import Site, make_small_practice, new_site, processes_of

_PATIENCE_SECONDS = 60
_EVERY_HOUR = """\
    backup: {schedule: every 1h}
    restore_tests: [{schedule: every 1h}]
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        make_small_practice(made)
        plan = made.plan.read_text().replace("    rpo: 1h\n", f"    rpo: 1h\n{_EVERY_HOUR}")
        page = f"report: {{schedule: every 1h, folder: {made.folder}/pages}}\n"
        made.plan.write_text(plan + page)
        yield made


def make_due(site: Site, *operations: Operation) -> None:
    """Have the newest occurrence of these operations come due."""
    clock = SystemClock()
    due = [
        each
        for each in scheduled_operations(load_plan(site.plan).plan)
        if each.operation in operations
    ]
    with open_store(site.state, clock) as store:
        with closing(sqlite3.connect(site.state / FILE_NAME)) as memory, memory:
            memory.executemany("delete from schedule where id = ?", [(each.id,) for each in due])
        for each in due:
            store.ledger.see_schedules([each.id], clock.now() - each.schedule.period)


def states(site: Site) -> list[OccurrenceState]:
    clock = SystemClock()
    with open_store(site.state, clock) as store:
        return list(store.occurrences(since=clock.now() - timedelta(days=8), limit=100))


def outcomes(site: Site) -> dict[Operation, Outcome | None]:
    return {
        each.occurrence.operation: each.outcome
        for each in states(site)
        if each.progress is Progress.SETTLED
    }


@contextmanager
def scheduler(site: Site, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = site.start("schedule", "run", *words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_schedule_run_once_makes_a_backup_then_proves_it_and_reports_that(site: Site) -> None:
    make_due(site, Operation.BACKUP)
    ended = site.dro("schedule", "run", "--once")
    assert ended.code == 0, ended.said
    assert outcomes(site) == {Operation.BACKUP: Outcome.DONE}
    make_due(site, Operation.RESTORE_TEST, Operation.EVIDENCE)
    ended = site.dro("schedule", "run", "--once")
    assert ended.code == 0, ended.said
    assert set(outcomes(site).values()) == {Outcome.DONE}, states(site)
    done = {Operation.BACKUP, Operation.RESTORE_TEST, Operation.REPORT, Operation.EVIDENCE}
    assert set(outcomes(site)) == done
    (shown,) = site.dro("evidence", "show", "--json").json["evidence"]
    assert [each["place"] for each in shown["kept"]] == ["the repository onsite"]
    assert (site.folder / "pages/riverside.html").exists()
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [each["outcome"] for each in events if each["event"] == "ended"] == ["done"] * 3
    assert site.leftovers() == []
    runs = site.dro("runs", "riverside", "--json")
    assert runs.code == 0


def test_schedule_run_goes_on_with_the_plan_before_an_edit_that_is_not_valid(site: Site) -> None:
    assert site.dro("schedule", "run", "--once").code == 0
    assert site.dro("status", "--json").json["scheduler_seen_at"] is not None
    make_due(site, Operation.REPORT)
    site.plan.write_text(site.plan.read_text().replace("rto: 4h", "rto: soon"))
    ended = site.dro("schedule", "run", "--once")
    assert outcomes(site)[Operation.REPORT] is Outcome.DONE, ended.said
    assert ended.code == 3
    assert "riverside.yaml: 1 mistake" in ended.stderr


def test_scheduler_stops_in_peace_and_has_what_it_ended_attempted_again(site: Site) -> None:
    slow = site.folder / "slow"
    # slow the first time only: whoever cleans up after a stop asks for the password again
    slow.write_text(f"#!/bin/sh\nmkdir {site.folder}/asked && sleep 60\ncat {site.key}\n")
    slow.chmod(0o700)
    plan = site.plan.read_text()
    site.plan.write_text(plan.replace(f"{{file: {site.key}}}", f"{{command: [{slow}]}}"))
    make_due(site, Operation.BACKUP)
    with scheduler(site) as process:
        wait_until(lambda: any(str(slow) in line for _, line in processes_of(site.folder)))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == 0, said
    (state,) = states(site)
    assert (state.progress, state.outcome) == (Progress.WAITING, Outcome.INTERRUPTED), said
    assert site.leftovers() == []


def wait_until(is_so: Callable[[], bool]) -> None:
    last = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < last
        time.sleep(0.05)
