"""Entries as canonical JSON, and back.

Canonical: keys sorted, no spaces, UTF-8, times in UTC with six digits of a second. Equal entries
are equal bytes, which is what a hash over the journal will stand on. The form is led by the types
of `core`: what a field is declared as decides how it is written and read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dr_orchestrator.core.record import (
    Entry,
    PointRecorded,
    RepositorySeen,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)

_KINDS: Mapping[str, type[Entry]] = {
    "point_recorded": PointRecorded,
    "repository_seen": RepositorySeen,
    "restore_test_recorded": RestoreTestRecorded,
    "run_closed": RunClosed,
    "run_opened": RunOpened,
}
_NAMES = {entry_type: name for name, entry_type in _KINDS.items()}


def kind_of(entry: Entry) -> str:
    """Return the journal's word for this kind of entry."""
    return _NAMES[type(entry)]


def encode_entry(entry: Entry) -> str:
    """Return the entry as canonical JSON.

    Raises:
        ValueError: a time in it has no zone.
    """
    return encode(entry, type(entry))


def decode_entry(kind: str, payload: str) -> Entry:
    """Return the entry that `encode_entry` wrote."""
    entry: Entry = decode(payload, _KINDS[kind])
    return entry


def encode(value: Any, declared: Any) -> str:
    """Return `value`, of type `declared`, as canonical JSON."""
    return json.dumps(
        _plain(value, declared),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def decode(text: str, declared: Any) -> Any:
    """Return the value of type `declared` that `encode` wrote."""
    return _typed(json.loads(text), declared)


def instant_text(instant: datetime) -> str:
    """Return an instant as UTC text of fixed width, so that text sorts as time does.

    Raises:
        ValueError: it has no zone, so nobody knows when it was.
    """
    if instant.utcoffset() is None:
        raise ValueError("a time without a zone is not recorded")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def instant_from(text: str) -> datetime:
    """Return the instant that `instant_text` wrote."""
    return datetime.fromisoformat(text)


@cache
def _hints(noun: type) -> Mapping[str, Any]:
    return get_type_hints(noun)


def _plain(value: Any, declared: Any) -> Any:
    if is_dataclass(declared):
        hints = _hints(declared)  # type: ignore[arg-type]
        return {
            field.name: _plain(getattr(value, field.name), hints[field.name])
            for field in fields(declared)
        }
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple:
        return [_plain(each, arguments[0]) for each in value]
    if origin is Mapping:
        return {key: _plain(each, arguments[1]) for key, each in value.items()}
    if origin in {Union, UnionType}:
        return _plain_choice(value, arguments)
    if declared is datetime:
        return instant_text(value)
    return value.value if isinstance(value, Enum) else value


def _typed(raw: Any, declared: Any) -> Any:
    if is_dataclass(declared):
        hints = _hints(declared)  # type: ignore[arg-type]
        return declared(**{name: _typed(each, hints[name]) for name, each in raw.items()})  # type: ignore[operator]
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple:
        return tuple(_typed(each, arguments[0]) for each in raw)
    if origin is Mapping:
        return {key: _typed(each, arguments[1]) for key, each in raw.items()}
    if origin in {Union, UnionType}:
        return _typed_choice(raw, arguments)
    if declared is datetime:
        return instant_from(raw)
    return declared(raw) if issubclass(declared, Enum) else raw


def _plain_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    """Write a value that may be of several types; what JSON cannot tell apart carries its type."""
    if value is None:
        return None
    certain = [choice for choice in choices if choice is not NoneType]
    if len(certain) == 1:
        return _plain(value, certain[0])
    if isinstance(value, datetime):
        return {"time": instant_text(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}  # a check's answer; JSON has no word for it
    return value


def _typed_choice(raw: Any, choices: tuple[Any, ...]) -> Any:
    if raw is None:
        return None
    certain = [choice for choice in choices if choice is not NoneType]
    if len(certain) == 1:
        return _typed(raw, certain[0])
    if isinstance(raw, dict):
        return instant_from(raw["time"]) if "time" in raw else float(raw["number"])
    return raw
