"""What a drill is said to have come to: no more than it did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.cli.drill_words import clock_words, drill_json, drill_lines
from dr_orchestrator.core.runbook import Drill, DrilledSystem, DrillKind
from dr_orchestrator.core.verification import Result
from tests.support.clock import START
from tests.support.practices import plan, system

MINUTE = 60.0
PLAN = plan(
    {
        "directory": system("Directory", importance="routine", rto="24h"),
        "emr": system(
            "Record",
            rto="2h",
            depends_on=["directory"],
            recovery=[{"step": "a server", "by": "msp", "allow": "30m"}],
        ),
    }
)


def drilled(name: str, **changes: Any) -> DrilledSystem:
    fields: dict[str, Any] = {
        "system": name,
        "runbook": "emr-server-lost",
        "run": "20261118-120000-4k7q2z",
        "repository": "onsite",
        "point": "20261118-110000-4k7q2z",
        "restore_test": "20261118-120001-8v3n1c",
        "result": Result.PASSED,
        "reason": "",
        "begun_seconds": 0.0,
        "ready_seconds": 10 * MINUTE,
        "rta_service_seconds": 9 * MINUTE,
        "by_hand_seconds": 20 * MINUTE,
    }
    return DrilledSystem(**(fields | changes))


def drill(*systems: DrilledSystem, result: Result = Result.PASSED) -> Drill:
    return Drill(
        id="20261118-120000-5t1w9d",
        practice="riverside",
        kind=DrillKind.PRACTICE,
        started_at=START,
        finished_at=START + timedelta(minutes=30),
        by="Jo",
        host="rescue",
        result=result,
        reason="",
        seconds=30 * MINUTE,
        systems=systems,
        critical_path=tuple(each.system for each in systems),
        plan_sha256="5f1d",
        runbooks={},
    )


def said(shown: Drill) -> str:
    lines = ("".join(span.text for span in line) for line in drill_lines(shown, PLAN))
    return "\n".join(lines)


def kept(**changes: Any) -> object:
    return systems(drill(drilled("emr", **changes)))["emr"]["kept"]


def systems(shown: Drill) -> dict[str, dict[str, object]]:
    listed: Any = drill_json(shown, PLAN)["systems"]
    return {each["system"]: each for each in listed}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "+00:00"), (59.6, "+01:00"), (252, "+04:12"), (7452, "+2:04:12")]
)
def test_clock_words_count_from_the_outage(seconds: float, words: str) -> None:
    assert clock_words(timedelta(seconds=seconds)) == words


def test_drill_says_order_times_and_what_they_waited_for() -> None:
    shown = said(
        drill(drilled("directory"), drilled("emr", begun_seconds=600.0, ready_seconds=1500.0))
    )

    table = [line.split() for line in shown.splitlines()[2:5]]
    assert table[1][:6] == ["1", "directory", "routine", "+00:00", "+10:00", "24"]
    assert table[2][:4] == ["2", "emr", "critical", "+10:00"]
    assert table[2][-1] == "directory"
    assert "critical path     directory -> emr" in shown
    assert "add up to 25 min" in shown
    assert "simulated, not measured" in shown
    assert "  dro runbook start emr-server-lost riverside --system emr --rehearse" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ready_seconds": 60 * MINUTE}, "kept"),
        ({"ready_seconds": 75 * MINUTE}, "not with people"),
        ({"ready_seconds": 91 * MINUTE}, "not kept"),
        ({"result": Result.FAILED, "ready_seconds": None}, "failed"),
        ({"result": Result.UNPROVEN, "ready_seconds": None}, "not proven"),
        ({"result": Result.UNPROVEN}, "not proven"),
    ],
)
def test_rto_counts_as_kept_with_what_is_allowed_and_time_for_people_only(
    changes: dict[str, Any], word: str
) -> None:
    assert kept(**changes) == word


def test_drill_says_what_is_promised_where_people_would_break_it() -> None:
    shown = said(drill(drilled("emr", ready_seconds=75 * MINUTE)))

    assert "with what people do it would take 2 h 5 min, and 2 h are promised" in " ".join(
        shown.split()
    )
    assert "the 30 min that the plan allows" in " ".join(shown.split())


def test_drill_says_why_a_system_did_not_come_back_and_what_to_do() -> None:
    shown = said(
        drill(
            drilled(
                "directory", result=Result.FAILED, reason="a pack is damaged", ready_seconds=None
            ),
            drilled(
                "emr",
                result=Result.UNPROVEN,
                reason="its runbook does not restore it",
                restore_test="",
                ready_seconds=None,
            ),
            result=Result.FAILED,
        )
    )

    assert "FAILED" in shown.splitlines()[0]
    assert "directory         a pack is damaged" in shown
    assert "emr               its runbook does not restore it" in shown
    assert "`dro runs show 20261118-120001-8v3n1c`" in shown
    assert "`dro drill riverside --system emr`" in " ".join(shown.split())
    assert "add up to" not in shown


def test_drill_json_has_the_keys_others_rely_on() -> None:
    shown = drill(drilled("directory"), drilled("emr"))
    emr = systems(shown)["emr"]

    assert drill_json(shown, PLAN)["added_up_seconds"] == 20 * MINUTE
    assert emr["waited_for"] == ["directory"]
    assert (emr["rto_seconds"], emr["allowed_seconds"], emr["by_hand_seconds"]) == (
        120 * MINUTE,
        30 * MINUTE,
        20 * MINUTE,
    )
