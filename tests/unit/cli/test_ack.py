from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.ack import command
from dr_orchestrator.core.problem import Problem, ProblemKind
from dr_orchestrator.core.record import ProblemSeen
from dr_orchestrator.errors import ExitCode, UsageMistake
from tests.support.desk import Desk
from tests.support.practices import NOW, first_day


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state", first_day())
    yield desk
    desk.close()


def seen(desk: Desk, *ids: str) -> None:
    for number, each in enumerate(ids):
        problem = Problem(
            key=f"failure/emr/{number}",
            kind=ProblemKind.FAILURE,
            practice="riverside",
            system="emr",
            what="the backup failed: onsite does not answer",
            next="see that onsite runs",
            since=NOW - timedelta(hours=1),
        )
        desk.store().record(ProblemSeen(id=each, problem=problem, at=NOW))


def run(desk: Desk, *args: str) -> Result:
    desk.json = "--json" in args
    return CliRunner().invoke(command, args, obj=desk, standalone_mode=False)


def test_ack_lists_what_is_open(desk: Desk) -> None:
    assert run(desk).output == "no open problem\n"
    seen(desk, "4k7q2z")
    assert run(desk).output == (
        "4k7q2z  riverside emr: the backup failed: onsite does not answer\n"
        "        since 2026-11-22 00:15 UTC\n"
        "        do now: see that onsite runs\n"
        "1 open problem\n"
    )


def test_ack_says_who_looks_after_it(desk: Desk) -> None:
    seen(desk, "4k7q2z", "9zzzzz")
    ended = run(desk, "4k", "--by", "Jo")
    assert ended.return_value == ExitCode.OK
    assert ended.output.startswith("Jo looks after 4k7q2z")
    known = {each.id: each for each in desk.store().problems()}
    assert (known["4k7q2z"].acknowledged_by, known["4k7q2z"].acknowledged_at) == ("Jo", NOW)
    assert known["9zzzzz"].acknowledged_at is None
    assert "Jo looks after it since" in run(desk).output
    assert run(desk, "4k", "--by", "Al").output == "Jo looks after 4k7q2z already\n"


def test_ack_prints_json(desk: Desk) -> None:
    seen(desk, "4k7q2z")
    runner = CliRunner()
    for args in (("--json",), ("4k7q2z", "--by", "Jo", "--json")):
        desk.json = True
        (problem,) = json.loads(
            runner.invoke(command, args, obj=desk, standalone_mode=False).stdout
        )["problems"]
        assert (problem["id"], problem["kind"]) == ("4k7q2z", "failure")
    assert problem["acknowledged_by"] == "Jo"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("x",), "no open problem has an id that begins with x"),
        (("4",), "several problems"),
        (("--by", "Jo"), "which one"),
    ],
)
def test_ack_refuses_to_guess(desk: Desk, args: tuple[str, ...], message: str) -> None:
    seen(desk, "4k7q2z", "4zzzzz")
    ended = run(desk, *args)
    assert isinstance(ended.exception, UsageMistake)
    assert message in str(ended.exception)
