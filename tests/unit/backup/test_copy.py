"""Which points go to another repository, by the record alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.backup.copy import CopyRequest, what_to_copy
from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord, RetentionFrozen
from dr_orchestrator.core.verification import Result
from dr_orchestrator.maintenance.survey import decide
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START as NOW
from tests.support.evidence import (
    PRACTICE,
    SYSTEM,
    make_copy,
    make_plan,
    make_point,
    make_record,
    make_test,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEW = {"keep_hourly": 2, "keep_daily": 2, "keep_weekly": 0, "keep_monthly": 0, "keep_yearly": 0}


def planned(**backup: Any) -> Plan:
    wanted = {"schedule": "every 30m", "copy_to": ["offsite"], **backup}
    return make_plan(retention=FEW, backup=wanted)


def keeps(plan: Plan, record: PracticeRecord, repository: str, now: datetime) -> Iterable[str]:
    return decide(plan, record, repository, now).kept


def wanted(
    points: Iterable[RecoveryPoint], plan: Plan | None = None, **record: Any
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the ids of what is to be copied, and what is damaged."""
    request = CopyRequest(plan=plan or planned(), system=SYSTEM, repository="offsite")
    coming, damaged = what_to_copy(request, make_record(points=points, **record), NOW, list_keeps)
    return [each.point.id for each in coming], list(damaged)


def list_keeps(plan: Plan, record: PracticeRecord, repository: str, now: datetime) -> list[str]:
    return list(keeps(plan, record, repository, now))


def test_what_retention_would_keep_is_copied_newest_first() -> None:
    points = [make_point(NOW - age * DAY) for age in range(6)]

    assert wanted(points) == ([points[0].id, points[1].id], [])


def test_nothing_is_copied_that_is_there_or_is_of_another_system() -> None:
    there = make_point(NOW, repositories=("onsite", "offsite"))
    other = make_point(NOW - HOUR, system="imaging")
    missing = make_point(NOW - 2 * HOUR)

    assert wanted([there, other, missing]) == ([missing.id], [])


def test_what_failed_its_restore_test_is_not_copied_until_it_passes() -> None:
    good, bad = make_point(NOW - HOUR), make_point(NOW)
    failed = make_test(NOW, Result.FAILED, point=bad.id)
    unproven = make_test(NOW + HOUR, Result.UNPROVEN, point=bad.id)
    passed = make_test(NOW + 2 * HOUR, point=bad.id)

    reason = "its last restore test from onsite failed"
    assert wanted([good, bad], tests=[failed, unproven]) == ([good.id], [(bad.id, reason)])
    assert wanted([good, bad], tests=[failed, passed]) == ([bad.id, good.id], [])


def test_point_comes_from_where_it_is_whole_and_sound() -> None:
    plan = planned(to=["onsite", "second"])
    point = make_point(NOW, repositories=("onsite", "second"))
    onsite, second = point.copies
    part = replace(onsite, snapshots={"database": onsite.snapshots["database"]})

    def source(*copies: PointCopy, **record: Any) -> str:
        request = CopyRequest(plan=plan, system=SYSTEM, repository="offsite")
        known = make_record(points=[replace(point, copies=copies)], **record)
        ((coming,), _) = what_to_copy(request, known, NOW, list_keeps)
        return coming.source.repository

    assert source(onsite, second) == "onsite"
    assert source(part, second) == "second"
    assert source(onsite, second, tests=[make_test(NOW, Result.FAILED, point=point.id)]) == "second"


def test_what_only_a_repository_tells_of_is_not_spread() -> None:
    point = make_point(NOW)
    told = replace(make_copy(point, "onsite"), read_back=True)
    frozen = {
        "onsite": RetentionFrozen(practice=PRACTICE, repository="onsite", at=NOW, why="read back")
    }

    assert wanted([replace(point, copies=(told,))], frozen=frozen) == ([], [])
    assert wanted([replace(point, copies=(told,))]) == ([point.id], [])


@given(
    ages=st.lists(st.integers(0, 200), min_size=1, max_size=25, unique=True),
    there=st.sets(st.integers(0, 24)),
    later=st.integers(0, 100),
    failed=st.sets(st.integers(0, 24), max_size=3),
)
def test_what_was_copied_is_kept_and_what_was_let_go_of_does_not_come_back(
    ages: list[int], there: set[int], later: int, failed: set[int]
) -> None:
    plan, request = planned(), CopyRequest(plan=planned(), system=SYSTEM, repository="offsite")
    points = tuple(
        make_point(
            NOW - age * HOUR,
            repositories=("onsite", "offsite") if number in there else ("onsite",),
        )
        for number, age in enumerate(sorted(ages, reverse=True))
    )
    tests = [
        make_test(NOW, Result.FAILED, point=points[number].id)
        for number in failed
        if number < len(points)
    ]

    def copied(record: PracticeRecord, now: datetime) -> PracticeRecord:
        coming, _ = what_to_copy(request, record, now, list_keeps)
        new = {each.point.id: make_copy(each.point, "offsite") for each in coming}
        return replace(
            record,
            points=tuple(
                replace(point, copies=(*point.copies, new[point.id])) if point.id in new else point
                for point in record.points
            ),
        )

    def held(record: PracticeRecord) -> set[str]:
        return {point.id for point in record.points if point.copy_in("offsite")}

    def let_go(record: PracticeRecord, now: datetime) -> PracticeRecord:
        kept = set(keeps(plan, record, "offsite", now))
        return replace(
            record,
            points=tuple(
                point
                if point.id in kept
                else replace(
                    point, copies=tuple(c for c in point.copies if c.repository != "offsite")
                )
                for point in record.points
            ),
        )

    before = make_record(points=points, tests=tests)
    after = copied(before, NOW)
    new = held(after) - held(before)
    assert new <= set(keeps(plan, after, "offsite", NOW))

    now = NOW + later * HOUR
    settled = let_go(after, now)
    assert held(copied(settled, now)) == held(settled)
