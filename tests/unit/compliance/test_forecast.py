"""Forecast: a day to come, from a clear trend only, in one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.compliance.forecast import SANDBOX, STAGING, Forecast, Limit, forecasts
from dr_orchestrator.core.point import Method, RecoveryPoint
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Run
from dr_orchestrator.core.verification import Result
from tests.support.clock import START
from tests.support.evidence import DATABASE, make_plan, make_point, make_record, make_run, make_test

GIB = 1024**3
DAY = timedelta(days=1)
DAYS = 30
NOW = START + (DAYS - 1) * DAY + timedelta(hours=1)
PLAN = make_plan()
DISK = {"onsite": (100 * GIB, 500 * GIB)}


def _tests(minutes: Iterable[float], **more: Any) -> list[RestoreTest]:
    return [
        make_test(START + at * DAY, rta_service_seconds=each * 60, **more)
        for at, each in enumerate(minutes)
    ]


def _points(
    size: Callable[[int], float], added: int = 0, minutes: Callable[[int], float] = lambda _: 1
) -> list[RecoveryPoint]:
    return [
        make_point(
            START + day * DAY,
            assets={"database": replace(DATABASE, bytes=round(size(day)), added_bytes=added)},
            finished=START + day * DAY + minutes(day) * timedelta(minutes=1),
        )
        for day in range(DAYS)
    ]


def _forecasts(
    points: Iterable[RecoveryPoint] = (),
    tests: Iterable[RestoreTest] = (),
    disks: dict[str, tuple[int, int]] | None = None,
    last_runs: tuple[Run, ...] = (),
) -> tuple[Forecast, ...]:
    record = make_record(first_seen=START, points=points, tests=tests)
    return forecasts(PLAN, replace(record, last_runs=last_runs), disks or {}, NOW)


def test_forecasts_are_none_without_a_record() -> None:
    assert _forecasts(disks=DISK | {STAGING: (0, 1), SANDBOX: (0, 1)}) == ()


def test_forecasts_tell_when_recovery_takes_longer_than_promised() -> None:
    (told,) = _forecasts(tests=_tests(120 + day for day in range(DAYS)))  # a minute more each day

    assert told == Forecast(
        practice="riverside",
        system="emr",
        what=Limit.RTO,
        on=date(2027, 3, 18),  # 240 minutes: 120 days after the first
        sentence="at this pace recovery of emr from onsite takes longer than the promised 4 h "
        "from about 18 March 2027 on",
    )


def test_forecasts_of_recovery_count_what_is_allowed_for_other_steps() -> None:
    plan = make_plan(recovery=[{"step": "server", "by": "msp", "allow": "1h"}])
    record = make_record(first_seen=START, tests=_tests(120 + day for day in range(DAYS)))

    (told,) = forecasts(plan, record, {}, NOW)

    assert told.on == date(2027, 1, 17)


def test_forecasts_of_recovery_ask_only_what_was_proven() -> None:
    tests = _tests((120 + day for day in range(DAYS)), result=Result.FAILED)

    assert _forecasts(tests=tests) == ()


def test_forecasts_tell_when_a_backup_takes_longer_than_until_the_next() -> None:
    (told,) = _forecasts(_points(lambda _: GIB, minutes=lambda day: 10 + day / 3))

    assert (told.what, told.system, told.on) == (Limit.BACKUP_WINDOW, "emr", date(2027, 1, 17))
    assert told.sentence == (
        "at this pace a backup of emr takes longer than the 30 min until the next one from about "
        "17 January 2027 on"
    )


def test_forecasts_tell_when_a_repository_is_full_of_what_is_added() -> None:
    (told,) = _forecasts(_points(lambda _: 50 * GIB, added=GIB), disks=DISK)

    assert (told.what, told.system, told.on) == (Limit.DISK, "", date(2027, 3, 27))
    assert told.sentence == (
        "at this pace the disk of the repository onsite is full about 27 March 2027"
    )


def test_forecasts_of_a_repository_count_only_growth_where_retention_makes_room() -> None:
    forget = make_run(NOW, operation=Operation.FORGET, repository="onsite", system="")
    elsewhere = replace(forget, repository="offsite")
    steady = _points(lambda _: 50 * GIB, added=GIB)
    growing = _points(lambda day: (50 + day) * GIB, added=3 * GIB)

    assert _forecasts(steady, disks=DISK, last_runs=(elsewhere,)) != ()
    assert _forecasts(steady, disks=DISK, last_runs=(forget,)) == ()
    (told,) = _forecasts(growing, disks=DISK, last_runs=(forget,))
    assert told.on == date(2027, 3, 27)


def test_forecasts_tell_when_staging_or_a_sandbox_has_no_room() -> None:
    points = _points(lambda day: (50 + day) * GIB)
    logical = {"database": replace(DATABASE, method=Method.LOGICAL, bytes=10 * GIB)}
    dumps = [replace(point, assets=logical) for point in points]

    told = _forecasts(points, disks={STAGING: (100 * GIB, 0), SANDBOX: (200 * GIB, 0)})

    assert [(each.system, each.on) for each in told] == [
        ("emr", date(2027, 1, 7)),
        ("emr", date(2027, 4, 17)),
    ]
    assert told[0].sentence == (
        "at this pace the staging folder has no room for a backup of emr from about "
        "7 January 2027 on"
    )
    assert "the sandbox has no room for a restore test of emr" in told[1].sentence
    assert _forecasts(dumps, disks={STAGING: (GIB, 0), SANDBOX: (GIB, 0)}) == ()


@pytest.mark.parametrize(
    "minutes",
    [
        [120.0] * DAYS,
        [120.0 - day for day in range(DAYS)],
        [120.0] * 15 + [150.0] * 15,  # a slower server: a step
        [120.0 + day / 20 + (60 if day >= 15 else 0) for day in range(DAYS)],
        [120.0] * 28 + [230.0] * 2,
        [120.0 + day for day in range(13)],  # too short
        [120.0 + day / 50 for day in range(DAYS)],  # sixteen years
        [130.0 + day * 5 for day in range(DAYS)],  # over it already
    ],
)
def test_forecasts_are_none_without_a_clear_trend_to_a_day_within_a_year(
    minutes: list[float],
) -> None:
    tests = [
        replace(each, started_at=each.started_at + (DAYS - len(minutes)) * DAY)
        for each in _tests(minutes)
    ]

    assert _forecasts(tests=tests) == ()


def test_forecasts_are_none_of_what_stopped_long_ago() -> None:
    record = make_record(first_seen=START, tests=_tests(120 + day for day in range(DAYS)))

    assert forecasts(PLAN, record, {}, NOW + 60 * DAY) == ()


@pytest.mark.parametrize("weeks_apart", [0, 1])
def test_forecasts_make_hardly_a_trend_of_noise(weeks_apart: int) -> None:
    count, chance = (5, random.Random(7)) if weeks_apart else (DAYS, random.Random(8))
    told: list[Forecast] = []
    for _ in range(200):
        noise = [chance.uniform(180, 235) for _ in range(count)]
        step = (DAYS - 1) // (count - 1)
        tests = [
            make_test(START + at * step * DAY, rta_service_seconds=each * 60)
            for at, each in enumerate(noise)
        ]
        told += _forecasts(tests=tests)

    assert len(told) <= 2  # one in a hundred orders of five numbers rises all the way


@given(st.integers(0, 2**32), st.floats(0.8, 3.0))
@settings(max_examples=40, deadline=None)
def test_forecasts_see_a_trend_through_noise_and_a_few_bad_nights(seed: int, slope: float) -> None:
    chance = random.Random(seed)
    minutes = [100 + slope * day + chance.uniform(-3, 3) for day in range(DAYS)]
    minutes[chance.randrange(DAYS - 1)] = 235

    (told,) = _forecasts(tests=_tests(minutes))

    expected = START + (140 / slope) * DAY
    assert abs(told.on - expected.date()) < 0.35 * (expected - NOW) + 2 * DAY


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0, 10**6)), max_size=25),
    st.integers(0, 10**15),
)
@settings(max_examples=60, deadline=None)
def test_forecasts_are_never_of_the_past_nor_beyond_a_year(
    values: list[tuple[int, float]], free: int
) -> None:
    tests = [
        make_test(START + day * DAY, rta_service_seconds=value, id=f"{at}")
        for at, (day, value) in enumerate(values)
    ]
    points = [
        make_point(START + day * DAY, id=f"{at}", finished=START + (day + value / 10**5) * DAY)
        for at, (day, value) in enumerate(values)
    ]
    now = START + max([day for day, _ in values], default=0) * DAY
    record = make_record(first_seen=START, points=points, tests=tests)

    for told in forecasts(PLAN, record, {"onsite": (free, free), SANDBOX: (free, free)}, now):
        assert now.date() - DAY <= told.on <= now.date() + 366 * DAY
