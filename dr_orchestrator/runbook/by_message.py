"""Steps that tell people: each contact once, and never again unasked.

Whom no message reached is shown, to be called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, Mode, StepResult
from dr_orchestrator.runbook.at_most_once import look, tell
from dr_orchestrator.runbook.by_hand import by_hand
from dr_orchestrator.runbook.consent import agreed, may_run
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.walk import GO, SKIP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.runbook.walk import Walk


def by_message(walk: Walk) -> None:
    """Bring a step further that tells people."""
    known, absent = _contacts(walk)
    if unsure := [each for each in walk.progress.unsure if each in known]:
        look(walk, unsure[0], f"telling {unsure[0]}")
        return
    ends = {each.subject: each for each in walk.progress.finished}
    told = [each for each in known if each in ends and ends[each].result is StepResult.DONE]
    refused = {
        each: ends[each].text
        for each in known
        if each not in told and each in ends and ends[each].event is Event.FINISHED
    }
    left = [each for each in known if each not in told and each not in refused]
    if not known:
        by_hand(walk, f"the plan does not have {', '.join(absent)}: call them")
    elif left:
        _offer(walk, left, absent)
    elif refused:
        _call(walk, refused)
    else:
        walk.end(StepResult.DONE, text=_not_in_plan(absent))


def _contacts(walk: Walk) -> tuple[list[str], list[str]]:
    """Return whom the step tells: those that the plan has, and those that it lacks."""
    told = walk.raw_step.notify
    names = dict.fromkeys(each.removesuffix("?") for each in told.to) if told else {}
    known = [each for each in names if each in walk.plan.contacts]
    return known, [each for each in names if each not in known]


def _not_in_plan(absent: list[str]) -> str:
    return f"not told, since the plan does not have them: {', '.join(absent)}" if absent else ""


def _offer(walk: Walk, left: list[str], absent: list[str]) -> None:
    if not may_run(walk):
        by_hand(walk, "this runbook is no file of this machine: call them", confirmable=True)
        return
    missing = (_not_in_plan(absent),) if absent else ()
    if walk.ask(f"send the message to {', '.join(left)}?", GO, SKIP, notes=missing) == SKIP.key:
        walk.skip()
    elif agreed(walk):
        _tell(walk, left)


def _tell(walk: Walk, contacts: Iterable[str]) -> None:
    told = walk.step.notify
    if told is None:
        raise ValueError(f"step {walk.step.id} tells nobody")
    rehearsed = "" if walk.run.mode is Mode.INCIDENT else "REHEARSAL: "
    for each in contacts:
        tell(walk, each, walk.plan.contacts[each], f"{rehearsed}{told.subject}", told.text)


def _call(walk: Walk, refused: dict[str, str]) -> None:
    """Have a person call whom no message reached."""
    reasons = "; ".join(f"{each} ({_phone(walk, each)}): {why}" for each, why in refused.items())
    names = ", ".join(refused)
    key = walk.ask(
        f"NOT told: {reasons}. Call them",
        Choice("d", "told by telephone"),
        Choice("g", "send it again"),
        Choice("n", "not reached"),
    )
    if key == "d":
        walk.end(StepResult.DONE, text=f"told by telephone: {names}")
    elif key == "g":
        _tell(walk, refused)
    else:
        walk.went_wrong(StepResult.FAILED, f"not reached: {names}")


def _phone(walk: Walk, contact: str) -> str:
    return walk.plan.contacts[contact].phone or "no telephone number in the plan"
