"""What the report of an incident says of single moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dr_orchestrator.cli.runbook_standing import Standing
from dr_orchestrator.cli.runbook_story import sentence_of
from dr_orchestrator.core.runbook import Event, StepResult
from dr_orchestrator.runbook.progress import BREAK_GLASS, progress_of
from tests.support.responder import PLAN, Scene, run_of, runbook_of

RESTORE = {"id": "back", "kind": "restore", "two_persons": True, "restore": {"systems": ["this"]}}
DONE = {"result": StepResult.DONE}


@pytest.mark.parametrize(
    ("event", "said", "sentence"),
    [
        (Event.STARTED, {"subject": "emr"}, "began to restore emr"),
        (Event.STARTED, {"subject": BREAK_GLASS}, f"began to tell {BREAK_GLASS}"),
        (Event.FINISHED, {"subject": BREAK_GLASS, **DONE}, f"telling {BREAK_GLASS}: done"),
        (Event.FOUND, DONE, "looked how its command had ended, which nobody wrote down: done"),
        (
            Event.FOUND,
            {"subject": "emr", "text": "it is kept", **DONE},
            "looked how emr had ended, which nobody wrote down: done; it is kept",
        ),
    ],
)
def test_sentence_says_what_was_done(event: Event, said: dict[str, Any], sentence: str) -> None:
    scene = Scene(runbook_of(RESTORE), run_of())
    scene.answer()
    (begun,) = scene.moves
    runbook, progress = scene.runbook, progress_of(scene.run, scene.runbook, (begun,))
    standing = Standing(
        run=scene.run, runbook=runbook, plan=PLAN, moves=(begun,), progress=progress
    )

    assert sentence_of(standing, replace(begun, event=event, **said)) == sentence
