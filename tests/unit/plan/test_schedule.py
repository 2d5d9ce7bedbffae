from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dr_orchestrator.plan.schedule import Schedule

_DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("every 30m", timedelta(minutes=30)),
        ("03:30", _DAY),
        ("Sun 04:00", 7 * _DAY),
        ("*/15 * * * *", timedelta(minutes=15)),
        ("*/15 8-18 * * *", timedelta(hours=13, minutes=15)),
        # Friday 18:45 to Monday 08:00
        ("*/15 8-18 * * 1-5", timedelta(days=2, hours=13, minutes=15)),
        ("0 3 * * *", _DAY),
        ("0 3 1 * *", 31 * _DAY),
        ("0 0 29 2 *", 1461 * _DAY),
        ("30 2 * * 1", 7 * _DAY),
        ("0 6,18 * * *", timedelta(hours=12)),
        ("* * * * *", timedelta(minutes=1)),
    ],
)
def test_period_is_the_longest_normal_interval(text: str, period: timedelta) -> None:
    assert Schedule.parse(text).period == period


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every 4",
        "every 30s",
        "every 0s",
        "3:30",
        "24:00",
        "03:60",
        "Sunday 04:00",
        "Sun",
        "nightly",
        "0 0 30 2 *",
        "61 * * * *",
        "* * * *",
        "0 * * * * *",
        "0 0 * * " + "9" * 5000,
    ],
)
def test_parse_refuses_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|duration|cron|often|twice"):
        Schedule.parse(text)


@pytest.mark.parametrize("text", ["every 30m", "03:30", "Sun 04:00", "*/15 8-18 * * 1-5"])
def test_schedule_is_written_as_it_was_read(text: str) -> None:
    schedule = Schedule.parse(text)

    assert str(schedule) == text
    assert Schedule.parse(str(schedule)) == schedule
    assert TypeAdapter(Schedule).dump_python(schedule, mode="json") == text


def test_parse_takes_one_spelling_for_another() -> None:
    assert Schedule.parse("sun  04:00") == Schedule.parse("Sun 04:00")
    assert Schedule.parse("every 60m") == Schedule.parse("every 1h")


@given(st.integers(1, 36_500 * 86_400))
def test_half_of_leaves_room_for_one_failed_backup(seconds: int) -> None:
    rpo = timedelta(seconds=seconds)

    schedule = Schedule.half_of(rpo)

    assert Schedule.parse(str(schedule)) == schedule
    assert schedule.period >= timedelta(minutes=1)
    assert schedule.period <= max(rpo / 2, timedelta(minutes=1))
