"""Which points are kept: by example, and against a definition written down independently."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import HoldPlaced
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.maintenance.retention import EXAMINED_FOR, kept
from dr_orchestrator.plan.model import Retention
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_point, make_test

CHICAGO = ZoneInfo("America/Chicago")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ASSETS = ("database", "documents")
NOTHING = Retention(keep_hourly=0, keep_daily=0, keep_monthly=0, keep_yearly=0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a decision is made from."""

    points: Sequence[RecoveryPoint]
    policy: Retention = NOTHING
    tests: Sequence[RestoreTest] = ()
    holds: Mapping[str, HoldPlaced] | None = None
    released: Collection[str] = ()
    window: timedelta = timedelta(0)
    now: datetime = NOW
    zone: ZoneInfo = CHICAGO

    def reasons(self) -> dict[str, tuple[str, ...]]:
        return kept(
            self.points,
            self.policy,
            zone=self.zone,
            now=self.now,
            repository="onsite",
            window=self.window,
            assets=ASSETS,
            tests=self.tests,
            holds=self.holds or {},
            released=self.released,
        )


def stay(*points: RecoveryPoint, **case: Any) -> list[datetime]:
    """Return when the points were captured that stay, in the order given."""
    reasons = Case(points=points, **case).reasons()
    return [point.as_of for point in points if point.id in reasons]


def every(period: timedelta, count: int, until: datetime = NOW) -> list[RecoveryPoint]:
    """Return so many points, the newest first."""
    return [make_point(until - number * period) for number in range(count)]


def read_back(*points: RecoveryPoint) -> list[RecoveryPoint]:
    """Return points that only the repository tells of."""
    return [
        replace(p, copies=tuple(replace(copy, read_back=True) for copy in p.copies)) for p in points
    ]


def failed(point: RecoveryPoint, at: datetime = NOW - HOUR, **more: Any) -> RestoreTest:
    return made(point, Result.FAILED, at, **more)


def passed(point: RecoveryPoint, at: datetime = NOW - HOUR, **more: Any) -> RestoreTest:
    return made(point, Result.PASSED, at, **more)


def made(point: RecoveryPoint, result: Result, at: datetime, **more: Any) -> RestoreTest:
    return make_test(at, result, point=point.id, point_as_of=point.as_of, **more)


def held(
    point: RecoveryPoint, until: datetime | None, why: str = "an audit"
) -> dict[str, HoldPlaced]:
    placed = HoldPlaced(practice=PRACTICE, point=point.id, at=NOW, until=until, by="kim", why=why)
    return {point.id: placed}


# --- by example ---------------------------------------------------------------------------------


def test_newest_points_of_the_rpo_s_window_are_kept_and_the_one_before_it() -> None:
    points = every(HOUR, 60)
    assert stay(*points, window=DAY) == [NOW - number * HOUR for number in range(25)]


def test_window_is_kept_for_each_asset_alone() -> None:
    """A share that cannot be captured for a week does not lose the last that there is of it."""
    without = [replace(p, assets={"database": p.assets["database"]}) for p in every(HOUR, 60)]
    without = [make_point(p.as_of, assets=p.assets) for p in without]
    complete = every(HOUR, 60, NOW - 7 * DAY)

    kept_times = stay(*without, *complete, window=DAY)

    assert [at for at in kept_times if at <= NOW - 7 * DAY] == [
        NOW - 7 * DAY - number * HOUR for number in range(25)
    ]


def test_policy_keeps_the_newest_of_the_newest_days_that_have_any() -> None:
    points = [*every(HOUR, 30), *every(HOUR, 30, NOW - 90 * DAY)]
    days = {at.astimezone(CHICAGO).date() for at in stay(*points, policy=days_of(4))}
    assert len(days) == 4
    assert min(days) == (NOW - 91 * DAY).astimezone(CHICAGO).date()


def test_day_ends_at_midnight_of_the_practice() -> None:
    midnight = datetime(2026, 11, 18, 6, tzinfo=UTC)  # in Chicago
    points = [make_point(NOW), make_point(midnight), make_point(midnight - MINUTE)]
    assert stay(*points, make_point(midnight - HOUR), policy=days_of(2)) == [NOW, midnight - MINUTE]


def test_hour_that_the_clock_shows_twice_is_two_hours() -> None:
    put_back = datetime(2026, 11, 1, 7, tzinfo=UTC)  # 02:00 in Chicago becomes 01:00
    points = [make_point(put_back + number * HOUR / 2) for number in range(-4, 4)]
    policy = NOTHING.model_copy(update={"keep_hourly": 3})
    assert stay(*points, policy=policy) == [put_back + half * HOUR / 2 for half in (-1, 1, 3)]


def test_point_that_failed_its_test_pushes_no_good_one_out() -> None:
    good, damaged, newest = make_point(NOW - 3 * HOUR), make_point(NOW - 2 * HOUR), make_point(NOW)
    older = make_point(NOW - 2 * DAY)
    points = (older, good, damaged, newest)
    tests = [failed(newest), failed(damaged)]

    reasons = Case(points=points, policy=days_of(2), tests=tests).reasons()

    assert "the newest of its day" in reasons[good.id]
    assert reasons[damaged.id] == ("failed its restore test: kept to be examined",)
    assert "the newest" in reasons[newest.id]
    assert "the newest of its day" in reasons[older.id]


def test_point_that_failed_goes_after_a_month_and_counts_again_once_it_passes() -> None:
    newest, damaged = make_point(NOW), make_point(NOW - 40 * DAY)
    before = make_point(NOW - 41 * DAY)
    at = NOW - EXAMINED_FOR - HOUR
    assert damaged.as_of not in stay(newest, damaged, before, tests=[failed(damaged, at)])
    again = [failed(damaged, at), passed(damaged, at + DAY)]
    assert damaged.as_of in stay(newest, damaged, before, tests=again)


def test_failure_in_another_repository_says_nothing_of_this_one() -> None:
    newest, point, before = every(HOUR, 3, NOW - DAY)
    test = failed(newest, repository="offsite")
    case = Case(points=[newest, point, before], policy=days_of(1), window=HOUR)
    assert replace(case, tests=[test]).reasons() == case.reasons()


def test_newest_that_was_proven_is_kept_from_here_and_from_anywhere() -> None:
    points = every(DAY, 20)
    tests = [passed(points[9]), passed(points[15]), passed(points[4], repository="offsite")]
    assert stay(*points, tests=tests) == [NOW, NOW - 4 * DAY, NOW - 9 * DAY]


def test_newest_of_which_all_files_came_back_is_kept_beside_newer_shares() -> None:
    points = every(DAY, 20)
    shares = [passed(points[4], part=3, parts=20), passed(points[15], part=4, parts=20)]
    whole = passed(points[9])
    assert stay(*points, tests=[*shares, whole]) == [NOW, NOW - 4 * DAY, NOW - 9 * DAY]
    again = failed(points[9], NOW, part=1, parts=20)
    assert NOW - 9 * DAY in stay(*points, tests=[*shares, whole, again])  # to be examined
    later = replace(again, finished_at=NOW - 40 * DAY, started_at=NOW - 40 * DAY)
    assert stay(*points, tests=[*shares, later]) == [NOW, NOW - 4 * DAY]


def test_labelled_and_held_points_are_kept_until_released() -> None:
    newest, before = make_point(NOW), make_point(NOW - DAY)
    point = make_point(NOW - 9 * DAY, label="before 8.1")
    plain = replace(point, label=None)
    others = (newest, before)

    assert point.as_of in stay(*others, point)
    assert point.as_of not in stay(*others, point, released={point.id})
    assert point.as_of in stay(*others, plain, holds=held(plain, None))
    assert point.as_of in stay(*others, plain, holds=held(plain, NOW + MINUTE))
    assert point.as_of not in stay(*others, plain, holds=held(plain, NOW))


def test_label_keeps_as_long_as_the_hold_says_that_was_given_for_it() -> None:
    newest, before = make_point(NOW), make_point(NOW - DAY)
    point = make_point(NOW - 9 * DAY, label="before\t8.1")
    others = (newest, before)
    ended, lasting = held(point, NOW, "before 8.1"), held(point, NOW + MINUTE, "before 8.1")

    assert point.as_of in stay(*others, point, holds=lasting)
    assert point.as_of not in stay(*others, point, holds=ended)
    assert point.as_of in stay(*others, point, holds=held(point, NOW, "for the audit"))


def test_complete_point_stands_for_its_day_before_a_newer_one_that_lacks_an_asset() -> None:
    complete = make_point(NOW - 5 * DAY)
    partial = make_point(NOW - 5 * DAY + HOUR, assets={"database": complete.assets["database"]})
    points = (*every(DAY, 3), partial, complete)

    kept_times = stay(*points, policy=days_of(4))

    assert complete.as_of in kept_times
    assert partial.as_of not in kept_times


def test_point_dated_in_the_future_is_kept_and_takes_nobody_s_place() -> None:
    points = every(DAY, 40)
    ahead = make_point(NOW + 400 * DAY)
    policy = Retention(keep_hourly=3, keep_daily=5, keep_weekly=2, keep_monthly=2, keep_yearly=1)

    alone = Case(points=points, policy=policy).reasons()
    together = Case(points=[*points, ahead], policy=policy).reasons()

    assert together == {**alone, ahead.id: ("dated in the future",)}


def test_points_of_other_repositories_are_nobody_s_business_here() -> None:
    elsewhere = make_point(NOW, repositories=("offsite",))
    here = make_point(NOW - DAY)
    assert Case(points=[elsewhere, here]).reasons().keys() == {here.id}


def test_points_that_were_read_back_push_out_none_that_we_made() -> None:
    ours = every(DAY, 5)
    forged = read_back(*every(HOUR, 5 * 24, NOW - MINUTE))
    case = Case(points=ours, policy=days_of(5), window=HOUR)

    together = replace(case, points=[*ours, *forged]).reasons()

    assert together.keys() > case.reasons().keys() == {point.id for point in ours}


def test_points_that_were_all_read_back_are_kept_by_the_usual_rules() -> None:
    points = every(HOUR, 60)
    case = Case(points=points, policy=days_of(2), window=HOUR)
    assert replace(case, points=read_back(*points)).reasons() == case.reasons()


def days_of(count: int) -> Retention:
    return NOTHING.model_copy(update={"keep_daily": count})


# --- against the definition ---------------------------------------------------------------------

_BUCKETS = {
    "keep_hourly": "%Y-%m-%d %H %z",
    "keep_daily": "%Y-%m-%d",
    "keep_weekly": "%G-%V",
    "keep_monthly": "%Y-%m",
    "keep_yearly": "%Y",
}


def definition(case: Case) -> set[str]:
    """Return what is kept, point by point and rule by rule, as the reference says it: among all,
    or among those alone that we made.
    """
    held = [point for point in case.points if point.copies]
    ours = [point for point in held if not point.copies[0].read_back]
    return {
        point.id
        for group in (held, ours)
        for point in group
        if _is_kept(point, replace(case, points=group))
    }


def _is_kept(point: RecoveryPoint, case: Case) -> bool:
    hold = (case.holds or {}).get(point.id)
    believed = [p for p in case.points if p.copies and p.as_of <= case.now + 5 * MINUTE]
    if point not in believed:
        return True
    if point.label and point.id not in case.released and not (hold and hold.why == point.label):
        return True
    if hold and (hold.until is None or hold.until > case.now):
        return True
    if _is_newest(point, believed):
        return True
    results = {p.id: _last(case, p.id, "onsite") for p in believed}
    own = results[point.id]
    if own is not None and own.result is Result.FAILED:
        return case.now - own.finished_at <= EXAMINED_FOR
    sound = [p for p in believed if not (r := results[p.id]) or r.result is not Result.FAILED]
    here = [p for p in sound if (r := results[p.id]) and r.result is Result.PASSED]
    anywhere = [
        p
        for p in sound
        if any(
            (r := _last(case, p.id, place)) and r.result is Result.PASSED
            for place in ("onsite", "offsite")
        )
    ]
    return (
        _is_newest(point, here)
        or _is_newest(point, anywhere)
        or any(_in_window(point, group, case.window) for group in _groups(sound))
        or any(_by(point, sound, count, bucket, case) for bucket, count in _counts(case.policy))
        or sum(_key(p) > _key(point) for p in sound) < case.policy.keep_last
    )


def _counts(policy: Retention) -> Iterable[tuple[str, int]]:
    return ((pattern, getattr(policy, name)) for name, pattern in _BUCKETS.items())


def _last(case: Case, point: str, repository: str) -> RestoreTest | None:
    about = [
        test
        for test in case.tests
        if (test.point, test.repository) == (point, repository)
        and test.result is not Result.UNPROVEN
        and test.started_at <= case.now + 5 * MINUTE
    ]
    return max(about, key=lambda test: (test.started_at, test.id), default=None)


def _groups(sound: list[RecoveryPoint]) -> Iterable[list[RecoveryPoint]]:
    yield sound
    for asset in ASSETS:
        yield [p for p in sound if asset in p.assets]


def _in_window(point: RecoveryPoint, group: list[RecoveryPoint], window: timedelta) -> bool:
    if point not in group:
        return False
    start = max(p.as_of for p in group) - window
    return point.as_of > start or _is_newest(point, [p for p in group if p.as_of <= start])


def _by(
    point: RecoveryPoint, sound: list[RecoveryPoint], count: int, pattern: str, case: Case
) -> bool:
    def bucket(each: RecoveryPoint) -> str:
        return each.as_of.astimezone(case.zone).strftime(pattern)

    newer = {bucket(p) for p in sound if _key(p) > _key(point)} - {bucket(point)}
    mine = [p for p in sound if bucket(p) == bucket(point)]
    whole = [p for p in mine if p.assets.keys() >= set(ASSETS)]
    return len(newer) < count and _is_newest(point, whole or mine)


def _is_newest(point: RecoveryPoint, among: list[RecoveryPoint]) -> bool:
    return point in among and all(_key(p) <= _key(point) for p in among)


def _key(point: RecoveryPoint) -> tuple[datetime, str]:
    return point.as_of, point.id


_ages = st.one_of(
    st.integers(-600, 3 * 24 * 60),  # minutes: some in the future
    st.integers(0, 500 * 24 * 60).map(lambda minutes: minutes // 60 * 60),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    ages = draw(st.lists(_ages, unique=True, min_size=1, max_size=14))
    plain = [make_point(NOW - age * MINUTE) for age in ages]
    points = [
        make_point(
            p.as_of,
            label=draw(st.sampled_from([None] * 9 + ["before 8.1"])),
            assets={
                name: p.assets[name]
                for name in draw(st.sampled_from([ASSETS, ASSETS, ("database",), ("documents",)]))
            },
            repositories=draw(st.sampled_from([("onsite",), ("onsite",), ("onsite",), ()])),
        )
        for p in plain
    ]
    points = [read_back(p)[0] if draw(st.integers(0, 3)) == 0 else p for p in points]
    some = st.sampled_from(points)
    tests = [
        made(
            draw(some),
            draw(st.sampled_from(Result)),
            NOW - draw(st.integers(-100, 60 * 24)) * HOUR,
            repository=draw(st.sampled_from(["onsite", "onsite", "offsite"])),
            id=f"test-{number}",
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    holds: dict[str, HoldPlaced] = {}
    for point in draw(st.lists(some, max_size=2)):
        why = draw(st.sampled_from(["an audit", "before 8.1"]))
        holds |= held(point, draw(st.sampled_from([None, NOW, NOW + MINUTE])), why)
    counts = {name: draw(st.integers(0, 3)) for name in ("keep_last", *_BUCKETS)}
    return Case(
        points=points,
        policy=NOTHING.model_copy(update=counts),
        tests=tests,
        holds=holds,
        released=set(draw(st.lists(some.map(lambda p: p.id), max_size=1))),
        window=draw(st.sampled_from([timedelta(0), HOUR, DAY])),
    )


@given(cases())
def test_kept_is_what_the_definition_says(case: Case) -> None:
    assert case.reasons().keys() == definition(case)
    assert all(case.reasons().values())


@given(cases(), st.randoms(use_true_random=False))
def test_kept_does_not_depend_on_any_order(case: Case, random: Random) -> None:
    points, tests = list(case.points), list(case.tests)
    random.shuffle(points)
    random.shuffle(tests)
    shuffled = replace(case, points=points, tests=tests)
    assert shuffled.reasons().keys() == case.reasons().keys()


@given(cases())
def test_forgetting_twice_forgets_no_more(case: Case) -> None:
    """What stays by a decision stays by the same decision on what is left."""
    reasons = case.reasons()
    left = [point for point in case.points if point.id in reasons]
    assert replace(case, points=left).reasons().keys() == reasons.keys()


@settings(max_examples=50)
@given(cases(), st.lists(_ages, unique=True, max_size=14), st.data())
def test_no_point_that_we_made_goes_because_of_any_that_were_read_back(
    case: Case, ages: list[int], data: st.DataObject
) -> None:
    ours = [point for point in case.points if not (point.copies and point.copies[0].read_back)]
    alone = replace(case, points=ours)
    forged = read_back(
        *(
            make_point(
                NOW - age * data.draw(st.sampled_from([MINUTE, DAY])),
                id=f"forged-{number}",
                label=data.draw(st.sampled_from([None, "keep me"])),
            )
            for number, age in enumerate(ages)
        )
    )
    tests = [passed(each) for each in forged[: data.draw(st.integers(0, 2))]]
    together = replace(alone, points=[*ours, *forged], tests=[*case.tests, *tests])

    assert together.reasons().keys() >= alone.reasons().keys()
