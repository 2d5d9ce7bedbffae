"""Following a runbook, step by step: every move is written down before what it leads to is shown.

What must not happen twice (telling people, whatever is destructive, commands that do not say they
are repeatable) is written down as started before it starts. If nobody recorded its end, a person is
asked to look; nothing of the kind is begun again unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Ending, Event, Mode, StepResult
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.by_hand import by_answer, by_approval, by_hand, by_time
from dr_orchestrator.runbook.by_message import by_message
from dr_orchestrator.runbook.by_program import by_program
from dr_orchestrator.runbook.by_restore import by_restore
from dr_orchestrator.runbook.consent import tell_of_broken_glass
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.model import Kind, Rehearsal
from dr_orchestrator.runbook.progress import TO_RUNBOOK, State
from dr_orchestrator.runbook.tools import InSandboxes
from dr_orchestrator.runbook.unasked import unasked
from dr_orchestrator.runbook.walk import RunClosed, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dr_orchestrator.core.runbook import Move, RunbookRun
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import Desk
    from dr_orchestrator.runbook.model import Runbook
    from dr_orchestrator.runbook.progress import Progress
    from dr_orchestrator.runbook.tools import RunbookTools


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How far a run was followed."""

    progress: Progress
    goes_on: str
    """Name of the runbook to go on with; empty where this was the end."""


@dataclass(frozen=True, kw_only=True)
class Following:
    """A run, and what it is a run of."""

    run: RunbookRun
    runbook: Runbook
    plan: Plan
    moves: Sequence[Move]
    trusted: bool
    """Whether its commands may run on this machine without being confirmed."""


def follow(following: Following, tools: RunbookTools, desk: Desk) -> Followed:
    """Follow a run from where its moves leave it until it is over.

    Raises:
        Interrupted: the person left; what was recorded stays, and can be gone on with.
        Busy: somebody else has gone on meanwhile.
        StoreUnusable, SpaceExhausted: nothing can be written down any more; nothing was done that
            is not.
        ValueError: a rehearsal or a drill was handed the way to restore that is for incidents, or
            the other way round; or the moves are not of this runbook.
    """
    run = following.run
    if (run.mode is Mode.INCIDENT) is isinstance(tools.restoring, InSandboxes):
        raise ValueError(f"this is not how {run.mode} restores")
    walk = Walk(following, tools, desk)
    try:
        walk.export()  # whoever was here before may have been killed just before they did
        if walk.progress.ending is None:
            _follow(walk)
    except KeyboardInterrupt as stopped:
        raise Interrupted(f"left; `dro runbook resume {run.id}` goes on with it") from stopped
    progress = walk.progress
    if run.mode is not Mode.DRILL:
        desk.over(walk.view(), _last_words(run, progress))
    return Followed(progress=progress, goes_on=progress.goes_on)


def _follow(walk: Walk) -> None:
    try:
        while (state := walk.progress.state) is not State.OVER:
            if state is State.TO_BEGIN:
                walk.record(Event.BEGUN)
            _bring_further(walk)
    except RunClosed:
        return
    if other := walk.progress.goes_on:
        walk.record(Event.CLOSED, ending=Ending.WENT_ON, goes_to=f"{TO_RUNBOOK}{other}")
    else:
        walk.record(Event.CLOSED, ending=Ending.COMPLETED)


def _bring_further(walk: Walk) -> None:
    """Make at least one move at the current step, unless the person changed their mind."""
    if walk.run.mode is Mode.DRILL:
        unasked(walk)
    elif walk.run.mode is Mode.REHEARSAL and _is_only_said(walk):
        _say(walk)
    elif not tell_of_broken_glass(walk):
        _BY_KIND[walk.raw_step.kind](walk)


_BY_KIND: Mapping[Kind, Callable[[Walk], None]] = {
    Kind.MANUAL: by_hand,
    Kind.COMMAND: by_program,
    Kind.CHECK: by_program,
    Kind.APPROVAL: by_approval,
    Kind.NOTIFY: by_message,
    Kind.TIMER: by_time,
    Kind.RESTORE: by_restore,
    Kind.DECIDE: by_answer,
}


def _is_only_said(walk: Walk) -> bool:
    """Return whether a rehearsal does nothing of the current step. A question leads somewhere, so
    it is always asked.
    """
    step = walk.raw_step
    said = step.destructive or step.in_rehearsal is not Rehearsal.RUN
    return said and step.kind is not Kind.DECIDE


def _say(walk: Walk) -> None:
    if walk.raw_step.in_rehearsal is Rehearsal.SKIP:
        walk.end(StepResult.SKIPPED)
    else:
        walk.ask("say what you would do; do not do it", Choice("d", "said"))
        walk.end(StepResult.SIMULATED)


def _last_words(run: RunbookRun, progress: Progress) -> tuple[str, ...]:
    words = {
        Ending.COMPLETED: "this runbook is done",
        Ending.WENT_ON: f"go on with the runbook {progress.goes_on}",
        Ending.ABANDONED: "this run was ended before its last step",
    }
    lasted = progress.rta_drill(run.outage_at)
    ending = words[progress.ending] if progress.ending else ""
    if lasted is None:
        return (ending,)
    return (ending, f"people work again, {duration_words(lasted)} after the outage")
