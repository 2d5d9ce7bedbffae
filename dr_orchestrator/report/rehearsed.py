"""What was rehearsed, and what is being put right.

The time of a drill stands by itself: it counts from the outage being declared, and is never mixed
with the times of restore tests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.corrective import FAILED_TEST, MISSED_TEST
from dr_orchestrator.core.runbook import DrillKind
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words, sentence
from dr_orchestrator.report.model import Note
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from dr_orchestrator.core.runbook import Drill
    from dr_orchestrator.core.sign_off import CorrectiveAction
    from dr_orchestrator.report.view import View


def rehearsals(view: View) -> tuple[Note, ...]:
    """Return the last drill of the whole practice, or that there was none; and the last start from
    nothing, where there was one.
    """
    practice = _last(view, DrillKind.PRACTICE)
    cold = _last(view, DrillKind.COLD_START)
    notes = [
        Note(
            label=say("manager.drill.practice"),
            text=_drill(view, practice) if practice else say("manager.drill.none"),
        )
    ]
    if cold:
        notes.append(Note(label=say("manager.drill.cold_start"), text=_drill(view, cold)))
    return tuple(notes)


def _last(view: View, kind: DrillKind) -> Drill | None:
    drills = (each for each in view.drills if each.kind is kind)
    return max(drills, key=lambda drill: (drill.started_at, drill.id), default=None)


def _drill(view: View, drill: Drill) -> str:
    known = {
        "day": view.day(drill.started_at),
        "took": duration_words(timedelta(seconds=drill.seconds)),
        "who": drill.by,
    }
    if drill.result is Result.PASSED:
        return say("manager.drill.passed", **known)
    why = view.plain(drill.reason) or say("manager.drill.no_reason")
    if drill.result is Result.FAILED:
        return sentence(say("manager.drill.failed", **known, why=why))
    return sentence(say("manager.drill.unproven", **known, why=why))


def open_actions(view: View) -> tuple[CorrectiveAction, ...]:
    """Return what is to be put right, by when it is due."""
    still_open = (action for action in view.record.actions if action.is_open)
    return tuple(sorted(still_open, key=lambda action: (action.due, action.id)))


def actions(view: View) -> tuple[tuple[Note, ...], str]:
    """Return what is to be put right, by whom and until when, the overdue first, and how much more
    there is than room.
    """
    all_open = open_actions(view)
    shown, left_out = all_open[: view.room.actions], all_open[view.room.actions :]
    overdue = sum(1 for action in left_out if action.due <= view.now)
    more = count("manager.actions.more", len(left_out), overdue=overdue) if left_out else ""
    return tuple(_action(view, action) for action in shown), more


def asked_words(view: View, action: CorrectiveAction) -> str:
    """Return what is to be put right, in words of the page where no person wrote it."""
    where = action.repository
    if action.cause == FAILED_TEST:
        return say("manager.actions.failed_test", repository=where)
    if action.cause == MISSED_TEST:
        return say("manager.actions.missed_test", repository=where)
    return sentence(view.plain(action.what))


def _action(view: View, action: CorrectiveAction) -> Note:
    known = {
        "what": asked_words(view, action),
        "who": view.person(action.owner),
        "day": view.day(action.due),
    }
    overdue = action.due <= view.now
    text = say("manager.actions.overdue" if overdue else "manager.actions.due", **known)
    return Note(label=view.title(action.system), text=text)
