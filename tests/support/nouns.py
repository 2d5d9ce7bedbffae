"""Nouns of `core` as hypothesis makes them, by nothing but the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from dr_orchestrator.core.share import MOST_PARTS

_PLAIN: Mapping[type, st.SearchStrategy[Any]] = {
    NoneType: st.none(),
    bool: st.booleans(),
    float: st.floats(min_value=-1e9, max_value=1e9),
    int: st.integers(min_value=1, max_value=MOST_PARTS),
    str: st.text(max_size=400),
    datetime: st.datetimes(datetime(1000, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
}


_MADE: dict[type, st.SearchStrategy[Any]] = {}


def nouns(kind: type) -> st.SearchStrategy[Any]:
    """Return a strategy for a dataclass: any value that its fields may hold."""
    if kind not in _MADE:
        _MADE[kind] = _noun(kind)
    return _MADE[kind]


def _noun(kind: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(
        kind, **{each.name: _any(hints[each.name]) for each in fields(kind) if each.init}
    )


def _any(hint: Any) -> st.SearchStrategy[Any]:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return st.one_of(*map(_any, inside))
    if origin is tuple:
        return st.lists(_any(inside[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_any(inside[0]), _any(inside[1]), max_size=2)
    if is_dataclass(hint):
        return nouns(hint)  # type: ignore[arg-type]
    return st.sampled_from(hint) if issubclass(hint, Enum) else _PLAIN[hint]


def filled(kind: type, marker: str = "~{}~") -> Any:
    """Return a noun with one of everything in it, each text naming its own field."""
    hints = get_type_hints(kind)
    return kind(
        **{
            each.name: _one(hints[each.name], marker.format(f"{kind.__name__}.{each.name}"), marker)
            for each in fields(kind)
            if each.init
        }
    )


def _one(hint: Any, text: str, marker: str) -> Any:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _one(str if str in inside else inside[0], text, marker)
    if origin is tuple:
        return (_one(inside[0], text, marker),)
    if origin is Mapping:
        return {_one(inside[0], text, marker): _one(inside[1], text, marker)}
    if is_dataclass(hint):
        return filled(hint, marker)  # type: ignore[arg-type]
    if issubclass(hint, Enum):
        return next(iter(hint))
    if hint is datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)
    return text if hint is str else hint(1)
