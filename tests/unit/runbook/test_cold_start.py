from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed
from dr_orchestrator.runbook.cold_start import ColdStart, ColdStartTools, Key, _Attempt
from tests.support.clock import FakeClock
from tests.support.launcher import Answer, ScriptedLauncher

RESTORED = json.dumps({"systems": {"emr": {"point": "p1"}}})


def _judged(result: str, *, system: str = "", detail: str = "") -> str:
    look = {"title": "rows", "result": system or result, "detail": detail}
    assets = {"database": {"result": system or result, "looks": [look]}}
    emr = {"result": system or result, "reason": "", "assets": assets}
    return json.dumps({"result": result, "systems": {"emr": emr}})


def _attempt(
    tmp_path: Path, restored: Answer, checked: Answer | None = None
) -> tuple[_Attempt, list[str]]:
    said: list[str] = []
    outside = ScriptedLauncher(restored)
    inside = ScriptedLauncher(*([checked] if checked else []))
    sandbox: Any = SimpleNamespace(inside=inside, adopt=lambda _path: None)
    tools: Any = ColdStartTools(
        launcher=outside,  # type: ignore[arg-type]
        sandboxes=None,  # type: ignore[arg-type]
        clock=FakeClock(),
        say=said.append,
    )
    start = ColdStart(
        system="emr",
        repository="onsite",
        key=Key(password=Secret("the key")),
        point="p1",
        bytes=1,
        put_kit=lambda folder: folder,
        programs=("/opt/pg/bin",),
    )
    script = tmp_path / "dro-kit.py"
    return _Attempt(start, sandbox, tools, "/usr/bin/python3", tmp_path, script), said


def _restores() -> Answer:
    said = "  database: back after 1 s\nhint: …\n"
    return Answer(("-I", "-S", "restore", "emr", "--json"), stdout=RESTORED.encode(), stderr=said)


def _checks(output: str, code: int = 0) -> Answer:
    words = ("-I", "-S", "check", "--programs", "/opt/pg/bin")
    return Answer(words, code, stdout=output.encode())


def test_cold_start_passes_when_the_script_says_so_in_every_way(tmp_path: Path) -> None:
    attempt, said = _attempt(tmp_path, _restores(), _checks(_judged("passed")))
    assert attempt.make() == (Result.PASSED, "")
    assert attempt.point == "p1"
    assert said == ["database: back after 1 s", "database: passed"]
    (command,) = attempt.tools.launcher.commands  # type: ignore[attr-defined]
    assert command.secrets["RESTIC_PASSWORD_FILE"].reveal() == "the key"
    assert not any("the key" in word for word in command.argv)
    assert dict(command.env) == {"HOME": str(tmp_path)}


def test_cold_start_is_unproven_when_another_point_came_back_than_the_newest(
    tmp_path: Path,
) -> None:
    older = Answer(("restore",), stdout=RESTORED.replace("p1", "p0").encode())
    attempt, _ = _attempt(tmp_path, older, _checks(_judged("passed")))
    result, reason = attempt.make()
    assert result is Result.UNPROVEN
    assert "the newest point" in reason


@pytest.mark.parametrize(
    ("output", "code", "result"),
    [
        (_judged("passed"), 4, Result.UNPROVEN),
        (_judged("passed", system="unproven"), 0, Result.UNPROVEN),
        (_judged("unproven"), 4, Result.UNPROVEN),
        (_judged("failed", detail="3 rows instead of 4"), 1, Result.FAILED),
        (json.dumps({"result": "passed", "systems": {}}), 0, Result.UNPROVEN),
        (json.dumps({"result": "passed", "systems": {"emr": None}}), 0, Result.UNPROVEN),
    ],
)
def test_cold_start_never_passes_on_half_a_word(
    tmp_path: Path, output: str, code: int, result: Result
) -> None:
    attempt, _ = _attempt(tmp_path, _restores(), _checks(output, code))
    judged, reason = attempt.make()
    assert judged is result
    assert reason
    if result is Result.FAILED:
        assert reason == "database: rows: 3 rows instead of 4"


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (json.dumps({"error": "this password does not open it", "bad": True}), LoadFailed),
        (json.dumps({"error": "it cannot be reached", "bad": False}), CouldNotVerify),
        (json.dumps({"error": "x\x1b[31m", "bad": "yes"}), CouldNotVerify),
        ("", CouldNotVerify),
        ("[]", CouldNotVerify),
        ("{}", CouldNotVerify),
    ],
)
def test_cold_start_blames_the_backup_only_where_the_script_does(
    tmp_path: Path, output: str, kind: type[DroError]
) -> None:
    attempt, _ = _attempt(tmp_path, Answer(("restore",), 1, stdout=output.encode()))
    with pytest.raises(kind) as told:
        attempt.make()
    assert "\x1b" not in told.value.message
