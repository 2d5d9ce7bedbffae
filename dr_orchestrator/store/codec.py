"""Entries as canonical JSON, and back.

Canonical: keys sorted, no spaces, UTF-8, times in UTC with six digits of a second. Equal entries
are equal bytes, which is what a hash over the journal will stand on. The form is led by the types
of `core`: what a field is declared as decides how it is written and read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dr_orchestrator.core import record
from dr_orchestrator.core.immutability import ImmutabilityTested, LocksExtended
from dr_orchestrator.core.record import Entry

_KINDS: Mapping[str, type[Entry]] = {
    "action_closed": record.ActionClosed,
    "action_opened": record.ActionOpened,
    "anchored": record.Anchored,
    "drill_recorded": record.DrillRecorded,
    "finding_changed": record.FindingChanged,
    "handed_over": record.HandedOver,
    "hold_placed": record.HoldPlaced,
    "hold_released": record.HoldReleased,
    "immutability_tested": ImmutabilityTested,
    "key_made": record.KeyMade,
    "key_revoked": record.KeyRevoked,
    "key_tried": record.KeyTried,
    "kit_made": record.KitMade,
    "locks_extended": LocksExtended,
    "occurrence_due": record.OccurrenceDue,
    "occurrence_settled": record.OccurrenceSettled,
    "pause_ended": record.PauseEnded,
    "point_forgotten": record.PointForgotten,
    "point_recorded": record.PointRecorded,
    "problem_acknowledged": record.ProblemAcknowledged,
    "problem_over": record.ProblemOver,
    "problem_seen": record.ProblemSeen,
    "promise_recorded": record.PromiseRecorded,
    "report_delivered": record.ReportDelivered,
    "repository_checked": record.RepositoryChecked,
    "repository_retired": record.RepositoryRetired,
    "repository_seen": record.RepositorySeen,
    "restore_test_recorded": record.RestoreTestRecorded,
    "restored": record.Restored,
    "retention_frozen": record.RetentionFrozen,
    "retention_released": record.RetentionReleased,
    "run_closed": record.RunClosed,
    "run_opened": record.RunOpened,
    "runbook_moved": record.RunbookMoved,
    "runbook_opened": record.RunbookOpened,
    "schedule_set_back": record.ScheduleSetBack,
    "signed_off": record.SignedOff,
    "system_paused": record.SystemPaused,
    "taken_over": record.TakenOver,
    "told": record.Told,
}
_RETIRED = frozenset({"cancel_requested", "heartbeat_at"})
"""Fields that runs had when older entries were written. Nothing was ever in them."""
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
    return canonical_json(_writer(declared)(value))


def canonical_json(plain: Any) -> str:
    """Return what JSON can hold as canonical JSON."""
    return json.dumps(
        plain,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def decode(text: str, declared: Any) -> Any:
    """Return the value of type `declared` that `encode` wrote."""
    return _reader(declared)(json.loads(text))


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


def storable(text: str) -> str:
    """Return `text` as every database takes it: a path in it may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "")


@cache
def _hints(noun: type) -> Mapping[str, Any]:
    return get_type_hints(noun)


@cache
def _writer(declared: Any) -> Callable[[Any], Any]:
    """Return what writes values of this type. Worked out once: every entry is written."""
    if is_dataclass(declared):
        return _noun_writer(declared)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple:
        each = _writer(arguments[0])
        return lambda value: [each(item) for item in value]
    if origin is Mapping:
        each = _writer(arguments[1])
        return lambda value: {key: each(item) for key, item in value.items()}
    if origin in {Union, UnionType}:
        return _choice_writer(arguments)
    if declared is datetime:
        return instant_text
    return _enum_value if issubclass(declared, Enum) else _as_it_is


def _noun_writer(noun: Any) -> Callable[[Any], Any]:
    writers = tuple((field.name, _writer(_hints(noun)[field.name])) for field in fields(noun))
    return lambda value: {name: write(getattr(value, name)) for name, write in writers}


def _enum_value(value: Enum) -> Any:
    return value.value


@cache
def _reader(declared: Any) -> Callable[[Any], Any]:
    """Return what reads values of this type. Worked out once: a verdict reads thousands."""
    if is_dataclass(declared):
        return _noun_reader(declared)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple:
        each = _reader(arguments[0])
        return lambda raw: tuple(map(each, raw))
    if origin is Mapping:
        each = _reader(arguments[1])
        return lambda raw: {key: each(value) for key, value in raw.items()}
    if origin in {Union, UnionType}:
        return _choice_reader(arguments)
    if declared is datetime:
        return instant_from
    return declared if issubclass(declared, Enum) else _as_it_is


def _noun_reader(noun: Any) -> Callable[[Any], Any]:
    readers = {field.name: _reader(_hints(noun)[field.name]) for field in fields(noun)}
    converted = {name: read for name, read in readers.items() if read is not _as_it_is}

    def read(raw: Any) -> Any:
        known = {name: value for name, value in raw.items() if name not in _RETIRED}
        for name, convert in converted.items():
            if name in known:
                known[name] = convert(known[name])
        return noun(**known)

    return read


def _as_it_is(raw: Any) -> Any:
    return raw


def _choice_writer(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    certain = [choice for choice in choices if choice is not NoneType]
    if len(certain) == 1:
        write = _writer(certain[0])
        return lambda value: None if value is None else write(value)
    return _plain_choice


def _plain_choice(value: Any) -> Any:
    """Write a value that may be of several types; what JSON cannot tell apart carries its type."""
    if isinstance(value, datetime):
        return {"time": instant_text(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}  # a check's answer; JSON has no word for it
    return value


def _choice_reader(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    certain = [choice for choice in choices if choice is not NoneType]
    if len(certain) == 1:
        read = _reader(certain[0])
        return lambda raw: None if raw is None else read(raw)
    return _typed_choice


def _typed_choice(raw: Any) -> Any:
    if isinstance(raw, dict):
        return instant_from(raw["time"]) if "time" in raw else float(raw["number"])
    return raw
