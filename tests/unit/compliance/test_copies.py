"""Repositories that are copied to: as old as their own copying lets them be, and no older."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.case import open_case, rpo_window
from dr_orchestrator.compliance.copies import judge_copies
from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START as NOW
from tests.support.evidence import SYSTEM, make_plan, make_point, make_record

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def nightly(*, rpo: str = "1h", copying: str = "03:30") -> Plan:
    return make_plan(
        rpo=rpo,
        backup={
            "schedule": "every 30m",
            "copy_to": ["offsite"],
            "copying": {"schedule": copying},
        },
    )


def offsite(plan: Plan, record: PracticeRecord) -> Finding:
    (found,) = (
        each
        for each in judge_copies(open_case(plan, SYSTEM, record, NOW))
        if each.repository == "offsite"
    )
    return found


def test_nightly_copy_is_fresh_all_evening_and_stale_when_the_next_night_lacks_it() -> None:
    def verdict(age: timedelta) -> Verdict:
        point = make_point(NOW - age, repositories=("onsite", "offsite"))
        points = [point, make_point(NOW - HOUR / 2)]
        return offsite(nightly(), make_record(points=points)).verdict

    assert verdict(25 * HOUR) is verdict(47 * HOUR) is Verdict.MET
    assert verdict(49 * HOUR) is Verdict.BREACHED


def test_repository_that_is_saved_to_has_the_window_it_had() -> None:
    case = open_case(nightly(), SYSTEM, make_record(), NOW)

    assert case.window_of("onsite") == case.window == DAY
    assert case.window_of("offsite") == 2 * DAY


@given(
    rpo_minutes=st.integers(2, 72 * 60),
    period_hours=st.integers(1, 200),
    took=st.floats(0, 1),
    aged=st.floats(0, 1),
    since=st.floats(0, 1),
)
def test_copying_on_time_is_never_breached(
    rpo_minutes: int, period_hours: int, took: float, aged: float, since: float
) -> None:
    """The newest point there was no older than the RPO when its copying began, which took no longer
    than the window leaves, and the next copying is not over yet.
    """
    rpo, period = timedelta(minutes=rpo_minutes), period_hours * HOUR
    plan = nightly(rpo=f"{rpo_minutes}m", copying=f"every {period_hours}h")
    slack = rpo_window(rpo) - rpo
    age = aged * rpo + since * period + took * slack
    point = make_point(NOW - age, repositories=("onsite", "offsite"))

    found = offsite(plan, make_record(first_seen=NOW - 99 * DAY, points=[point]))

    assert found.verdict is Verdict.MET


@given(period_hours=st.integers(1, 200), late_minutes=st.integers(1, 10_000))
def test_copying_that_no_longer_happens_is_breached(period_hours: int, late_minutes: int) -> None:
    plan = nightly(copying=f"every {period_hours}h")
    age = DAY + period_hours * HOUR + timedelta(minutes=late_minutes)
    point = make_point(NOW - age, repositories=("onsite", "offsite"))

    found = offsite(plan, make_record(points=[point, make_point(NOW)]))

    assert (found.verdict, found.since) == (Verdict.BREACHED, point.as_of)
