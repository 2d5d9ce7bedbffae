"""A year of one repository, and what must stop all forgetting in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dr_orchestrator.compliance.case import open_case
from dr_orchestrator.compliance.rpo import judge_rpo
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord, RetentionFrozen
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.maintenance.holdings import Holdings, Listing
from dr_orchestrator.maintenance.strangers import known_in
from dr_orchestrator.maintenance.survey import Survey, decide, survey
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.manifests import asset_tags, manifest_tags
from tests.support.clock import START as NOW
from tests.support.evidence import (
    DATABASE,
    DOCUMENTS,
    PRACTICE,
    SYSTEM,
    full_id,
    make_plan,
    make_point,
    make_record,
    make_run,
    make_test,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAN = make_plan(backup={"schedule": "every 2h", "to": ["onsite"]}, rpo="4h")


def listed(points: Iterable[RecoveryPoint]) -> list[Snapshot]:
    """Return what a repository lists that holds these points, and nothing else."""
    found = []
    for point in points:
        copy = point.copy_in("onsite")
        assert copy is not None
        found += [
            snapshot(point, copy.manifest_snapshot, manifest_tags(PRACTICE, SYSTEM, point.id)),
            *(
                snapshot(point, each, asset_tags(PRACTICE, SYSTEM, point.id, asset))
                for asset, each in copy.snapshots.items()
            ),
        ]
    return found


def snapshot(
    point: RecoveryPoint, identity: str, tags: dict[str, str], original: str | None = None
) -> Snapshot:
    return Snapshot(
        id=identity,
        time=point.as_of,
        hostname=PRACTICE,
        tags=frozenset(f"{key}={value}" for key, value in tags.items()),
        paths=("/",),
        original=original,
    )


def look(
    record: PracticeRecord,
    snapshots: Iterable[Snapshot] | None = None,
    *,
    plan: Plan = PLAN,
    now: datetime = NOW,
    runs: Iterable[Run] = (),
    just_made: Collection[str] = (),
    last_forget: datetime | None = NOW - DAY,
) -> Survey:
    return survey(
        plan,
        record,
        "onsite",
        now,
        listing=Listing(
            snapshots=tuple(listed(record.points) if snapshots is None else snapshots),
            recorded=frozenset(each.id for each in record.points if each.id not in just_made),
        ),
        known=known_in({(PRACTICE, "onsite")}, record.points),
        runs={run.id: run for run in runs},
        last_forget=last_forget,
    )


def recorded(point: RecoveryPoint, at: datetime) -> RecoveryPoint:
    """Return a point that was read back from its repositories `at`."""
    copies = (replace(copy, recorded_at=at, read_back=True) for copy in point.copies)
    return replace(point, copies=tuple(copies))


POINTS = tuple(make_point(NOW - number * 2 * HOUR) for number in range(30))


# --- what stops it ------------------------------------------------------------------------------


def test_survey_doubts_nothing_of_what_is_as_it_should_be() -> None:
    seen = look(make_record(points=POINTS))
    assert seen.doubts == ()
    assert seen.vanished == ()
    assert seen.rubble == ()
    assert seen.decision.going


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (make_point(NOW + DAY), "dated ahead"),
        (recorded(make_point(NOW - DAY / 2), NOW - DAY), "dated ahead"),
        (recorded(make_point(NOW - 900 * DAY), NOW - DAY), "long before"),
    ],
    ids=["in the future", "in the future when it was seen", "before the first"],
)
def test_survey_doubts_wrong_dates_until_a_person_looked(forged: RecoveryPoint, words: str) -> None:
    forged = recorded(forged, min(forged.copies[0].recorded_at, NOW - HOUR))
    record = make_record(points=(*POINTS, forged))

    (doubt,) = look(record).doubts
    assert words in doubt

    looked_into = replace(record, retention_released={"onsite": NOW - HOUR})
    assert look(looked_into).doubts == ()
    before = replace(record, retention_released={"onsite": NOW - 900 * DAY})
    assert look(before).doubts == (doubt,)


def test_survey_doubts_no_point_of_ours_that_reached_a_repository_late() -> None:
    late = make_point(NOW - 20 * DAY)
    (copy,) = late.copies
    late = replace(
        late,
        finished=late.as_of + 4 * DAY,  # the first over a slow line
        copies=(replace(copy, recorded_at=NOW - HOUR),),
    )
    assert look(make_record(points=(*POINTS, late))).doubts == ()


def test_survey_doubts_what_was_read_back_while_nobody_looked() -> None:
    told = tuple(recorded(point, NOW - HOUR) for point in POINTS[1:3])
    freeze = RetentionFrozen(practice=PRACTICE, repository="onsite", at=NOW - HOUR, why="")
    frozen = make_record(points=(*told, POINTS[0], *POINTS[3:]), frozen={"onsite": freeze})

    (doubt,) = look(frozen).doubts
    assert "2 recovery points were read back" in doubt
    assert look(replace(frozen, retention_released={"onsite": NOW - HOUR})).doubts == ()


def test_survey_doubts_what_vanished_and_is_to_be_kept() -> None:
    record = make_record(points=POINTS)
    newest = POINTS[0].copies[0]
    for gone in (newest.manifest_snapshot, newest.snapshots["database"]):
        seen = look(record, [each for each in listed(POINTS) if each.id != gone])
        (doubt,) = seen.doubts
        assert "1 recovery point is no longer whole" in doubt
        assert "proven" not in doubt
        assert seen.vanished == (POINTS[0],)


def test_survey_says_that_the_newest_proven_point_vanished() -> None:
    proven = POINTS[4]
    test = make_test(NOW - HOUR, point=proven.id, point_as_of=proven.as_of)
    left = listed(point for point in POINTS if point.id not in {POINTS[0].id, proven.id})
    (doubt,) = look(make_record(points=POINTS, tests=[test]), left).doubts
    assert "2 recovery points are no longer whole" in doubt
    assert f"{proven.id} was the newest one proven from here" in doubt


def test_survey_misses_no_point_that_was_made_while_it_looked() -> None:
    left = [each for each in listed(POINTS) if POINTS[0].id not in str(each.tags)]
    assert look(make_record(points=POINTS), left, just_made=[POINTS[0].id]).doubts == ()


def test_survey_doubts_nothing_when_a_forget_of_ours_was_cut_short() -> None:
    record = make_record(points=POINTS)
    (point, *_) = look(record).decision.going
    manifest = point.copies[0].manifest_snapshot

    seen = look(record, [each for each in listed(POINTS) if each.id != manifest])

    assert seen.doubts == ()
    assert point in seen.decision.going
    assert seen.rubble == ()


def test_survey_knows_a_snapshot_whose_tags_were_changed() -> None:
    changed = [
        replace(each, id=full_id("new", each.id), original=each.id) for each in listed(POINTS)
    ]
    assert look(make_record(points=POINTS), changed).doubts == ()


def test_survey_doubts_snapshots_that_nobody_here_made_until_a_person_has_seen_them() -> None:
    stranger = listed([make_point(NOW - 3 * HOUR)])
    record = make_record(points=POINTS)
    snapshots = [*listed(POINTS), *stranger]

    seen = look(record, snapshots)
    (doubt,) = seen.doubts
    assert "3 snapshots here are on no record" in doubt
    assert [each.snapshot for each in seen.strangers] == stranger

    ids = frozenset(each.id for each in stranger)
    accepted = replace(record, accepted={"onsite": ids})
    assert look(accepted, snapshots).doubts == ()
    later = replace(stranger[0], id=full_id("later"), time=NOW - 900 * DAY)
    assert [each.snapshot for each in look(accepted, [*snapshots, later]).strangers] == [later]
    elsewhere = replace(record, accepted={"offsite": ids})
    assert look(elsewhere, snapshots).doubts == (doubt,)


def test_survey_finds_the_rubble_of_a_failed_backup_two_days_later() -> None:
    died = make_point(NOW - 3 * DAY)
    rubble = [each for each in listed([died]) if "dro=asset" in each.tags]
    run = make_run(
        NOW - 3 * DAY, id=died.id, finished_at=NOW - 2 * DAY, outcome=Outcome.INTERRUPTED
    )

    def found(*runs: Run, more: Iterable[Snapshot] = ()) -> tuple[Snapshot, ...]:
        snapshots = [*listed(POINTS), *rubble, *more]
        return look(make_record(points=POINTS), snapshots, runs=runs).rubble

    assert set(found(run)) == set(rubble)
    assert found(replace(run, finished_at=NOW - 2 * DAY + HOUR)) == ()
    assert found(replace(run, finished_at=None, outcome=None)) == ()
    assert found() == ()  # a run that nobody here knows
    assert found(run, more=listed([died])[:1]) == ()  # it has a manifest: it is a point


def test_nothing_goes_while_the_newest_backups_are_unlike_those_before() -> None:
    documents = replace(DOCUMENTS, files=9000, changed_files=20, bytes=900_000_000)
    assets = {"database": DATABASE, "documents": documents}
    points = [make_point(NOW - each * 12 * HOUR, assets=assets) for each in range(1, 60)]
    usual = make_point(NOW, assets=assets)
    encrypted = make_point(
        NOW, assets=assets | {"documents": replace(documents, changed_files=8990)}
    )

    assert decide(PLAN, make_record(points=[*points, usual]), "onsite", NOW).going
    held = decide(PLAN, make_record(points=[*points, encrypted]), "onsite", NOW)
    assert held.going == ()
    assert any("as usual" in words for reasons in held.kept.values() for words in reasons)


@pytest.mark.parametrize(("shorter", "frozen"), [(False, []), (True, [47])])
def test_end_of_a_suspicion_asks_nobody_unless_the_plan_became_shorter_meanwhile(
    *, shorter: bool, frozen: list[int]
) -> None:
    documents = replace(DOCUMENTS, files=9000, changed_files=20, bytes=900_000_000)
    usual = {"database": DATABASE, "documents": documents}
    odd = usual | {"documents": replace(documents, changed_files=8990)}
    year = Year(plan=make_plan(rpo="4h", retention=LONG))
    for day in range(50):
        morning = NOW + (day - 50) * DAY
        for number in range(12):
            is_odd = (day, number) == (40, 3)
            year.back_up(morning + number * 2 * HOUR, assets=odd if is_odd else usual)
        if shorter and day == 44:
            year.plan = make_plan(rpo="4h", retention=SHORT)
        year.night(day, morning + 23 * HOUR)
    assert [day for day, _ in year.frozen] == frozen


def test_points_of_a_system_that_left_the_plan_are_kept() -> None:
    points = tuple(replace(point, system="portal") for point in POINTS)
    assert decide(PLAN, make_record(points=points), "onsite", NOW).going == ()


# --- a year -------------------------------------------------------------------------------------

LONG = {"keep_hourly": 24, "keep_daily": 30, "keep_monthly": 12, "keep_yearly": 6}
SHORT = {"keep_hourly": 24, "keep_daily": 1, "keep_monthly": 12, "keep_yearly": 6}


@dataclass
class Year:
    """A repository that is backed up to every two hours, and looked after every night."""

    plan: Plan
    record: PracticeRecord = field(default_factory=make_record)
    ever: list[RecoveryPoint] = field(default_factory=list)
    last_forget: datetime | None = None
    frozen: list[tuple[int, str]] = field(default_factory=list)

    def back_up(self, at: datetime, **more: Any) -> None:
        self.add(make_point(at, **more))

    def add(self, point: RecoveryPoint) -> None:
        self.ever.append(point)
        self.record = replace(self.record, points=(*self.record.points, point))

    def night(self, day: int, now: datetime) -> None:
        """Let go of what is not kept, unless something is suspicious; then a person looks."""
        seen = look(self.record, plan=self.plan, now=now, last_forget=self.last_forget)
        if seen.doubts:
            self.frozen.append((day, "; ".join(seen.doubts)))
            self.record = replace(self.record, retention_released={"onsite": now})
            return
        before = self._rpo(now)
        kept = tuple(point for point in self.record.points if point.id in seen.decision.kept)
        self.record = replace(self.record, points=kept)
        assert self._rpo(now) == before  # forgetting breaks no promise, and mends none
        self.last_forget = now

    def _rpo(self, now: datetime) -> object:
        return judge_rpo(open_case(self.plan, SYSTEM, self.record, now))


def test_a_year_of_nights_keeps_what_one_look_at_the_whole_year_would_keep() -> None:
    start = NOW - 400 * DAY
    year = Year(plan=make_plan(rpo="4h", retention=LONG))
    for day in range(400):
        morning = start + day * DAY
        for number in range(12):
            label = "before 8.1" if (day, number) == (77, 3) else None
            year.back_up(morning + number * 2 * HOUR, label=label)
        tested = year.record.points[-2]
        if day % 7 == 0:
            test = make_test(morning + 23 * HOUR, point=tested.id, point_as_of=tested.as_of)
            year.record = replace(year.record, tests=(*year.record.tests, test))
        if day == 120:
            year.add(recorded(make_point(morning + 3000 * DAY), morning))  # a clock far ahead
        if day == 200:
            year.add(recorded(make_point(start - 900 * DAY), morning))  # a point from nowhere
        if day == 210:  # the points are read back from the repository, as after a loss
            points = [recorded(point, morning + 22 * HOUR) for point in year.record.points]
            year.record = replace(year.record, points=tuple(points))
        if day == 300:
            year.plan = make_plan(rpo="4h", retention=SHORT)
        if day == 305:
            year.plan = make_plan(rpo="4h", retention=LONG)
        year.night(day, morning + 23 * HOUR)

    assert [day for day, _ in year.frozen] == [120, 200, 210, 300]
    assert "30 days" not in year.frozen[-1][1]
    whole = replace(year.record, points=tuple(year.ever))
    once = decide(year.plan, whole, "onsite", start + 399 * DAY + 23 * HOUR)
    stayed = {point.id for point in year.record.points}
    lost = once.kept.keys() - stayed
    assert stayed <= once.kept.keys()
    # The person who released the shorter plan let go of the days before it, as she was told.
    assert {point.as_of for point in year.ever if point.id in lost} <= {
        start + day * DAY + 22 * HOUR for day in range(270, 305)
    }
    assert len(stayed) > 50


def test_a_first_forget_of_an_old_repository_asks_a_person() -> None:
    points = tuple(make_point(NOW - number * 4 * HOUR) for number in range(6 * 90))
    record = make_record(points=points)
    (doubt,) = look(record, last_forget=None).doubts
    assert "nothing was ever forgotten here before" in doubt
    released = replace(record, retention_released={"onsite": NOW - HOUR})
    assert look(released, last_forget=None).doubts == ()


@pytest.mark.parametrize("days", range(1, 14))
def test_a_first_forget_of_a_new_practice_asks_nobody(days: int) -> None:
    points = tuple(make_point(NOW - number * HOUR / 2) for number in range(48 * days))
    seen = look(make_record(points=points), last_forget=None)
    assert seen.doubts == ()


@pytest.mark.parametrize(("hourly", "missed"), [(0, 6), (24, 0), (30, 2), (48, 0), (72, 6)])
def test_nights_of_any_policy_ask_nobody_while_the_plan_stays(hourly: int, missed: int) -> None:
    """Also where some nights were missed, and a policy whose hours reach beyond the window."""
    policy = {"keep_hourly": hourly, "keep_daily": 7, "keep_monthly": 0, "keep_yearly": 0}
    year = Year(plan=make_plan(rpo="1h", retention=policy))
    for day in range(21):
        morning = NOW + (day - 21) * DAY
        for number in range(48):
            year.back_up(morning + number * HOUR / 2)
        if day < 5 or day >= 5 + missed:
            year.night(day, morning + 24 * HOUR - HOUR / 4)
    assert year.frozen == []


def test_holdings_of_nothing_lack_every_copy() -> None:
    assert Holdings({}, frozenset()).lacks(POINTS[0].copies[0])
