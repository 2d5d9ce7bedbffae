"""A quiet first week: what is new is not proven yet, with a date, and nobody is alarmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.suspicion import suspicions
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord, RepositoryChecked
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START
from tests.support.evidence import make_plan, make_point, make_record, make_run, make_test

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 7 * DAY


def _plan() -> Plan:
    """Return a plan of an EMR that was there for long, and of imaging that is new."""
    content = make_plan().model_dump(mode="json", by_alias=True, exclude_defaults=True)
    emr = content["systems"]["emr"]
    imaging = emr | {"rto": "8h", "rpo": "24h", "backup": {"schedule": "every 12h"}}
    return with_defaults(
        Plan.model_validate(content | {"systems": {"emr": emr, "imaging": imaging}})
    )


PLAN = _plan()


def _old(now_after: timedelta) -> PracticeRecord:
    """Return a record in which the EMR is well, a year after its start."""
    now = START + now_after
    begun = START - 365 * DAY
    points = [make_point(now - number * HOUR / 2) for number in range(3 * 48)]
    tests = [make_test(now - HOUR)]
    record = make_record(
        first_seen=begun, points=points, tests=tests, repositories_seen={"onsite": begun}
    )
    checks = tuple(
        RepositoryChecked(
            practice="riverside",
            repository="onsite",
            run="c",
            at=now - part * DAY,
            part=part,
            parts=30,
            sound=True,
        )
        for part in range(30, 0, -1)
    )
    return replace(record, checks=checks, last_runs=(_forgotten_at(now - HOUR),))


def _forgotten_at(instant: datetime) -> Run:
    run = make_run(instant, operation=Operation.FORGET, system="", repository="onsite")
    return replace(run, finished_at=instant, outcome=Outcome.DONE)


def _alarms(findings: tuple[Finding, ...], after: timedelta) -> list[Finding]:
    now = START + after
    return [each for each in findings if each.verdict is Verdict.BREACHED or is_overdue(each, now)]


@pytest.mark.parametrize("after", [timedelta(0), HOUR, 23 * HOUR])
def test_a_system_that_is_added_to_an_old_practice_is_quiet_until_its_own_proof_is_due(
    after: timedelta,
) -> None:
    record = _old(after)
    record = replace(record, first_seen={**record.first_seen, "imaging": START})

    findings = judge(PLAN, record, START + after)

    assert _alarms(findings, after) == []
    new = [each for each in findings if each.system == "imaging"]
    assert all(each.due for each in new if each.verdict is Verdict.UNPROVEN)


def test_a_system_that_is_added_and_never_backed_up_is_not_quiet_for_ever() -> None:
    record = _old(3 * DAY)
    record = replace(record, first_seen={**record.first_seen, "imaging": START})

    alarms = _alarms(judge(PLAN, record, START + 3 * DAY), 3 * DAY)

    assert {each.system for each in alarms} == {"imaging"}
    assert Objective.RPO in {each.objective for each in alarms}
    assert Objective.RESTORE_TEST in {each.objective for each in alarms}


@pytest.mark.parametrize("hours", range(0, 7 * 24, 5))
def test_a_new_practice_that_works_never_alarms_in_its_first_week(hours: int) -> None:
    plan, now = make_plan(), START + hours * HOUR
    points = [make_point(START + number * HOUR / 2) for number in range(2 * hours + 1)]
    nights = [START + DAY / 2 + number * DAY for number in range(8)]
    tests = [make_test(each, Result.PASSED) for each in nights if each < now]
    record = make_record(
        first_seen=START, points=points, tests=tests, repositories_seen={"onsite": START}
    )
    forgot = tuple(_forgotten_at(each + 2 * HOUR) for each in nights if each + 2 * HOUR < now)
    record = replace(record, last_runs=forgot[-1:])

    findings = judge(plan, record, now)

    assert [
        each for each in findings if each.verdict is Verdict.BREACHED or is_overdue(each, now)
    ] == []
    assert suspicions(plan, record, now) == ()
