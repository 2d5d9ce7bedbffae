"""Canonical JSON after RFC 8785, for what evidence may hold: no fractions.

One value has one text, so that a hash over the text is a hash over what it says. Numbers are whole
(durations in milliseconds): how a fraction is written is where implementations differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

Fact = str | int | bool | None | tuple["Fact", ...] | list["Fact"] | Mapping[str, "Fact"]
"""What a line may say."""
Facts = Mapping[str, Fact]

LARGEST = 2**53 - 1
"""Of a whole number that every reader of JSON keeps (RFC 8785, 3.2.2.3; RFC 7493, 2.2)."""


def canonical(value: Fact) -> str:
    """Return `value` as canonical JSON.

    Raises:
        TypeError: it holds what is no `Fact`: a fraction, a time that is not text yet.
        ValueError: a number is too large for every reader, a name is not ASCII, or a text holds
            half of a surrogate pair.
    """
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check(value: Fact) -> None:
    match value:
        case None | bool():
            return
        case str():
            value.encode()  # half of a surrogate pair has no UTF-8
        case int():
            if abs(value) > LARGEST:
                raise ValueError("a number is too large for canonical JSON")
        case list() | tuple():
            for each in value:
                _check(each)
        case dict():
            for name, each in value.items():
                if not name.isascii():  # sorted alike by code points and by UTF-16 code units
                    raise ValueError("a name in canonical JSON is ASCII")
                _check(each)
        case _:
            raise TypeError(f"no fact of evidence: {type(value).__name__}")


def milliseconds(seconds: float | timedelta | None) -> int | None:
    """Return a duration as evidence has it; `None` where there is none."""
    if seconds is None:
        return None
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    return round(seconds * 1000)
