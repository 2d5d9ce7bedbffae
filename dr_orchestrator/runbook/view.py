"""What a responder is shown of a step, with all values filled in.

Pure but for asking which points are chosen. What a step did not show, what was left out, and what
was restored where, is said until the end of the run: whoever joins late has not seen it pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.runbook.desk import ContactLine, View
from dr_orchestrator.runbook.model import ALL, THIS, Kind, Rehearsal
from dr_orchestrator.runbook.values import WHILE_FOLLOWED, fill, fill_step, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.runbook import Move, RunbookRun
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import PointLine
    from dr_orchestrator.runbook.follow import Following
    from dr_orchestrator.runbook.model import Step
    from dr_orchestrator.runbook.progress import Progress
    from dr_orchestrator.runbook.tools import RunbookTools
    from dr_orchestrator.runbook.values import Values

_NOT_KNOWN = "(not known yet)"
_WRONG = frozenset({StepResult.NOT_AS_EXPECTED, StepResult.FAILED})


def view_of(following: Following, progress: Progress, tools: RunbookTools, now: datetime) -> View:
    """Return what is shown where a run stands; where it is over, its last step."""
    run, runbook, plan = following.run, following.runbook, following.plan
    steps = runbook.of_lane(run.lane)
    ids = [each.id for each in steps]
    shown = progress.step or (progress.behind[-1].step if progress.behind else ids[0])
    raw = runbook.step(shown)
    points = tools.points(systems_shown(run, plan, raw), progress.before)
    values = values_of(plan, run.system)
    filled = {**values, **values_now(run, plan, progress, points, by=tools.by)}
    step = fill_step(raw, filled, blank=True)
    practice = plan.practice
    return View(
        practice=practice.id,
        practice_name=practice.name,
        timezone=str(practice.timezone),
        mode=run.mode,
        run=run.id,
        by=tools.by,
        runbook=runbook.title,
        system=values.get("system.title", ""),
        number=ids.index(shown) + 1,
        total=len(ids),
        step=shown,
        kind=step.kind,
        lane=runbook.lanes[step.lane].title,
        do=step.do,
        expect=step.expect,
        if_not=step.if_not.say if step.if_not else "",
        undo=step.undo,
        cite=step.cite,
        command=step.command,
        normal=step.normal,
        begun_at=progress.begun_at or now,
        destructive=step.destructive,
        two_persons=step.two_persons,
        critical=step.critical,
        in_rehearsal=_in_rehearsal(step) if run.mode is Mode.REHEARSAL else "",
        contacts=tuple(_contacts(plan, step)),
        points=points,
        behind=progress.behind,
        after=tuple(
            fill_step(each, filled, blank=True).do for each in steps[ids.index(shown) + 1 :]
        ),
        outage_at=run.outage_at,
        rto=shortest_rto(run, plan),
        limits=progress.limits,
        notes=tuple(_notes(following, progress, filled, now)),
    )


def values_now(
    run: RunbookRun, plan: Plan, progress: Progress, points: tuple[PointLine, ...], *, by: str
) -> Values:
    """Return the values that are known only while a runbook is followed; what is not known yet says
    so.
    """
    zone = plan.practice.timezone
    known = {
        "run.id": run.id,
        "run.mode": run.mode.value,
        "run.outage": instant_words(run.outage_at, zone),
        "run.folder": run.folder,
        "run.by": by,
    }
    for point in points:
        if point.system == run.system:
            known["point.id"] = point.point
            known["point.as_of"] = instant_words(point.as_of, zone)
            known["point.repository"] = point.repository
    for move in progress.restored:
        if move.subject == run.system:
            known["restored.place"] = move.place
    return {name: known.get(name) or _NOT_KNOWN for name in WHILE_FOLLOWED}


def is_known(values: Values, name: str) -> bool:
    """Return whether a name has a value by now."""
    return values.get(name, _NOT_KNOWN) != _NOT_KNOWN


def systems_restored(run: RunbookRun, plan: Plan, step: Step) -> tuple[str, ...]:
    """Return the ids of the systems that a restore step brings back."""
    named = step.restore.systems if step.restore else ()
    words: dict[str, tuple[str, ...]] = {ALL: tuple(plan.protected), THIS: (run.system,)}
    systems = (each for name in named for each in words.get(name, (name,)))
    return tuple(dict.fromkeys(systems))


def systems_shown(run: RunbookRun, plan: Plan, step: Step) -> tuple[str, ...]:
    """Return the ids of the systems whose points are of interest at a step."""
    return systems_restored(run, plan, step) or ((run.system,) if run.system else ())


def _in_rehearsal(step: Step) -> str:
    if step.destructive or step.in_rehearsal is Rehearsal.SIMULATE:
        return "in this rehearsal: say what you would do, and do not do it"
    if step.in_rehearsal is Rehearsal.SKIP:
        return "in this rehearsal: left out"
    if step.kind is Kind.RESTORE:
        return (
            "in this rehearsal: restored to a sandbox and verified there; nothing live is touched"
        )
    return "in this rehearsal: done as in an incident"


def _contacts(plan: Plan, step: Step) -> Iterator[ContactLine]:
    for asked in dict.fromkeys((*step.contacts, *(step.notify.to if step.notify else ()))):
        name = asked.removesuffix("?")
        contact = plan.contacts.get(name)
        yield ContactLine(
            name=name,
            role=contact.role if contact else "the plan does not say who that is",
            phone=(contact.phone or "") if contact else "",
            email=(contact.email or "") if contact else "",
            verified=contact.verified.isoformat() if contact and contact.verified else "",
        )


def shortest_rto(run: RunbookRun, plan: Plan) -> timedelta | None:
    """Return the shortest RTO of the systems a run is about; `None` where it is about none."""
    of = (run.system,) if run.system else tuple(plan.protected)
    return min((plan.protected[each].rto for each in of), default=None)


def _notes(
    following: Following, progress: Progress, values: Values, now: datetime
) -> Iterator[str]:
    yield from _of_step_before(following, progress, values)
    step = following.runbook.step(progress.step) if progress.step else None
    limit = step.timeout if step and not step.is_done_by_us else None
    if limit and progress.begun_at and now - progress.begun_at > limit:
        yield f"this takes longer than {duration_words(limit)}"
    for behind in progress.behind:
        critical = following.runbook.step(behind.step).critical
        if critical and behind.result is StepResult.SKIPPED and following.run.mode is Mode.INCIDENT:
            yield f"the critical step {behind.step} was skipped: {behind.text}"
    if progress.before is not None:
        at = instant_words(progress.before, following.plan.practice.timezone)
        yield f"the points that were chosen are the newest that were made before {at}"
    yield from (_restored(move) for move in progress.restored)
    newest = {(move.step, move.subject): move for move in progress.notes if move.subject}
    for (_, subject), move in newest.items():
        yield from (f"{subject}: {line}" for line in move.text.splitlines())
    for move in [each for each in progress.notes if not each.subject][-1:]:
        yield f"{move.by} noted: {move.text}"


def _of_step_before(following: Following, progress: Progress, values: Values) -> Iterator[str]:
    if not progress.behind or progress.behind[-1].result not in _WRONG:
        return
    behind = progress.behind[-1]
    if_not = following.runbook.step(behind.step).if_not
    say = fill(if_not.say, values, blank=True) if if_not else ""
    yield ": ".join(each for each in (behind.step, str(behind.result), behind.text, say) if each)


def _restored(move: Move) -> str:
    if move.result is not StepResult.DONE:
        return f"{move.subject}: NOT restored: {move.text}"
    where = f"to {move.place}" if move.place else "in a sandbox, and verified"
    return f"{move.subject}: restored {where}"
