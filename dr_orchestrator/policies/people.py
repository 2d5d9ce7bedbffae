"""Judgements on what people did: rehearsed, certified, put right, and have at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.runbook import DrillKind, Mode
from dr_orchestrator.core.verification import Result
from dr_orchestrator.policies.model import Found, breached, met, unproven

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
    from dr_orchestrator.policies.known import Known
    from dr_orchestrator.policies.model import Control, Value

_ON_PAPER = "downtime"
_WITHOUT_THE_BUILDING = "building-lost"
"""Names of shipped runbooks; a practice's own of the same name takes their place."""


def exercise(known: Known, control: Control) -> Found:
    """Judge whether the whole practice was drilled, with each of its systems, and came back."""
    found = _drilled(known, control, DrillKind.PRACTICE, "exercise")
    drilled = {
        each.system for drill in known.drills if drill.id in found.records for each in drill.systems
    }
    left_out = tuple(name for name in known.plan.protected if name not in drilled)
    if found.verdict is not Verdict.MET or not left_out:
        return found
    return unproven(
        "exercise.partly",
        since=found.since,
        records=found.records,
        at=found.values["at"],
        systems=left_out,
    )


def emergency_access(known: Known, control: Control) -> Found:
    """Judge whether a system was brought back with the kit and a key, and nothing else of ours."""
    return _drilled(known, control, DrillKind.COLD_START, "emergency_access")


def _drilled(known: Known, control: Control, kind: DrillKind, says: str) -> Found:
    held = [
        each for each in known.drills if each.kind is kind and known.is_believed(each.finished_at)
    ]
    newest = max(held, key=lambda each: each.finished_at, default=None)
    if newest is None:
        return unproven(f"{says}.never")
    at, records = newest.finished_at, (newest.id,)
    if newest.result is Result.FAILED:
        return breached(
            f"{says}.failed", since=at, records=records, at=at, by=newest.by, reason=newest.reason
        )
    if newest.result is Result.UNPROVEN:
        return unproven(f"{says}.no_result", since=at, records=records, at=at, reason=newest.reason)
    if not known.is_within(at, control.within):
        return unproven(f"{says}.old", since=at, records=records, at=at)
    return met(f"{says}.met", since=at, records=records, at=at, by=newest.by)


def emergency_mode(known: Known, control: Control) -> Found:
    """Judge whether working on paper was rehearsed."""
    return _rehearsed(known, control, _ON_PAPER, "emergency_mode")


def facility_access(known: Known, control: Control) -> Found:
    """Judge whether getting into the building, or going on without it, was rehearsed."""
    return _rehearsed(known, control, _WITHOUT_THE_BUILDING, "facility_access")


def _rehearsed(known: Known, control: Control, runbook: str, says: str) -> Found:
    done = [
        each for each in known.exercised if each.runbook == runbook and known.is_believed(each.at)
    ]
    recent = [each for each in done if known.is_within(each.at, control.within)]
    if not recent:
        return unproven(f"{says}.{'old' if done else 'never'}", runbook=runbook)
    newest = max(recent, key=lambda each: each.at)
    return met(
        f"{says}.met",
        since=newest.at,
        records=(newest.run,),
        at=newest.at,
        n=len({each.step for each in recent}),
        runbook=runbook,
    )


def certified(known: Known, control: Control) -> Found:
    """Judge whether management certified what restore tests showed, no longer ago than that."""
    given = known.sign_off
    if given is None:
        return unproven("certified.never")
    values = _of(given)
    if not any(test.finished_at <= given.at for test in known.concluded):
        return unproven("certified.nothing_tested", since=given.at, records=(given.id,), **values)
    if not known.is_within(given.at, control.within):
        return unproven("certified.old", since=given.at, records=(given.id,), **values)
    return met("certified.met", since=given.at, records=(given.id,), **values)


def _of(given: SignOff) -> dict[str, Value]:
    return {
        "at": given.at,
        "name": given.name,
        "role": given.role,
        "how": given.how.value,
        "recorded_by": given.recorded_by,
    }


def reviewed(known: Known, control: Control) -> Found:
    """Judge whether the practice accepted what is promised now, no longer ago than that."""
    given = known.sign_off
    if given is None:
        return unproven("certified.never")
    values = _of(given)
    if _is_loosened(known, given):
        return unproven("reviewed.loosened", since=given.at, records=(given.id,), **values)
    if not known.is_within(given.at, control.within):
        return unproven("certified.old", since=given.at, records=(given.id,), **values)
    return met("reviewed.met", since=given.at, records=(given.id,), **values)


def _is_loosened(known: Known, given: SignOff) -> bool:
    """Return whether less is promised than was accepted, by the findings; where none says so, by
    what was loosened after the version that was accepted.
    """
    judged = [each for each in known.findings if each.objective is Objective.ACCEPTANCE]
    if judged:
        return any(each.verdict is not Verdict.MET for each in judged)
    places = {each.id: at for at, each in enumerate(known.record.promises)}
    accepted = places.get(given.promise, -1)
    return any(each.loosened for each in known.record.promises[accepted + 1 :])


def late_actions(known: Known) -> Found | None:
    """Return what it means that corrective actions are late; `None` where none is."""
    late = known.late_actions
    if not late:
        return None
    return breached(
        "corrected.late",
        since=min(each.due for each in late),
        records=tuple(each.id for each in late),
        n=len(late),
    )


def corrected(known: Known, _control: Control) -> Found:
    """Judge whether each restore test that failed led to an action, and none of these is late; and
    whether the newest came to a result, without which nobody knows what there is to correct.
    """
    actions = tuple(each for each in known.record.actions if known.is_believed(each.opened_at))
    if late := late_actions(known):
        return late
    failed = [test for test in known.concluded if test.result is Result.FAILED]
    unanswered = [test for test in failed if not _answered(test, actions)]
    if unanswered:
        return unproven(
            "corrected.without_action",
            records=tuple(test.id for test in unanswered),
            n=len(unanswered),
        )
    still = [each for each in actions if each.is_open]
    if still:
        due = min(each.due for each in still)
        return unproven(
            "corrected.open", records=tuple(each.id for each in still), n=len(still), due=due
        )
    if not known.concluded:
        return unproven("corrected.nothing_tested")
    if unclear := known.without_result:
        at = max(test.finished_at for test in unclear)
        records = tuple(test.id for test in unclear)
        return unproven("corrected.no_result", since=at, records=records, n=len(unclear), at=at)
    first = known.made[0].started_at
    if not actions:
        return met("corrected.none_needed", since=first, n=len(known.made), at=first)
    return met(
        "corrected.met",
        since=max(each.closed_at for each in actions if each.closed_at),
        records=tuple(each.id for each in actions),
        n=len(actions),
    )


def _answered(test: RestoreTest, actions: Iterable[CorrectiveAction]) -> bool:
    """Return whether an action is about a failed test: opened for it, or open for the same cause
    when it failed.
    """
    return any(
        each.test == test.id
        or (
            (each.system, each.repository) == (test.system, test.repository)
            and each.opened_at <= test.finished_at
            and (each.closed_at is None or each.closed_at >= test.started_at)
        )
        for each in actions
    )


def at_hand(known: Known, _control: Control) -> Found:
    """Judge whether who has to act holds the runbooks: a kit was delivered, and is current."""
    kit = known.kit
    if kit is None or not known.is_believed(kit.at):
        return unproven("at_hand.never")
    values: dict[str, Value] = {"at": kit.at, "places": kit.places, "due": kit.expires}
    if kit.expires < known.now:
        return breached("at_hand.expired", since=kit.expires, records=(kit.run,), **values)
    return met("at_hand.met", since=kit.at, records=(kit.run,), **values)


def activation_told(known: Known, control: Control) -> Found:
    """Judge whether the practice was told in time that a plan was set in motion.

    Who was told, and when, stands in the timeline of an incident, which is not among what is known
    here: so it is never met.
    """
    incidents = [each for each in known.followed if each.mode is Mode.INCIDENT]
    if not incidents:
        return unproven("activation_told.no_incident")
    newest = incidents[-1]
    return unproven(
        "activation_told.look",
        since=newest.opened_at,
        records=(newest.incident,),
        at=newest.opened_at,
        incident=newest.incident,
        **({"limit": control.within} if control.within else {}),
    )
