"""Versions of a promise in which a repository is retired, under the name of the one that stands
for it. Pure.

To save to another repository of the same kind, with another key, promises no less. Where the other
one is of a weaker kind, or was saved to before, so that one copy less is left, nothing is renamed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.promised_field import direction
from dr_orchestrator.core.promise import Direction

if TYPE_CHECKING:
    from dr_orchestrator.core.promise import PromiseMade
    from dr_orchestrator.core.record import RepositoryRetired

_Fields = Mapping[str, str]
_NAMED = re.compile(r"(repositories\.|systems\.[^.]+\.restore_tests\[)([^]. ]+)(.*)", re.DOTALL)
_SAVED_TO = re.compile(r"(systems\.[^.]+\.backup\.)(?:to|copy_to)")


def under_successors(
    versions: tuple[PromiseMade, ...], retired: Mapping[str, RepositoryRetired]
) -> tuple[PromiseMade, ...]:
    """Return the versions, the earlier ones with the repositories that the newest one saves to.

    Renamed is what was retired, is not saved to any more, and kept no more than its successor does.
    """
    *earlier, newest = versions
    names = {
        old: new
        for old in retired
        if _stands_in(old, new := _successor(old, retired), versions[0].fields, newest.fields)
    }
    if not names:
        return versions
    return (*(replace(each, fields=_renamed(each.fields, names)) for each in earlier), newest)


def _successor(name: str, retired: Mapping[str, RepositoryRetired]) -> str:
    while name in retired:
        name = retired[name].replaced_by
    return name


def _stands_in(old: str, new: str, accepted: _Fields, newest: _Fields) -> bool:
    if f"repositories.{old}" not in accepted:
        return False
    if any(old in _names(value) for field, value in newest.items() if _SAVED_TO.fullmatch(field)):
        return False
    return not any(
        _is_less(_under(field, {old: new}), value, newest)
        for field, value in accepted.items()
        if field.startswith("repositories.") and _under(field, {old: new}) != field
    )


def _is_less(field: str, before: str, newest: _Fields) -> bool:
    now = newest.get(field, "")
    return before != now and direction(field, before, now) is Direction.LOOSENED


def _renamed(fields: _Fields, names: Mapping[str, str]) -> dict[str, str]:
    """Return the fields under the new names; what the new one has of its own stays."""
    renamed = dict[str, str]()
    for field, value in fields.items():
        under = _under(field, names)
        if saved_to := _SAVED_TO.fullmatch(field):
            known = _names(fields.get(f"{saved_to[1]}to", ""))
            known |= _names(fields.get(f"{saved_to[1]}copy_to", ""))
            renamed[field] = ", ".join(sorted(_saved_to(_names(value), names, known)))
        elif under == field or under not in fields:
            renamed[under] = value
        elif not field.startswith("repositories."):
            renamed[field] = value
    return renamed


def _saved_to(
    saved_to: frozenset[str], names: Mapping[str, str], known: frozenset[str]
) -> Iterator[str]:
    """Yield where it is saved to: one that stands for two, or for itself too, is one copy less."""
    new = Counter(names.get(each, each) for each in saved_to)
    for each in saved_to:
        now = names.get(each, each)
        yield each if now in known or new[now] > 1 else now


def _under(field: str, names: Mapping[str, str]) -> str:
    named = _NAMED.fullmatch(field)
    if named is None or named[2] not in names:
        return field
    return f"{named[1]}{names[named[2]]}{named[3]}"


def _names(value: str) -> frozenset[str]:
    return frozenset(value.split(", "))
