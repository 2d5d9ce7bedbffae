from __future__ import annotations

import json
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from fcntl import ioctl
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from click.testing import Result as Ended

from dr_orchestrator.cli.runs import command
from dr_orchestrator.core.record import PointRecorded, RestoreTestRecorded, RunClosed, RunOpened
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.process import ProcessIdentity
from tests.support.desk import Desk
from tests.support.evidence import make_plan, make_point, make_record, make_run, make_test
from tests.support.practices import NOW, Practice

HOUR = timedelta(hours=1)
OURS = ProcessIdentity.ours()
UNREACHABLE = "onsite: the repository does not answer"


class _Desk(Desk):
    """Two practices in different time zones, and nothing recorded of either."""

    broken = False

    def __init__(self, state: Path) -> None:
        zones = {"riverside": "America/Chicago", "lakeside": "Europe/Berlin"}
        super().__init__(state, *(_sample(name, zone) for name, zone in zones.items()))

    def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
        if self.broken:
            raise PlanInvalid("riverside.yaml: 1 mistake")
        found = super().plans(practices)
        if practices and not found:
            raise UsageMistake(f"there is no plan of a practice {practices[0]}")
        return found

    def run(self, started: datetime, outcome: Outcome | None, reason: str = "", **more: Any) -> Run:
        """Record a run of four minutes, or with no outcome one that is still open."""
        run = make_run(started, **more)
        self.store().record(RunOpened(run=run))
        if outcome is not None:
            end = started + timedelta(minutes=4)
            self.store().record(
                RunClosed(run=run.id, finished_at=end, outcome=outcome, reason=reason)
            )
        return run

    def here(self, started: datetime, *, alive: bool, **more: Any) -> Run:
        """Record an open run of this machine, whose process lives (it is ours) or does not."""
        began = OURS.started if alive else "an-earlier-boot/1"
        more |= {"host": OURS.host, "pid": OURS.pid, "pid_started": began}
        return self.run(started, None, **more)

    def dro(self, *args: str) -> Ended:
        self.json = "--json" in args
        return CliRunner().invoke(command, args, obj=self, standalone_mode=False)

    def told(self, *args: str) -> str:
        result = self.dro(*args)
        assert (result.exception, result.return_value) == (None, 0)
        return result.stdout

    def object(self, *args: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.told(*args, "--json"))
        assert told["schema"] == 1
        return told


def _sample(name: str, zone: str) -> Practice:
    plan = make_plan({"id": name, "timezone": zone})
    return Practice(plan=plan, record=replace(make_record(), practice=name), findings=(), now=NOW)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[_Desk]:
    opened = _Desk(tmp_path / "state")
    yield opened
    opened.close()


def test_list_tells_each_run_of_last_night_on_a_line_newest_first(desk: _Desk) -> None:
    why = "a table is missing"
    desk.run(NOW - 30 * HOUR, Outcome.FAILED)
    done = desk.run(NOW - 7 * HOUR, Outcome.DONE)
    test = desk.run(
        NOW - HOUR,
        Outcome.FAILED,
        why,
        operation=Operation.RESTORE_TEST,
        repository="onsite",
    )

    assert desk.told().splitlines() == [
        f"2026-11-21 18:15 CST  FAILED  4 min  restore test  emr  onsite  {test.id}  {why}",
        f"2026-11-21 12:15 CST  done    4 min  backup        emr          {done.id}",
        "2 runs since yesterday 19:15: 1 done, 1 failed",
    ]


def test_list_says_so_when_there_was_nothing(desk: _Desk) -> None:
    assert desk.told() == "no run since yesterday 01:15 UTC\n"  # the practices have two zones
    assert desk.told("riverside", "--since", "3d") == "no run since 2026-11-18 19:15 CST\n"
    assert desk.told("lakeside", "--since", "1h") == "no run since today 01:15\n"
    assert desk.told("--system", "erm", "lakeside").startswith("no run of erm since")


def test_list_tells_runs_that_are_open_however_old_and_what_became_of_them(desk: _Desk) -> None:
    desk.here(NOW - HOUR, alive=True)
    desk.here(NOW - 90 * HOUR, alive=False)
    desk.run(NOW - 2 * HOUR, None, host="another-machine")

    running, unknown, gone, total = desk.told("riverside").splitlines()

    assert re.search(r"running +1 h +backup", running)
    assert "whether it still runs is seen only on another-machine" in unknown
    assert "INTERRUPTED" in gone
    assert "interrupted, not yet closed: its process is gone" in gone
    assert total == (
        "3 runs since yesterday 19:15: "
        "1 running, 1 interrupted, not yet closed, 1 open on another machine"
    )


def test_list_of_what_failed_leaves_out_only_what_is_well(desk: _Desk) -> None:
    at = NOW - 9 * HOUR
    for hour, outcome in enumerate(Outcome):
        desk.run(at + hour * HOUR, outcome)
    desk.here(NOW, alive=True)
    desk.here(NOW - 10 * HOUR, alive=False)

    told = desk.object("--failed", "riverside")

    outcomes = [each["outcome"] for each in told["runs"]]
    assert outcomes == ["interrupted", "unproven", "failed", "partial", None]
    assert told["runs"][-1]["state"] == "gone"
    assert (told["left_out"], told["counts"]["done"], told["counts"]["running"]) == (0, 1, 1)


def test_list_is_limited_and_says_how_many_are_left_out(desk: _Desk) -> None:
    for minutes in range(5):
        desk.run(NOW - timedelta(minutes=minutes), Outcome.FAILED)
    desk.here(NOW - timedelta(hours=5), alive=False)

    lines = desk.told("--failed", "--limit", "2").splitlines()

    assert len(lines) == 4
    assert "2026-11-21 19:15" in lines[0]
    assert lines[2].startswith("6 runs since")
    assert lines[3] == "4 more are not shown: `--limit 6`"


def test_list_names_the_practice_and_its_own_time_where_there_are_several(desk: _Desk) -> None:
    desk.run(NOW - HOUR, Outcome.DONE)
    desk.run(NOW - 2 * HOUR, Outcome.DONE, practice="lakeside")
    desk.run(NOW - 3 * HOUR, Outcome.DONE, practice="sold-last-year")

    riverside, lakeside, sold, _total = desk.told().splitlines()

    assert re.search(r"^2026-11-21 18:15 CST .* riverside ", riverside)
    assert re.search(r"^2026-11-22 00:15 CET .* lakeside ", lakeside)
    assert re.search(r"^2026-11-21 22:15 UTC .* sold-last-year ", sold)
    assert len(desk.told("lakeside").splitlines()) == 2


def test_list_tells_runs_also_when_a_plan_cannot_be_read(desk: _Desk) -> None:
    desk.run(NOW - HOUR, Outcome.FAILED, UNREACHABLE)
    desk.broken = True

    result = desk.dro()

    assert "2026-11-22 00:15 UTC  FAILED" in result.stdout
    assert "warning: times are in UTC" in result.stderr
    assert isinstance(desk.dro("riverside").exception, PlanInvalid)


def test_list_of_an_unknown_practice_is_a_mistake_and_never_an_empty_list(desk: _Desk) -> None:
    assert isinstance(desk.dro("riversid").exception, UsageMistake)


@pytest.mark.parametrize("age", ["24", "yesterday", "", "-1h"])
def test_list_refuses_an_age_without_a_unit(desk: _Desk, age: str) -> None:
    result = desk.dro("--since", age)
    assert result.exception is not None
    assert "24h" in str(result.exception)


def test_practice_called_show_is_named_after_list(desk: _Desk) -> None:
    assert isinstance(desk.dro("list", "show").exception, UsageMistake)  # no such practice
    assert isinstance(desk.dro("show").exception, click.MissingParameter)


def test_help_is_of_the_group_when_nothing_else_is_said(desk: _Desk) -> None:
    assert "short for" in desk.dro("--help").stdout
    assert "--since" in desk.dro("riverside", "--help").stdout


def test_list_in_json_has_the_keys_other_programs_rely_on(desk: _Desk) -> None:
    run = desk.run(NOW - HOUR, Outcome.FAILED, UNREACHABLE)

    told = desk.object()

    assert told["since"] == "2026-11-21T01:15:00+00:00"
    assert told["runs"] == [
        {
            "id": run.id,
            "operation": "backup",
            "practice": "riverside",
            "system": "emr",
            "repository": None,
            "state": "ended",
            "outcome": "failed",
            "reason": UNREACHABLE,
            "started_at": "2026-11-22T00:15:00+00:00",
            "finished_at": "2026-11-22T00:19:00+00:00",
            "seconds": 240.0,
            "host": "elsewhere",
            "pid": 4711,
            "schedule_id": None,
            "due_at": None,
            "attempt": 1,
        }
    ]
    assert set(told["counts"]) == {*Outcome, "running", "gone", "unknown"}


def _on_terminal(desk: _Desk, columns: int) -> str:
    """Return what the listing writes to a real pseudo-terminal of this width."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as terminal, redirect_stdout(terminal):
        command.main([], obj=desk, standalone_mode=False)
    written = b""
    with suppress(OSError):  # EIO: the other end is closed and all is read
        while part := os.read(leader, 65536):
            written += part
    os.close(leader)
    return written.decode()


def test_list_cuts_reasons_to_the_terminal_and_says_failed_without_colour_too(
    desk: _Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    reason = "onsite: \x1b[2J" + "the repository does not answer " * 9
    desk.run(NOW - HOUR, Outcome.FAILED, reason)

    coloured = _on_terminal(desk, 120)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = _on_terminal(desk, 120)

    assert "\x1b[1;31m" in coloured
    assert "\x1b[3" not in plain
    line = re.sub(r"\x1b\[[\d;]*m", "", plain).splitlines()[0]
    assert (len(line), line[-1]) == (120, "…")
    assert "FAILED" in line
    assert "\x1b[2J" not in coloured
    assert desk.told().count("does not answer") == 9  # a program gets it whole


def test_show_tells_of_a_failed_backup_why_and_what_to_do(desk: _Desk) -> None:
    before = desk.run(NOW - 5 * HOUR, Outcome.DONE)
    desk.run(NOW - 4 * HOUR, Outcome.DONE, system="imaging")
    run = desk.run(NOW - 2 * HOUR, Outcome.FAILED, UNREACHABLE)

    told = desk.told("show", run.id[:15])

    assert told.splitlines() == [
        "riverside emr: backup FAILED",
        f"  id          {run.id}",
        "  started     2026-11-21 17:15 CST",
        "  ended       2026-11-21 17:19 CST, after 4 min",
        "  process     4711 on elsewhere, which is not this machine",
        f"  because     {UNREACHABLE}",
        "  point       none",
        f"  before      2026-11-21 14:15 CST  done  {before.id}",
        "  next        remove the cause, run it again: `dro backup riverside --system emr`",
    ]


def test_show_calms_when_it_was_done_since(desk: _Desk) -> None:
    run = desk.run(NOW - 3 * HOUR, Outcome.FAILED, UNREACHABLE)
    after = desk.run(NOW - 2 * HOUR, Outcome.DONE)
    desk.run(NOW - HOUR, Outcome.DONE)

    told = desk.object("show", run.id)

    assert told["after"]["id"] == after.id
    assert told["next"] == [f"nothing: it was done since, by {after.id}"]


def test_show_names_the_point_that_a_partial_backup_made(desk: _Desk) -> None:
    run = desk.run(NOW - HOUR, Outcome.PARTIAL, "offsite: unreachable")
    desk.store().record(PointRecorded(point=make_point(NOW - HOUR, id=run.id, run=run.id)))

    assert f"  point       {run.id}, database, documents: 6.5 GiB in onsite" in desk.told(
        "show", run.id
    )
    assert desk.object("show", run.id)["point"]["repositories"] == ["onsite"]


def _failed_test(desk: _Desk) -> Run:
    checks = (
        Verification(title="loads", asset="database", result=Result.PASSED),
        Verification(
            title="rows of visit", asset="database", result=Result.FAILED, reason="3 are gone"
        ),
        Verification(title="orphans", asset="database", result=Result.UNPROVEN, reason="timed out"),
    )
    run = desk.run(
        NOW - 2 * HOUR,
        Outcome.FAILED,
        "rows of visit: 3 are gone",
        operation=Operation.RESTORE_TEST,
        repository="onsite",
    )
    test = make_test(
        NOW - 2 * HOUR,
        Result.FAILED,
        id=run.id,
        reason="rows of visit: 3 are gone",
        verifications=checks,
        next="as it was before the follow-ups",
    )
    elsewhere = make_test(
        NOW - HOUR, repository="offsite", point=test.point, follow_up_of=run.id, verifications=()
    )
    desk.store().record(RestoreTestRecorded(test=test), RestoreTestRecorded(test=elsewhere))
    return run


def test_show_tells_of_a_failed_test_what_did_not_pass_and_where_it_is_good(desk: _Desk) -> None:
    told = desk.told("show", _failed_test(desk).id)

    assert "FAILED    rows of visit: 3 are gone" in told
    assert "UNPROVEN  orphans: timed out" in told
    assert "loads" not in told
    assert told.count("3 are gone") == 1
    assert re.search(r"follow-up +passed: point \S+ .* from offsite", told)
    (next_step,) = re.findall(r"^  next +(.*)", told, re.MULTILINE)
    assert "comes back from offsite: restore from there" in next_step


def test_show_of_a_failed_test_stays_alarmed_when_a_later_one_passed(desk: _Desk) -> None:
    run = _failed_test(desk)
    more: dict[str, Any] = {"operation": Operation.RESTORE_TEST, "repository": "onsite"}
    desk.run(NOW - HOUR, Outcome.DONE, **more | {"repository": "offsite"})
    passed = desk.run(NOW, Outcome.DONE, **more)

    told = desk.object("show", run.id)

    assert told["after"]["id"] == passed.id
    assert "is damaged" in told["next"][0]
    assert [test["follow_up_of"] for test in told["tests"]] == [None, run.id]


@pytest.mark.parametrize("operation", Operation)
def test_show_of_an_interrupted_run_says_what_that_means(desk: _Desk, operation: Operation) -> None:
    gone = desk.here(NOW - HOUR, alive=False, operation=operation, repository="onsite")
    closed = desk.run(NOW, Outcome.INTERRUPTED, operation=operation, repository="offsite")

    told, later = desk.object("show", gone.id), desk.object("show", closed.id)

    assert (told["run"]["state"], told["process_alive"]) == ("gone", False)
    assert told["run"]["reason"].startswith("interrupted, not yet closed")
    assert told["run"]["seconds"] is None
    assert "closes this run and removes what it left" in told["next"][0]
    assert told["meaning"]
    assert later["meaning"] == f"{told['meaning']}; {_FOUND}"
    assert "run it again: `dro " in later["next"][0]
    assert len(desk.store().open_runs()) == 1  # reading closes nothing


_FOUND = "where its process was killed, `ended` is when that was found"


def test_show_does_not_disown_a_test_that_was_recorded_before_the_kill(desk: _Desk) -> None:
    run = desk.here(NOW - HOUR, alive=False, operation=Operation.RESTORE_TEST, repository="onsite")
    desk.store().record(RestoreTestRecorded(test=make_test(NOW - HOUR, id=run.id)))

    assert desk.object("show", run.id)["meaning"] == "its result was recorded before, and counts"


def test_show_of_a_run_that_runs_asks_for_nothing(desk: _Desk) -> None:
    run = desk.here(NOW - HOUR, alive=True)

    told = desk.told("show", run.id)

    assert told.startswith("riverside emr: backup running\n")
    assert "running for 1 h" in told
    assert f"{OURS.pid} on {OURS.host}, running" in told
    assert not {"next", "point", "because"} & set(told.split())


def test_show_refuses_a_prefix_of_none_and_of_several(desk: _Desk) -> None:
    for minutes in range(7):
        desk.run(NOW - timedelta(minutes=minutes), Outcome.DONE)

    several, none = desk.dro("show", "20261122").exception, desk.dro("show", "2027").exception

    assert isinstance(several, UsageMistake)
    assert "several runs have an id that begins with 20261122" in several.message
    assert several.hint.count("20261122-") == 5
    assert several.hint.endswith("…")
    assert isinstance(none, UsageMistake)
    assert isinstance(desk.dro("show", "").exception, UsageMistake)
