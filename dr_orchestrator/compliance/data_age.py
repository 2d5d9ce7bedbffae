"""Data age: the newest row was young enough at capture, counted in opening hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.plan.opening import OpeningHours, open_time_between

_LONGEST = timedelta(days=3660)
"""What is older is not counted day by day: a row of the year 1 is stale enough."""


def judge_data_age(case: Case) -> Finding | None:
    """Judge the newest row of the youngest point that was tested; `None` where nothing is promised.

    Only a test that is recent enough to prove anything counts, and none that failed: what it
    brought back is not what was captured.
    """
    allowed = case.system.max_data_age
    if allowed is None:
        return None
    test = _newest_measured(case)
    if test is None or test.newest is None:
        return _unknown(case, allowed, "no recent restore test has measured the newest row")
    if test.newest > _capture_ended(case, test) + CLOCK_TOLERANCE:
        return _unknown(
            case,
            allowed,
            "the newest row is dated after its own capture, so it does not tell how old the data "
            "is: does the plan's query look at appointments, or lack a time zone?",
            never_due=True,
        )
    age = _open_time(case, test.newest, test.point_as_of)
    broken = age > allowed
    return case.finding(
        Objective.DATA_AGE,
        Verdict.BREACHED if broken else Verdict.MET,
        promised=_words(case, allowed),
        achieved=_words(case, age),
        reason=f"newest row {case.at(test.newest)}, in the recovery point of "
        f"{case.at(test.point_as_of)}",
        since=test.newest if broken else None,
        due=_proven_until(case, test),
    )


def _newest_measured(case: Case) -> RestoreTest | None:
    measured = (
        test
        for test in case.tests
        if test.newest is not None
        and test.result is not Result.FAILED
        and case.now <= _proven_until(case, test)
    )
    return max(
        measured, key=lambda test: (test.point_as_of, test.started_at, test.id), default=None
    )


def _proven_until(case: Case, test: RestoreTest) -> datetime:
    prove_every = case.prove_every
    shortest = min(prove_every.values(), default=timedelta(0))
    return test.started_at + prove_every.get(test.repository, shortest)


def _capture_ended(case: Case, test: RestoreTest) -> datetime:
    """Return the instant after which no row can be from.

    A physical capture takes in what comes while it lasts.
    """
    ends = (point.finished for point in case.points if point.id == test.point)
    return max([test.point_as_of, *ends])


def _open_time(case: Case, start: datetime, end: datetime) -> timedelta:
    practice = case.plan.practice
    return open_time_between(
        max(start, end - _LONGEST),
        end,
        hours=practice.open,
        closed=practice.closed,
        zone=practice.timezone,
    )


def _words(case: Case, duration: timedelta) -> str:
    always = case.plan.practice.open == OpeningHours.always() and not case.plan.practice.closed
    return duration_words(duration) + ("" if always else " of opening hours")


def _unknown(case: Case, allowed: timedelta, reason: str, *, never_due: bool = False) -> Finding:
    shortest = min(case.prove_every.values(), default=None)
    return case.finding(
        Objective.DATA_AGE,
        Verdict.UNPROVEN,
        promised=_words(case, allowed),
        reason=reason,
        due=None if never_due or shortest is None else case.due(shortest),
    )
