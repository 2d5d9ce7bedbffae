"""The instants a schedule means, against a definition that walks every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.schedule.occurrence import Moved, clock_changes, moved_by, occurrences

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CHICAGO = ZoneInfo("America/Chicago")
CHANGES = (
    ("America/Chicago", datetime(2026, 3, 8, tzinfo=UTC)),
    ("America/Chicago", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 10, 25, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC)),  # from 00:00 to 01:00
    ("America/Havana", datetime(2026, 11, 1, tzinfo=UTC)),  # from 01:00 to 00:00
    ("America/Nuuk", datetime(2026, 10, 24, tzinfo=UTC)),  # from 00:00 to 23:00 the day before
    ("America/St_Johns", datetime(2010, 11, 7, tzinfo=UTC)),  # from 00:01 to 23:01 the day before
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),  # a day is left out
    ("Asia/Kathmandu", datetime(2026, 3, 8, tzinfo=UTC)),  # never; 5:45 ahead
    ("UTC", datetime(2028, 2, 28, tzinfo=UTC)),
)
"""A time zone, and a day on or next to which its clocks change."""

changes = st.sampled_from(CHANGES)
minutes = st.one_of(
    st.just("*"),
    st.sampled_from(["*/7", "*/15", "5-59/30", "0", "30", "59", "0,1,31"]),
    st.integers(0, 59).map(str),
)
hours = st.one_of(
    st.sampled_from(["*", "*/2", "0-3", "1", "2", "23", "0", "22-23", "8-18"]),
    st.integers(0, 23).map(str),
)
days = st.sampled_from(
    ["* * *", "* * *", "* * 0", "* * 1-5", "1 * *", "29 2 *", "30 12 5", "L * *"]
)
crons = st.builds("{} {} {}".format, minutes, hours, days)
times_of_day = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
weekly = st.builds("{} {}".format, st.sampled_from(["Fri", "Sat", "Sun", "Mon"]), times_of_day)
intervals = st.one_of(
    st.sampled_from(["1m", "7m", "30m", "1h", "90m", "12h", "24h", "36h", "7d"]),
    st.integers(60, 200_000).map("{}s".format),
).map("every {}".format)
wall_schedules = st.one_of(times_of_day, weekly, crons).map(Schedule.parse)
schedules = st.one_of(wall_schedules, intervals.map(Schedule.parse))
seconds = st.integers(0, 3 * 86_400)


def at(text: str, zone: ZoneInfo = CHICAGO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def shown(text: str, zone: str, start: str, end: str) -> list[str]:
    """Return what the clocks of a zone show at each occurrence."""
    place = ZoneInfo(zone)
    found = occurrences(Schedule.parse(text), place, at(start, place), at(end, place))
    return [f"{each.astimezone(place):%m-%d %H:%M %Z}" for each in found]


@cache
def minutes_of(zone: str, day: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Return every minute around a day, in UTC and as a clock shows it."""
    place = ZoneInfo(zone)
    every = (day - 3 * DAY + index * MINUTE for index in range(7 * 1440))
    return tuple((each, each.astimezone(place).replace(tzinfo=None)) for each in every)


@cache
def instants_of(zone: str, day: datetime) -> dict[datetime, list[datetime]]:
    """Return when a clock shows what."""
    found: dict[datetime, list[datetime]] = {}
    for instant, wall in minutes_of(zone, day):
        found.setdefault(wall, []).append(instant)
    return found


def by_definition(schedule: Schedule, zone: str, day: datetime) -> set[datetime]:
    """Return what a schedule means around a day, minute for minute."""
    assert schedule.cron is not None
    minute, hour, *_ = schedule.cron.split()
    means_every_time = minute[0] == "*" or hour[0] == "*"
    walk, instants = minutes_of(zone, day), instants_of(zone, day)
    result: set[datetime] = set()
    for wall in CronSim(schedule.cron, walk[0][1] + DAY):
        if wall > walk[-1][1] - DAY:
            return result
        when = instants.get(wall)
        if when is None:
            result.add(next(instant for instant, other in walk if other > wall))
        else:
            result.update(when if means_every_time else when[:1])
    return result


@settings(max_examples=50)
@given(changes, wall_schedules, seconds, seconds)
def test_occurrences_are_those_of_the_minute_for_minute_definition(
    change: tuple[str, datetime], schedule: Schedule, from_second: int, to_second: int
) -> None:
    zone, day = change
    start = day + timedelta(seconds=min(from_second, to_second)) - DAY
    end = day + timedelta(seconds=max(from_second, to_second)) - DAY

    found = list(occurrences(schedule, ZoneInfo(zone), start, end))

    expected = sorted(each for each in by_definition(schedule, zone, day) if start < each <= end)
    assert found == expected


@settings(max_examples=50)
@given(changes, schedules, st.lists(st.integers(0, 4 * 86_400_000), min_size=2, max_size=6))
def test_occurrences_of_the_parts_are_those_of_the_whole(
    change: tuple[str, datetime], schedule: Schedule, cuts: list[int]
) -> None:
    zone = ZoneInfo(change[0])
    instants = [change[1] - 2 * DAY + timedelta(milliseconds=each) for each in sorted(cuts)]

    whole = list(occurrences(schedule, zone, instants[0], instants[-1]))
    parts = [
        each
        for start, end in pairwise(instants)
        for each in occurrences(schedule, zone, start, end)
    ]

    assert parts == whole
    assert all(earlier < later for earlier, later in pairwise(whole))
    assert all(instants[0] < each <= instants[-1] for each in whole)
    assert all(each.tzinfo is UTC for each in whole)


@settings(max_examples=40)
@given(changes, intervals.map(Schedule.parse), st.integers(-3000, 3000))
def test_intervals_are_exact_whatever_the_clocks_do(
    change: tuple[str, datetime], schedule: Schedule, days_off: int
) -> None:
    start = change[1] + days_off * DAY
    found = list(occurrences(schedule, ZoneInfo(change[0]), start, start + 20 * schedule.period))

    assert len(found) == 20
    assert {later - earlier for earlier, later in pairwise(found)} == {schedule.period}


@pytest.mark.parametrize(
    ("text", "zone", "start", "end", "expected"),
    [
        # forward: 02:00 becomes 03:00
        ("02:30", "America/Chicago", "2026-03-07", "2026-03-10",
         ["03-07 02:30 CST", "03-08 03:00 CDT", "03-09 02:30 CDT"]),
        ("03:00", "America/Chicago", "2026-03-08", "2026-03-09", ["03-08 03:00 CDT"]),
        ("0,30 2,3 * * *", "America/Chicago", "2026-03-08", "2026-03-09",
         ["03-08 03:00 CDT", "03-08 03:30 CDT"]),
        ("*/30 2 * * *", "America/Chicago", "2026-03-08", "2026-03-09", ["03-08 03:00 CDT"]),
        ("Sun 02:15", "Australia/Lord_Howe", "2026-10-03", "2026-10-05", ["10-04 02:30 +11"]),
        # to the second
        ("02:30", "America/Chicago", "2026-03-08", "2026-03-08T01:59:59", []),
        ("02:30", "America/Chicago", "2026-03-08T01:59:59", "2026-03-08T03:00",
         ["03-08 03:00 CDT"]),
        ("02:30", "America/Chicago", "2026-03-08T03:00", "2026-03-09", []),
        # back: 02:00 becomes 01:00
        ("01:30", "America/Chicago", "2026-10-31T12:00", "2026-11-02", ["11-01 01:30 CDT"]),
        ("Sun 01:45", "Australia/Lord_Howe", "2026-04-04", "2026-04-06", ["04-05 01:45 +11"]),
        ("0 * * * *", "America/Chicago", "2026-11-01", "2026-11-01T02:00",
         ["11-01 01:00 CDT", "11-01 01:00 CST", "11-01 02:00 CST"]),
        ("*/30 1 * * *", "America/Chicago", "2026-11-01", "2026-11-01T02:00",
         ["11-01 01:00 CDT", "11-01 01:30 CDT", "11-01 01:00 CST", "11-01 01:30 CST"]),
        ("0,30 1 * * *", "America/Chicago", "2026-11-01", "2026-11-01T02:00",
         ["11-01 01:00 CDT", "11-01 01:30 CDT"]),
        # a day that was left out
        ("03:30", "Pacific/Apia", "2011-12-29", "2012-01-01",
         ["12-29 03:30 -10", "12-31 00:00 +14", "12-31 03:30 +14"]),
        # odd hours and odd days
        ("every 12h", "Asia/Kathmandu", "2026-07-01T01:00", "2026-07-02",
         ["07-01 12:00 +0545", "07-02 00:00 +0545"]),
        ("every 24h", "America/Chicago", "2026-03-06T12:00", "2026-03-09T12:00",
         ["03-07 00:00 CST", "03-08 00:00 CST", "03-09 01:00 CDT"]),
        ("every 7d", "Europe/London", "2024-01-01T01:00", "2024-01-20",
         ["01-08 00:00 GMT", "01-15 00:00 GMT"]),
        ("0 12 29 2 *", "Europe/London", "2023-01-01", "2033-01-01",
         ["02-29 12:00 GMT", "02-29 12:00 GMT", "02-29 12:00 GMT"]),
        ("0 6 1 * 1", "UTC", "2026-06-01", "2026-06-09",
         ["06-01 06:00 UTC", "06-08 06:00 UTC"]),
        ("0 6 13 * 5", "UTC", "2026-11-12", "2026-11-21", ["11-13 06:00 UTC", "11-20 06:00 UTC"]),
        # after the start, and not after the end
        ("03:30", "UTC", "2026-06-01T03:30", "2026-06-02T03:30", ["06-02 03:30 UTC"]),
        ("03:30", "UTC", "2026-06-02", "2026-06-01", []),
    ],
)  # fmt: skip
def test_occurrences_are(text: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    assert shown(text, zone, start, end) == expected


FORWARD, BACK = "2026-03-08", "2026-11-01"


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("02:30", FORWARD, Moved(left_out=(datetime(2026, 3, 8, 2, 30),))),  # noqa: DTZ001
        ("03:00", FORWARD, Moved()),
        ("Mon 02:30", FORWARD, Moved()),
        ("01:30", BACK, Moved(shown_twice=(datetime(2026, 11, 1, 1, 30),))),  # noqa: DTZ001
        (
            "20 * * * *",
            BACK,
            Moved(shown_twice=(datetime(2026, 11, 1, 1, 20),), runs_twice=True),  # noqa: DTZ001
        ),
        ("every 30m", BACK, Moved()),
        ("every 12h", BACK, Moved(shifted=True)),
    ],
)
def test_moved_by_says_what_a_change_of_clocks_does(text: str, day: str, expected: Moved) -> None:
    (change,) = clock_changes(CHICAGO, at(day), at(day) + DAY)

    assert moved_by(change, Schedule.parse(text)) == expected


def test_clock_changes_are_found_to_the_second() -> None:
    (change,) = clock_changes(CHICAGO, at("2026-02-01"), at("2026-06-01"))
    assert change.at == datetime(2026, 3, 8, 8, tzinfo=UTC)
    assert (change.shown_before.hour, change.shown_after.hour) == (2, 3)
    assert not list(clock_changes(CHICAGO, change.at, change.at + DAY))
    assert list(clock_changes(CHICAGO, change.at - DAY, change.at)) == [change]
