"""What is due, however often and whenever anybody asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.occurrence import Occurrence, Skipped
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.schedule.occurrence import occurrences
from dr_orchestrator.schedule.planner import (
    Blackout,
    CatchUp,
    Policy,
    ScheduledOperation,
    due,
    parts_asked,
    scheduled_operations,
)
from tests.support import practices
from tests.support.evidence import make_plan

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2026, 10, 29, 12, tzinfo=UTC)
"""Three days before the clocks go back."""
HOUR = timedelta(hours=1)
ALL, LATEST = Policy(catch_up=CatchUp.ALL), Policy(catch_up=CatchUp.LATEST)
WORK = Blackout(OpeningHours.parse({"mon-fri": "08:00-18:00"}), frozenset({date(2026, 10, 30)}))
BLACKOUTS = st.sampled_from([None, WORK])
POLICIES = st.one_of(
    st.builds(Policy, catch_up=st.sampled_from([CatchUp.LATEST, CatchUp.ALL]), blackout=BLACKOUTS),
    st.builds(
        Policy,
        catch_up=st.just(CatchUp.SKIP),
        grace=st.sampled_from([timedelta(minutes=1), HOUR, timedelta(hours=4)]),
        blackout=BLACKOUTS,
    ),
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
        schedule=Schedule.parse(text),
        repositories=("onsite",),
        zone=CHICAGO,
        policy=policy,
        field="systems.emr.backup.schedule",
        id="it",
    )


def ask(
    it: ScheduledOperation, nows: Iterable[datetime], pauses: Iterable[SystemPaused] = ()
) -> list[tuple[datetime, list[Occurrence]]]:
    """Ask at each instant and remember the answers, as whoever keeps the record does."""
    handed_out = {it.id: [START]}
    answers = []
    for now in nows:
        last_due = {it.id: max(each for each in handed_out[it.id] if each <= now)}
        answer = list(due([it], last_due, now, {"riverside": pauses}))
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
        started = [each for each in answer if not each.skipped]
        if policy.catch_up is CatchUp.ALL:
            assert started == answer
        elif policy.catch_up is CatchUp.LATEST:
            assert started == answer[-1:]
        else:
            assert [each for each in answer if each.skipped != Skipped.SUPERSEDED] == answer[-1:]
            assert policy.grace is not None
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


def test_due_finds_a_day_that_is_left_out_for_longer_than_its_schedule_says() -> None:
    leap_day = operation("0 0 29 2 *", LATEST)  # 2100 has none

    last_due = {"it": local("2096-02-29 00:00")}

    assert list(due([leap_day], last_due, local("2104-02-28 23:59"))) == []
    assert run_at(list(due([leap_day], last_due, local("2104-02-29 00:00")))) == ["29 00:00"]


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


def test_occurrence_says_all_that_the_ledger_has_to_know() -> None:
    (found,) = due(
        [operation("03:30", ALL)], {"it": local("2026-11-01 00:00")}, local("2026-11-01 04:00")
    )

    assert found == Occurrence(
        id="it@20261101T093000Z",
        schedule_id="it",
        due_at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC),
        practice="riverside",
        operation=Operation.BACKUP,
        system="emr",
        keeps_older=True,
    )


@settings(max_examples=40)
@given(TEXTS, POLICIES, steps, st.integers(0, 9 * 86_400))
def test_due_starts_nothing_that_is_paused_and_all_else_as_ever(
    text: str, policy: Policy, seconds: list[int], paused_for: int
) -> None:
    it, nows = operation(text, policy), instants(seconds)
    pause = paused("emr", START + timedelta(seconds=paused_for))

    answers, as_ever = ask(it, nows, [pause]), ask(it, nows)

    for (now, answer), (_, same) in zip(answers, as_ever, strict=True):
        reasons = [each.skipped for each in same]
        if now < pause.until:
            reasons = [each or "paused until 2026" for each in reasons]
        assert [each.due_at for each in answer] == [each.due_at for each in same]
        assert all(map(str.startswith, (each.skipped for each in answer), reasons))
        assert [bool(each.skipped) for each in answer] == list(map(bool, reasons))


def paused(system: str, until: datetime, practice: str = "riverside") -> SystemPaused:
    return SystemPaused(
        practice=practice, system=system, at=START, until=until, by="bob", why="server move"
    )


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ([], []),
        ([("emr", 4 * HOUR)], ["emr: backup", "emr: restore test"]),
        ([("billing", 4 * HOUR)], ["billing: backup"]),
        ([("emr", HOUR)], []),
        (
            [("", 4 * HOUR)],
            [
                *("emr: backup", "emr: restore test", "billing: backup"),
                *("onsite: check", "onsite: forget", "onsite: prune"),
            ],
        ),
    ],
)
def test_pause_is_of_a_system_or_of_all_but_report_and_evidence(
    pauses: list[tuple[str, timedelta]], expected: list[str]
) -> None:
    hourly = {"schedule": "every 1h"}
    kept = dict.fromkeys(("check", "forget", "prune"), "every 1h")
    systems = {
        "emr": practices.system("EMR", backup=hourly, restore_tests=[hourly]),
        "billing": practices.system("Billing", backup=hourly, restore_tests=[]),
    }
    both = with_defaults(
        practices.plan(
            systems, report=REPORT, repositories=places(**kept), evidence={"schedule": "every 1h"}
        )
    )
    operations = scheduled_operations(both)
    last_due = {each.id: START for each in operations}
    listed = [paused(system, START + lasts) for system, lasts in pauses]

    found = list(due(operations, last_due, START + HOUR, {"riverside": listed, "lakeside": []}))

    assert len(found) == len(operations) == 8
    assert [
        f"{each.system or each.repository}: {each.operation}" for each in found if each.skipped
    ] == expected
    assert {each.skipped for each in found if each.skipped} <= {
        "paused until 2026-10-29 11:00 CDT: server move"
    }


def test_longest_of_several_pauses_is_named() -> None:
    both = [paused("emr", START + 2 * HOUR), paused("", START + 3 * HOUR)]
    (found,) = due([operation("every 1h", ALL)], {"it": START}, START + HOUR, {"riverside": both})
    assert found.skipped == "paused until 2026-10-29 10:00 CDT: server move"


def test_blackout_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="never ends"):
        Blackout(OpeningHours.always(), frozenset({date(2026, 12, 25)}))


# --- what a plan puts on a schedule -------------------------------------------------------------

NIGHTLY = {"schedule": "03:30", "from": "onsite"}
REPORT = {"schedule": "every 1h", "folder": "/srv/reports"}
PLACE = {"location": "/srv/restic/vault", "password": {"file": "/etc/dro/keys/riverside"}}


def places(**maintenance: Any) -> dict[str, Any]:
    """Return a repository in use and one that nothing is backed up to."""
    both = practices.two_places()
    return {name: {**place, "maintenance": maintenance} for name, place in both.items()}


def plan(zone: str = "America/Chicago", **emr: Any) -> Plan:
    practice = {
        "id": "riverside",
        "name": "Riverside",
        "timezone": zone,
        "closed": ["2026-10-30"],
    }
    return with_defaults(practices.plan({"emr": practices.system("EMR", **emr)}, practice=practice))


def ids(which: Plan) -> list[str]:
    return [each.id for each in scheduled_operations(which) if each.system]


def test_a_plan_has_a_backup_and_its_tests_for_each_system() -> None:
    weekly = {"schedule": "Sun 04:00", "from": "onsite", "point": "random"}
    backup, first, second, *_ = scheduled_operations(plan(restore_tests=[NIGHTLY, weekly]))

    assert (backup.operation, backup.repositories) == (Operation.BACKUP, ("onsite",))
    assert backup.field == "systems.emr.backup.schedule"
    assert backup.policy == Policy(catch_up=CatchUp.LATEST)
    assert (first.operation, first.repositories) == (Operation.RESTORE_TEST, ("onsite",))
    assert (second.field, str(second.schedule)) == (
        "systems.emr.restore_tests[1].schedule",
        "Sun 04:00",
    )
    assert second.policy == Policy(catch_up=CatchUp.SKIP, grace=timedelta(hours=4))
    due_at = START.replace(microsecond=0)
    assert (backup.at(due_at).repository, backup.at(due_at).point) == (None, "latest")
    assert (second.at(due_at).repository, second.at(due_at).point) == ("onsite", "random")


def test_a_plan_says_how_late_an_operation_may_be() -> None:
    late = {
        "catch_up": "skip",
        "grace": "90m",
        "blackout": {"mon-fri": "08:00-18:00"},
        "schedule": "every 1h",
    }
    backup, test, *_ = scheduled_operations(
        plan(backup=late, restore_tests=[{**NIGHTLY, "catch_up": "all"}])
    )

    assert backup.policy == Policy(
        catch_up=CatchUp.SKIP, grace=timedelta(minutes=90), blackout=WORK
    )
    assert test.policy == Policy(catch_up=CatchUp.ALL)
    assert test.at(START).keeps_older
    assert not backup.at(START).keeps_older


@pytest.mark.parametrize(
    ("copying", "schedule", "policy"),
    [
        ({}, "every 2h", LATEST),
        (
            {"copying": {"schedule": "22:00", "catch_up": "skip", "grace": "1h"}},
            "22:00",
            Policy(catch_up=CatchUp.SKIP, grace=HOUR),
        ),
    ],
)
def test_a_plan_copies_to_each_repository_it_says(
    copying: dict[str, Any], schedule: str, policy: Policy
) -> None:
    backup = {"schedule": "every 2h", "to": ["onsite"], "copy_to": ["offsite", "vault"], **copying}
    emr = {"emr": practices.system("EMR", backup=backup)}
    made = with_defaults(practices.plan(emr, repositories=places() | {"vault": PLACE}))

    copies = [each for each in scheduled_operations(made) if each.operation is Operation.COPY]

    assert [each.at(START).repository for each in copies] == ["offsite", "vault"]
    assert {(each.system, str(each.schedule), each.policy) for each in copies} == {
        ("emr", schedule, policy)
    }
    assert {each.field for each in copies} == {"systems.emr.backup.copying.schedule"}
    assert len({each.id for each in copies}) == len(copies)


def test_a_plan_copies_nothing_unless_it_says_where_to() -> None:
    assert Operation.COPY not in {each.operation for each in scheduled_operations(plan())}


def maintenance_of(**stated: Any) -> list[tuple[str, str, str, Policy]]:
    emr = {"emr": practices.system("EMR")}
    made = with_defaults(practices.plan(emr, repositories=places(**stated)))
    return [
        (each.field, str(each.schedule), each.at(START).repository or "", each.policy)
        for each in scheduled_operations(made)
        if each.field.startswith("repositories.")
    ]


def test_a_plan_looks_after_each_repository_that_something_is_backed_up_to() -> None:
    latest, skip = Policy(catch_up=CatchUp.LATEST), CatchUp.SKIP
    field = "repositories.onsite.maintenance"

    assert maintenance_of() == [
        (f"{field}.check", "01:00", "onsite", latest),
        (f"{field}.forget", "05:30", "onsite", latest),
        (f"{field}.prune", "Sun 06:00", "onsite", Policy(catch_up=skip, grace=6 * HOUR)),
    ]


def test_a_plan_may_leave_the_upkeep_of_a_repository_out_or_to_the_night() -> None:
    night = maintenance_of(forget="never", prune="never", blackout={"mon-sun": "06:00-22:00"})
    ((field, _, _, policy),) = night

    assert maintenance_of(check="never", forget="never", prune="never") == []
    assert field == "repositories.onsite.maintenance.check"
    assert policy.blackout is not None
    assert policy.blackout.hours.written() == {"mon-sun": "06:00-22:00"}


LOCK = {"location": "s3:https://s3.example/dr", "object_lock": {"mode": "compliance", "days": 30}}
SERVER = {"location": "rest:https://backup.example/dr", "append_only": True}


@pytest.mark.parametrize(
    ("place", "maintenance", "expected"),
    [
        ({}, {}, "check forget prune"),
        (LOCK, {}, "check extend forget immutability prune"),
        (LOCK, {"extend": "never"}, "check forget immutability prune"),
        (LOCK, {"immutability": "never"}, "check extend forget prune"),
        # nobody removes anything there
        (SERVER, {}, "check immutability"),
        # but by another way
        (SERVER, {"location": "/srv/dr"}, "check forget immutability prune"),
    ],
)
def test_a_plan_renews_and_tries_locks_where_there_are_some(
    place: dict[str, Any], maintenance: dict[str, Any], expected: str
) -> None:
    onsite = {**PLACE, **place, "maintenance": maintenance}
    emr = {"emr": practices.system("EMR")}
    made = with_defaults(practices.plan(emr, repositories={"onsite": onsite}))

    scheduled = scheduled_operations(made)
    upkeep = [each for each in scheduled if each.field.startswith("repositories.")]

    assert " ".join(sorted(each.field.rpartition(".")[2] for each in upkeep)) == expected
    latest = [
        each for each in upkeep if each.operation in {Operation.EXTEND, Operation.IMMUTABILITY}
    ]
    assert {each.policy for each in latest} <= {LATEST}


def test_a_plan_has_a_report_where_it_says_so() -> None:
    made = with_defaults(practices.plan({"emr": practices.system("EMR")}, report=REPORT))
    *_, report, _ = scheduled_operations(made)

    assert (report.field, report.operation) == ("report.schedule", Operation.REPORT)
    assert report.policy == Policy(catch_up=CatchUp.LATEST)
    assert (report.at(START).system, report.at(START).repository) == ("", None)


def test_a_plan_has_its_evidence_kept_unless_it_says_otherwise() -> None:
    made = with_defaults(practices.plan({"emr": practices.system("EMR")}))
    *_, evidence = scheduled_operations(made)

    assert (evidence.field, str(evidence.schedule)) == ("evidence.schedule", "05:00")
    assert evidence.policy == Policy(catch_up=CatchUp.LATEST)
    assert evidence.at(START).operation is Operation.EVIDENCE


def test_ids_stay_the_same_between_versions() -> None:
    # what a ledger holds is found by them: changed ids are schedules without a past
    made = practices.plan({"emr": practices.system("EMR")}, report=REPORT)

    assert [each.id for each in scheduled_operations(with_defaults(made))] == [
        "riverside/emr/backup/546bcbe9cad5",
        "riverside/emr/restore-test/4ee0c3c3428c",
        "riverside/onsite/check/13b25b14b2c8",
        "riverside/onsite/forget/b19b283eeb14",
        "riverside/onsite/prune/6bffe2096110",
        "riverside/report/46aacdbc2463",
        "riverside/evidence/f22cf2c42402",
    ]


def test_id_is_kept_when_other_parts_of_the_plan_change() -> None:
    backup, test = ids(plan(restore_tests=[NIGHTLY]))
    before = {"schedule": "Sat 05:00", "from": "onsite"}
    slower = {**NIGHTLY, "prove_every": "30d"}

    assert ids(plan(restore_tests=[before, slower], rto="9h"))[::2] == [backup, test]


def test_id_is_kept_when_it_may_be_later_or_earlier() -> None:
    later = {**NIGHTLY, "grace": "9h", "blackout": {"sat": "00:00-24:00"}}
    assert ids(plan(restore_tests=[later])) == ids(plan(restore_tests=[NIGHTLY]))


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


# --- restore tests of a share ---


def test_parts_asked_tells_a_test_of_a_share_from_one_of_all_files() -> None:
    both = [
        {"schedule": "Sun 04:00", "from": "onsite"},
        {"schedule": "Sun 04:00", "from": "onsite", "files": {"sample": "5%"}},
    ]
    plan = make_plan(restore_tests=both)
    ids = [
        each.id for each in scheduled_operations(plan) if each.operation is Operation.RESTORE_TEST
    ]
    assert len(set(ids)) == 2
    assert [parts_asked(plan, "emr", each) for each in (*ids, "gone")] == [1, 20, 1]
