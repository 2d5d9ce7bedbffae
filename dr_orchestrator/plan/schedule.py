"""When something is to happen, as a plan writes it.

A schedule is a value: it knows what it says and how far apart two occurrences normally are. It
knows no clock and no time zone; when the next one is due is worked out elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from dr_orchestrator.plan.quantity import format_duration, mistake, parse_duration

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_SHORTEST = timedelta(minutes=1)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAILY = re.compile(_TIME, re.ASCII)
_WEEKLY = re.compile(rf"({'|'.join(WEEKDAYS)}) ({_TIME})", re.ASCII | re.IGNORECASE)
_CRON = re.compile(r"[0-9A-Za-z*/,#-]{1,40}(?: [0-9A-Za-z*/,#-]{1,40}){4}", re.ASCII)
_SAMPLE = (datetime(2023, 12, 31), datetime(2033, 1, 1))  # noqa: DTZ001 - a calendar, nowhere
"""Naive, since a normal interval knows no change of clocks; three leap days lie in it."""
_EXAMPLES = ("every 30m", "03:30", "Sun 04:00", "0 8-18 * * 1-5")
_NEVER = "never"
HINT = (
    'write "every 30m", "03:30", "Sun 04:00" or five cron fields as "*/15 8-18 * * 1-5", in quotes'
)


@dataclass(frozen=True)
class Schedule:
    """When something is to happen. Equal when it says the same."""

    text: str
    """As a plan writes it."""
    period: timedelta = field(compare=False)
    """The longest normal interval between two occurrences; for `*/15 8-18 * * 1-5` the weekend."""
    cron: str | None = field(compare=False)
    """The times of day it means, as five cron fields; None where it is nothing but an interval."""
    mean_period: timedelta = field(compare=False)
    """The mean interval between two occurrences, in the long run."""

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Return the schedule that `every 30m`, `03:30`, `Sun 04:00` or five cron fields mean.

        Raises:
            ValueError: it is none of these, happens more often than once a minute, or never.
        """
        words = " ".join(text.split())
        if words.startswith("every "):
            return _every(words.removeprefix("every "))
        if _DAILY.fullmatch(words):
            return cls(words, _DAY, _cron(words, "*"), _DAY)
        if weekly := _WEEKLY.fullmatch(words):
            day = weekly[1].capitalize()
            return cls(f"{day} {weekly[2]}", _WEEK, _cron(weekly[2], day), _WEEK)
        if _CRON.fullmatch(words):
            longest, mean = _gaps(words)
            return cls(words, longest, words, mean)
        raise ValueError("is not a schedule")

    @classmethod
    def half_of(cls, rpo: timedelta) -> Schedule:
        """Return the schedule that leaves room for one failed backup within `rpo`.

        It is in whole seconds and never more often than once a minute.
        """
        half = timedelta(seconds=int(rpo.total_seconds()) // 2)
        return cls.parse(f"every {format_duration(max(half, _SHORTEST))}")

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": [*_EXAMPLES]}

    @classmethod
    def read(cls, value: object, *, hint: str = HINT) -> Schedule:
        """Return the schedule that a value of a plan is.

        Raises:
            PydanticCustomError: it is none.
        """
        if isinstance(value, Schedule):
            return value
        if not isinstance(value, str):
            raise mistake("is not a schedule", hint)
        try:
            return cls.parse(value)
        except ValueError as error:
            raise mistake(str(error), hint) from None


class _OrNever:
    """How pydantic reads what may also be left out altogether."""

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": [*_EXAMPLES, _NEVER]}

    @staticmethod
    def _read(value: object) -> object:
        return value if value == _NEVER else Schedule.read(value, hint=f"{HINT}, or never")


ScheduleOrNever = Annotated[Schedule | Literal["never"], _OrNever()]
"""A schedule, or the word that there is none."""


def _every(text: str) -> Schedule:
    period = parse_duration(text)
    if period < _SHORTEST:
        raise ValueError("happens more often than once a minute")
    return Schedule(f"every {format_duration(period)}", period, None, period)


def _cron(time_of_day: str, weekday: str) -> str:
    hour, minute = time_of_day.split(":")
    return f"{minute} {hour} * * {weekday}"


def _gaps(expression: str) -> tuple[timedelta, timedelta]:
    """Return the longest and the mean interval between two occurrences of a cron expression.

    Days and times of day repeat independently, so a year of minutes need not be walked through.
    """
    from cronsim import CronSim, CronSimError

    minute, hour, *days_part = expression.split()
    start, end = _SAMPLE
    try:
        on_a_day = CronSim(f"{minute} {hour} * * *", start - timedelta(minutes=1))
        times = list(takewhile(lambda at: at < start + _DAY, on_a_day))
        on_days = CronSim(f"0 0 {' '.join(days_part)}", start - timedelta(minutes=1))
        days = list(takewhile(lambda at: at < end, on_days))
    except CronSimError:
        raise ValueError("is not a cron expression") from None
    if len(days) <= 1:
        raise ValueError("happens less than twice in nine years")
    overnight = times[0] + _DAY - times[-1]
    between = max(later - earlier for earlier, later in pairwise(days)) - _DAY + overnight
    longest = max([between, *(later - earlier for earlier, later in pairwise(times))])
    return longest, (end - start) / (len(days) * len(times))
