"""What a baseline of a database is made of, whatever the engine.

How closely each table is looked at in the time there is; the plan's own questions; and what is
certain about a state that lies between two looks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Generic, Protocol, TypeVar

from dr_orchestrator.assets.base import CaptureRequest
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.core.wording import some_names
from dr_orchestrator.errors import CouldNotVerify

SAMPLE_ROWS = 10_000
"""At the level `sampled`, so many rows from each end of the primary key are in the checksum."""

_NO_BUDGET = timedelta(seconds=0.05)
_SHARE = 0.5
"""Of the time that is left, for one attempt at one table: the rest is for those after it."""
_TELLING_SIZE = 16 * 1024 * 1024
"""Bytes of a table whose reading says something about the speed: less is overhead."""
_LEVELS = (Level.FULL, Level.SAMPLED, Level.COUNTS)
_USED_UP = "the time for the baseline was used up"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A baseline, and what there is to say about how it was taken."""

    baseline: DatabaseBaseline
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What the plan asks of this database at capture."""

    queries: tuple[str, ...] = ()
    newest: str | None = None
    zone: tzinfo = UTC
    """For times of `newest` that carry none; those of `queries` are read in UTC."""


@dataclass(frozen=True)
class Answers:
    """What the plan's questions came to."""

    queries: Mapping[str, Value]
    newest: datetime | None
    conditions: tuple[str, ...]
    """Those that had no answer, a sentence each."""


class Measurable(Protocol):
    """What is to be known of a table to look at it in time."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of its primary key, none where it has none."""
        ...


ConnectionT = TypeVar("ConnectionT")
TableT = TypeVar("TableT", bound=Measurable)
ErrorT = TypeVar("ErrorT", bound=Exception)


class PacedLooker(Generic[ConnectionT, TableT, ErrorT]):
    """Looks at table after table, as closely as the time allows."""

    errors: type[ErrorT]
    """What the engine's library raises."""

    def __init__(self, connection: ConnectionT, clock: Clock, budget: timedelta | None) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = None if budget is None else clock.monotonic() + budget.total_seconds()
        self._seconds_per_byte: dict[Level, float] = {}

    def look(self, table: TableT, wanted: Level) -> tuple[TableBaseline, str]:
        """Return what was found at the closest level that was possible, and why it is not closer.

        Raises the engine's own error where the connection is lost.
        """
        reason = ""
        for level in _LEVELS[_LEVELS.index(wanted) :]:
            if level is Level.SAMPLED and not table.key:
                continue
            limit = self._limit(level, table.size)
            if limit is not None and limit < _NO_BUDGET:
                reason = _USED_UP
                continue
            try:
                return self.at(table, level, limit), reason
            except self.errors as error:
                if self._took_too_long(error):
                    reason = _USED_UP
                    continue
                if self._is_lost(error):
                    raise
                reason = self._why_not(error)
                break
        return TableBaseline(rows=None, level=Level.NONE), reason

    def at(self, table: TableT, level: Level, limit: timedelta | None = None) -> TableBaseline:
        """Return what a look at exactly this level finds.

        Raises the engine's own error where the query fails, or takes longer than `limit`.
        """
        begun = self._clock.monotonic()
        found = self._look_at(table, level, limit)
        if table.size >= _TELLING_SIZE:
            seconds = self._clock.monotonic() - begun
            self._seconds_per_byte[level] = seconds / table.size
        return found

    def time_left(self) -> timedelta:
        """Return the time for one attempt at something."""
        return self._limit(Level.COUNTS, 0) or timedelta()

    def _limit(self, level: Level, size: int) -> timedelta | None:
        """Return the time for one attempt; nothing, where the speed so far says it is futile."""
        if self._deadline is None:
            return None
        left = (self._deadline - self._clock.monotonic()) * _SHARE
        if self._seconds_per_byte.get(level, 0.0) * size > left:
            return timedelta()
        return timedelta(seconds=max(0.0, left))

    @abstractmethod
    def _look_at(self, table: TableT, level: Level, limit: timedelta | None) -> TableBaseline: ...

    @abstractmethod
    def _is_lost(self, error: ErrorT) -> bool: ...

    @abstractmethod
    def _took_too_long(self, error: ErrorT) -> bool: ...

    @abstractmethod
    def _why_not(self, error: ErrorT) -> str: ...


def ask(questions: Questions, answered: Callable[[str, tzinfo], Value]) -> Answers:
    """Ask the plan's own queries; times that carry no zone are read in the zone given.

    A query that fails must not keep the data from being captured.
    """
    queries: dict[str, Value] = {}
    newest = None
    conditions = []
    asked: list[tuple[str, tzinfo | None]] = [
        (query, None) for query in dict.fromkeys(questions.queries)
    ]
    if questions.newest:
        asked.append((questions.newest, questions.zone))
    for query, zone in asked:
        try:
            value = answered(query, zone or UTC)
        except CouldNotVerify as error:
            conditions.append(f"a query of the plan had no answer at capture: {error.message}")
            continue
        if zone is None:
            queries[query] = value
        elif isinstance(value, datetime):
            newest = value
    return Answers(queries, newest, tuple(conditions))


def less_closely(tables: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a sentence for each reason why tables were looked at less closely than wanted."""
    for why, names in tables.items():
        yield f"{some_names(names)}: looked at less closely, {why}"


def questions_of(request: CaptureRequest) -> Questions:
    """Return what the plan asks of the database at capture."""
    return Questions(
        queries=request.queries, newest=request.newest, zone=request.newest_zone or UTC
    )


def bracket(
    before: DatabaseBaseline, after: DatabaseBaseline, changed: set[str]
) -> DatabaseBaseline:
    """Return what is certain about a state between two looks.

    A table that both looks found the same, and that nothing changed in between, is settled. Of the
    objects and answers those are kept that were the same.
    """
    tables = {
        name: _settle(before.tables.get(name), late, changed=name in changed)
        for name, late in after.tables.items()
    }
    return replace(
        after,
        tables=tables,
        objects=_in_both(before.objects, after.objects),
        sequences={
            name: value
            for name, value in before.sequences.items()
            if value <= after.sequences.get(name, value - 1)
        },
        queries={
            query: value
            for query, value in after.queries.items()
            if query in before.queries and before.queries[query] == value
        },
        newest=before.newest,
        seconds=round(before.seconds + after.seconds, 3),
    )


def _settle(early: TableBaseline | None, late: TableBaseline, *, changed: bool) -> TableBaseline:
    if early == late and not (changed and late.level is not Level.NONE):
        return late
    return TableBaseline(
        rows=early.rows if early else None,
        rows_after=late.rows,
        level=min(early.level, late.level, key=lambda one: one.depth) if early else late.level,
        settled=False,
    )


def _in_both(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in after.items() if before.get(name) == count}
