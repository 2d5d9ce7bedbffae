"""The judge: every objective of every system this plan protects, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dr_orchestrator.compliance.acceptance import judge_acceptance
from dr_orchestrator.compliance.case import Case, open_case
from dr_orchestrator.compliance.copies import judge_copies
from dr_orchestrator.compliance.corrective import judge_corrective_actions
from dr_orchestrator.compliance.coverage import judge_coverage
from dr_orchestrator.compliance.custody import judge_custody
from dr_orchestrator.compliance.data_age import judge_data_age
from dr_orchestrator.compliance.dump_age import judge_dump_age
from dr_orchestrator.compliance.immutability import judge_immutability
from dr_orchestrator.compliance.recovery_time import judge_rto
from dr_orchestrator.compliance.repository_check import judge_repository_check
from dr_orchestrator.compliance.restore_proven import judge_restore_tests
from dr_orchestrator.compliance.retention import judge_retention
from dr_orchestrator.compliance.rpo import judge_rpo
from dr_orchestrator.compliance.skew import judge_skew
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.compliance.vouched import found_altered, without_vouching
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.plan.model import Plan

_TAKES_LONG = frozenset({Objective.REPOSITORY_CHECK, Objective.IMMUTABILITY, Objective.RETENTION})
"""What looks after repositories takes a month to come round. A practice whose records come back
would not be called kept until then; when that is due, it is told.
"""


def judge(plan: Plan, record: PracticeRecord, now: datetime) -> tuple[Finding, ...]:
    """Return what became of each promise of `plan`, by what is on record, at `now` (aware UTC).

    Pure: the same input gives the same findings, in whatever order the record lists its points and
    tests. A system that somebody else protects, or that nobody does and somebody accepted, gets no
    finding: there is nothing of ours to prove; the report lists it with that word.

    Raises:
        ValueError: the record is another practice's.
    """
    return tuple(
        finding
        for finding in judge_all(plan, record, now)
        if finding.objective not in _TAKES_LONG
        or finding.verdict is not Verdict.UNPROVEN
        or is_overdue(finding, now)
    )


def judge_all(plan: Plan, record: PracticeRecord, now: datetime) -> tuple[Finding, ...]:
    """Return what `judge` does, with what is not told yet: whatever the plan asks for is in it.

    Raises:
        ValueError: see `judge`.
    """
    if record.practice != plan.practice.id:
        raise ValueError(f"the record of {record.practice} is no evidence of {plan.practice.id}")
    findings = tuple(
        finding
        for name in plan.protected
        for finding in _findings(open_case(plan, name, record, now), record)
    )
    return without_vouching(plan, findings) if found_altered(record) else findings


def _findings(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    yield judge_coverage(case)
    yield from judge_dump_age(case)
    yield judge_rpo(case)
    yield from judge_rto(case)
    yield from judge_restore_tests(case)
    data_age = judge_data_age(case)
    if data_age is not None:
        yield data_age
    yield from judge_skew(case)
    yield from judge_copies(case)
    yield from judge_repository_check(case, record)
    yield from judge_immutability(case, record)
    yield from judge_retention(case, record)
    yield from judge_acceptance(case, record)
    yield from judge_corrective_actions(case, record)
    yield from judge_custody(case, record)
