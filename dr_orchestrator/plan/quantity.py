"""Durations, sizes and percentages as a plan writes them: always with their unit.

A bare number is an error, since `rto: 4` means hours to one reader and minutes to another. Nothing
here rounds, and what is written out can be read back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:(?P<w>\d{1,9})w)?(?:(?P<d>\d{1,9})d)?(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s)?",
    re.ASCII,
)
_LONGEST = timedelta(days=36_500)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,3})?) ?(B|KiB|MiB|GiB|TiB)", re.ASCII)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%", re.ASCII)
_WHOLE = 100.0
MISTAKE = "plan_mistake"
"""The type by which the loader knows an error that has its words already."""
_DURATION_HINT = "write a number and its unit without a space, as 90s, 45m, 24h, 7d, 2w or 1h30m"


def mistake(message: str, hint: str = "") -> PydanticCustomError:
    """Return an error that reaches the reader of a plan in exactly these words.

    The words never repeat the value: it could be a password in the wrong place.
    """
    return PydanticCustomError(MISTAKE, "{words}", {"words": message, "hint": hint})


def parse_duration(text: str) -> timedelta:
    """Return the duration that `45m`, `24h`, `7d`, `1h30m`, `90s` or `2w` stands for.

    Raises:
        ValueError: it is not written like that, or is longer than a hundred years.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise ValueError("is not a duration")
    seconds = sum(int(count) * _SECONDS[unit] for unit, count in found.groupdict("0").items())
    if seconds > _LONGEST.total_seconds():
        raise ValueError("is longer than a hundred years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Return the text that `parse_duration` reads back: `7d`, `24h`, `1h30m`. Whole seconds."""
    seconds = int(duration.total_seconds())
    if seconds > _SECONDS["d"] and seconds % _SECONDS["d"] == 0:
        return f"{seconds // _SECONDS['d']}d"
    parts = []
    for unit in ("h", "m", "s"):
        count, seconds = divmod(seconds, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Return the bytes that `10 MiB` stands for.

    Raises:
        ValueError: there is no binary unit, or it is no whole number of bytes.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("is not a size")
    count = Decimal(found[1]) * _BYTES[found[2]]
    if count != int(count):
        raise ValueError("is no whole number of bytes")
    return int(count)


def format_size(count: int) -> str:
    """Return the text that `parse_size` reads back, in the largest unit that stays whole."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]} {unit}"
    return f"{count} B"


def parse_percentage(text: str) -> float:
    """Return the share of one that `5%` stands for: 0.05.

    Raises:
        ValueError: there is no `%`, or it is more than the whole.
    """
    found = _PERCENTAGE.fullmatch(text)
    if found is None or float(found[1]) > _WHOLE:
        raise ValueError("is not a percentage")
    return float(found[1]) / _WHOLE


def format_percentage(share: float) -> str:
    """Return the text that `parse_percentage` reads back."""
    return f"{round(share * _WHOLE, 6):g}%"


@dataclass(frozen=True)
class _Written:
    """How pydantic reads a quantity that a plan writes as text with a unit."""

    parse: Callable[[str], Any]
    write: Callable[[Any], str]
    pattern: str
    hint: str
    ready: type | None = None
    """What it is already when the code, not a file, made it."""
    positive: bool = False

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self.write, when_used="json-unless-none"
            ),
        )

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}

    def _read(self, value: object) -> object:
        if self.ready is not None and isinstance(value, self.ready):
            result: Any = value
        elif isinstance(value, str) and not value.isdecimal():
            result = self._parsed(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            raise mistake("a number without its unit", self.hint)
        else:
            raise mistake("must be text with a unit", self.hint)
        if self.positive and not result:
            raise mistake("must be more than zero", self.hint)
        return result

    def _parsed(self, text: str) -> object:
        try:
            return self.parse(text)
        except ValueError as error:
            raise mistake(str(error), self.hint) from None


_DURATION_PATTERN = r"^(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"

Duration = Annotated[
    timedelta,
    _Written(parse_duration, format_duration, _DURATION_PATTERN, _DURATION_HINT, timedelta),
]
"""`45m`, `24h`, `7d`, `1h30m`, `90s`, `2w`; may be `0s`."""
PositiveDuration = Annotated[
    timedelta,
    _Written(
        parse_duration, format_duration, _DURATION_PATTERN, _DURATION_HINT, timedelta, positive=True
    ),
]
"""A duration that is not `0s`."""
SIZE = _Written(
    parse_size,
    format_size,
    r"^\d+(\.\d+)? ?(B|KiB|MiB|GiB|TiB)$",
    "write a number and its unit, as 10 MiB or 2.5 GiB",
)
"""The mark by which a number that is a size is known."""
Size = Annotated[int, SIZE]
"""`10 MiB`, in bytes."""
_PERCENTAGE_PATTERN = r"^\d+(\.\d+)? ?%$"
_PERCENTAGE_HINT = "write a number from 0 to 100 and its sign, as 5%"
Percentage = Annotated[
    float,
    _Written(parse_percentage, format_percentage, _PERCENTAGE_PATTERN, _PERCENTAGE_HINT),
]
"""`5%`, as a share of one."""
PositivePercentage = Annotated[
    float,
    _Written(
        parse_percentage, format_percentage, _PERCENTAGE_PATTERN, _PERCENTAGE_HINT, positive=True
    ),
]
"""A share that is not none."""
