"""Judgements on what is written down, where a text is all that a rule asks for; and on what this
record cannot know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.plan.model import IMPORTANCES, NotProtected, ProtectedElsewhere
from dr_orchestrator.policies.model import NOTHING, Found, breached, met, unproven

if TYPE_CHECKING:
    from dr_orchestrator.policies.known import Known
    from dr_orchestrator.policies.model import Control


def written_plan(known: Known, _control: Control) -> Found:
    """Judge whether there is a written plan whose versions are on record."""
    promise = known.promise
    if promise is None:
        return unproven("written_plan.none")
    return met(
        "written_plan.met",
        since=promise.at,
        records=(promise.id,),
        at=promise.at,
        by=promise.by,
        n=len(known.record.promises),
    )


def documented(known: Known, _control: Control) -> Found:
    """Judge whether the plan is written, and what was done by it is recorded."""
    promise = known.promise
    if promise is None:
        return unproven("written_plan.none")
    if not known.head:
        return unproven("activity_recorded.none")
    return met("documented.met", since=promise.at, records=(promise.id,), at=promise.at)


def criticality(known: Known, _control: Control) -> Found:
    """Judge whether the plan says of each system how important it is, in so many words."""
    systems = known.plan.protected
    unsaid = tuple(n for n, each in systems.items() if "importance" not in each.model_fields_set)
    if unsaid or not systems:
        return unproven("criticality.unsaid" if unsaid else NOTHING, systems=unsaid)
    counts = {
        each: sum(1 for system in systems.values() if system.importance == each)
        for each in IMPORTANCES
    }
    promise = known.promise
    return met(
        "criticality.met",
        since=promise.at if promise else None,
        records=(promise.id,) if promise else (),
        **counts,
    )


def coverage_listed(known: Known, _control: Control) -> Found:
    """Say what the plan lists: protected, protected by somebody else, or by nobody."""
    systems = known.plan.systems.values()
    elsewhere = sum(1 for each in systems if isinstance(each, ProtectedElsewhere))
    nobody = sum(1 for each in systems if isinstance(each, NotProtected))
    promise = known.promise
    return met(
        "coverage_listed.met",
        since=promise.at if promise else None,
        records=(promise.id,) if promise else (),
        protected=len(known.plan.protected),
        elsewhere=elsewhere,
        nobody=nobody,
    )


def key_holders(known: Known, _control: Control) -> Found:
    """Judge whether the plan says who holds a key, and that none is known not to open the backups,
    or is overdue to be tried.
    """
    holders = tuple(dict.fromkeys(each.holder for each in known.plan.custody))
    if not holders:
        return unproven("key_holders.none")
    failed = [each for each in known.custody if each.failed]
    if failed:
        at = failed[0].failed[0].at
        people = tuple(each.holder for each in failed)
        return breached("key_holders.failed", since=at, people=people, at=at)
    late = tuple(each.holder for each in known.custody if each.due and each.due <= known.now)
    if late:
        return unproven("key_holders.late", people=late)
    proven = [each.proven for each in known.custody if each.proven is not None]
    if proven and len(proven) == len(known.custody):
        at = min(proven)
        return met("key_holders.proven", since=at, people=holders, at=at)
    return met("key_holders.met", people=holders, n=len(holders))


def failures_told(known: Known, _control: Control) -> Found:
    """Say whether somebody is to be told of failures. That it reached them is not known here, so it
    is never met.
    """
    told = any("failure" in each.on for each in known.plan.notify)
    return unproven("failures_told.planned" if told else "failures_told.nobody")


def not_known(_known: Known, _control: Control) -> Found:
    """Say that this record holds nothing of it: nothing is guessed."""
    return unproven("not_known")
