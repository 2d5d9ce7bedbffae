"""What only a repository tells of keeps no promise, and breaks none, until a person looked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord, RetentionFrozen
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_plan, make_point, make_record, make_test

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAN = make_plan()
FROZEN = {"onsite": RetentionFrozen(practice=PRACTICE, repository="onsite", at=NOW - HOUR, why="x")}


def told(as_of: datetime, **changes: Any) -> RecoveryPoint:
    """Return a point that was read back from its repository an hour ago."""
    point = make_point(as_of, **changes)
    copies = (replace(each, recorded_at=NOW - HOUR, read_back=True) for each in point.copies)
    return replace(point, copies=tuple(copies))


def findings(record: PracticeRecord) -> dict[tuple[Objective, str | None], Finding]:
    return {(each.objective, each.repository): each for each in judge(PLAN, record, NOW)}


def verdict(record: PracticeRecord, objective: Objective) -> Verdict:
    return next(each.verdict for each in judge(PLAN, record, NOW) if each.objective is objective)


def test_point_that_was_read_back_keeps_a_promise_only_once_a_person_looked() -> None:
    points = [told(NOW - number * HOUR / 2) for number in range(1, 50)]
    test = make_test(NOW - HOUR, point=points[0].id, point_as_of=points[0].as_of)
    frozen = make_record(points=points, tests=[test], frozen=FROZEN, first_seen=NOW - DAY)
    released = replace(frozen, frozen={}, retention_released={"onsite": NOW})
    again = replace(frozen, retention_released={"onsite": NOW - HOUR})  # frozen for another reason

    for objective in (Objective.RPO, Objective.COVERAGE, Objective.RESTORE_TEST):
        assert verdict(frozen, objective) is not Verdict.MET
        assert verdict(released, objective) is Verdict.MET
        assert verdict(again, objective) is Verdict.MET
    reason = findings(frozen)[Objective.RPO, None].reason
    assert "49 recovery points read back from a repository are left out" in reason


@given(
    ages=st.lists(st.integers(-50, 500), max_size=10, unique=True),
    forged=st.lists(st.integers(-50, 50_000), min_size=1, max_size=10, unique=True),
)
def test_forged_points_change_no_verdict(ages: list[int], forged: list[int]) -> None:
    ours = [make_point(NOW - age * HOUR) for age in ages]
    lies = [told(NOW - age * HOUR, id=f"forged-{age}") for age in forged]
    alone = make_record(points=ours, frozen=FROZEN, first_seen=NOW - 30 * DAY)
    tests = [make_test(NOW - HOUR, point=each.id, point_as_of=each.as_of) for each in lies[:2]]
    together = make_record(
        points=[*ours, *lies], tests=tests, frozen=FROZEN, first_seen=NOW - 30 * DAY
    )

    def plain(found: Finding) -> tuple[object, ...]:
        return found.verdict, found.achieved, found.since, found.due

    without, with_lies = findings(alone), findings(together)
    assert {key: plain(each) for key, each in with_lies.items()} == {
        key: plain(each) for key, each in without.items()
    }
