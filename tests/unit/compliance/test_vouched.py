from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.verdict import practice_verdict
from dr_orchestrator.compliance.vouched import found_altered, is_doubted, without_vouching
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import ALTERED, Operation, Outcome
from dr_orchestrator.report.fleet import fleet_document
from dr_orchestrator.report.subject import EvidenceSeen, Fleet
from dr_orchestrator.report.view import View
from tests.support import practices
from tests.support.evidence import make_run
from tests.support.practices import NOW, Practice

HEALTHY = practices.healthy()


def saved(practice: Practice = HEALTHY, **changes: Any) -> PracticeRecord:
    """Return the record of a practice whose evidence was last saved, or could not be."""
    told: dict[str, Any] = {"outcome": Outcome.FAILED, "reason": f"{ALTERED}: line 4", **changes}
    run = make_run(NOW, operation=Operation.EVIDENCE, system="", finished_at=NOW, **told)
    return replace(practice.record, last_runs=(*practice.record.last_runs, run))


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "the repository onsite: the disk is full"},
        {"outcome": Outcome.DONE, "reason": ""},
        {"operation": Operation.BACKUP, "system": "emr"},
    ],
)
def test_what_failed_otherwise_says_nothing_of_the_record(changes: dict[str, Any]) -> None:
    record = saved()
    other = replace(record, last_runs=(replace(record.last_runs[-1], **changes),))
    assert found_altered(other) is None
    assert not any(map(is_doubted, judge(HEALTHY.plan, other, NOW)))


def test_nothing_is_met_once_the_record_was_found_altered() -> None:
    before = judge(HEALTHY.plan, HEALTHY.record, NOW)
    *findings, last = judge(HEALTHY.plan, saved(), NOW)
    assert practice_verdict(before) is Verdict.MET
    assert all(map(is_doubted, findings))
    assert [each.objective for each in findings] == [each.objective for each in before]
    assert (last.objective, last.verdict) == (Objective.EVIDENCE, Verdict.BREACHED)
    assert without_vouching(HEALTHY.plan, (*findings, last)) == (*findings, last)


def test_what_was_not_met_before_stays_as_it_was() -> None:
    broken = practices.broken()
    before = {each for each in broken.findings if each.verdict is Verdict.BREACHED}
    after = {each for each in without_vouching(broken.plan, broken.findings) if each in before}
    assert before == after


def test_page_and_fleet_call_nothing_kept_whatever_the_findings_say() -> None:
    subject = HEALTHY.subject(evidence=EvidenceSeen(faults=("line 4 was altered",)))
    view = View(subject)
    assert view.practice_verdict is Verdict.BREACHED
    assert not any(each.verdict is Verdict.MET for each in view.findings)
    assert not any(view.may_say_kept(system) for system in view.systems)
    fleet = fleet_document(Fleet(subjects=(subject,), months=(), now=NOW))
    assert (fleet.verdict, subject.plan.practice.id in fleet.notice) == (Verdict.BREACHED, True)
