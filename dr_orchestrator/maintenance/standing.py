"""Writing down how a practice stands: what it is promised, what became of that, and what has to be
put right. Only what changed is written, so that asking every minute costs a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.corrective import corrective_actions
from dr_orchestrator.compliance.judge import judge_all
from dr_orchestrator.compliance.promise import changes, is_same_text, promise_of, sha256_of
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.promise import AT_HAND, PromiseMade
from dr_orchestrator.core.record import FindingChanged, PromiseRecorded
from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.packs.choice import packs_of
from dr_orchestrator.plan.model import PackCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.finding import Finding, Objective, Verdict
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.maintenance.plan_author import Author
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.store.base import Store


def record_promise(
    loaded: LoadedPlan, store: Store, clock: Clock, author_of: Callable[[LoadedPlan], Author]
) -> PromiseMade | None:
    """Record what a plan promises, where that is not what its newest version on record does.

    Return what was recorded. That another version of this program reads more, or less, out of the
    same file is nobody's doing, and is told so. While a pack that it names is invalid, nothing is
    recorded.
    """
    practice = loaded.plan.practice.id
    try:
        packs = _own_packs(loaded)
    except PlanInvalid:  # no test is made by it
        return None
    fields = promise_of(loaded.plan, packs)
    before = store.newest_promise(practice)
    sha256 = sha256_of(fields)
    if before is not None and before.sha256 == sha256:
        return None
    same_file = before is not None and is_same_text(before, loaded.sha256, fields)
    author = None if same_file else author_of(loaded)
    now = clock.now()
    promise = PromiseMade(
        id=new_id(now),
        practice=practice,
        at=now,
        by=author.name if author else "dr-orchestrator",
        known_by=author.known_by if author else "the plan is the same, the program is not",
        plan_sha256=loaded.sha256,
        sha256=sha256,
        fields=fields,
        changes=changes(before.fields, fields) if before else (),
    )
    store.record(PromiseRecorded(promise=promise))
    return promise


def promised_by(loaded: LoadedPlan) -> Mapping[str, str]:
    """Return what a plan promises, field by field, as `record_promise` would record it.

    Raises:
        PlanInvalid: a pack that it names cannot be used.
    """
    return promise_of(loaded.plan, _own_packs(loaded))


def as_promised_at_hand(
    loaded: LoadedPlan, record: PracticeRecord, now: datetime
) -> PracticeRecord:
    """Return what is remembered, with what the plan at hand promises as a version of now, where
    that is not on record yet: what is asked before anything wrote it down must not pass for
    accepted.
    """
    newest = next(reversed(record.promises), None)
    try:
        packs = _own_packs(loaded)
    except PlanInvalid:
        return record
    named = {f"packs.{name}": each for name, each in packs.items()}
    if newest is None or is_same_text(newest, loaded.sha256, named):
        return record
    fields = promise_of(loaded.plan, packs)
    sha256 = sha256_of(fields)
    if sha256 == newest.sha256:
        return record
    at_hand = PromiseMade(
        id=AT_HAND,
        practice=record.practice,
        at=now,
        by="",
        known_by="",
        plan_sha256=loaded.sha256,
        sha256=sha256,
        fields=fields,
        changes=changes(newest.fields, fields),
    )
    return replace(record, promises=(*record.promises, at_hand))


def _own_packs(loaded: LoadedPlan) -> dict[str, str]:
    """Return the hash of each pack that the plan names and that is not one of ours."""
    checks = (check for system in loaded.plan.protected.values() for check in system.verify)
    if not any(isinstance(check, PackCheck) for check in checks):
        return {}
    return {
        name: f"sha256 {hashlib.sha256(each.text.encode()).hexdigest()}"
        for name, each in packs_of(loaded).items()
        if not each.built_in
    }


def record_standing(plan: Plan, store: Store, clock: Clock) -> None:
    """Judge a practice; record each verdict that is another than the one on record, and the
    corrective actions that its tests call for, or settle.
    """
    now, practice = clock.now(), plan.practice.id
    record = store.practice_record(practice)
    findings = judge_all(plan, record, now)
    if actions := corrective_actions(plan, record, findings, now):
        store.record(*actions)
        findings = judge_all(plan, store.practice_record(practice), now)
    changed = _changed(practice, findings, store.evidence.verdicts(practice), now)
    if entries := tuple(changed):
        store.record(*entries)


def _changed(
    practice: str,
    findings: tuple[Finding, ...],
    known: Mapping[tuple[str, Objective, str], Verdict],
    now: datetime,
) -> Iterator[FindingChanged]:
    judged = {(each.system, each.objective, each.repository or ""): each for each in findings}
    for key in (*judged, *(known.keys() - judged.keys())):
        finding, (system, objective, repository) = judged.get(key), key
        if finding is None or known.get(key) is not finding.verdict:
            yield FindingChanged(
                practice=practice,
                at=now,
                system=system,
                objective=objective,
                repository=repository,
                verdict=finding.verdict if finding else None,
                promised=finding.promised if finding else "",
                achieved=finding.achieved if finding else "",
                reason=finding.reason if finding else "nothing is judged of this any more",
            )
