"""Steps in a drill, where nobody is asked: what people do is simulated, and no time is counted for
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import StepResult
from dr_orchestrator.runbook.by_hand import leads_to
from dr_orchestrator.runbook.by_program import failure_of, may_try_again, run, unknown_name
from dr_orchestrator.runbook.by_restore import restore, why_not_back
from dr_orchestrator.runbook.consent import may_run
from dr_orchestrator.runbook.model import Kind, Rehearsal
from dr_orchestrator.runbook.view import systems_restored

if TYPE_CHECKING:
    from dr_orchestrator.runbook.walk import Walk

_MOST_VISITS = 3
"""Of one step: a drill that comes to it again goes round in circles."""


def unasked(walk: Walk) -> None:
    """Go through the current step of a drill, to its end."""
    step = walk.raw_step
    if walk.progress.visit > _MOST_VISITS:
        walk.abandon(f"step {step.id} was come to more than {_MOST_VISITS} times")
    if step.kind is Kind.DECIDE:
        _first_answer(walk)
    elif step.in_rehearsal is Rehearsal.SKIP:
        walk.end(StepResult.SKIPPED)
    elif step.in_rehearsal is Rehearsal.SIMULATE or step.destructive:
        walk.end(StepResult.SIMULATED)
    elif step.kind is Kind.RESTORE:
        restore(walk, systems_restored(walk.run, walk.plan, step))
        _end(walk, StepResult.FAILED, why_not_back(walk))
    elif _is_run(walk):
        while may_try_again(walk, ended := run(walk, shown=False)):
            pass
        _end(walk, failure_of(walk), "" if ended.exit_code == 0 else ended.text)
    else:
        walk.end(StepResult.SIMULATED)


def _is_run(walk: Walk) -> bool:
    """Return whether a program does the current step, and nobody has to agree to it."""
    step = walk.raw_step
    return bool(step.command) and not step.two_persons and may_run(walk) and not unknown_name(walk)


def _first_answer(walk: Walk) -> None:
    """Take the first answer that stays in this runbook; where all lead to others, it ends here."""
    answer = next((each for each in walk.step.decide if not each.runbook), None)
    if answer is None:
        walk.end(StepResult.SIMULATED, goes_to="")
    else:
        walk.end(StepResult.SIMULATED, goes_to=leads_to(answer), text=answer.answer)


def _end(walk: Walk, failure: StepResult, why: str) -> None:
    """End a step that was really done: well, or as it says for the case that it is not."""
    if_not, critical = walk.raw_step.if_not, walk.raw_step.critical
    if not why:
        walk.end(StepResult.DONE)
    elif if_not and if_not.go_to:
        walk.end(failure, goes_to=if_not.go_to, text=why)
    elif critical:
        walk.abandon(f"{walk.raw_step.id}: {why}")
    else:
        walk.end(failure, text=why)
