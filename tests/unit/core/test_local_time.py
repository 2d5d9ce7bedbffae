from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.local_time import exact_instant, typed_instant
from dr_orchestrator.errors import UsageMistake

_CHICAGO = ZoneInfo("America/Chicago")
_NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
"""09:30 in Chicago."""


def test_hour_that_a_clock_shows_twice_is_the_first_one() -> None:
    morning = datetime(2026, 11, 1, 14, tzinfo=UTC)  # 08:00 in Chicago, after a night of 25 h
    for typed in ("01:30", "2026-11-01 01:30"):
        at = typed_instant(typed, morning, ZoneInfo("America/Chicago"))
        assert morning - at == timedelta(hours=7, minutes=30)


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("09:00", "2026-11-21T15:00Z"),
        ("14:00", "2026-11-20T20:00Z"),
        ("2026-11-20 14:00", "2026-11-20T20:00Z"),
        ("2026-11-20T14:00:30", "2026-11-20T20:00:30Z"),
        (" 2026-11-20 14:00Z ", "2026-11-20T14:00Z"),
        ("2026-11-01 01:30-06:00", "2026-11-01T07:30Z"),
    ],
)
def test_exact_instant_is_by_the_clock_of_the_practice(typed: str, at: str) -> None:
    assert exact_instant(typed, _NOW, _CHICAGO) == datetime.fromisoformat(at)


@pytest.mark.parametrize(
    "typed", ["", "yesterday", "2026-11-20", "20261120", "14", "0001-01-01 00:00+12:00"]
)
def test_exact_instant_is_refused_when_it_names_no_minute(typed: str) -> None:
    with pytest.raises(UsageMistake, match="no time"):
        exact_instant(typed, _NOW, _CHICAGO)


def test_instant_is_refused_when_it_is_before_the_first_year() -> None:
    for read in (typed_instant, exact_instant):
        with pytest.raises(UsageMistake, match="no time"):
            read("0001-01-01 00:00", _NOW, ZoneInfo("Asia/Kathmandu"))


def test_exact_instant_is_refused_when_it_has_not_come() -> None:
    with pytest.raises(UsageMistake, match="later than now"):
        exact_instant("2026-11-21 09:31", _NOW, _CHICAGO)


@pytest.mark.parametrize(
    ("typed", "both"),
    [
        ("2026-11-01 01:30", "2026-11-01 01:30-05:00 or 2026-11-01 01:30-06:00"),
        ("2026-03-08 02:30", "2026-03-08 01:30-06:00 or 2026-03-08 03:30-05:00"),
    ],
)
def test_exact_instant_is_refused_with_both_readings_when_clocks_changed(
    typed: str, both: str
) -> None:
    with pytest.raises(UsageMistake) as refused:
        exact_instant(typed, _NOW, _CHICAGO)
    assert both in refused.value.hint


_ZONES = ("America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


@given(
    st.datetimes(datetime(2015, 1, 1), datetime(2026, 11, 20)),  # noqa: DTZ001
    st.sampled_from(_ZONES).map(ZoneInfo),
)
def test_exact_instant_is_the_one_that_clocks_show_or_each_reading_is_one(
    wall: datetime, zone: ZoneInfo
) -> None:
    wall = wall.replace(second=0, microsecond=0)
    try:
        readings = [exact_instant(f"{wall:%Y-%m-%d %H:%M}", _NOW, zone)]
    except UsageMistake as refused:
        named = refused.hint.removeprefix("say which is meant: ").split(" or ")
        readings = [exact_instant(each, _NOW, zone) for each in named]
        assert readings[0] < readings[1]
    shown = {each.astimezone(zone).replace(tzinfo=None) for each in readings}
    assert shown == {wall} or (len(shown) == 2 and min(shown) < wall < max(shown))
