from __future__ import annotations

import json
import os
import pty
import re
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.status import command, exit_code, practice_json
from dr_orchestrator.cli.status_text import PracticeShown, machine_lines
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.problem import Problem, ProblemKind
from dr_orchestrator.core.record import Entry, ProblemAcknowledged, ProblemSeen, SystemPaused
from dr_orchestrator.errors import ExitCode, PlanInvalid, UsageMistake
from dr_orchestrator.fleet.status import PracticeStatus, Protected
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.schedule.plan_shelf import PlansRead
from tests.support import fleet, practices
from tests.support.desk import Desk
from tests.support.practices import NOW, Practice, all_met, finding

DAY = timedelta(days=1)
SOON = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY, reason="no test yet")
OVERDUE = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW - DAY, reason="no test yet")
BREACHED = finding("emr", Objective.RPO, Verdict.BREACHED, reason="too long", since=NOW - DAY)


CHICAGO = ZoneInfo("America/Chicago")


def status(*findings: Finding, practice: str = "riverside") -> PracticeStatus:
    titles = {"emr": "Electronic medical record", "files": "Shared files"}
    return fleet.practice(*findings, practice=practice, titles=titles)


def text(*statuses: PracticeStatus, pauses: tuple[SystemPaused, ...] = (), **machine: Any) -> str:
    shown = [PracticeShown(status=each, zone=CHICAGO, pauses=pauses) for each in statuses]
    site = fleet.site(*statuses, **machine)
    lines = machine_lines(shown, site, NOW)
    return "\n".join("".join(span.text for span in line) for line in lines)


def run(
    tmp_path: Path,
    *samples: Practice,
    args: tuple[str, ...] = (),
    entries: tuple[Entry, ...] = (),
) -> Result:
    desk = Desk(tmp_path / "state", *samples, json="--json" in args)
    if entries:
        desk.store().record(*entries)
    try:
        return CliRunner().invoke(command, args, obj=desk, standalone_mode=False)
    finally:
        desk.close()


def on_terminal(tmp_path: Path, sample: Practice) -> str:
    """Return what the command writes to a real pseudo-terminal."""
    leader, follower = pty.openpty()
    desk = Desk(tmp_path / "state", sample)
    with os.fdopen(follower, "w", encoding="utf-8") as terminal, redirect_stdout(terminal):
        command.main([], obj=desk, standalone_mode=False)
    desk.close()
    written = b""
    with suppress(OSError):  # EIO: the other end is closed and all is read
        while part := os.read(leader, 65536):
            written += part
    os.close(leader)
    return written.decode()


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (all_met("emr"), ExitCode.OK),
        ((*all_met("emr"), SOON), ExitCode.OK),
        ((*all_met("emr"), OVERDUE), ExitCode.UNPROVEN),
        ((finding("emr", Objective.RTO, Verdict.UNPROVEN),), ExitCode.UNPROVEN),
        ((BREACHED, OVERDUE), ExitCode.BREACHED),
        ((), ExitCode.UNPROVEN),
    ],
)
def test_exit_code_is_quiet_until_a_proof_is_overdue(
    findings: tuple[Finding, ...], expected: ExitCode
) -> None:
    assert exit_code([status(*findings)], NOW) is expected


def test_exit_code_turns_at_the_very_instant_a_proof_is_due() -> None:
    due_now = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW)
    assert exit_code([status(due_now)], NOW) is ExitCode.UNPROVEN
    assert exit_code([status(due_now)], NOW - timedelta(seconds=1)) is ExitCode.OK


def test_exit_code_is_that_of_the_worst_practice() -> None:
    assert exit_code([status(*all_met("emr")), status(BREACHED)], NOW) is ExitCode.BREACHED


def test_json_has_the_keys_other_programs_rely_on() -> None:
    told = practice_json(status(BREACHED, SOON))
    assert (told["practice"], told["verdict"]) == ("riverside", "breached")
    findings = told["findings"]
    assert isinstance(findings, list)
    assert findings[0] == {
        "system": "emr",
        "objective": "rpo",
        "repository": None,
        "verdict": "breached",
        "promised": "4 h",
        "achieved": "",
        "reason": "too long",
        "since": "2026-11-21T01:15:00+00:00",
        "due": None,
    }
    assert findings[1]["due"] == "2026-11-23T01:15:00+00:00"


def test_text_tells_verdict_reason_since_and_due_in_the_practices_time() -> None:
    told = text(status(BREACHED, SOON))
    assert "Riverside (riverside): not kept" in told
    assert re.search(r"not kept +backups in time +promised: 4 h", told)
    assert "too long; since 2026-11-20 19:15 CST" in told
    assert "no test yet; due 2026-11-22 19:15 CST" in told


def test_text_lists_the_worst_system_first() -> None:
    told = text(status(*all_met("files"), BREACHED))
    assert told.index("Electronic medical record") < told.index("Shared files")


def test_text_explains_no_promise_that_is_kept() -> None:
    met = finding("emr", Objective.RPO, Verdict.MET, reason="all is well", due=NOW + DAY)
    assert "all is well" not in text(status(met))


def test_text_names_a_due_date_only_for_what_is_not_proven() -> None:
    broken = finding("emr", Objective.RTO, Verdict.BREACHED, reason="too slow", due=NOW + DAY)
    assert "due" not in text(status(broken))


def test_text_of_hostile_names_moves_no_cursor() -> None:
    hostile = finding("emr", Objective.RPO, Verdict.BREACHED, reason="\x1b[2Jgone\r\nkept")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text(status(hostile)))


def test_command_exits_0_and_prints_plain_text_when_all_is_kept(tmp_path: Path) -> None:
    result = run(tmp_path, practices.healthy())
    assert (result.return_value, result.stderr) == (ExitCode.OK, "")
    assert result.stdout.startswith("Riverside Family Practice (riverside): kept\n")
    assert "\x1b" not in result.stdout


def test_command_colours_a_terminal_unless_asked_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = on_terminal(tmp_path / "a", practices.one_system())
    monkeypatch.setenv("NO_COLOR", "1")
    plain = on_terminal(tmp_path / "b", practices.one_system())
    assert "\x1b[32m" in coloured
    assert "\x1b[3" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == re.sub(r"\x1b\[[\d;]*m", "", plain)


def test_command_tells_that_somebody_else_s_job_died(tmp_path: Path) -> None:
    result = run(tmp_path, practices.dead_job())

    assert result.return_value == ExitCode.BREACHED
    words = " ".join(result.stdout.split())
    assert (
        "not kept backups made by others 21 d 18 h old (promised: a new one within 26 h) "
        "the EMR vendor's nightly job has written nothing since 2026-10-31 02:42 CDT; "
        "since 2026-10-31 02:42 CDT"
    ) in words
    assert "not kept all parts of one moment" in words


def test_command_exits_5_when_a_promise_is_broken(tmp_path: Path) -> None:
    assert run(tmp_path, practices.broken()).return_value == ExitCode.BREACHED


def test_command_is_quiet_on_the_first_day(tmp_path: Path) -> None:
    result = run(tmp_path, practices.first_day())
    assert result.return_value == ExitCode.OK
    assert "Riverside Family Practice (riverside): not proven yet" in result.stdout
    assert re.search(r"not proven yet +restore test, onsite .*\n.*; due 2026-11-", result.stdout)
    assert not re.search(r"not proven(?! yet)|not kept", result.stdout)


def test_what_is_not_due_yet_looks_neither_broken_nor_overdue() -> None:
    shown = [PracticeShown(status=status(*all_met("emr"), SOON), zone=CHICAGO, pauses=())]
    spans = [span for line in machine_lines(shown, fleet.site(), NOW) for span in line]
    assert {span.style for span in spans if "not proven yet" in span.text} == {"cyan"}
    assert not {"yellow", "bold red"} & {span.style for span in spans}


def test_what_is_overdue_is_not_called_not_proven_yet() -> None:
    told = text(status(*all_met("emr"), SOON, OVERDUE))
    assert "Riverside (riverside): not proven\n" in told
    assert re.search(r"not proven +recovery time .*\n +no test yet; due 2026-11-20", told)
    assert re.search(r"not proven yet +recovery time .*\n +no test yet; due 2026-11-22", told)


def test_text_tells_a_pause_and_that_the_rpo_goes_on() -> None:
    pause = SystemPaused(
        practice="riverside", system="emr", at=NOW, until=NOW + DAY, by="kim", why="new server"
    )
    assert (
        "paused: Electronic medical record, until 2026-11-22 19:15 CST, by kim: new server; "
        "the RPO clock keeps running"
    ) in text(status(*all_met("emr")), pauses=(pause,))


def test_text_tells_until_when_points_are_locked() -> None:
    until = Protected(system="emr", repository="offsite", until=NOW + DAY)
    locked = replace(status(*all_met("emr")), protected=(until,))
    wanted = "locked: Electronic medical record in offsite until 2026-11-22 19:15 CST"
    assert wanted in text(locked)
    assert practice_json(locked)["protected"] == [
        {"system": "emr", "repository": "offsite", "until": "2026-11-23T01:15:00+00:00"}
    ]


def test_text_tells_forecasts() -> None:
    late = replace(status(*all_met("emr")), forecasts=("at this pace it is full in May",))
    assert "ahead: at this pace it is full in May" in text(late)


def test_text_says_nothing_of_a_scheduler_that_never_ran() -> None:
    assert "scheduler" not in text(status(*all_met("emr")))


def test_text_tells_whether_the_scheduler_runs() -> None:
    kept = status(*all_met("emr"))
    assert "\nthe scheduler runs" in text(kept, scheduler_seen_at=NOW - timedelta(minutes=5))
    stopped = text(kept, scheduler_seen_at=NOW - DAY)
    assert "no scheduler runs: the last one was seen 2026-11-21 01:15 UTC" in stopped


def test_command_counts_open_problems_and_leads_to_them(tmp_path: Path) -> None:
    def seen(number: int) -> ProblemSeen:
        problem = Problem(
            key=f"failure/{number}",
            kind=ProblemKind.FAILURE,
            practice="riverside",
            system="emr",
            what="a backup failed",
            next="look",
            since=None,
        )
        return ProblemSeen(id=f"p{number}", problem=problem, at=NOW)

    looked_after = ProblemAcknowledged(id="p1", at=NOW, by="kim")
    entries = (seen(1), seen(2), looked_after)
    told = run(tmp_path / "a", practices.healthy(), entries=entries)
    assert "2 open problems, 1 of them looked after: dro ack" in told.stdout
    assert told.return_value == ExitCode.OK
    asked = run(tmp_path / "b", practices.healthy(), entries=entries, args=("--json",))
    problems = json.loads(asked.stdout)["problems"]
    assert [(each["id"], each["acknowledged"]) for each in problems] == [
        ("p1", True),
        ("p2", False),
    ]


def test_command_tells_a_pause_on_record(tmp_path: Path) -> None:
    def pause(system: str, until: timedelta) -> SystemPaused:
        return SystemPaused(
            practice="riverside", system=system, at=NOW, until=NOW + until, by="kim", why="works"
        )

    entries = (pause("", DAY), pause("files", -DAY))
    told = json.loads(run(tmp_path, practices.healthy(), entries=entries, args=("--json",)).stdout)
    (practice,) = told["practices"]
    assert practice["pauses"] == [
        {"system": None, "until": "2026-11-23T01:15:00+00:00", "by": "kim", "why": "works"}
    ]


def test_command_is_one_line_for_nagios(tmp_path: Path) -> None:
    result = run(tmp_path, practices.broken(), args=("--nagios",))
    assert result.return_value == 2
    assert result.stdout.startswith("DRO CRITICAL - not kept: riverside/emr")
    assert result.stdout.count("\n") == 1


def test_command_with_nagios_says_unknown_when_it_cannot_find_out(tmp_path: Path) -> None:
    class Blind(Desk):
        def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
            raise PlanInvalid("two mistakes | here")

    desk = Blind(tmp_path / "state", practices.healthy())
    result = CliRunner().invoke(command, ["--nagios"], obj=desk, standalone_mode=False)
    desk.close()
    assert (result.return_value, result.stdout) == (3, "DRO UNKNOWN - two mistakes / here\n")


def test_command_with_nagios_says_unknown_where_we_made_a_mistake(tmp_path: Path) -> None:
    class Broken(Desk):
        def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
            raise ValueError("a patient's name")

    desk = Broken(tmp_path / "state", practices.healthy())
    result = CliRunner().invoke(command, ["--nagios"], obj=desk, standalone_mode=False)
    desk.close()
    said = "DRO UNKNOWN - internal error (ValueError)\n"
    assert (result.return_value, result.stdout) == (3, said)


class Mistaken(Desk):
    """A machine that also has a plan with a mistake."""

    def plans_and_mistakes(self, practices: tuple[str, ...]) -> PlansRead:
        mistake = PlanInvalid("hill.yaml: 1 mistake: nothing of it runs\nhill.yaml:3:1: no")
        return PlansRead(plans=self.plans(practices), mistakes=(mistake,))


def mistaken(tmp_path: Path, sample: Practice, *args: str) -> Result:
    desk = Mistaken(tmp_path / "state", sample, json="--json" in args)
    result = CliRunner().invoke(command, args, obj=desk, standalone_mode=False)
    desk.close()
    return result


def test_command_shows_the_others_beside_a_plan_with_a_mistake(tmp_path: Path) -> None:
    result = mistaken(tmp_path, practices.broken())
    assert "Riverside Family Practice (riverside): not kept" in result.stdout
    assert "error: hill.yaml: 1 mistake: nothing of it runs\nhill.yaml:3:1: no" in result.stderr
    assert result.return_value == ExitCode.USAGE


def test_command_names_a_plan_with_a_mistake_in_json(tmp_path: Path) -> None:
    told = json.loads(mistaken(tmp_path, practices.healthy(), "--json").stdout)
    assert [each["practice"] for each in told["practices"]] == ["riverside"]
    assert told["mistakes"] == ["hill.yaml: 1 mistake: nothing of it runs\nhill.yaml:3:1: no"]


@pytest.mark.parametrize(
    ("sample", "state", "said"),
    [
        (practices.healthy(), 3, "DRO UNKNOWN - hill.yaml: 1 mistake: nothing of it runs | "),
        (practices.broken(), 2, "DRO CRITICAL - not kept: riverside/emr"),
    ],
)
def test_command_with_nagios_names_a_plan_with_a_mistake(
    tmp_path: Path, sample: Practice, state: int, said: str
) -> None:
    result = mistaken(tmp_path, sample, "--nagios")
    assert result.return_value == state
    assert result.stdout.startswith(said)
    assert "hill.yaml: 1 mistake" in result.stdout
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("args", [("riverside", "--from", "x"), ("--nagios", "--json")])
def test_command_refuses_what_does_not_go_together(tmp_path: Path, args: tuple[str, ...]) -> None:
    assert isinstance(run(tmp_path, practices.healthy(), args=args).exception, UsageMistake)


def test_command_prints_one_json_object_and_its_text_on_stderr(tmp_path: Path) -> None:
    result = run(tmp_path, practices.broken(), args=("--json",))
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["schema"] == 1
    assert [each["verdict"] for each in told["practices"]] == ["breached"]
    assert "not kept" in result.stderr
