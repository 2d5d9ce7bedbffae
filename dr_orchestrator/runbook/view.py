"""What a responder is shown of a step, with all values filled in.

Pure but for asking which points are chosen. What a step did not show, what was left out, and what
was restored where, is said until the end of the run: whoever joins late has not seen it pass.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.runbook.desk import ContactLine, LoadLine, Loads, View
from dr_orchestrator.runbook.model import ALL, THIS, Kind, Rehearsal
from dr_orchestrator.runbook.values import WHILE_FOLLOWED, fill, fill_step, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.runbook import Move, RunbookRun
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import PointLine
    from dr_orchestrator.runbook.follow import Following
    from dr_orchestrator.runbook.model import Runbook, Step
    from dr_orchestrator.runbook.progress import Progress
    from dr_orchestrator.runbook.tools import RunbookTools
    from dr_orchestrator.runbook.values import Values

_NOT_KNOWN = "(not known yet)"
_WRONG = frozenset({StepResult.NOT_AS_EXPECTED, StepResult.FAILED})
_PROGRAMS = frozenset(
    {
        *("chown", "cp", "createdb", "export", "icacls", "mariadb", "mbstream", "mysql"),
        *("pg_restore", "psql", "rclone", "robocopy", "runuser", "sqlite3"),
    }
)
"""What a line begins with that is a command, wherever the program lies."""


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
        points=points if step.kind is Kind.RESTORE else tuple(_come_back_from(points, progress)),
        loads=loads_of(runbook, plan, progress),
        handed_over=run.host != tools.host,
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
            role=contact.role if contact else "",
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
    for move in [each for each in progress.notes if not each.subject][-1:]:
        yield f"{move.by} noted: {move.text}"
    for behind in progress.behind:
        critical = following.runbook.step(behind.step).critical
        if critical and behind.result is StepResult.SKIPPED and following.run.mode is Mode.INCIDENT:
            yield f"the critical step {behind.step} was skipped: {behind.text}"
    if progress.before is not None:
        at = instant_words(progress.before, following.plan.practice.timezone)
        yield f"the points that were chosen are the newest that were made before {at}"
    yield from (_restored(move) for move in reversed(progress.restored))
    for move in reversed(_newest_notes(progress)):
        assets = _assets(following.runbook, following.plan, move)
        for line in move.text.splitlines():
            if line.partition(": ")[0] not in assets:
                yield f"{move.subject}: {line}"


def loads_of(runbook: Runbook, plan: Plan, progress: Progress) -> tuple[Loads, ...]:
    """Return what to do with what was restored, asset by asset; nothing once people work again."""
    if progress.people_at is not None:
        return ()
    loads: dict[tuple[str, str], list[str]] = {}
    for move in _newest_notes(progress):
        assets = _assets(runbook, plan, move)
        for line in move.text.splitlines():
            asset, _, text = line.partition(": ")
            if asset in assets:
                loads.setdefault((move.subject, asset), []).append(text)
    return tuple(
        Loads(f"{plan.protected[system].title or system}, {asset}", tuple(_load_lines(lines)))
        for (system, asset), lines in loads.items()
    )


def _newest_notes(progress: Progress) -> list[Move]:
    """Return the newest note of each subject at each step."""
    of_subjects = [each for each in progress.notes if each.subject]
    return list({(each.step, each.subject): each for each in of_subjects}.values())


def _assets(runbook: Runbook, plan: Plan, move: Move) -> frozenset[str]:
    """Return the assets that a note says of what to do with them; none where it is no such note."""
    if not move.step or move.subject not in plan.protected:
        return frozenset()
    of_restore = runbook.step(move.step).kind is Kind.RESTORE
    return frozenset(plan.protected[move.subject].assets) if of_restore else frozenset()


def _load_lines(lines: list[str]) -> Iterator[LoadLine]:
    """Tell commands from sentences: a sentence that leads to a command ends with a colon."""
    led_to = False
    for line in lines:
        program = line.partition(" ")[0].rpartition("/")[2]
        yield LoadLine(line, is_command=led_to or program in _PROGRAMS)
        led_to = line.endswith(":")


def _come_back_from(points: tuple[PointLine, ...], progress: Progress) -> Iterator[PointLine]:
    """Yield the points, out of the repository that each system came back from; none of a system
    that came back from another point.
    """
    back = {each.subject: each for each in progress.restored if each.result is StepResult.DONE}
    for point in points:
        move = back.get(point.system)
        if move is None:
            yield point
        elif move.point == point.point:
            yield replace(point, repository=move.repository, restored=True)


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
