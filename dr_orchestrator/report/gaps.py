"""What the tests did not cover, and who can open the backups.

The part of the page that keeps the rest honest: what nobody tried is named, with whose word it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.compliance.custody import repositories_of_keys
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.runbook import DrillKind
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.core.wording import (
    day_words,
    depth_words,
    duration_phrase,
    duration_words,
    sentence,
    some_names,
)
from dr_orchestrator.plan.model import NotProtected, ProtectedElsewhere
from dr_orchestrator.report.accepted import acceptance_words
from dr_orchestrator.report.model import Note
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.plan.model import RecoveryStep
    from dr_orchestrator.report.view import View


def not_covered(view: View) -> tuple[tuple[Note, ...], str]:
    """Return what the tests did not reach, in order of what a reader would miss most, and how much
    more there is than room.
    """
    notes = _merged(
        (
            *_other_systems(view),
            *_recovery_steps(view),
            *_one_place(view),
            *_depths(view),
            *_conditions(view),
            *_together(view),
        )
    )
    shown = notes[: view.room.notes]
    left_out = len(notes) - len(shown)
    return shown, count("manager.gaps.more", left_out) if left_out else ""


def _merged(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Return one note for each statement, with all that it is about."""
    labels: dict[str, list[str]] = {}
    for note in notes:
        labels.setdefault(note.text, []).append(note.label)
    return tuple(Note(label=", ".join(of), text=text) for text, of in labels.items())


def _other_systems(view: View) -> Iterator[Note]:
    for name, system in view.plan.systems.items():
        match system:
            case ProtectedElsewhere(protected_by=who, attest=None):
                text = say("manager.gaps.elsewhere", who=who)
            case ProtectedElsewhere(protected_by=who, attest=attest) if attest:
                every = duration_phrase(attest.every)
                text = say("manager.gaps.attest", who=who, every=every)
            case NotProtected(not_protected=why, accepted_by=accepted_by):
                who, signed = view.person(accepted_by), acceptance_words(view, name)
                text = say("manager.gaps.nobody", why=why, who=who, signed=signed)
            case _:
                continue
        yield Note(label=view.title(name), text=sentence(text))


def _recovery_steps(view: View) -> Iterator[Note]:
    for name, system in view.plan.protected.items():
        if not system.recovery:
            timed = any(
                finding.objective is Objective.RTO and finding.achieved
                for finding in view.findings_of(name)
            )
            text = say("manager.gaps.data_only" if timed else "manager.gaps.no_step")
            yield Note(label=view.title(name), text=text)
            continue
        never = [_step(view, step) for step in system.recovery if step.rehearsed is None]
        rehearsed = [_step(view, step) for step in system.recovery if step.rehearsed]
        parts = [say("manager.gaps.never", steps="; ".join(never))] if never else []
        if rehearsed:
            parts.append(say("manager.gaps.rehearsed", steps="; ".join(rehearsed)))
        yield Note(label=view.title(name), text=" ".join(parts))


def _step(view: View, step: RecoveryStep) -> str:
    known = {"step": step.step, "allow": duration_words(step.allow), "who": view.person(step.by)}
    if step.rehearsed is None:
        return say("manager.gaps.step", **known)
    return say("manager.gaps.step_on", **known, day=day_words(step.rehearsed, beside=view.today))


def _one_place(view: View) -> Iterator[Note]:
    for name in view.systems:
        places = view.plan.repositories_of(name) if name in view.plan.protected else ()
        if len(places) == 1:
            yield Note(
                label=view.title(name),
                text=say("manager.gaps.one_place", repository=places[0]),
            )


def _depths(view: View) -> Iterator[Note]:
    for name in view.systems:
        test = view.headline_test(name)
        if test is not None and test.result is Result.PASSED:
            depth = depth_words(test.depth)
            text = (
                say("manager.gaps.depth", level=test.depth, depth=depth)
                if test.depth is Depth.L5
                else say("manager.gaps.depth_nobody", level=test.depth, depth=depth)
            )
            yield Note(label=view.title(name), text=text)


def _conditions(view: View) -> Iterator[Note]:
    for name in view.systems:
        test = view.headline_test(name)
        if test is not None:
            for condition in test.conditions:
                yield Note(label=view.title(name), text=sentence(condition))


def _together(view: View) -> Iterator[Note]:
    drilled = any(
        drill.kind is DrillKind.PRACTICE and drill.result is Result.PASSED for drill in view.drills
    )
    if len(view.plan.protected) > 1 and not drilled:
        newest = map(view.headline_test, view.plan.protected)
        each_one = all(test is not None and test.result is Result.PASSED for test in newest)
        yield Note(
            label=say("manager.gaps.together"),
            text=say("manager.gaps.together_text" if each_one else "manager.gaps.together_never"),
        )


def keys(view: View) -> tuple[Note, ...]:
    """Return who holds a key that opens the backups, and when that was last tried."""
    if not view.plan.custody:
        return (Note(label=say("manager.keys.nobody"), text=say("manager.keys.nobody_text")),)
    return tuple(_key(view, each) for each in view.custody)


def _key(view: View, each: CustodyStanding) -> Note:
    holder = view.person(each.holder)
    known = {"form": each.form}
    if each.failed:
        names = some_names([proof.repository for proof in each.failed])
        text = say("manager.keys.failed", **known, names=names, day=view.day(each.failed[0].at))
    elif each.proven is not None:
        form = "proven_late" if each.verdict(view.now) is Verdict.UNPROVEN else "proven"
        text = say(f"manager.keys.{form}", **known, day=view.day(each.proven))
    elif each.keyless and each.keyless == each.unproven:
        text = say("manager.keys.none", **known, names=some_names(each.keyless))
    elif set(each.unproven) < set(repositories_of_keys(view.plan, view.record)):
        text = say("manager.keys.never_some", **known, names=some_names(each.unproven))
    else:
        text = say("manager.keys.never", **known)
    if each.prove_every:
        text = say("manager.keys.every", what=text, every=duration_phrase(each.prove_every))
    return Note(label=holder[:1].upper() + holder[1:], text=text)
