"""`dro runs` of what is on a schedule: retried, skipped, waiting, never started."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.runs import command
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.record import (
    OccurrenceDue,
    OccurrenceSettled,
    RunClosed,
    RunOpened,
    SystemPaused,
)
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.process import ProcessIdentity
from tests.support.desk import Desk
from tests.support.evidence import make_plan, make_record, make_run
from tests.support.practices import NOW, Practice

HOUR = timedelta(hours=1)
OURS = ProcessIdentity.ours()
BACKUP = "riverside/emr/backup/1"


class _Desk(Desk):
    """One practice, nothing recorded of it."""

    def __init__(self, state: Path) -> None:
        sample = Practice(plan=make_plan(), record=make_record(), findings=(), now=NOW)
        super().__init__(state, sample)

    def due(self, at: datetime, **more: Any) -> Occurrence:
        """Let something come due."""
        plain = Occurrence(
            id=f"{at:%Y%m%d%H%M}-{len(more)}",
            schedule_id=BACKUP,
            due_at=at,
            practice="riverside",
            operation=Operation.BACKUP,
            system="emr",
        )
        occurrence = replace(plain, **more)
        self.store().record(OccurrenceDue(occurrence=occurrence))
        return occurrence

    def attempt(
        self, due: Occurrence, outcome: Outcome, reason: str = "", *, number: int = 1
    ) -> Run:
        """Record an attempt of four minutes, ten minutes after the one before."""
        started = due.due_at + (number - 1) * timedelta(minutes=10)
        run = make_run(
            started,
            operation=due.operation,
            system=due.system,
            repository=due.repository,
            schedule_id=due.schedule_id,
            due_at=due.due_at,
            attempt=number,
            id=f"{started:%Y%m%d-%H%M%S}-{due.id[-6:]}",
        )
        end = started + timedelta(minutes=4)
        self.store().record(
            RunOpened(run=run),
            RunClosed(run=run.id, finished_at=end, outcome=outcome, reason=reason),
        )
        return run

    def settle(self, due: Occurrence, outcome: Outcome | None, reason: str = "") -> None:
        at = due.due_at + HOUR
        self.store().record(
            OccurrenceSettled(occurrence=due.id, at=at, outcome=outcome, reason=reason)
        )

    def done(self, at: datetime, **more: Any) -> Run:
        due = self.due(at, **more)
        run = self.attempt(due, Outcome.DONE)
        self.settle(due, Outcome.DONE)
        return run

    def told(self, *args: str) -> str:
        self.json = "--json" in args
        result = CliRunner().invoke(command, args, obj=self, standalone_mode=False)
        assert (result.exception, result.return_value) == (None, 0)
        return result.stdout

    def object(self, *args: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.told(*args, "--json"))
        return told


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[_Desk]:
    opened = _Desk(tmp_path / "state")
    yield opened
    opened.close()


def test_list_tells_attempts_at_one_occurrence_in_one_line(desk: _Desk) -> None:
    due = desk.due(NOW - 3 * HOUR)
    desk.attempt(due, Outcome.FAILED, "onsite: unreachable")
    desk.attempt(due, Outcome.INTERRUPTED, number=2)
    last = desk.attempt(due, Outcome.DONE, number=3)
    desk.settle(due, Outcome.DONE)

    line, total = desk.told().splitlines()

    assert line == (
        f"2026-11-21 16:35 CST  done  4 min  backup  emr  {last.id}  "
        "attempt 3, before it: failed, interrupted"
    )
    assert total == "3 runs since yesterday 19:15: 1 done, 1 failed, 1 interrupted"
    assert len(desk.object()["runs"]) == 3  # other programs get each


def test_list_tells_when_the_next_attempt_begins(desk: _Desk) -> None:
    due = desk.due(NOW - timedelta(minutes=10))
    desk.attempt(due, Outcome.FAILED, "onsite: unreachable")
    claim = desk.store().ledger.claim(OURS)
    assert claim is not None
    desk.store().ledger.requeue(
        claim, not_before=NOW + HOUR, outcome=Outcome.FAILED, reason="", counts=True
    )

    line = desk.told().splitlines()[0]

    assert line.endswith("onsite: unreachable; next attempt: at 2026-11-21 20:15 CST")
    assert "FAILED" in line


@pytest.mark.parametrize(
    ("system", "until", "told"),
    [
        ("emr", 2 * HOUR, "paused until 2026-11-21 21:15 CST: server moves"),
        ("", 2 * HOUR, "paused until 2026-11-21 21:15 CST: server moves"),
        ("emr", HOUR / 2, "next attempt: at 2026-11-21 20:15 CST"),
        ("imaging", 2 * HOUR, "next attempt: at 2026-11-21 20:15 CST"),
    ],
)
def test_next_attempt_waits_for_no_system_that_is_paused_then(
    desk: _Desk, system: str, until: timedelta, told: str
) -> None:
    due = desk.due(NOW - timedelta(minutes=10))
    run = desk.attempt(due, Outcome.FAILED, "onsite: unreachable")
    claim = desk.store().ledger.claim(OURS)
    assert claim is not None
    desk.store().ledger.requeue(
        claim, not_before=NOW + HOUR, outcome=Outcome.FAILED, reason="", counts=True
    )
    desk.store().record(
        SystemPaused(
            practice="riverside",
            system=system,
            at=NOW,
            until=NOW + until,
            by="kim",
            why="server moves",
        )
    )

    assert desk.told().splitlines()[0].endswith(f"onsite: unreachable; {told}")
    shown = desk.told("show", run.id)
    assert (f"next        nothing yet: {told}" in shown) is told.startswith("paused")
    assert ("tried again" in shown) is told.startswith("next")


def test_show_says_nothing_of_the_process_of_a_run_that_is_closed(desk: _Desk) -> None:
    run = make_run(NOW - HOUR, host=OURS.host, pid_started="a boot before/1")
    closed = RunClosed(run=run.id, finished_at=NOW, outcome=Outcome.DONE, reason="")
    desk.store().record(RunOpened(run=run), closed)
    assert re.search(rf"process +{run.pid} on {run.host}\n", desk.told("show", run.id))


def test_list_folds_backups_in_a_row_that_went_well_but_nothing_else(desk: _Desk) -> None:
    runs = [desk.done(NOW - 9 * HOUR + hour * HOUR) for hour in range(4)]
    failed = desk.due(NOW - 5 * HOUR)
    desk.attempt(failed, Outcome.FAILED, "why")
    desk.settle(failed, Outcome.FAILED, "why")
    after = desk.done(NOW - 4 * HOUR)
    other = desk.done(NOW - 4 * HOUR, schedule_id="riverside/imaging/backup/1", system="imaging")

    lines = desk.told().splitlines()

    assert [re.split(r"  +", line)[-2:] for line in lines[:4]] == [
        ["imaging", other.id],
        ["emr", after.id],
        [lines[2].split()[-2], "why"],
        [runs[-1].id, "and 3 more since 10:15"],
    ]
    assert "FAILED" in lines[2]
    assert lines[4].startswith("7 runs since")
    assert len(desk.told("--all").splitlines()) == 8


def test_list_tells_each_of_several_failures(desk: _Desk) -> None:
    for hour in range(3):
        due = desk.due(NOW - 9 * HOUR + hour * HOUR)
        desk.attempt(due, Outcome.FAILED, "onsite: unreachable")
        desk.settle(due, Outcome.FAILED, "onsite: unreachable")

    assert desk.told().count("FAILED") == 3


def test_list_tells_what_came_due_and_has_no_run(desk: _Desk) -> None:
    desk.due(NOW - 2 * HOUR, skipped="it is paused until Monday")
    desk.due(
        NOW - HOUR, schedule_id="riverside/emr/restore-test/1", operation=Operation.RESTORE_TEST
    )
    desk.due(
        NOW,
        schedule_id="riverside/onsite/check/1",
        operation=Operation.CHECK,
        system="",
        repository="onsite",
    )

    lines = desk.told().splitlines()

    assert re.search(r"^2026-11-21 19:15 CST  waiting +check +onsite$", lines[0])
    assert re.search(
        r"^2026-11-21 18:15 CST  NOT STARTED +restore test  emr  .*nobody took it", lines[1]
    )
    assert re.search(r"SKIPPED .* backup +emr +it is paused until Monday$", lines[2])
    assert lines[3].endswith(
        "no run since yesterday 19:15; without a run: 1 skipped, 1 waiting, 1 not started"
    )
    assert [each["state"] for each in desk.object()["occurrences"]] == [
        "waiting",
        "not started",
        "skipped",
    ]
    assert len(desk.told("--failed").splitlines()) == 3
    assert "waiting" not in desk.told("--failed").splitlines()[0]
    assert len(desk.told("--system", "emr").splitlines()) == 3


def test_list_folds_what_a_power_cut_skipped(desk: _Desk) -> None:
    for hour in range(20):
        desk.due(NOW - 21 * HOUR + hour * HOUR, skipped="a newer one was due as well")

    line, _total = desk.told().splitlines()

    assert line.endswith("a newer one was due as well (and 19 more since 22:15)")


def test_list_tells_operations_on_a_repository_by_it(desk: _Desk) -> None:
    for number, operation in enumerate((Operation.CHECK, Operation.FORGET, Operation.PRUNE)):
        desk.done(
            NOW - number * HOUR,
            schedule_id=f"{number}",
            operation=operation,
            system="",
            repository="onsite",
        )
    desk.done(NOW - 4 * HOUR, schedule_id="report", operation=Operation.REPORT, system="")

    told = [re.split(r"  +", line)[3:-1] for line in desk.told().splitlines()[:4]]

    assert told == [["check", "onsite"], ["forget", "onsite"], ["prune", "onsite"], ["report"]]


def test_show_tells_the_attempts_and_when_the_next_one_begins(desk: _Desk) -> None:
    due = desk.due(NOW - timedelta(minutes=10))
    first = desk.attempt(due, Outcome.FAILED, "onsite: unreachable")
    claim = desk.store().ledger.claim(OURS)
    assert claim is not None
    desk.store().ledger.requeue(
        claim, not_before=NOW + HOUR, outcome=Outcome.FAILED, reason="", counts=True
    )

    told, object_ = desk.told("show", first.id), desk.object("show", first.id)

    assert f"  occurrence  {BACKUP}, due 2026-11-21 19:05 CST, attempt 1" in told
    assert "  attempts    1 FAILED, the next one at 2026-11-21 20:15 CST" in told
    assert "  next        nothing yet: it is tried again at 2026-11-21 20:15 CST" in told
    assert object_["occurrence"]["progress"] == "waiting"
    assert [each["id"] for each in object_["attempts"]] == [first.id]


def test_show_tells_what_to_do_after_the_last_attempt(desk: _Desk) -> None:
    due = desk.due(NOW - 3 * HOUR, operation=Operation.FORGET, system="", repository="onsite")
    desk.attempt(due, Outcome.FAILED)
    last = desk.attempt(due, Outcome.FAILED, "onsite: unreachable", number=2)
    desk.settle(due, Outcome.FAILED)

    told = desk.told("show", last.id)

    assert told.startswith("riverside: forget FAILED\n")
    assert "  attempts    1 FAILED, 2 FAILED\n" in told
    assert "`dro retention apply riverside --repository onsite`" in told
