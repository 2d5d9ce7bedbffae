"""What has to be agreed to before something is done: the commands of a runbook that is no file of
this machine, the practice's id, and a second person.

Nothing here does what is agreed to, but for one thing: where nobody could be reached to agree, the
manager is told at once.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, Mode, StepResult
from dr_orchestrator.runbook.at_most_once import look, tell
from dr_orchestrator.runbook.desk import Choice
from dr_orchestrator.runbook.progress import BREAK_GLASS
from dr_orchestrator.runbook.values import fill_step
from dr_orchestrator.runbook.walk import GO, SKIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.runbook.walk import Walk

PHRASE = "run these commands"
"""What is typed to let the commands of a runbook run that is no file of this machine."""
_MANAGER = "manager"
"""The contact who is told when nobody agreed."""


def may_run(walk: Walk) -> bool:
    """Return whether this run's programs may run, and its messages be sent, on this machine."""
    own = walk.following.trusted and walk.run.host == walk.tools.host
    return own or walk.progress.commands_confirmed


def confirm_commands(walk: Walk) -> None:
    """Show all that this run would have run or sent, and let it, if the person says so."""
    walk.desk.output(walk.view(), tuple(_all_commands(walk)))
    typed = walk.type_in(f"this runbook is no file of this machine. Type `{PHRASE}` to let it")
    if typed == PHRASE:
        walk.record(Event.COMMANDS_CONFIRMED)


def _all_commands(walk: Walk) -> Iterator[str]:
    for raw in walk.runbook.of_lane(walk.run.lane):
        step = fill_step(raw, walk.values, blank=True)
        if step.command:
            yield f"{step.id}: {shlex.join(step.command)}"
        if step.notify:
            yield f"{step.id}: e-mail to {', '.join(step.notify.to)}: {step.notify.subject}"


def is_agreed(walk: Walk) -> bool:
    """Return whether all is agreed to that the current step needs."""
    step, progress = walk.raw_step, walk.progress
    seconded = bool(progress.agreed_by) or not step.two_persons
    return seconded and (progress.id_typed or not step.destructive)


def consented(walk: Walk) -> bool:
    """Return whether the current step may be begun; where something is still to be agreed to, ask
    for it, or let the step be skipped.
    """
    if is_agreed(walk):
        return True
    if walk.ask("begin with it?", GO, SKIP) == GO.key:
        return agreed(walk)
    walk.skip()
    return False


def agreed(walk: Walk) -> bool:
    """Ask for what the current step still needs; return whether all of it was agreed to."""
    step = walk.raw_step
    if step.two_persons and not walk.progress.agreed_by:
        _ask_second_person(walk)
    if step.two_persons and not walk.progress.agreed_by:
        return False
    if step.destructive and not walk.progress.id_typed:
        _ask_id(walk)
    return is_agreed(walk)


def _ask_id(walk: Walk) -> None:
    practice, not_taken = walk.run.practice, ""
    while True:
        text = f"something is lost by this. Type the practice's id, {practice} (empty: not now)"
        typed = walk.type_in(f"{not_taken}{text}")
        if typed == practice:
            walk.record(Event.CONFIRMED)
        if typed in {"", practice}:
            return
        not_taken = f"{typed} is NOT the id of the practice: "


def _ask_second_person(walk: Walk) -> None:
    key = walk.ask(
        "a second person has to agree",
        Choice("y", "somebody else agrees"),
        Choice("b", "nobody can be reached"),
        Choice("n", "not now"),
    )
    if key == "y":
        _ask_name(walk)
    if key == "b":
        why = walk.type_in("why can nobody be reached? The manager is told now (empty: not now)")
        if why:
            walk.record(Event.BROKE_GLASS, text=why)
            tell_of_broken_glass(walk)


def _ask_name(walk: Walk) -> None:
    not_taken = ""
    while name := walk.type_in(f"{not_taken}the second person's name (empty: not now)"):
        if name.casefold() != walk.tools.by.strip().casefold():
            walk.record(Event.SECONDED, text=name)
            return
        not_taken = f"{name} is YOU: somebody else has to agree; "


def tell_of_broken_glass(walk: Walk) -> bool:
    """Tell the manager that a step goes on without a second person: once, and whoever takes the run
    up does it where it was not done. Nothing stops where that fails.

    Return whether there was anything to do.
    """
    progress = walk.progress
    told = next((each for each in progress.finished if each.subject == BREAK_GLASS), None)
    is_over = told and (told.event is Event.FINISHED or told.result is StepResult.DONE)
    if BREAK_GLASS in progress.unsure:
        look(walk, BREAK_GLASS, "telling the manager that nobody agreed")
    elif progress.glass_broken and not is_over:
        _tell_manager(walk)
    else:
        return False
    return True


def _tell_manager(walk: Walk) -> None:
    step = walk.step
    if walk.run.mode is not Mode.INCIDENT:
        walk.record(Event.STARTED, subject=BREAK_GLASS)
        walk.record(Event.FINISHED, subject=BREAK_GLASS, result=StepResult.SIMULATED)
        return
    manager = walk.plan.contacts.get(_MANAGER)
    why = "" if manager else "the plan has no contact `manager`"
    if manager and not may_run(walk):
        # an address out of a file that others wrote: nothing goes there unasked
        asked = f"nobody agreed: tell the manager, {manager.email or 'without e-mail'}?"
        key = walk.ask(asked, Choice("g", "send it"), Choice("n", "I call them"))
        why = "" if key == GO.key else "call them"
    if manager is None or why:
        walk.record(Event.FINISHED, subject=BREAK_GLASS, result=StepResult.FAILED, text=why)
    else:
        text = (
            f"{walk.tools.by} goes on without a second person: {walk.progress.agreed_by}\n"
            f"Step: {step.do}\nRun: {walk.run.id} on {walk.tools.host}\n"
        )
        subject = f"{walk.plan.practice.name}: a step goes on that nobody else agreed to"
        why = tell(walk, BREAK_GLASS, manager, subject, text)
    if why:
        walk.record(Event.NOTED, subject=_MANAGER, text=f"NOT told that nobody agreed: {why}")
