"""Steps that bring systems back: side by side, as far as they depend on each other allows.

A restore goes to a place of its own, so one that nobody recorded the end of is made again. One that
came back is not. After an attack the newest point holds the damage: where a step says so, it is
asked first which points are meant.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from dr_orchestrator.core.local_time import typed_instant
from dr_orchestrator.core.runbook import Event, StepResult
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.runbook.consent import consented
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.side_by_side import side_by_side
from dr_orchestrator.runbook.view import systems_restored
from dr_orchestrator.runbook.walk import GO, SKIP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from dr_orchestrator.core.runbook import Move
    from dr_orchestrator.runbook.desk import Report
    from dr_orchestrator.runbook.walk import Walk

_NEWEST, _A_TIME = Choice("n", "the newest"), Choice("t", "the newest before a time")
_ANEW = Choice("c", "choose other points")


def by_restore(walk: Walk) -> None:
    """Bring a step further that brings systems back."""
    left = _left(walk)
    if left:
        _offer(walk, left)
    elif why := why_not_back(walk):
        walk.went_wrong(StepResult.FAILED, why)
    else:
        walk.end(StepResult.DONE)


def _left(walk: Walk) -> list[str]:
    """Return the systems that did not come to an end on this visit."""
    ended = {each.subject for each in walk.progress.finished}
    systems = systems_restored(walk.run, walk.plan, walk.raw_step)
    return [each for each in systems if each not in ended]


def why_not_back(walk: Walk) -> str:
    """Return which systems did not come back on this visit, and why; empty where all did."""
    systems = systems_restored(walk.run, walk.plan, walk.raw_step)
    failed = (
        each
        for each in walk.progress.finished
        if each.subject in systems and each.result is not StepResult.DONE
    )
    return "; ".join(f"{each.subject}: {each.text}" for each in failed)


def _offer(walk: Walk, left: Sequence[str]) -> None:
    if not consented(walk):
        return
    is_asked = walk.raw_step.restore is not None and walk.raw_step.restore.point == "ask"
    if is_asked and not walk.progress.points_chosen:
        _choose(walk)
        return
    before = _back_before(walk, left)
    missing = [each for each in left if each not in before]
    names = ", ".join(missing or left)
    every = (Choice("a", f"restore {', '.join(left)}"),) if before and missing else ()
    go = Choice(GO.key, f"restore {names}")
    anew = (_ANEW,) if is_asked else ()
    key = walk.ask(_question(walk), go, *every, *anew, SKIP, notes=tuple(_lacking(walk, left)))
    if key == SKIP.key:
        walk.skip()
        return
    if key == _ANEW.key:
        _choose(walk)
        return
    if key == GO.key and missing:
        for each in before.values():
            _keep(walk, each)
    restore(walk, missing if key == GO.key and missing else left)


def _choose(walk: Walk) -> None:
    """Write down which points are meant, once the person says so."""
    key = walk.ask("newest point, or the newest before a time?", _NEWEST, _A_TIME, SKIP)
    if key == SKIP.key:
        walk.skip()
    elif key == _NEWEST.key:
        walk.record(Event.CHOSEN)
    elif before := _time_asked(walk):
        walk.record(Event.CHOSEN, text=before.astimezone(UTC).isoformat())


def _time_asked(walk: Walk) -> datetime | None:
    """Return the time that is typed; `None` where nothing is meant after all."""
    text = "made before which time, as 02:14 or 2026-11-21 02:14? (empty: not now)"
    zone, notes = walk.plan.practice.timezone, tuple[str, ...]()
    while typed := walk.type_in(text, notes=notes):
        try:
            return typed_instant(typed, walk.tools.clock.now(), zone)
        except UsageMistake as mistake:
            notes = (f"{mistake.message}: {mistake.hint}",)
    return None


def _question(walk: Walk) -> str:
    if walk.progress.before is None:
        return "restore from the chosen points?"
    at = instant_words(walk.progress.before, walk.plan.practice.timezone)
    return f"restore from the chosen points, the newest made before {at}?"


def _lacking(walk: Walk, left: Sequence[str]) -> Iterator[str]:
    """Yield which systems have no point of that kind, and which somebody may be restoring."""
    before = walk.progress.before
    shown = {each.system for each in walk.tools.points(tuple(left), before)}
    for each in left:
        if each not in shown:
            yield f"{each}: NO point{' from before then' if before else ''}"
        if each in walk.progress.unsure:
            yield f"{each}: begun already, and nobody recorded how it ended: does it still run?"


def _back_before(walk: Walk, left: Sequence[str]) -> dict[str, Move]:
    """Return those of the systems that this step brought back when it was come to before."""
    step = walk.raw_step.id
    return {
        each.subject: each
        for each in walk.progress.restored
        if each.step == step and each.subject in left and each.result is StepResult.DONE
    }


def _keep(walk: Walk, before: Move) -> None:
    """Write down that a system is back already, by a restore on an earlier visit."""
    walk.record(
        Event.FOUND,
        subject=before.subject,
        result=StepResult.DONE,
        text="it came back before, and is kept",
        point=before.point,
        repository=before.repository,
        place=before.place,
        restore_test=before.restore_test,
    )


def restore(walk: Walk, systems: Sequence[str]) -> None:
    """Restore systems, each as soon as those are back that it depends on."""
    tools = walk.tools
    for each in systems:
        if each not in walk.plan.protected:
            _not_in_plan(walk, each)
    with walk.desk.working(walk.view(), "restoring") as report:
        side_by_side(
            tools.waits_for(tuple(each for each in systems if each in walk.plan.protected)),
            lambda system: _restore_one(walk, system, report),
            at_once=tools.at_once,
        )


def _not_in_plan(walk: Walk, system: str) -> None:
    """Write down what became of a system of a runbook that does not fit the plan."""
    text = "the plan does not protect it: restore it by hand, or mend the plan"
    walk.record(Event.FINISHED, subject=system, result=StepResult.FAILED, text=text)


def _restore_one(walk: Walk, system: str, report: Report) -> None:
    walk.record(Event.STARTED, subject=system)
    restored = walk.tools.restoring.restore(system, report, walk.progress.before)
    if restored.next_steps:
        walk.record(Event.NOTED, subject=system, text="\n".join(restored.next_steps))
    walk.record(
        Event.FINISHED,
        subject=system,
        result=StepResult.DONE if restored.result is Result.PASSED else StepResult.FAILED,
        text=restored.reason,
        point=restored.point,
        repository=restored.repository,
        place=restored.place,
        restore_test=restored.restore_test,
        seconds=restored.seconds,
    )
