"""Whether what is on record may be believed at all: not once it was found altered.

Whatever is judged to be kept is judged by the record. Where that is not as it was written, nothing
of it proves anything, and one promise more is not kept: that the record is never altered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dr_orchestrator.compliance.acceptance import most_important
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import ALTERED, Operation, Outcome, Run
from dr_orchestrator.plan.model import Plan

NOT_VOUCHED = "the record that shows it was altered, or cannot be vouched for"


def found_altered(record: PracticeRecord) -> Run | None:
    """Return the newest run that keeps evidence, where it found the record altered."""
    kept = (
        run for run in record.last_runs if run.operation is Operation.EVIDENCE and run.finished_at
    )
    newest = max(kept, key=lambda run: run.started_at, default=None)
    if newest is None or newest.outcome is not Outcome.FAILED:
        return None
    return newest if newest.reason.startswith(ALTERED) else None


def without_vouching(plan: Plan, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings that were made by a record which is not as it was written: none is met, and
    one says so. Findings that were doubted before stay as they are.
    """
    doubted = tuple(map(_doubted, findings))
    if not plan.protected or any(each.objective is Objective.EVIDENCE for each in doubted):
        return doubted
    return (*doubted, _altered(plan))


def is_doubted(finding: Finding) -> bool:
    """Return whether a finding is unproven for no other reason than that the record was altered."""
    return finding.verdict is Verdict.UNPROVEN and finding.reason == NOT_VOUCHED


def _doubted(finding: Finding) -> Finding:
    if finding.verdict is not Verdict.MET:
        return finding
    return replace(
        finding, verdict=Verdict.UNPROVEN, achieved="", reason=NOT_VOUCHED, since=None, due=None
    )


def _altered(plan: Plan) -> Finding:
    return Finding(
        practice=plan.practice.id,
        system=most_important(plan),
        objective=Objective.EVIDENCE,
        verdict=Verdict.BREACHED,
        promised="as it was written",
        achieved="altered, or not to be vouched for",
        reason="what is on record is not what was once written, so nothing that it shows is proven",
    )
