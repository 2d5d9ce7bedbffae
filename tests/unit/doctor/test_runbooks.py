from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from dr_orchestrator.app import seen_of_runbooks
from dr_orchestrator.doctor.complaint import Complaint, Kind, Severity
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.doctor.runbooks import RunbooksSeen, look_at_runbooks
from dr_orchestrator.plan.load import LoadedPlan, load_plan

_LEAST = (Path(__file__).parents[3] / "plans" / "least.yaml").read_text()
_COMMAND = """\
version: 1
title: Server lost
when: it is gone
lanes: {it: {title: IT}}
steps:
  - {id: look, lane: it, kind: command, do: look, command: [uptime]}
"""


@dataclass
class Tools:
    """What the doctor looks at runbooks with, and nothing else."""

    runbooks: Callable[[LoadedPlan], RunbooksSeen] = seen_of_runbooks


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def complaints(folder: Path, plan: str = _LEAST) -> dict[Kind, Complaint]:
    loaded = load_plan(write(folder / "plans" / "riverside.yaml", plan))
    patient = Patient(loaded=loaded, record=cast("Any", None), tools=cast("Any", Tools()))
    found = tuple(look_at_runbooks(patient))
    assert len({each.kind for each in found}) == len(found)
    return {each.kind: each for each in found}


def test_practice_without_runbooks_of_its_own_has_only_blanks_to_fill_in(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path).values()
    assert (complaint.kind, complaint.severity) == (Kind.RUNBOOK_BLANKS, Severity.NOTE)
    assert "contacts.clinician" in complaint.what


def test_runbook_with_mistakes_is_complained_of_once(tmp_path: Path) -> None:
    text = _COMMAND.replace("lane: it", "lane: itt").replace("kind: command", "kind: cmd")
    path = write(tmp_path / "runbooks" / "lost.yaml", text)
    complaint = complaints(tmp_path)[Kind.RUNBOOK_INVALID]
    assert complaint.severity is Severity.FAILS
    assert complaint.what == (
        f"the runbook {path}:6: steps[0].lane: there is no such lane, and 1 more mistake"
    )
    assert complaint.do == "did you mean `it`?; `dro plan validate riverside` shows every mistake"


def test_plan_that_names_a_runbook_there_is_not_is_complained_of_at_its_line(
    tmp_path: Path,
) -> None:
    plan = _LEAST.replace("rpo: 1h", "rpo: 1h\n    runbook: tirage")
    complaint = complaints(tmp_path, plan)[Kind.RUNBOOK_MISSING]
    assert (complaint.line, complaint.do) == ("riverside.yaml:9", "did you mean `triage`?")
    assert complaint.what == "systems.emr.runbook: there is no runbook `tirage`"


@pytest.mark.parametrize(
    ("text", "complained_of"),
    [
        (_COMMAND, True),
        (_COMMAND.replace("command, do: look, command: [uptime]", "manual, do: it"), False),
    ],
)
def test_runbook_that_others_can_write_is_complained_of_where_it_runs_something(
    tmp_path: Path, text: str, *, complained_of: bool
) -> None:
    path = write(tmp_path / "runbooks" / "lost.yaml", text, mode=0o666)
    found = complaints(tmp_path)
    assert (Kind.RUNBOOK_NOT_TRUSTED in found) is complained_of
    if complained_of:
        what = f"the runbook {path} is not safe: others may write to it"
        assert found[Kind.RUNBOOK_NOT_TRUSTED].what == what
