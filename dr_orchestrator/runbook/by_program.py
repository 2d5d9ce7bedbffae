"""Steps that a program does: commands, and checks that change nothing.

A command that does not say it may be repeated is begun again only after a failure it reported
itself, or once a person looked. What a program prints is shown, and only its hash is written down.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, StepResult
from dr_orchestrator.runbook.at_most_once import look
from dr_orchestrator.runbook.by_hand import by_hand
from dr_orchestrator.runbook.consent import agreed, may_run
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.values import names_in
from dr_orchestrator.runbook.view import is_known
from dr_orchestrator.runbook.walk import DONE, GO, NOT_SO, SKIP

if TYPE_CHECKING:
    from dr_orchestrator.core.runbook import Move
    from dr_orchestrator.runbook.walk import Walk

_TIME_LIMIT = timedelta(minutes=10)
"""Of a program, unless its step says another."""


def by_program(walk: Walk) -> None:
    """Bring a step further that a program does, or a check that has none."""
    if not walk.raw_step.command:
        by_hand(walk)
        return
    if "" in walk.progress.unsure and not walk.raw_step.may_be_done_twice:
        look(walk, "", "this command")
        return
    ended = newest_end(walk)
    if ended is None or "" in walk.progress.unsure or _was_not_done(ended):
        _offer(walk, "run it?")
    elif ended.result is StepResult.DONE:
        _confirm(walk, ended)
    elif may_try_again(walk, ended):
        count = f"{walk.progress.attempts + 1} of {walk.raw_step.retries + 1}"
        _offer(walk, f"it failed: {ended.text}. Again? attempt {count}", ended)
    else:
        walk.went_wrong(failure_of(walk), ended.text)


def _offer(walk: Walk, text: str, failed: Move | None = None) -> None:
    """Have a person start the program, once it may run here and can be told what it has to be."""
    if not may_run(walk):
        by_hand(walk, "this runbook is no file of this machine: do it by hand", confirmable=True)
        return
    if unknown := unknown_name(walk):
        by_hand(walk, f"{unknown} is not known yet: do it by hand")
        return
    give_up = (Choice("n", "give up"),) if failed else ()
    match walk.ask(text, GO, *give_up, SKIP):
        case GO.key:
            while agreed(walk) and may_try_again(walk, run(walk)):
                pass
        case SKIP.key:
            walk.skip()
        case _:
            walk.went_wrong(failure_of(walk), failed.text if failed else "")


def unknown_name(walk: Walk) -> str:
    """Return a name in the command that has no value by now, or nothing."""
    values = walk.values
    names = (name for word in walk.raw_step.command for name, _ in names_in(word))
    return next((name for name in names if not is_known(values, name)), "")


def run(walk: Walk, *, shown: bool = True) -> Move:
    """Run the current step's program once; return how it ended, as it was written down."""
    step = walk.step
    walk.record(Event.STARTED)
    with walk.desk.working(walk.view(), "running"):
        ended = walk.tools.run_command(step.command, step.timeout or _TIME_LIMIT)
    move = walk.record(
        Event.FINISHED,
        result=StepResult.DONE if ended.exit_code == 0 else StepResult.FAILED,
        text=ended.reason,
        output_sha256=ended.output_sha256,
        exit_code=ended.exit_code,
        seconds=ended.seconds,
    )
    if shown:
        walk.desk.output(walk.view(), ended.output)
    return move


def newest_end(walk: Walk) -> Move | None:
    """Return how the program last ended on this visit."""
    return next((each for each in walk.progress.finished if not each.subject), None)


def may_try_again(walk: Walk, ended: Move) -> bool:
    """Return whether a program that reported failure is to be tried once more. One that was ended
    by us, or never began, may have done half of it.
    """
    failed = ended.exit_code is not None and ended.exit_code != 0
    return failed and walk.progress.attempts <= walk.raw_step.retries


def failure_of(walk: Walk) -> StepResult:
    """Return what it means that the program failed: a check has looked, and seen otherwise."""
    check = walk.raw_step.kind is Kind.CHECK
    return StepResult.NOT_AS_EXPECTED if check else StepResult.FAILED


def _was_not_done(ended: Move) -> bool:
    return ended.event is Event.FOUND and ended.result is not StepResult.DONE


def _confirm(walk: Walk, ended: Move) -> None:
    """End a step whose program did what it should; a person says whether that is what is seen."""
    if ended.event is Event.FOUND or not walk.raw_step.expect:
        walk.end(StepResult.DONE)
        return
    if walk.ask("is it as expected?", DONE, NOT_SO) == DONE.key:
        walk.end(StepResult.DONE)
    else:
        walk.went_wrong(StepResult.NOT_AS_EXPECTED)
