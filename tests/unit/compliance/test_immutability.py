"""What cannot be destroyed: the verdict, and until when the newest verified point is protected."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.immutability import protected_until, renewed_below
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import Maintenance, ObjectLock, Plan
from tests.support.clock import START as NOW
from tests.support.evidence import (
    SYSTEM,
    make_attempts,
    make_locks,
    make_plan,
    make_point,
    make_record,
    make_test,
)

DAY = timedelta(days=1)
LONG_AGO = NOW - 365 * DAY
UNTIL = NOW + 29 * DAY
TRIED = {"offsite": make_attempts(NOW - DAY)}
LOOKED_AT = {"offsite": make_locks(NOW - DAY, UNTIL)}


def plan_of(**offsite: Any) -> Plan:
    return make_plan(
        repositories={"offsite": offsite},
        backup={"schedule": "every 30m", "to": ["onsite", "offsite"]},
    )


def locked(days: int = 30, **maintenance: str) -> Plan:
    return plan_of(object_lock={"mode": "compliance", "days": days}, maintenance=maintenance)


APPEND_ONLY = plan_of(append_only=True)
LOCKED = locked()


def record_of(**known: Any) -> PracticeRecord:
    return make_record(first_seen=LONG_AGO, **known)


def judged(plan: Plan, record: PracticeRecord, now: datetime = NOW) -> Finding | None:
    found = [each for each in judge(plan, record, now) if each.objective is Objective.IMMUTABILITY]
    assert len(found) <= 1
    return next(iter(found), None)


def verdict(plan: Plan, record: PracticeRecord, now: datetime = NOW) -> Verdict | None:
    finding = judged(plan, record, now)
    return finding.verdict if finding else None


# --- the verdict --------------------------------------------------------------------------------


def test_immutability_is_met_and_says_until_when() -> None:
    finding = judged(LOCKED, record_of(locks=LOOKED_AT, immutability=TRIED))

    assert finding is not None
    assert (finding.verdict, finding.repository) == (Verdict.MET, "offsite")
    assert finding.promised == "what is saved is locked for 30 days"
    assert finding.achieved == (
        "protected until 2026-12-16 06:00 CST; refused 5 of 5 attempts on 2026-11-17 06:00 CST"
    )
    assert finding.due == NOW - DAY + 15 * DAY


def test_immutability_is_unproven_of_another_place_than_was_tried() -> None:
    elsewhere = {"offsite": make_attempts(NOW - DAY, location="s3:https://s3.example.com/before")}
    assert verdict(LOCKED, record_of(locks=LOOKED_AT, immutability=elsewhere)) is not Verdict.MET
    before = {"offsite": make_locks(NOW - DAY, NOW + 20 * DAY, location="/srv/before")}
    assert verdict(LOCKED, record_of(locks=before, immutability=TRIED)) is not Verdict.MET


def test_immutability_is_met_on_an_append_only_server_without_a_date() -> None:
    finding = judged(APPEND_ONLY, record_of(immutability=TRIED))

    assert finding is not None
    assert finding.verdict is Verdict.MET
    assert finding.achieved == "refused 5 of 5 attempts on 2026-11-17 06:00 CST"


@pytest.mark.parametrize("plan", [LOCKED, APPEND_ONLY, locked(immutability="never")])
def test_immutability_is_breached_when_an_attempt_succeeded_however_long_ago(plan: Plan) -> None:
    destroyed = make_attempts(LONG_AGO, Answer.REFUSED, Answer.DONE, Answer.DONE)
    finding = judged(plan, record_of(locks=LOOKED_AT, immutability={"offsite": destroyed}))

    assert finding is not None
    assert (finding.verdict, finding.since) == (Verdict.BREACHED, LONG_AGO)
    assert finding.reason == (
        "whoever has the backup credential can delete what recovery points are made of, "
        "overwrite what was saved"
    )


@pytest.mark.parametrize(
    ("until", "since"), [(NOW, NOW), (NOW - DAY, NOW - DAY), (None, NOW - 2 * DAY)]
)
def test_immutability_is_breached_when_a_lock_ran_out_or_is_missing(
    until: datetime | None, since: datetime
) -> None:
    locks = {"offsite": make_locks(NOW - 2 * DAY, until)}
    finding = judged(LOCKED, record_of(locks=locks, immutability=TRIED))

    assert finding is not None
    assert (finding.verdict, finding.since) == (Verdict.BREACHED, since)


@pytest.mark.parametrize(
    "known",
    [
        {"locks": LOOKED_AT},
        {"locks": LOOKED_AT, "immutability": {"offsite": make_attempts(NOW - 16 * DAY)}},
        {"locks": LOOKED_AT, "immutability": {"offsite": make_attempts(NOW, Answer.UNKNOWN)}},
        {"locks": LOOKED_AT, "immutability": {"offsite": make_attempts(NOW + DAY)}},
        {"immutability": TRIED},
        {"locks": {"offsite": make_locks(NOW - 16 * DAY, UNTIL)}, "immutability": TRIED},
        {"locks": {"offsite": make_locks(NOW + DAY, UNTIL)}, "immutability": TRIED},
    ],
    ids=[
        *("never tried", "tried too long ago", "tried without a result", "tried in the future"),
        *("locks not looked at", "looked at too long ago", "looked at in the future"),
    ],
)
def test_immutability_is_unproven_and_overdue_without_recent_evidence(known: Any) -> None:
    finding = judged(LOCKED, record_of(**known))

    assert finding is not None
    assert finding.verdict is Verdict.UNPROVEN
    assert finding.due is not None
    assert finding.due <= NOW


def test_immutability_is_quiet_in_the_first_days() -> None:
    since = {(Operation.IMMUTABILITY, "offsite"): NOW - DAY}
    young = make_record(first_seen=NOW - DAY, maintained_since=since)
    assert verdict(LOCKED, young, NOW) is None
    assert verdict(LOCKED, young, NOW + 15 * DAY) is Verdict.UNPROVEN


def test_immutability_promises_nothing_where_the_plan_does_not() -> None:
    known = record_of(locks=LOOKED_AT, immutability=TRIED)
    assert verdict(plan_of(), known) is None
    assert verdict(locked(immutability="never"), known) is None


def test_immutability_of_locks_renewed_by_hand_lasts_as_long_as_they_do() -> None:
    plan = locked(extend="never", prune="never")
    known = record_of(locks={"offsite": make_locks(NOW - 20 * DAY, UNTIL)}, immutability=TRIED)
    assert verdict(plan, known) is Verdict.MET
    assert verdict(plan, known, UNTIL) is Verdict.BREACHED


# --- until when ---------------------------------------------------------------------------------


def test_protected_until_is_the_end_of_the_locks_of_a_point_that_was_there() -> None:
    point = make_point(NOW - 2 * DAY, repositories=("offsite",))
    test = make_test(NOW, repository="offsite", point=point.id, point_as_of=point.as_of)
    known = record_of(points=[point], tests=[test], locks=LOOKED_AT)

    assert protected_until(known, LOCKED, SYSTEM, "offsite") == UNTIL
    assert protected_until(known, LOCKED, SYSTEM, "onsite") is None
    assert protected_until(known, APPEND_ONLY, SYSTEM, "offsite") is None


def test_protected_until_takes_a_margin_off_for_a_point_that_came_later() -> None:
    point = make_point(NOW - timedelta(hours=2), repositories=("offsite",))
    test = make_test(NOW, repository="offsite", point=point.id, point_as_of=point.as_of)
    locks = {"offsite": make_locks(NOW - DAY, NOW + 90 * DAY)}
    known = record_of(points=[point], tests=[test], locks=locks)

    assert protected_until(known, LOCKED, SYSTEM, "offsite") == NOW - DAY + 29 * DAY


@pytest.mark.parametrize(
    "results",
    [
        [],
        [Result.UNPROVEN],
        [Result.FAILED],
        [Result.PASSED, Result.FAILED],
    ],
)
def test_protected_until_says_nothing_of_a_point_that_was_not_proven(results: list[Result]) -> None:
    point = make_point(NOW - 2 * DAY, repositories=("offsite",))
    tests = [
        make_test(
            NOW + number * timedelta(hours=1),
            result,
            repository="offsite",
            point=point.id,
            point_as_of=point.as_of,
        )
        for number, result in enumerate(results)
    ]
    known = record_of(points=[point], tests=tests, locks=LOOKED_AT)
    assert protected_until(known, LOCKED, SYSTEM, "offsite") is None


def test_protected_until_says_nothing_of_a_point_of_which_another_share_came_back_damaged() -> None:
    point = make_point(NOW - 2 * DAY, repositories=("offsite",))
    shares: dict[str, Any] = {"repository": "offsite", "point": point.id, "parts": 4}
    damaged = make_test(NOW - 2 * timedelta(hours=1), Result.FAILED, part=1, **shares)
    sound = make_test(NOW - timedelta(hours=1), part=2, **shares)
    known = record_of(points=[point], tests=[damaged, sound], locks=LOOKED_AT)
    assert protected_until(known, LOCKED, SYSTEM, "offsite") is None


HOURS = st.integers(0, 60 * 24).map(lambda hours: timedelta(hours=hours))


@given(st.integers(1, 40), HOURS, st.lists(HOURS, min_size=1, max_size=6), st.none() | HOURS)
def test_protected_until_is_never_later_than_any_lock(
    days: int, looked_at: timedelta, saved: list[timedelta], left: timedelta | None
) -> None:
    """Each point's objects are locked for the plan's days from when they were saved; a look
    finds the earliest end of those that are there, and `left` is the least it leaves any.
    """
    at = NOW - looked_at
    there = [NOW - age + days * DAY for age in saved if NOW - age <= at]
    ends = [max(end, at + (left or timedelta(0))) for end in there]
    later = [NOW - age + days * DAY for age in saved if NOW - age > at]
    points = [make_point(NOW - age, repositories=("offsite",)) for age in set(saved)]
    points = [
        replace(each, copies=(replace(each.copies[0], recorded_at=each.as_of),)) for each in points
    ]
    tests = [
        make_test(NOW, repository="offsite", point=each.id, point_as_of=each.as_of)
        for each in points
    ]
    known = record_of(
        points=points,
        tests=[replace(test, id=f"{n}") for n, test in enumerate(tests)],
        locks={"offsite": make_locks(at, min(ends, default=at + days * DAY))},
    )

    until = protected_until(known, locked(days), SYSTEM, "offsite")

    assert until is not None
    assert all(until <= end for end in (*ends, *later))


# --- when locks are renewed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "maintenance", "below"),
    [
        (30, {}, 15 * DAY),
        (90, {"extend": "every 30d", "prune": "never"}, 61 * DAY),
        (30, {"extend": "never"}, 15 * DAY),
        (30, {"extend": "never", "prune": "never"}, 29 * DAY),
        (14, {}, 13 * DAY),
        (1, {"extend": "every 6h"}, timedelta(hours=14.4)),
    ],
)
def test_locks_are_renewed_when_they_end_before_the_round_after_the_next(
    days: int, maintenance: dict[str, str], below: timedelta
) -> None:
    lock = ObjectLock(mode="compliance", days=days)
    assert renewed_below(lock, Maintenance.model_validate(maintenance)) == below
