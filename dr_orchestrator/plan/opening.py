"""When a practice is open, and how much of a stretch of time that is.

The age of data is counted in opening hours: a weekend without visits is no loss. Open is what the
clock on the practice's wall says, so an hour that a change of clocks repeats counts twice, and one
that it leaves out does not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from dr_orchestrator.plan.quantity import mistake
from dr_orchestrator.plan.wall_clock import stretches_of_one_offset, wall_offset, wall_time

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_MIDNIGHT = time()
_HOURS = re.compile(
    r"((?:[01]\d|2[0-3]):[0-5]\d) ?[-–] ?((?:[01]\d|2[0-3]):[0-5]\d|24:00)", re.ASCII
)
_DAYS_HINT = "write mon, mon-fri or mon,wed,fri"
_HOURS_HINT = 'write "08:00-18:00" or "09:00-12:00,14:00-16:00"; over midnight is two days\' hours'

Interval = tuple[timedelta, timedelta]
"""From and to, since midnight."""


@dataclass(frozen=True)
class OpeningHours:
    """Opening hours by weekday."""

    week: tuple[tuple[Interval, ...], ...]
    """For Monday to Sunday: intervals in order, apart from each other."""

    @classmethod
    def always(cls) -> OpeningHours:
        """Return the hours of a practice that never closes."""
        return cls((((timedelta(), _DAY),),) * 7)

    @classmethod
    def parse(cls, written: Mapping[str, str]) -> OpeningHours:
        """Return what `{mon-fri: "08:00-18:00", sat: "09:00-12:00,14:00-16:00"}` means.

        Raises:
            ValueError: a day or an interval is not written like that, a day is stated twice,
                or nothing is ever open.
        """
        week: dict[int, tuple[Interval, ...]] = {}
        for days, hours in written.items():
            intervals = _intervals(hours)
            for day in _days(days):
                if day in week:
                    raise ValueError(f"states the hours of {_WEEKDAYS[day]} twice")
                week[day] = intervals
        if not week:
            raise ValueError("is open on no day")
        return cls(tuple(week.get(day, ()) for day in range(7)))

    @property
    def longest(self) -> timedelta:
        """The longest stretch of a week within the hours, over midnight and from Sunday on too."""
        hours = (
            (day * _DAY + opens, day * _DAY + closes)
            for day, intervals in enumerate(self.week * 2)
            for opens, closes in intervals
        )
        longest, begin, end = timedelta(), timedelta(), timedelta()
        for opens, closes in hours:
            begin, end = begin if opens == end else opens, closes
            longest = max(longest, end - begin)
        return min(longest, _WEEK)

    @property
    def never_end(self) -> bool:
        """Whether the hours cover the whole week."""
        return self.longest == _WEEK

    def written(self) -> dict[str, str]:
        """Return what `parse` reads back, neighbouring days with the same hours in one."""
        result: dict[str, str] = {}
        first = 0
        for day in range(7):
            last_of_them = day == len(_WEEKDAYS) - 1 or self.week[day + 1] != self.week[day]
            if not last_of_them:
                continue
            if self.week[day]:
                days = _WEEKDAYS[day] if first == day else f"{_WEEKDAYS[first]}-{_WEEKDAYS[day]}"
                result[days] = ",".join(f"{_clock(a)}-{_clock(b)}" for a, b in self.week[day])
            first = day + 1
        return result

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        days = core_schema.no_info_plain_validator_function(_checked_days)
        hours = core_schema.no_info_plain_validator_function(_checked_hours)
        written = core_schema.no_info_after_validator_function(
            cls._read, core_schema.dict_schema(days, hours, min_length=1)
        )
        return core_schema.json_or_python_schema(
            json_schema=written,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(cls), written], mode="left_to_right"
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.written, when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "examples": [{"mon-fri": "08:00-18:00", "sat": "09:00-12:00,14:00-16:00"}],
        }

    @classmethod
    def _read(cls, written: dict[str, str]) -> OpeningHours:
        try:
            return cls.parse(written)
        except ValueError as error:
            raise mistake(str(error), _DAYS_HINT) from None


def is_open(
    instant: datetime, *, hours: OpeningHours, closed: Collection[date], zone: tzinfo
) -> bool:
    """Return whether the practice is open at an aware instant, by the clock on its wall."""
    shown = instant.astimezone(zone).replace(tzinfo=None)
    since_midnight = shown - datetime.combine(shown, _MIDNIGHT)
    return shown.date() not in closed and any(
        opens <= since_midnight < closes for opens, closes in hours.week[shown.weekday()]
    )


def open_time_between(
    start: datetime,
    end: datetime,
    *,
    hours: OpeningHours,
    closed: Collection[date],
    zone: tzinfo,
) -> timedelta:
    """Return how much of the stretch from `start` to `end` (both aware) the practice is open.

    Open is an instant whose local time in `zone` lies in the hours of a day that is not in
    `closed`. Zero where `end` is not after `start`.
    """
    total = timedelta()
    for first, last in stretches_of_one_offset(start.astimezone(UTC), end.astimezone(UTC), zone):
        offset = wall_offset(first, zone)
        opens, closes = wall_time(first, offset), wall_time(last, offset)
        total += _open_on_the_wall(opens, closes, hours, closed)
    return total


def _open_on_the_wall(
    start: datetime, end: datetime, hours: OpeningHours, closed: Collection[date]
) -> timedelta:
    total = timedelta()
    day = start.date()
    while day <= end.date():
        midnight = datetime.combine(day, _MIDNIGHT)
        if day not in closed:
            for opens, closes in hours.week[day.weekday()]:
                overlap = min(end, midnight + closes) - max(start, midnight + opens)
                total += max(overlap, timedelta())
        day += _DAY
    return total


def _checked_days(value: object) -> str:
    text = str(value)
    try:
        _days(text)
    except ValueError as error:
        raise mistake(str(error), _DAYS_HINT) from None
    return text


def _checked_hours(value: object) -> str:
    if not isinstance(value, str):
        raise mistake("is not opening hours", _HOURS_HINT)
    try:
        _intervals(value)
    except ValueError as error:
        raise mistake(str(error), _HOURS_HINT) from None
    return value


def _days(text: str) -> list[int]:
    """Return the weekdays that `mon`, `mon-fri`, `sat-mon` or `mon,wed` name."""
    result: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
            raise ValueError("is not a weekday")
        begin = _WEEKDAYS.index(first)
        count = (_WEEKDAYS.index(last) - begin) % 7 if dash else 0
        result += [(begin + step) % 7 for step in range(count + 1)]
    if len(set(result)) < len(result):
        raise ValueError("names a weekday twice")
    return result


def _intervals(text: str) -> tuple[Interval, ...]:
    result = []
    for part in text.split(","):
        found = _HOURS.fullmatch(part.strip())
        if found is None:
            raise ValueError("is not opening hours")
        result.append((_since_midnight(found[1]), _since_midnight(found[2])))
    if any(opens >= closes for opens, closes in result):
        raise ValueError("closes before it opens")
    result.sort()
    if any(following[0] < earlier[1] for earlier, following in pairwise(result)):
        raise ValueError("has intervals that overlap")
    return tuple(result)


def _since_midnight(text: str) -> timedelta:
    hour, minute = text.split(":")
    return timedelta(hours=int(hour), minutes=int(minute))


def _clock(since_midnight: timedelta) -> str:
    hour, minute = divmod(int(since_midnight.total_seconds()) // 60, 60)
    return f"{hour:02d}:{minute:02d}"
