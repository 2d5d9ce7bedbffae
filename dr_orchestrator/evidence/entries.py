"""What lines say, read back into the entries that they were written of: of those kinds that hold
all of their entry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from dr_orchestrator.core.record import Anchored, ReportDelivered, Restored
from dr_orchestrator.evidence.line import read_line

_Said = TypeVar("_Said", Anchored, ReportDelivered, Restored)

_READERS: Mapping[str, Callable[[Any], Any]] = {"at": datetime.fromisoformat, "assets": tuple}
_EMPTY: Mapping[str, object] = {"assets": ()}
"""Where nothing is something else than an empty text."""


def entries_in(lines: Iterable[str], noun: type[_Said]) -> Iterator[_Said]:
    """Yield what lines of the kind of `noun` say, as they come.

    Raises:
        ValueError: one is no line of evidence.
    """
    # what there was nothing to say of is left out of a line
    unsaid: dict[str, Any] = {each.name: _EMPTY.get(each.name, "") for each in fields(noun)}
    for text in lines:
        line = read_line(text)
        said = _read(line.about, unsaid.keys())
        yield noun(**{**unsaid, **said, "practice": line.practice})


def _read(about: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return facts as fields; what a newer version said beside them is passed over."""
    return {
        name: _READERS[name](value) if name in _READERS else value
        for name, value in about.items()
        if name in known
    }
