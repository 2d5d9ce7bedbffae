"""Evidence on the left, findings on the right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.verdict import is_overdue, practice_verdict
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import AssetKind, AssetSummary, RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START as NOW
from tests.support.evidence import (
    DATABASE,
    DOCUMENTS,
    looked_after,
    make_attempts,
    make_copy,
    make_locks,
    make_plan,
    make_point,
    make_record,
    make_test,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MET, BREACHED, UNPROVEN = Verdict.MET, Verdict.BREACHED, Verdict.UNPROVEN
LONG_AGO = NOW - 30 * DAY
PLAN = make_plan()


def _points(
    *ages: timedelta, every: timedelta | None = None, **changes: Any
) -> list[RecoveryPoint]:
    """Return points of the given ages; with `every`, also such a row of them up to a week ago."""
    regular = [] if every is None else [every * count for count in range(7 * DAY // every)]
    return [make_point(NOW - age, **changes) for age in (*ages, *regular)]


def _found(
    objective: Objective,
    record: PracticeRecord,
    *,
    plan: Plan = PLAN,
    now: datetime = NOW,
    repository: str | None = None,
) -> Finding:
    (finding,) = [
        finding
        for finding in judge(plan, record, now)
        if finding.objective is objective and repository in {None, finding.repository}
    ]
    return finding


EVERYTHING = make_plan(
    max_data_age="4h",
    max_skew="5m",
    assets={
        "database": {"kind": "sqlite", "path": "/srv/emr/emr.db"},
        "documents": {
            "kind": "files",
            "path": "/srv/dumps",
            "made_by": "the vendor's nightly job",
            "data_time": {"newest": "EMR_*.bak", "max_age": "26h"},
        },
    },
    repositories={"onsite": {"object_lock": {"mode": "compliance", "days": 30}}},
)
"""Promises everything that a plan can; `documents` are what the vendor's job writes."""


def _dumps(written: datetime) -> dict[str, AssetSummary]:
    """Return the assets of a point whose newest dump was written then."""
    return {"database": DATABASE, "documents": replace(DOCUMENTS, data_as_of=written)}


def _good_record(**changes: Any) -> PracticeRecord:
    """Return the record of a practice that keeps every promise of `PLAN`."""
    evidence: dict[str, Any] = {
        "first_seen": LONG_AGO,
        "points": _points(every=HOUR / 2),
        "tests": [make_test(NOW - 8 * HOUR)],
        **looked_after(NOW - 7 * HOUR, "onsite"),
        "locks": {"onsite": make_locks(NOW - 6 * HOUR, NOW + 29 * DAY, "onsite")},
        "immutability": {"onsite": make_attempts(NOW - 5 * HOUR, repository="onsite")},
    }
    return make_record(**(evidence | changes))


# --- the whole ----------------------------------------------------------------------------------


def test_judge_finds_every_promise_met_when_all_is_well() -> None:
    points = _points(every=HOUR / 2)
    points = [replace(each, assets=_dumps(each.as_of)) for each in points]

    findings = judge(EVERYTHING, _good_record(points=points), NOW)

    assert [finding.objective for finding in findings] == list(Objective)[:-4]
    assert {finding.verdict for finding in findings} == {MET}
    assert practice_verdict(findings) is MET
    assert not any(is_overdue(finding, NOW) for finding in findings)


def test_judge_proves_nothing_when_nothing_is_known() -> None:
    findings = judge(EVERYTHING, make_record(), NOW)

    assert [finding.objective for finding in findings] == list(Objective)[:-4]
    assert {finding.verdict for finding in findings} == {UNPROVEN}
    assert all(finding.due is None and is_overdue(finding, NOW) for finding in findings)


def test_judge_is_quiet_in_the_first_days_and_names_when_each_proof_is_due() -> None:
    record = make_record(first_seen=NOW - 30 * MINUTE)

    findings = judge(EVERYTHING, record, NOW)

    assert {finding.verdict for finding in findings} == {UNPROVEN}
    assert not any(is_overdue(finding, NOW) for finding in findings)
    dues = {finding.objective: finding.due for finding in findings}
    start = NOW - 30 * MINUTE
    assert dues[Objective.RPO] == dues[Objective.COVERAGE] == start + HOUR
    assert dues[Objective.SKEW] == start + HOUR
    assert dues[Objective.DUMP_AGE] == start + 26 * HOUR
    assert dues[Objective.RESTORE_TEST] == dues[Objective.RTO] == start + 2 * DAY
    assert dues[Objective.DATA_AGE] == start + 2 * DAY
    assert dues[Objective.COPIES] == start + DAY


def test_judge_counts_from_the_oldest_point_when_that_is_before_the_first_run() -> None:
    record = make_record(first_seen=NOW - HOUR, points=_points(5 * HOUR))

    assert _found(Objective.RESTORE_TEST, record).due == NOW - 5 * HOUR + 2 * DAY


def test_judge_says_nothing_of_systems_that_this_plan_does_not_protect() -> None:
    elsewhere = {
        "phones": {"protected_by": "telephone vendor"},
        "portal": {"not_protected": "holds no records", "accepted_by": "manager"},
    }
    content = PLAN.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    plan = Plan.model_validate(content | {"systems": content["systems"] | elsewhere})

    assert {finding.system for finding in judge(plan, _good_record(), NOW)} == {"emr"}


def test_judge_refuses_the_record_of_another_practice() -> None:
    with pytest.raises(ValueError, match="lakeside"):
        judge(PLAN, replace(make_record(), practice="lakeside"), NOW)


def test_judge_leaves_other_systems_evidence_aside() -> None:
    others = make_record(
        points=_points(every=HOUR, system="imaging"),
        tests=[make_test(NOW - HOUR, system="imaging")],
    )

    assert {finding.verdict for finding in judge(PLAN, others, NOW)} == {UNPROVEN}


# --- rpo ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "verdict", "achieved", "since"),
    [
        ([HOUR], MET, "1 h", None),
        ([HOUR, 2 * HOUR], MET, "1 h", None),
        ([HOUR + MINUTE, 2 * HOUR], BREACHED, "1 h 1 min", NOW - HOUR - MINUTE),
        ([30 * MINUTE, 3 * HOUR], BREACHED, "2 h 30 min", NOW - 3 * HOUR),
        ([0 * HOUR, 23 * HOUR, 26 * HOUR], BREACHED, "23 h", NOW - 23 * HOUR),
    ],
    ids=["kept", "to the minute", "up to now", "between two", "the longest of several"],
)
def test_rpo_is_the_longest_stretch_without_a_point(
    ages: list[timedelta], verdict: Verdict, achieved: str, since: datetime | None
) -> None:
    finding = _found(Objective.RPO, make_record(points=_points(*ages)))

    assert (finding.verdict, finding.promised, finding.achieved, finding.since) == (
        verdict,
        "1 h",
        achieved,
        since,
    )


def test_rpo_forgets_a_bad_night_after_a_day_of_good_points_and_not_before() -> None:
    def verdict(good: timedelta) -> Verdict:
        regular = [HOUR / 2 * count for count in range(int(good / (HOUR / 2)) + 1)]
        night = good + 9 * HOUR
        return _found(Objective.RPO, make_record(points=_points(*regular, night))).verdict

    assert verdict(23 * HOUR) is BREACHED
    assert verdict(24 * HOUR) is MET


def test_rpo_does_not_forget_a_bad_night_by_time_alone() -> None:
    ages = [hours * HOUR for hours in (5, 10, 15, 20, 30)]
    plan, record = make_plan(rpo="6h"), make_record(points=_points(*ages))

    for later in (0 * HOUR, HOUR, 5 * HOUR, 40 * HOUR):
        assert _found(Objective.RPO, record, plan=plan, now=NOW + later).verdict is BREACHED


def test_rpo_window_is_twice_the_rpo_when_that_is_longer_than_a_day() -> None:
    plan = make_plan(rpo="7d")
    ages = [0 * DAY, 6 * DAY, 13 * DAY, 21 * DAY]

    finding = _found(Objective.RPO, make_record(points=_points(*ages)), plan=plan)

    assert (finding.verdict, finding.achieved, finding.since) == (BREACHED, "8 d", NOW - 21 * DAY)


def test_rpo_starts_with_the_first_run_when_points_came_late() -> None:
    record = make_record(first_seen=NOW - 3 * HOUR, points=_points(HOUR / 2))

    finding = _found(Objective.RPO, record)

    assert (finding.verdict, finding.since) == (BREACHED, NOW - 3 * HOUR)


def test_rpo_is_breached_when_every_backup_since_the_first_run_failed() -> None:
    finding = _found(Objective.RPO, make_record(first_seen=NOW - 3 * DAY))

    assert (finding.verdict, finding.achieved, finding.since) == (BREACHED, "3 d", NOW - 3 * DAY)
    assert "from the start" in finding.reason


def test_rpo_goes_by_the_age_of_the_data_when_another_tool_made_it() -> None:
    written = NOW - 9 * HOUR
    points = _points(every=HOUR / 2)
    points = [replace(each, assets=_dumps(min(written, each.as_of))) for each in points]

    finding = _found(Objective.RPO, make_record(points=points), plan=EVERYTHING)

    assert (finding.verdict, finding.achieved, finding.since) == (BREACHED, "9 h", written)
    assert finding.reason == (
        "nothing newer of documents than from 2026-11-17 21:00 CST could be brought back: "
        "8 h too long"
    )


def test_rpo_of_one_asset_is_not_that_of_another_that_was_made_before_the_first_backup() -> None:
    """The first backup of a practice finds a dump of three weeks ago, and a living database."""
    plan = make_plan(rpo="22d", assets=EVERYTHING.protected["emr"].assets)
    points = [
        make_point(NOW - age, assets=_dumps(NOW - 21 * DAY), data_as_of=NOW - 21 * DAY)
        for age in (10 * MINUTE, 40 * MINUTE)
    ]
    record = make_record(first_seen=NOW - 41 * MINUTE, points=points)

    assert _found(Objective.RPO, record, plan=plan).achieved == "21 d"
    database_only = {"database": {"kind": "sqlite", "path": "/srv/emr/emr.db"}}
    alone = _found(Objective.RPO, record, plan=make_plan(assets=database_only))
    assert (alone.verdict, alone.achieved) == (MET, "30 min")


def test_rpo_is_not_broken_by_an_older_dump_in_a_newer_point() -> None:
    """The job keeps one dump; the newest goes away, and what is left was there before us."""
    points = [
        make_point(NOW - HOUR, assets=_dumps(NOW - 3 * HOUR)),
        make_point(NOW - MINUTE, assets=_dumps(NOW - 3 * DAY)),
    ]
    plan = make_plan(rpo="26h", assets=EVERYTHING.protected["emr"].assets)

    finding = _found(Objective.RPO, make_record(points=points, first_seen=NOW - HOUR), plan=plan)

    assert (finding.verdict, finding.achieved) == (MET, "3 h")


def test_rpo_of_a_dump_counts_from_one_dump_to_the_next_not_from_point_to_point() -> None:
    """Nightly dumps, saved every half hour: a day was left out, and the next one came."""
    nights = [NOW - age for age in (3 * HOUR, 51 * HOUR, 75 * HOUR)]
    points = [
        replace(each, assets=_dumps(max(night for night in nights if night < each.as_of)))
        for each in _points(every=HOUR / 2)
        if each.as_of > nights[-1]
    ]
    plan = make_plan(rpo="26h", assets=EVERYTHING.protected["emr"].assets)

    finding = _found(Objective.RPO, make_record(points=points), plan=plan)

    assert (finding.verdict, finding.achieved, finding.since) == (BREACHED, "2 d", nights[1])
    assert "until 2026-11-18 03:00 CST" in finding.reason


def test_copies_are_fresh_when_an_old_dump_was_saved_there_just_now() -> None:
    """That the dump is old is told by its own promise; the repository is not to blame."""
    points = [make_point(NOW - MINUTE, assets=_dumps(NOW - 21 * DAY))]

    assert _found(Objective.COPIES, make_record(points=points), plan=EVERYTHING).verdict is MET


def test_coverage_looks_at_the_newest_backup_not_at_the_one_with_the_newest_data() -> None:
    """The vendor removed the newest dump, and the next backup lacks the database."""
    older = make_point(NOW - HOUR / 2, assets=_dumps(NOW - HOUR))
    newer = make_point(
        NOW - MINUTE,
        assets={"documents": replace(DOCUMENTS, data_as_of=NOW - 2 * DAY)},
        data_as_of=NOW - 2 * DAY,
    )

    finding = _found(Objective.COVERAGE, make_record(points=[older, newer]), plan=EVERYTHING)

    assert (finding.verdict, finding.achieved) == (UNPROVEN, "1 of 2 assets")


# --- dump age -----------------------------------------------------------------------------------


def _dump_age(*looks: tuple[timedelta, timedelta], now: datetime = NOW, **changes: Any) -> Finding:
    """Judge points of these ages, each with the age of the dump it holds."""
    points = [make_point(NOW - age, assets=_dumps(NOW - written)) for age, written in looks]
    record = make_record(points=points, first_seen=LONG_AGO)
    return _found(Objective.DUMP_AGE, record, plan=changes.get("plan", EVERYTHING), now=now)


def test_dump_age_is_met_while_the_job_writes() -> None:
    finding = _dump_age((MINUTE, 25 * HOUR), (3 * DAY, 4 * DAY))

    assert (finding.verdict, finding.promised, finding.achieved, finding.due) == (
        MET,
        "a new one within 26 h",
        "25 h old",
        NOW + HOUR,
    )


def test_dump_age_is_breached_when_the_job_died_although_backups_go_on() -> None:
    finding = _dump_age(*((HOUR * age, 21 * DAY) for age in range(5)))

    assert (finding.verdict, finding.since) == (BREACHED, NOW - 21 * DAY)
    assert finding.reason == (
        "the vendor's nightly job has written nothing since 2026-10-28 07:00 CDT"
    )


def test_dump_age_names_the_contact_that_makes_the_dump() -> None:
    content = EVERYTHING.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["contacts"] = {"vendor": {"role": "EMR vendor support"}}
    content["systems"]["emr"]["assets"]["documents"]["made_by"] = "vendor"
    named = _dump_age((MINUTE, 21 * DAY), plan=Plan.model_validate(content))
    del content["systems"]["emr"]["assets"]["documents"]["made_by"]
    nobody = _dump_age((MINUTE, 21 * DAY), plan=Plan.model_validate(content))

    assert named.reason.startswith("EMR vendor support has written nothing")
    assert nobody.reason.startswith("the job that writes documents has written nothing")


def test_dump_age_is_unproven_when_no_backup_looked_since() -> None:
    """Our own backups stopped: that says nothing of the vendor's job."""
    finding = _dump_age((5 * HOUR, 23 * HOUR), now=NOW + 4 * HOUR)

    assert (finding.verdict, finding.due) == (UNPROVEN, NOW + 3 * HOUR)
    assert "no backup has looked since" in finding.reason
    assert is_overdue(finding, NOW + 4 * HOUR)


def test_dump_age_is_not_mended_by_time_nor_by_a_point_from_before_the_promise() -> None:
    without = make_point(NOW - MINUTE)
    record = make_record(points=[without], first_seen=LONG_AGO)

    finding = _found(Objective.DUMP_AGE, record, plan=EVERYTHING)

    assert (finding.verdict, finding.due) == (UNPROVEN, LONG_AGO + 26 * HOUR)
    late = _dump_age((MINUTE, 27 * HOUR), now=NOW + 9 * DAY)
    assert late.verdict is BREACHED


def test_dump_age_is_not_deceived_by_a_dump_that_is_dated_in_the_future() -> None:
    finding = _dump_age((2 * DAY, -400 * DAY))

    assert (finding.verdict, finding.achieved) == (UNPROVEN, "2 d old")


def test_dump_age_tells_of_the_job_that_is_in_the_worst_state() -> None:
    assets = EVERYTHING.model_dump(mode="json", exclude_none=True)["systems"]["emr"]["assets"]
    assets["database"] = assets["documents"] | {"made_by": "the laboratory's job"}
    point = make_point(
        NOW - MINUTE,
        assets={
            "database": replace(DOCUMENTS, data_as_of=NOW - 3 * DAY),
            "documents": replace(DOCUMENTS, data_as_of=NOW - HOUR),
        },
    )

    finding = _found(Objective.DUMP_AGE, make_record(points=[point]), plan=make_plan(assets=assets))

    assert finding.verdict is BREACHED
    assert finding.reason.startswith("the laboratory's job")


# --- skew ---------------------------------------------------------------------------------------


def _skew(*points: RecoveryPoint) -> Finding:
    return _found(Objective.SKEW, make_record(points=points), plan=make_plan(max_skew="5m"))


def test_skew_is_judged_on_the_newest_point_that_holds_every_asset() -> None:
    apart = make_point(NOW - HOUR, skew_seconds=301.0)
    before = make_point(NOW - 2 * HOUR, skew_seconds=900.0)
    good = make_point(NOW - 3 * HOUR, skew_seconds=299.0)
    part = make_point(NOW - MINUTE, skew_seconds=0.0, assets={"database": DATABASE})

    broken = _skew(good, before, apart, part)

    assert (broken.verdict, broken.achieved, broken.since) == (
        BREACHED,
        "5 min 1 s apart",
        NOW - 2 * HOUR,
    )
    assert "is in some of them and not in others" in broken.reason
    assert _skew(good, part).verdict is MET
    assert _skew(part).verdict is UNPROVEN


def test_skew_is_not_judged_where_nothing_is_promised() -> None:
    findings = judge(PLAN, _good_record(), NOW)

    assert {Objective.SKEW, Objective.DUMP_AGE} & {each.objective for each in findings} == set()


def test_rpo_counts_points_of_any_repository() -> None:
    here = _points(HOUR / 2, 3 * HOUR / 2)
    there = _points(HOUR, 2 * HOUR, repositories=("offsite",))

    finding = _found(Objective.RPO, make_record(points=[*here, *there]))

    assert (finding.verdict, finding.achieved) == (MET, "30 min")


def test_rpo_is_not_deceived_by_points_from_the_future() -> None:
    future = _points(-6 * MINUTE, -400 * DAY)
    record = make_record(first_seen=NOW - 3 * HOUR, points=[*_points(2 * HOUR), *future])

    finding = _found(Objective.RPO, record)

    assert (finding.verdict, finding.achieved) == (BREACHED, "2 h")
    ends = "2 recovery points dated in the future are left out: check the clock"
    assert finding.reason.endswith(ends)
    alone = _found(Objective.RPO, make_record(points=future))
    assert alone.verdict is UNPROVEN


def test_rpo_takes_a_point_of_a_clock_that_is_a_little_ahead_as_of_now() -> None:
    finding = _found(Objective.RPO, make_record(points=_points(-4 * MINUTE, 50 * MINUTE)))

    assert (finding.verdict, finding.achieved) == (MET, "50 min")
    assert "future" not in finding.reason


def test_rpo_does_not_count_a_point_whose_restore_test_failed() -> None:
    points = _points(30 * MINUTE, 70 * MINUTE, 110 * MINUTE)
    failed = make_test(NOW - MINUTE, Result.FAILED, point=points[1].id)

    finding = _found(Objective.RPO, make_record(points=points, tests=[failed]))

    assert (finding.verdict, finding.achieved) == (BREACHED, "1 h 20 min")


@pytest.mark.parametrize("rescued_by", ["another repository", "a later test", "a follow-up"])
def test_rpo_counts_a_point_that_comes_back_after_all(rescued_by: str) -> None:
    (point,) = _points(30 * MINUTE, repositories=("onsite", "offsite"))
    tests = [make_test(NOW - 20 * MINUTE, Result.FAILED, point=point.id)]
    if rescued_by != "another repository":
        point = replace(point, copies=(make_copy(point, "onsite"),))
        later = make_test(NOW - 10 * MINUTE, point=point.id)
        follow_up = tests[0].id if rescued_by == "a follow-up" else None
        tests.append(replace(later, follow_up_of=follow_up))

    assert _found(Objective.RPO, make_record(points=[point], tests=tests)).verdict is MET


def test_rpo_is_that_of_the_asset_that_is_worst_off() -> None:
    whole = _points(5 * HOUR)
    part = _points(4 * HOUR, 3 * HOUR, 2 * HOUR, HOUR, assets={"documents": DOCUMENTS})

    finding = _found(Objective.RPO, make_record(points=[*whole, *part]))

    assert (finding.verdict, finding.achieved) == (BREACHED, "5 h")
    assert "of database" in finding.reason


def test_rpo_is_not_proven_when_an_asset_was_never_captured() -> None:
    record = make_record(
        first_seen=NOW - DAY, points=_points(every=HOUR / 2, assets={"database": DATABASE})
    )

    finding = _found(Objective.RPO, record)

    assert finding.verdict is UNPROVEN
    assert "documents" in finding.reason
    assert is_overdue(finding, NOW)


def test_rpo_of_an_asset_that_joined_later_starts_with_its_first_point() -> None:
    before = _points(*(HOUR * count for count in range(2, 40)), assets={"database": DATABASE})

    record = make_record(first_seen=LONG_AGO, points=[*before, *_points(HOUR, 0 * HOUR)])

    assert _found(Objective.RPO, record).verdict is MET


# --- coverage -----------------------------------------------------------------------------------


def test_coverage_is_not_proven_when_an_asset_was_in_no_point() -> None:
    record = make_record(
        first_seen=NOW - 30 * MINUTE, points=_points(0 * HOUR, assets={"database": DATABASE})
    )

    finding = _found(Objective.COVERAGE, record)

    assert (finding.verdict, finding.achieved) == (UNPROVEN, "1 of 2 assets")
    assert finding.due == NOW + 30 * MINUTE
    assert "lacks documents" in finding.reason


@pytest.mark.parametrize(
    ("missing_for", "verdict"), [(59 * MINUTE, UNPROVEN), (61 * MINUTE, BREACHED)]
)
def test_coverage_is_breached_when_an_asset_is_gone_for_longer_than_the_rpo(
    missing_for: timedelta, verdict: Verdict
) -> None:
    part = _points(30 * MINUTE, 0 * HOUR, assets={"database": DATABASE})

    finding = _found(Objective.COVERAGE, make_record(points=[*_points(missing_for), *part]))

    assert (finding.verdict, finding.since) == (verdict, NOW - 30 * MINUTE)
    assert finding.due == (NOW - missing_for + HOUR if verdict is UNPROVEN else None)


@pytest.mark.parametrize("flaw", ["no copy", "not in the copy", "another kind", "damaged"])
def test_coverage_counts_only_what_a_repository_really_holds(flaw: str) -> None:
    (point,) = _points(0 * HOUR)
    tests = []
    if flaw == "no copy":
        point = replace(point, copies=())
    elif flaw == "not in the copy":
        snapshots = {"database": point.copies[0].snapshots["database"]}
        point = replace(point, copies=(replace(point.copies[0], snapshots=snapshots),))
    elif flaw == "another kind":
        other = replace(DOCUMENTS, kind=AssetKind.POSTGRES)
        point = replace(point, assets={"database": DATABASE, "documents": other})
    else:
        tests = [make_test(NOW, Result.FAILED, point=point.id)]

    record = make_record(points=[point], tests=tests)

    assert _found(Objective.COVERAGE, record).verdict is UNPROVEN


# --- recovery time ------------------------------------------------------------------------------

STEPS = [
    {"step": "replacement server", "by": "msp", "allow": "90m", "rehearsed": "2026-09-12"},
    {"step": "EMR program and licence", "by": "vendor", "allow": "2h"},
]


@pytest.mark.parametrize(
    ("steps", "minutes", "verdict", "achieved"),
    [
        ([], 41, MET, "41 min proven, data and service only"),
        ([], 241, BREACHED, "4 h 1 min proven, data and service only"),
        (STEPS, 30, MET, "30 min proven + 3 h 30 min allowed (2 h never rehearsed) = 4 h"),
        (STEPS, 41, BREACHED, "41 min proven + 3 h 30 min allowed (2 h never rehearsed)"),
        (STEPS[:1], 41, MET, "41 min proven + 1 h 30 min allowed = 2 h 11 min"),
    ],
    ids=["data only", "too slow", "just in time", "too much allowed", "all rehearsed"],
)
def test_rto_is_judged_on_what_was_proven_and_what_is_allowed(
    steps: list[dict[str, str]], minutes: float, verdict: Verdict, achieved: str
) -> None:
    test = make_test(NOW - HOUR, rta_service_seconds=minutes * 60)

    finding = _found(Objective.RTO, make_record(tests=[test]), plan=make_plan(recovery=steps))

    assert (finding.verdict, finding.promised, finding.repository) == (verdict, "4 h", "onsite")
    assert finding.achieved.startswith(achieved)
    assert finding.since == (test.started_at if verdict is BREACHED else None)


def test_rto_is_not_proven_when_the_test_did_not_time_the_service() -> None:
    record = make_record(tests=[make_test(NOW - HOUR, rta_service_seconds=None)])

    finding = _found(Objective.RTO, record)

    assert (finding.verdict, is_overdue(finding, NOW)) == (UNPROVEN, True)


def test_rto_is_over_since_the_first_of_the_slow_tests() -> None:
    minutes = {5: 41.0, 4: 300.0, 3: 41.0, 2: 260.0, 1: 250.0}
    tests = [
        make_test(NOW - hours * HOUR, rta_service_seconds=slow * 60)
        for hours, slow in minutes.items()
    ]

    assert _found(Objective.RTO, make_record(tests=tests)).since == NOW - 2 * HOUR


# --- restore tests ------------------------------------------------------------------------------

_PASSED, _FAILED, _NEITHER = Result.PASSED, Result.FAILED, Result.UNPROVEN


@pytest.mark.parametrize(
    ("tests", "verdict", "rto"),
    [
        ([], UNPROVEN, UNPROVEN),
        ([(47, _PASSED)], MET, MET),
        ([(49, _PASSED)], UNPROVEN, UNPROVEN),
        ([(1, _NEITHER)], UNPROVEN, UNPROVEN),
        ([(1, _FAILED)], BREACHED, BREACHED),
        ([(20, _PASSED), (1, _FAILED)], BREACHED, BREACHED),
        ([(20, _FAILED), (1, _PASSED)], MET, MET),
        ([(20, _PASSED), (1, _NEITHER)], MET, MET),
        ([(49, _PASSED), (1, _NEITHER)], UNPROVEN, UNPROVEN),
        ([(20, _FAILED), (1, _NEITHER)], BREACHED, BREACHED),
        ([(900, _FAILED)], BREACHED, BREACHED),
    ],
)
def test_restore_test_goes_by_the_last_conclusive_one(
    tests: list[tuple[int, Result]], verdict: Verdict, rto: Verdict
) -> None:
    done = [make_test(NOW - hours * HOUR, result) for hours, result in tests]
    record = make_record(first_seen=LONG_AGO, tests=done)

    assert _found(Objective.RESTORE_TEST, record).verdict is verdict
    assert _found(Objective.RTO, record).verdict is rto


def test_restore_test_is_due_again_before_its_proof_grows_old() -> None:
    test = make_test(NOW - 8 * HOUR)

    finding = _found(Objective.RESTORE_TEST, make_record(tests=[test]))

    assert finding.due == test.started_at + 2 * DAY
    assert finding.promised == "proven every 2 d"
    assert finding.achieved == "passed 2026-11-17 22:00 CST"


@pytest.mark.parametrize(
    "assets",
    [{"database": DATABASE}, {"database": DATABASE, "documents": replace(DATABASE, bytes=1)}],
    ids=["a new asset", "another kind"],
)
def test_restore_test_proves_nothing_of_what_was_not_yet_in_the_plan(
    assets: dict[str, AssetSummary],
) -> None:
    test = make_test(NOW - 5 * HOUR)
    before = make_point(test.point_as_of, assets=assets)
    record = make_record(points=[before, make_point(NOW - HOUR)], tests=[test])

    found = [_found(each, record) for each in (Objective.RESTORE_TEST, Objective.RTO)]

    assert {each.verdict for each in found} == {UNPROVEN}
    assert all(each.due == NOW - 5 * HOUR + 2 * DAY for each in found)
    assert all("was without documents as the plan has it now" in each.reason for each in found)


def test_restore_test_is_overdue_when_the_last_passed_too_long_ago() -> None:
    tests = [make_test(NOW - 5 * DAY), make_test(NOW - DAY, _NEITHER, reason="no server program")]

    finding = _found(Objective.RESTORE_TEST, make_record(tests=tests))

    assert (finding.verdict, finding.due) == (UNPROVEN, NOW - 3 * DAY)
    assert "longer than 2 d ago" in finding.reason
    assert finding.reason.endswith("could not verify: no server program")


def test_restore_test_is_broken_since_the_first_of_the_failed_ones() -> None:
    results = [(5, _FAILED), (4, _PASSED), (3, _FAILED), (2, _NEITHER), (1, _FAILED)]
    tests = [make_test(NOW - hours * HOUR, result) for hours, result in results]

    finding = _found(Objective.RESTORE_TEST, make_record(tests=tests))

    assert finding.since == NOW - 3 * HOUR
    assert finding.reason == "the last restore test failed: because"


def test_restore_test_does_not_count_follow_ups() -> None:
    failed = make_test(NOW - 2 * HOUR, _FAILED)
    rescue = make_test(NOW - HOUR, follow_up_of=failed.id)
    worse = make_test(NOW - HOUR, _FAILED, follow_up_of="another")

    assert _found(Objective.RESTORE_TEST, make_record(tests=[failed, rescue])).verdict is BREACHED
    good = make_record(tests=[make_test(NOW - 2 * HOUR), worse])
    assert _found(Objective.RESTORE_TEST, good).verdict is MET


def test_restore_test_is_judged_for_each_repository_by_its_own_tests() -> None:
    plan = make_plan(
        backup={"schedule": "every 30m", "to": ["onsite", "offsite"]},
        restore_tests=[
            {"schedule": "03:30", "prove_every": "2d"},
            {"schedule": "Sun 04:00", "from": "onsite", "point": "random", "prove_every": "14d"},
            {"schedule": "Sun 04:00", "from": "offsite", "prove_every": "14d"},
        ],
    )
    record = make_record(
        first_seen=LONG_AGO,
        tests=[make_test(NOW - 3 * DAY), make_test(NOW - 3 * DAY, repository="offsite")],
    )

    onsite = _found(Objective.RESTORE_TEST, record, plan=plan, repository="onsite")
    offsite = _found(Objective.RESTORE_TEST, record, plan=plan, repository="offsite")

    assert (onsite.verdict, onsite.promised) == (UNPROVEN, "proven every 2 d")
    assert (offsite.verdict, offsite.promised) == (MET, "proven every 14 d")


def test_restore_test_is_never_proven_when_the_plan_asks_for_none() -> None:
    plan = make_plan(restore_tests=[], max_data_age="4h")

    findings = {finding.objective: finding for finding in judge(plan, _good_record(), NOW)}

    for objective in (Objective.RTO, Objective.RESTORE_TEST, Objective.DATA_AGE):
        assert findings[objective].verdict is UNPROVEN
        assert is_overdue(findings[objective], NOW)


def test_restore_test_is_broken_where_one_by_hand_failed_though_none_is_planned() -> None:
    failed = make_test(NOW - 2 * HOUR, _FAILED, repository="offsite")
    passed = make_test(NOW - HOUR, repository="offsite")
    elsewhere = make_test(NOW - HOUR, _FAILED, repository="no longer in the plan")
    kept = _good_record().tests

    def found(*tests: RestoreTest) -> list[tuple[str | None, Verdict]]:
        record = _good_record(tests=[*kept, *tests])
        findings = judge(TWO, record, NOW)
        return [
            (finding.repository, finding.verdict)
            for finding in findings
            if finding.objective is Objective.RESTORE_TEST
        ]

    assert found(failed) == [("onsite", MET), ("offsite", BREACHED)]
    assert found(failed, passed) == found(elsewhere) == [("onsite", MET)]


def test_restore_test_is_not_proven_by_a_test_from_the_future() -> None:
    record = make_record(
        first_seen=LONG_AGO, tests=[make_test(NOW - 5 * DAY), make_test(NOW + 400 * DAY)]
    )

    finding = _found(Objective.RESTORE_TEST, record)

    assert finding.verdict is UNPROVEN
    assert finding.reason.endswith(
        "1 restore test dated in the future is left out: check the clock"
    )


def test_restore_test_from_a_repository_that_joined_later_is_due_from_then_on() -> None:
    plan = make_plan(restore_tests=[{"schedule": "Sun 04:00", "from": "offsite"}])
    record = make_record(first_seen=LONG_AGO, repositories_seen={"offsite": NOW - DAY})

    finding = _found(Objective.RESTORE_TEST, record, plan=plan)

    assert (finding.verdict, finding.due) == (UNPROVEN, NOW - DAY + 14 * DAY)
    never = _found(Objective.RESTORE_TEST, make_record(first_seen=LONG_AGO), plan=plan)
    assert is_overdue(never, NOW)


# --- age of the data ----------------------------------------------------------------------------

OFFICE: dict[str, Any] = {"open": {"mon-fri": "08:00-18:00"}}
MONDAY_0700 = datetime(2026, 11, 16, 13, 0, tzinfo=UTC)
"""07:00 in Chicago, before the practice opens."""
FRIDAY_1755 = datetime(2026, 11, 13, 23, 55, tzinfo=UTC)


def _aged(newest: datetime | None, as_of: datetime, **changes: Any) -> PracticeRecord:
    test = make_test(as_of + HOUR, point_as_of=as_of, newest=newest, **changes)
    return make_record(first_seen=LONG_AGO, tests=[test])


def _data_age(record: PracticeRecord, now: datetime, **practice: Any) -> Finding:
    plan = make_plan(practice, max_data_age="4h")
    return _found(Objective.DATA_AGE, record, plan=plan, now=now)


def test_data_age_does_not_alarm_on_a_monday_morning() -> None:
    record = _aged(FRIDAY_1755, MONDAY_0700)

    finding = _data_age(record, MONDAY_0700 + 2 * HOUR, **OFFICE)

    assert (finding.verdict, finding.achieved) == (MET, "5 min of opening hours")
    assert _data_age(record, MONDAY_0700 + 2 * HOUR).verdict is BREACHED  # were it always open


def test_data_age_alarms_when_nothing_was_entered_through_a_working_day() -> None:
    finding = _data_age(
        _aged(FRIDAY_1755, MONDAY_0700 + 6 * HOUR), MONDAY_0700 + 8 * HOUR, **OFFICE
    )

    assert (finding.verdict, finding.achieved) == (BREACHED, "5 h 5 min of opening hours")
    assert (finding.promised, finding.since) == ("4 h of opening hours", FRIDAY_1755)


def test_data_age_does_not_count_a_day_the_practice_was_closed() -> None:
    record = _aged(FRIDAY_1755, MONDAY_0700 + DAY)

    finding = _data_age(record, MONDAY_0700 + DAY + 2 * HOUR, **OFFICE, closed=["2026-11-16"])

    assert (finding.verdict, finding.achieved) == (MET, "5 min of opening hours")


@pytest.mark.parametrize(
    "record",
    [
        make_record(first_seen=LONG_AGO),
        _aged(None, NOW - 2 * HOUR),
        _aged(NOW - 3 * HOUR, NOW - 2 * HOUR, result=Result.FAILED),
        _aged(NOW - 3 * HOUR, NOW - 2 * HOUR, follow_up_of="another"),
        _aged(NOW - 5 * DAY, NOW - 4 * DAY),
        _aged(NOW - 2 * HOUR + 6 * MINUTE, NOW - 2 * HOUR),
    ],
    ids=["no test", "not asked", "failed", "follow-up", "too long ago", "row from the future"],
)
def test_data_age_is_not_proven_when_the_newest_row_is_not_known(record: PracticeRecord) -> None:
    finding = _data_age(record, NOW)

    assert finding.verdict is UNPROVEN
    assert is_overdue(finding, NOW)


def test_data_age_takes_a_row_that_came_during_the_capture() -> None:
    point = make_point(NOW - 3 * HOUR, finished=NOW - 2 * HOUR)
    test = make_test(
        NOW - HOUR, point=point.id, point_as_of=point.as_of, newest=NOW - 2 * HOUR - MINUTE
    )

    finding = _data_age(make_record(points=[point], tests=[test]), NOW)

    assert (finding.verdict, finding.achieved) == (MET, "0 s")


def test_data_age_is_that_of_the_youngest_point_tested() -> None:
    nightly = make_test(NOW - 2 * HOUR, newest=NOW - 9 * HOUR)
    old_point = make_test(NOW - HOUR, point_as_of=NOW - 90 * DAY, newest=NOW - 90 * DAY - MINUTE)

    finding = _data_age(make_record(tests=[nightly, old_point]), NOW)

    assert (finding.verdict, finding.achieved) == (BREACHED, "6 h")


def test_data_age_takes_a_row_of_the_year_one() -> None:
    finding = _data_age(_aged(datetime(1, 1, 2, tzinfo=UTC), NOW - 2 * HOUR), NOW)

    assert finding.verdict is BREACHED


def test_data_age_is_not_judged_when_nothing_is_promised() -> None:
    findings = judge(PLAN, _good_record(), NOW)

    assert Objective.DATA_AGE not in {finding.objective for finding in findings}


# --- copies -------------------------------------------------------------------------------------

TWO = make_plan(backup={"schedule": "every 30m", "to": ["onsite", "offsite"]})


@pytest.mark.parametrize(
    ("offsite_age", "verdict", "since"),
    [(23 * HOUR, MET, None), (25 * HOUR, BREACHED, NOW - 25 * HOUR), (None, UNPROVEN, None)],
)
def test_copies_are_judged_for_each_repository(
    offsite_age: timedelta | None, verdict: Verdict, since: datetime | None
) -> None:
    points = _points(HOUR / 2)
    if offsite_age is not None:
        points += _points(offsite_age, repositories=("offsite",))
    record = make_record(first_seen=LONG_AGO, points=points)

    offsite = _found(Objective.COPIES, record, plan=TWO, repository="offsite")

    assert (offsite.verdict, offsite.since) == (verdict, since)
    assert _found(Objective.COPIES, record, plan=TWO, repository="onsite").verdict is MET
    assert is_overdue(offsite, NOW) == (verdict is UNPROVEN)


def test_copies_are_as_old_as_the_oldest_asset_that_a_repository_holds() -> None:
    (old,) = _points(30 * HOUR, repositories=("offsite",))
    (new,) = _points(0 * HOUR, repositories=("offsite",))
    database = {"database": new.copies[0].snapshots["database"]}
    new = replace(new, copies=(replace(new.copies[0], snapshots=database),))

    record = make_record(points=[old, new])

    offsite = _found(Objective.COPIES, record, plan=TWO, repository="offsite")
    assert (offsite.verdict, offsite.achieved) == (BREACHED, "30 h old")
    assert offsite.reason.startswith("part of what offsite holds")


def test_copies_in_a_new_repository_are_due_from_when_it_first_answered() -> None:
    record = make_record(
        first_seen=LONG_AGO, points=_points(HOUR), repositories_seen={"offsite": NOW - HOUR}
    )

    offsite = _found(Objective.COPIES, record, plan=TWO, repository="offsite")

    assert (offsite.verdict, offsite.due) == (UNPROVEN, NOW - HOUR + DAY)


def test_copies_warn_when_there_is_only_one_repository() -> None:
    finding = _found(Objective.COPIES, _good_record())

    assert finding.verdict is MET
    assert "only repository" in finding.reason


# --- what it comes to ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [([], UNPROVEN), ([MET], MET), ([MET, UNPROVEN], UNPROVEN), ([UNPROVEN, BREACHED], BREACHED)],
)
def test_practice_verdict_is_the_worst(verdicts: Iterable[Verdict], worst: Verdict) -> None:
    finding = _found(Objective.RPO, _good_record())

    assert practice_verdict(replace(finding, verdict=verdict) for verdict in verdicts) is worst
