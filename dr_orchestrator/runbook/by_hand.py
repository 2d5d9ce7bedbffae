"""Steps that people do: by hand, by agreeing, by answering, or by waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, StepResult
from dr_orchestrator.runbook.consent import confirm_commands, consented
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.progress import TO_RUNBOOK
from dr_orchestrator.runbook.walk import DONE, NOT_SO, SKIP

if TYPE_CHECKING:
    from dr_orchestrator.runbook.model import Answer
    from dr_orchestrator.runbook.walk import Walk

_YES, _BACK = Choice("y", "yes, go on with it"), Choice("b", "no, back to the question")
_CONFIRM = Choice("c", "read the commands, to have them run")


def by_hand(walk: Walk, why: str = "do this by hand", *, confirmable: bool = False) -> None:
    """Bring a step further that a person does; `confirmable`: because its command may not run."""
    if not consented(walk):
        return
    more = (_CONFIRM,) if confirmable else ()
    match walk.ask(why, DONE, NOT_SO, SKIP, *more):
        case DONE.key:
            walk.end(StepResult.DONE)
        case NOT_SO.key:
            walk.went_wrong(StepResult.NOT_AS_EXPECTED)
        case SKIP.key:
            walk.skip()
        case _:
            confirm_commands(walk)


def by_approval(walk: Walk) -> None:
    """Bring a step further that somebody has to agree to."""
    if not consented(walk):
        return
    key = walk.ask("is it approved?", Choice("d", "approved"), Choice("n", "not approved"), SKIP)
    if key == SKIP.key:
        walk.skip()
    elif key == "n":
        walk.went_wrong(StepResult.NOT_AS_EXPECTED, "not approved")
    elif name := walk.type_in("who approved it? Type the name (empty: nobody yet)"):
        walk.end(StepResult.DONE, text=f"approved by {name}")


def by_answer(walk: Walk) -> None:
    """Bring a step further that asks a question."""
    if not consented(walk):
        return
    answers = walk.step.decide
    choices = (Choice(str(key), each.answer) for key, each in enumerate(answers, 1))
    answer = answers[int(walk.ask("which is it?", *choices)) - 1]
    if answer.runbook and not _is_sure(walk, answer):
        return
    walk.end(StepResult.DONE, goes_to=leads_to(answer), text=answer.answer)


def _is_sure(walk: Walk, answer: Answer) -> bool:
    """Ask once more before another runbook is gone on with: there is no way back to this one."""
    text = f'"{answer.answer.rstrip(".")}": on to the runbook {answer.runbook}?'
    return walk.ask(text, _YES, _BACK) == _YES.key


def leads_to(answer: Answer) -> str | None:
    """Return what a move says an answer goes to; `None`: the next step."""
    return f"{TO_RUNBOOK}{answer.runbook}" if answer.runbook else answer.go_to


def by_time(walk: Walk) -> None:
    """Bring a step further that waits, or from which on a time limit runs."""
    if not consented(walk):
        return
    timer, begun = walk.step.timer, walk.progress.begun_at
    if timer is None or begun is None:
        raise ValueError(f"step {walk.step.id} has no timer")
    if timer.wait is not None:
        until = begun + timer.wait
        if walk.tools.clock.now() < until:
            early = walk.ask("wait", Choice("e", "go on now, before the time"), until=until)
            walk.end(StepResult.DONE, text="before the time" if early else "")
            return
    elif all(each.of != timer.of for each in walk.progress.limits):
        seconds = timer.limit.total_seconds() if timer.limit else 0.0
        walk.record(Event.CLOCK, text=timer.of, seconds=seconds)
    walk.end(StepResult.DONE)
