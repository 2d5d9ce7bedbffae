"""What was promised to a practice, field by field, and how it changed.

The plan is a file that anybody who looks after the practice may edit. So that nobody lowers a
promise in silence, each version of it is written down beside who changed what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

AT_HAND = "at hand"


class Direction(StrEnum):
    """Where a change of one field leads."""

    TIGHTENED = "tightened"
    """More is promised, or sooner."""
    LOOSENED = "loosened"
    """Less is promised, or it cannot be told that it is not less."""
    OTHER = "other"
    """Neither: another word for the same, another place."""


@dataclass(frozen=True, kw_only=True)
class PromiseChange:
    """One field of the promise that is not what it was."""

    field: str
    """As in the plan: `systems.emr.rto`, `systems.emr.verify[2]`."""
    before: str
    """In the plan's own words; empty where it was not there."""
    after: str
    """Likewise; empty where it is gone."""
    direction: Direction


@dataclass(frozen=True, kw_only=True)
class PromiseMade:
    """One version of the promise to a practice."""

    id: str
    """`AT_HAND`: it is in a plan at hand, and not on record yet."""
    practice: str
    at: datetime
    """When it was first seen."""
    by: str
    """Who changed the file, as far as anybody can tell."""
    known_by: str
    """How that is known: `git commit 1a2b3c4`, `owner of the file`."""
    plan_sha256: str
    sha256: str
    """Over `fields`: two plans that promise the same have the same."""
    fields: Mapping[str, str]
    changes: tuple[PromiseChange, ...]
    """Against the version before; none for the first."""

    @property
    def is_on_record(self) -> bool:
        """Whether it was written down."""
        return self.id != AT_HAND

    @property
    def loosened(self) -> tuple[PromiseChange, ...]:
        """The changes by which less is promised."""
        return tuple(each for each in self.changes if each.direction is Direction.LOOSENED)
