from __future__ import annotations

import json
import os
import pty
import re
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.status import PracticeStatus, command, exit_code, status_json, status_lines
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.errors import ExitCode
from tests.support import practices
from tests.support.desk import Desk
from tests.support.practices import NOW, Practice, all_met, finding, system

DAY = timedelta(days=1)
SOON = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY, reason="no test yet")
OVERDUE = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW - DAY, reason="no test yet")
BREACHED = finding("emr", Objective.RPO, Verdict.BREACHED, reason="too long", since=NOW - DAY)


def status(*findings: Finding, practice: str = "riverside") -> PracticeStatus:
    plan = practices.plan(
        {"emr": system("Electronic medical record"), "files": system("Shared files")},
        practice={"id": practice, "name": practice.title(), "timezone": "America/Chicago"},
    )
    return PracticeStatus(plan=plan, findings=findings)


def text(*statuses: PracticeStatus) -> str:
    return "\n".join("".join(span.text for span in line) for line in status_lines(statuses))


def run(tmp_path: Path, *samples: Practice, args: tuple[str, ...] = ()) -> Result:
    desk = Desk(tmp_path / "state", *samples, json="--json" in args)
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
    told = status_json(status(BREACHED, SOON))
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
    assert "not proven" in result.stdout


def test_command_prints_one_json_object_and_its_text_on_stderr(tmp_path: Path) -> None:
    result = run(tmp_path, practices.broken(), args=("--json",))
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["schema"] == 1
    assert [each["verdict"] for each in told["practices"]] == ["breached"]
    assert "not kept" in result.stderr
