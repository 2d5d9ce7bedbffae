from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.plan.opening import OpeningHours, open_time_between

_CHICAGO = ZoneInfo("America/Chicago")
_OFFICE = OpeningHours.parse({"mon-fri": "08:00-18:00", "sat": "09:00-12:00,14:00-16:00"})
_ZONES = [UTC, _CHICAGO, ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")]
_INSTANTS = st.integers(0, 730 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
_STRETCHES = st.timedeltas(timedelta(), timedelta(days=12))


@st.composite
def _hours(draw: st.DrawFn) -> OpeningHours:
    week = []
    for _ in range(7):
        marks = sorted(draw(st.lists(st.integers(0, 1440), max_size=6, unique=True)))
        pairs = zip(marks[::2], marks[1::2], strict=False)
        week.append(tuple((timedelta(minutes=a), timedelta(minutes=b)) for a, b in pairs))
    return OpeningHours(tuple(week))


def _local(*parts: int, zone: ZoneInfo = _CHICAGO, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=zone, fold=fold)  # type: ignore[arg-type, misc]  # from parts


def _open(start: datetime, end: datetime, hours: OpeningHours = _OFFICE) -> timedelta:
    return open_time_between(start, end, hours=hours, closed=(), zone=_CHICAGO)


def test_open_time_leaves_out_the_weekend() -> None:
    friday, monday = _local(2026, 11, 20, 17, 0), _local(2026, 11, 23, 8, 30)

    # Friday's last hour, Saturday's five, Monday's first half hour
    assert _open(friday, monday) == timedelta(hours=6, minutes=30)


def test_open_time_leaves_out_closed_days() -> None:
    start, end = _local(2026, 11, 25, 17, 0), _local(2026, 11, 27, 9, 0)

    found = open_time_between(
        start, end, hours=_OFFICE, closed=(date(2026, 11, 26),), zone=_CHICAGO
    )

    assert found == timedelta(hours=2)


def test_open_time_counts_a_repeated_hour_twice_and_a_missing_one_not() -> None:
    night = OpeningHours.parse({"sun": "00:00-06:00"})

    # 1 November 2026: 02:00 is 01:00 again; 14 March 2027: 02:00 is 03:00 at once
    assert _open(_local(2026, 11, 1), _local(2026, 11, 2), night) == timedelta(hours=7)
    assert _open(_local(2027, 3, 14), _local(2027, 3, 15), night) == timedelta(hours=5)


def test_open_time_is_what_the_wall_clock_says_where_hours_begin_inside_a_change() -> None:
    within = OpeningHours.parse({"sun": "01:30-02:30"})

    assert _open(_local(2026, 11, 1), _local(2026, 11, 2), within) == timedelta(hours=1, minutes=30)
    assert _open(_local(2027, 3, 14), _local(2027, 3, 15), within) == timedelta(minutes=30)


@given(_INSTANTS, _STRETCHES, st.sampled_from(_ZONES))
def test_always_open_is_the_time_itself(
    start: datetime, stretch: timedelta, zone: ZoneInfo
) -> None:
    found = open_time_between(
        start, start + stretch, hours=OpeningHours.always(), closed=(), zone=zone
    )

    assert found == stretch


@given(_hours(), _INSTANTS, _STRETCHES, _STRETCHES, st.sampled_from(_ZONES))
def test_open_time_adds_up(
    hours: OpeningHours, start: datetime, first: timedelta, second: timedelta, zone: ZoneInfo
) -> None:
    def between(a: datetime, b: datetime) -> timedelta:
        return open_time_between(a, b, hours=hours, closed=(), zone=zone)

    middle, end = start + first, start + first + second
    assert between(start, end) == between(start, middle) + between(middle, end)
    assert timedelta() <= between(start, end) <= end - start


@given(_hours(), _INSTANTS, st.integers(0, 600), st.sampled_from(_ZONES))
def test_open_time_is_the_minutes_whose_local_time_is_open(
    hours: OpeningHours, start: datetime, minutes: int, zone: ZoneInfo
) -> None:
    start = start.replace(second=0)
    expected = 0
    for step in range(minutes):
        local = (start + timedelta(minutes=step)).astimezone(zone)
        since = timedelta(hours=local.hour, minutes=local.minute)
        expected += any(a <= since < b for a, b in hours.week[local.weekday()])

    found = open_time_between(
        start, start + timedelta(minutes=minutes), hours=hours, closed=(), zone=zone
    )

    assert found == timedelta(minutes=expected)


@given(_hours())
def test_hours_are_read_back_as_written(hours: OpeningHours) -> None:
    if any(hours.week):
        assert OpeningHours.parse(hours.written()) == hours


def test_end_before_start_is_no_time() -> None:
    at = _local(2026, 11, 20, 12, 0)

    assert _open(at, at - timedelta(hours=1)) == timedelta()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "no day"),
        ({"funday": "08:00-18:00"}, "weekday"),
        ({"mon": "8-18"}, "opening hours"),
        ({"mon": "08:00-18:00,17:00-19:00"}, "overlap"),
        ({"mon": "22:00-06:00"}, "closes before"),
        ({"mon": "24:00-24:00"}, "opening hours"),
        ({"mon-wed": "08:00-18:00", "tue": "09:00-12:00"}, "twice"),
        ({"mon,mon": "08:00-18:00"}, "twice"),
    ],
)
def test_parse_refuses_hours_that_mean_nothing(written: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OpeningHours.parse(written)


def test_parse_goes_over_the_end_of_the_week() -> None:
    hours = OpeningHours.parse({"sat-mon": "08:00-12:00"})

    assert [bool(day) for day in hours.week] == [True, False, False, False, False, True, True]


@settings(max_examples=25)
@given(_hours())
def test_longest_stretch_is_that_of_a_week_walked_through_minute_by_minute(
    hours: OpeningHours,
) -> None:
    minute = timedelta(minutes=1)
    opened = [
        any(opens <= count * minute < closes for opens, closes in day)
        for day in hours.week
        for count in range(1440)
    ]
    runs = "".join("#" if each else " " for each in opened * 2).split()

    assert hours.longest == min(max(map(len, runs), default=0), 7 * 1440) * minute
    assert hours.never_end == all(opened)


def test_hours_that_cover_the_whole_week_never_end() -> None:
    assert OpeningHours.always().never_end
    assert not OpeningHours.parse({"mon-sat": "00:00-24:00", "sun": "00:00-23:59"}).never_end
    assert OpeningHours.parse({"sat": "20:00-24:00", "sun-mon": "00:00-06:00"}).longest == (
        timedelta(hours=10)
    )
