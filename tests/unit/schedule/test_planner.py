"""What is due, however often and whenever anybody asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.run import Operation
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import BackupSpec, Plan
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.schedule.occurrence import occurrences
from dr_orchestrator.schedule.planner import (
    Blackout,
    CatchUp,
    Occurrence,
    Policy,
    ScheduledOperation,
    Skipped,
    due,
    scheduled_operations,
)
from tests.support import practices

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2026, 10, 29, 12, tzinfo=UTC)
"""Three days before the clocks go back."""
HOUR = timedelta(hours=1)
ALL, LATEST = Policy(catch_up=CatchUp.ALL), Policy(catch_up=CatchUp.LATEST)
WORK = Blackout(OpeningHours.parse({"mon-fri": "08:00-18:00"}), frozenset({date(2026, 10, 30)}))
POLICIES = st.builds(
    Policy,
    catch_up=st.sampled_from(CatchUp),
    grace=st.sampled_from([timedelta(), HOUR, timedelta(hours=4)]),
    blackout=st.sampled_from([None, WORK]),
)
TEXTS = st.sampled_from(
    [
        "every 30m",
        "every 7h",
        "03:30",
        "01:30",
        "02:30",
        "Sun 04:00",
        "*/20 * * * *",
        "0 8-18 * * 1-5",
    ]
)


def operation(text: str, policy: Policy) -> ScheduledOperation:
    return ScheduledOperation(
        practice="riverside",
        system="emr",
        operation=Operation.BACKUP,
        spec=BackupSpec(schedule=Schedule.parse(text), to=("onsite",)),
        zone=CHICAGO,
        policy=policy,
        field="systems.emr.backup.schedule",
        id="it",
    )


def ask(
    it: ScheduledOperation, nows: Iterable[datetime]
) -> list[tuple[datetime, list[Occurrence]]]:
    """Ask at each instant and remember the answers, as whoever keeps the record does."""
    handed_out = {it.id: [START]}
    answers = []
    for now in nows:
        last_due = {it.id: max(each for each in handed_out[it.id] if each <= now)}
        answer = list(due([it], last_due, now))
        handed_out[it.id] += [each.due_at for each in answer]
        answers.append((now, answer))
    return answers


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC)


def run_at(answers: list[Occurrence]) -> list[str]:
    return [f"{each.due_at.astimezone(CHICAGO):%d %H:%M}" for each in answers if not each.skipped]


steps = st.lists(st.integers(0, 3 * 86_400), min_size=1, max_size=6)


def instants(seconds: list[int]) -> list[datetime]:
    """Return what a clock shows to somebody who asks now and then, days apart at times."""
    now, result = START, []
    for each in seconds:
        now += timedelta(seconds=each)
        result.append(now)
    return result


@settings(max_examples=40)
@given(TEXTS, POLICIES, steps)
def test_due_hands_out_each_occurrence_once_whatever_the_policy(
    text: str, policy: Policy, seconds: list[int]
) -> None:
    it, nows = operation(text, policy), instants(seconds)

    answers = ask(it, nows)

    told = [each.due_at for _, answer in answers for each in answer]
    awake = [now for now in nows if not (policy.blackout and policy.blackout.holds(now, CHICAGO))]
    until = awake[-1] if awake else START
    assert told == list(occurrences(it.schedule, CHICAGO, START, until))
    assert all(now in awake for now, answer in answers if answer)


@settings(max_examples=40)
@given(TEXTS, POLICIES, steps)
def test_due_starts_what_the_policy_says(text: str, policy: Policy, seconds: list[int]) -> None:
    for now, answer in ask(operation(text, policy), instants(seconds)):
        started = [each for each in answer if each.skipped is None]
        if policy.catch_up is CatchUp.ALL:
            assert started == answer
        elif policy.catch_up is CatchUp.LATEST:
            assert started == answer[-1:]
        else:
            assert [each for each in answer if each.skipped is not Skipped.SUPERSEDED] == answer[
                -1:
            ]
            on_time = [each for each in answer[-1:] if now - each.due_at <= policy.grace]
            assert started == on_time or (policy.blackout and started == answer[-1:])


@settings(max_examples=40)
@given(TEXTS, st.lists(st.integers(-86_400, 2 * 86_400), min_size=1, max_size=6))
def test_due_comes_once_also_when_the_clock_is_put_back(text: str, seconds: list[int]) -> None:
    it, nows = operation(text, ALL), [max(each, START) for each in instants(seconds)]
    recorded = {START}

    for now in nows:
        last_due = {it.id: max(each for each in recorded if each <= now)}
        told = {each.due_at for each in due([it], last_due, now)}
        assert not told & recorded
        recorded |= told

    assert recorded - {START} == set(occurrences(it.schedule, CHICAGO, START, max(nows)))


def test_due_of_several_planners_is_the_same() -> None:
    it = operation("every 30m", LATEST)
    last_due = {it.id: START}

    answers = [list(due([it], last_due, START + 3 * HOUR)) for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]


def test_due_is_nothing_for_what_is_seen_for_the_first_time() -> None:
    assert list(due([operation("every 1m", ALL)], {}, START)) == []


def test_due_makes_up_for_a_power_cut_of_three_days_as_the_policy_says() -> None:
    back = local("2026-11-01 10:15")
    cases = {"every 30m": LATEST, "03:30": Policy(catch_up=CatchUp.SKIP, grace=4 * HOUR)}

    backups, tests = (list(due([operation(*it)], {"it": START}, back)) for it in cases.items())

    assert run_at(backups) == ["01 10:00"]
    assert len(backups) == (back - START) // timedelta(minutes=30)
    assert {each.skipped for each in backups[:-1]} == {Skipped.SUPERSEDED}
    assert run_at(tests) == []
    assert [each.skipped for each in tests] == [Skipped.SUPERSEDED] * 2 + [Skipped.TOO_LATE]


@pytest.mark.parametrize(
    ("text", "since", "now", "expected"),
    [
        # during work nothing starts; afterwards the newest of what waited does
        ("every 30m", "2026-11-02 07:30", "2026-11-02 08:00", []),
        ("every 30m", "2026-11-02 07:30", "2026-11-02 17:59", []),
        ("every 30m", "2026-11-02 07:30", "2026-11-02 18:00", ["02 18:00"]),
        # the grace does not run while nothing may start
        ("12:00", "2026-11-02 07:30", "2026-11-02 18:00", ["02 12:00"]),
        ("12:00", "2026-11-02 07:30", "2026-11-02 19:01", []),
        ("07:40", "2026-11-02 07:30", "2026-11-02 18:30", ["02 07:40"]),
        ("07:40", "2026-11-02 07:30", "2026-11-02 18:41", []),
        # a day on which the practice is closed is like any night
        ("12:00", "2026-10-29 18:30", "2026-10-30 12:00", ["30 12:00"]),
    ],
)
def test_due_is_kept_out_of_a_blackout(
    text: str, since: str, now: str, expected: list[str]
) -> None:
    policy = Policy(catch_up=CatchUp.SKIP, grace=HOUR, blackout=WORK)
    found = list(due([operation(text, policy)], {"it": local(since)}, local(now)))
    assert run_at(found) == expected


def test_blackout_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="never ends"):
        Blackout(OpeningHours.always(), frozenset({date(2026, 12, 25)}))


# --- what a plan puts on a schedule -------------------------------------------------------------


def plan(zone: str = "America/Chicago", **emr: Any) -> Plan:
    more = {"practice": {"id": "riverside", "name": "Riverside", "timezone": zone}}
    return with_defaults(practices.plan({"emr": practices.system("EMR", **emr)}, **more))


NIGHTLY = {"schedule": "03:30", "from": "onsite"}


def ids(which: Plan) -> list[str]:
    return [each.id for each in scheduled_operations(which)]


def test_a_plan_has_a_backup_and_its_tests_for_each_system() -> None:
    weekly = {"schedule": "Sun 04:00", "from": "onsite", "point": "random"}
    backup, first, second = scheduled_operations(plan(restore_tests=[NIGHTLY, weekly]))

    assert (backup.operation, backup.repositories) == (Operation.BACKUP, ("onsite",))
    assert backup.field == "systems.emr.backup.schedule"
    assert backup.policy.catch_up is CatchUp.LATEST
    assert (first.operation, first.repositories) == (Operation.RESTORE_TEST, ("onsite",))
    assert (second.field, str(second.schedule)) == (
        "systems.emr.restore_tests[1].schedule",
        "Sun 04:00",
    )
    assert second.policy == Policy(catch_up=CatchUp.SKIP, grace=timedelta(hours=4))


def test_ids_stay_the_same_between_versions() -> None:
    # what a ledger holds is found by them: changed ids are schedules without a past
    assert ids(plan(restore_tests=[NIGHTLY])) == [
        "riverside/emr/backup/546bcbe9cad5",
        "riverside/emr/restore-test/4ee0c3c3428c",
    ]


def test_id_is_kept_when_other_parts_of_the_plan_change() -> None:
    backup, test = ids(plan(restore_tests=[NIGHTLY]))
    before = {"schedule": "Sat 05:00", "from": "onsite"}
    slower = {**NIGHTLY, "prove_every": "30d"}

    assert ids(plan(restore_tests=[before, slower], rto="9h"))[::2] == [backup, test]


@pytest.mark.parametrize(
    "changed",
    [
        {"restore_tests": [{**NIGHTLY, "schedule": "03:31"}]},
        {"restore_tests": [{**NIGHTLY, "point": "random"}]},
        {"restore_tests": [NIGHTLY], "zone": "Europe/London"},
    ],
)
def test_id_is_new_when_the_schedule_says_something_else(changed: dict[str, Any]) -> None:
    assert ids(plan(**changed))[1] != ids(plan(restore_tests=[NIGHTLY]))[1]


def test_what_a_plan_says_twice_is_done_once() -> None:
    assert len(ids(plan(restore_tests=[NIGHTLY, NIGHTLY]))) == 2
