"""Reading repositories back, and letting go of points: what is judged of either."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.repository_check import next_part, parts_of
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord, RepositoryChecked, RetentionFrozen
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.plan.model import Maintenance, Plan
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_plan, make_record, make_run

DAY = timedelta(days=1)
LONG_AGO = NOW - 365 * DAY


def checked(
    at: datetime, part: int = 1, parts: int = 1, *, sound: bool = True
) -> RepositoryChecked:
    return RepositoryChecked(
        practice=PRACTICE,
        repository="onsite",
        run="a check",
        at=at,
        part=part,
        parts=parts,
        sound=sound,
        reason="" if sound else "not everything could be read back",
    )


def round_of(parts: int, newest: datetime) -> list[RepositoryChecked]:
    """Return a check a day, of each part in its turn."""
    return [checked(newest - (parts - part) * DAY, part, parts) for part in range(1, parts + 1)]


def forgot(at: datetime, outcome: Outcome = Outcome.DONE, reason: str = "") -> Run:
    return make_run(
        at,
        operation=Operation.FORGET,
        system="",
        repository="onsite",
        finished_at=at,
        outcome=outcome,
        reason=reason,
    )


def planned(**maintenance: str) -> Plan:
    plan = make_plan()
    spec = plan.repositories["onsite"].model_copy(
        update={"maintenance": Maintenance.model_validate(maintenance)}
    )
    return plan.model_copy(update={"repositories": {**plan.repositories, "onsite": spec}})


def found(objective: Objective, record: PracticeRecord, plan: Plan | None = None) -> Finding | None:
    findings = judge(plan or make_plan(), record, NOW)
    return next((each for each in findings if each.objective is objective), None)


def read_back(checks: Iterable[RepositoryChecked], plan: Plan | None = None) -> Finding | None:
    record = make_record(first_seen=LONG_AGO, checks=tuple(checks))
    return found(Objective.REPOSITORY_CHECK, record, plan)


def verdict(finding: Finding | None) -> Verdict | None:
    return finding.verdict if finding else None


# --- reading back -------------------------------------------------------------------------------


def test_check_is_met_when_all_parts_were_read_within_the_time() -> None:
    finding = read_back(round_of(30, NOW))

    assert finding is not None
    assert finding.verdict is Verdict.MET
    assert finding.due == NOW - 29 * DAY + 31 * DAY


@pytest.mark.parametrize(
    "checks",
    [
        [],
        round_of(30, NOW)[1:],
        round_of(30, NOW - 3 * DAY),
        [checked(NOW + DAY)],
    ],
    ids=["never read", "a part missing", "a part too long ago", "read in the future"],
)
def test_check_is_unproven_and_overdue_when_part_was_not_read(
    checks: list[RepositoryChecked],
) -> None:
    finding = read_back(checks)

    assert finding is not None
    assert finding.verdict is Verdict.UNPROVEN
    assert finding.due is not None
    assert finding.due <= NOW


def test_check_says_nothing_of_a_repository_that_is_too_young() -> None:
    young = make_record(first_seen=LONG_AGO, repositories_seen={"onsite": NOW - 30 * DAY})
    assert found(Objective.REPOSITORY_CHECK, young) is None
    older = replace(young, repositories_seen={"onsite": NOW - 31 * DAY})
    assert verdict(found(Objective.REPOSITORY_CHECK, older)) is Verdict.UNPROVEN


def test_check_is_breached_by_one_unsound_part_until_that_is_read_again() -> None:
    checks = round_of(30, NOW)
    damaged = replace(checks[4], sound=False, reason="not everything could be read back")

    finding = read_back([*checks[:4], damaged, *checks[5:]])
    assert finding is not None
    assert finding.verdict is Verdict.BREACHED
    assert finding.since == damaged.at
    assert "not everything could be read back" in finding.reason

    again = checked(NOW, 5, 30)
    assert verdict(read_back([*checks[:4], damaged, *checks[5:], again])) is Verdict.MET


def test_check_stays_breached_when_the_plan_asks_for_other_parts() -> None:
    damaged = checked(NOW - 5 * DAY, 3, 30, sound=False)
    halves = [checked(NOW - DAY, 1, 2), checked(NOW, 2, 2)]

    assert verdict(read_back([damaged, halves[1]])) is Verdict.BREACHED  # 3 of 30 is odd: in 1 of 2
    assert verdict(read_back([damaged, *halves])) is Verdict.MET


def test_check_does_not_start_anew_when_the_plan_asks_for_other_parts() -> None:
    weekly = planned(check="Sun 01:00", read_all_every="30d")
    assert verdict(read_back(round_of(30, NOW), weekly)) is Verdict.MET


def test_check_that_is_never_due_is_told_only_of_damage() -> None:
    never = planned(check="never")
    assert read_back([], never) is None
    assert verdict(read_back([checked(NOW, sound=False)], never)) is Verdict.BREACHED


@pytest.mark.parametrize(
    ("maintenance", "parts"),
    [
        ({}, 30),
        ({"check": "Sun 01:00"}, 5),
        ({"check": "Sun 01:00", "read_all_every": "5d"}, 1),
        ({"check": "every 10m", "read_all_every": "365d"}, 256),
        ({"check": "never"}, 1),
    ],
)
def test_parts_come_to_all_of_it_in_time(maintenance: dict[str, str], parts: int) -> None:
    assert parts_of(Maintenance.model_validate(maintenance)) == parts


@given(st.integers(1, 40), st.lists(st.integers(1, 40), max_size=3), st.booleans())
@example(256, [], True)
def test_next_parts_come_to_all_of_it_in_one_round(
    parts: int, before: list[int], sound: bool
) -> None:
    # as a clock that was a year ahead left them, and as one that was not
    checks = [checked(NOW + 365 * DAY, 1, parts), *(checked(NOW - DAY, 1, each) for each in before)]
    for number in range(parts):
        now = NOW + number * timedelta(minutes=1)
        part = next_part(checks, "onsite", parts, now)
        checks.append(checked(now, part, parts, sound=sound))
    assert {each.part for each in checks[1 + len(before) :]} == {*range(1, parts + 1)}


# --- letting go ---------------------------------------------------------------------------------


def let_go(*runs: Run, plan: Plan | None = None, frozen: str = "") -> Finding | None:
    freeze = RetentionFrozen(practice=PRACTICE, repository="onsite", at=NOW - DAY, why=frozen)
    record = make_record(
        first_seen=LONG_AGO, last_runs=runs, frozen={"onsite": freeze} if frozen else {}
    )
    return found(Objective.RETENTION, record, plan)


def test_retention_is_met_when_points_were_let_go_of_lately() -> None:
    finding = let_go(forgot(NOW - 3 * DAY))
    assert finding is not None
    assert (finding.verdict, finding.due) == (Verdict.MET, NOW)


@pytest.mark.parametrize(
    ("runs", "due"),
    [
        ((), LONG_AGO + 3 * DAY),
        ((forgot(NOW - 4 * DAY),), NOW - DAY),
        ((forgot(NOW - 4 * DAY, Outcome.FAILED, "the disk is full"),), NOW - DAY),
        ((forgot(NOW - 4 * DAY, Outcome.INTERRUPTED),), NOW - DAY),
    ],
    ids=["never", "too long ago", "failed", "interrupted"],
)
def test_retention_is_unproven_and_overdue_when_nothing_was_let_go_of(
    runs: tuple[Run, ...], due: datetime
) -> None:
    finding = let_go(*runs)
    assert finding is not None
    assert (finding.verdict, finding.due) == (Verdict.UNPROVEN, due)
    assert all(run.reason in finding.reason for run in runs)


def test_retention_says_nothing_yet_of_one_night_that_failed() -> None:
    assert let_go(forgot(NOW, Outcome.FAILED, "the disk is full")) is None


def test_retention_is_unproven_and_overdue_while_it_is_frozen() -> None:
    finding = let_go(forgot(NOW), frozen="a point is dated in the future")
    assert finding is not None
    assert (finding.verdict, finding.due) == (Verdict.UNPROVEN, NOW - DAY)
    assert "a point is dated in the future" in finding.reason


def test_retention_says_nothing_where_nothing_is_to_be_forgotten_or_not_yet() -> None:
    assert let_go(plan=planned(forget="never")) is None
    young = make_record(first_seen=NOW - 2 * DAY)
    assert found(Objective.RETENTION, young) is None
