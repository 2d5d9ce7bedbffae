"""What every store promises. Free of any database, so that those who only ask import little.

There is one way in, `record`, and its entries are frozen nouns of `core`. Nobody else writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import Entry, PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Outcome, Run


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """One entry as it was written down. Lines are never changed and never removed."""

    seq: int
    """Grows from line to line; a number may be left out, none is used twice."""
    at: datetime
    """When it was written."""
    kind: str
    practice: str
    payload: str
    """The entry as canonical JSON; `codec.decode_entry` reads it back."""


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """What was attempted within a stretch of time, and what still is."""

    open: tuple[Run, ...]
    """The runs that were never closed, whenever they began, newest first."""
    closed: tuple[Run, ...]
    """The newest of those that began within that time, newest first."""
    ended: Mapping[Outcome, int]
    """How all the closed runs of that time ended, and how many each; none is left out."""


class Store(Protocol):
    """The orchestrator's memory of what was done and what came of it.

    Every method may raise `StoreUnusable` where the memory cannot be read or written, and
    `SpaceExhausted` where the disk it lies on is full. Safe to use from several threads and from
    several processes at once.
    """

    def record(self, *entries: Entry) -> None:
        """Write the entries down, all of them or none, in the order given.

        When it returns they are on disk. An entry that changes nothing (a run closed twice, a copy
        that is known, a repository seen again) leaves no line in the journal.

        Raises:
            RepositoryChanged: another repository is known under this name.
            ValueError: an entry contradicts what is recorded: a run opened twice, closed without
                having been opened, or for an occurrence that has its run; a test under an id that
                another result has; a time without a zone.
        """
        ...

    def practice_record(self, practice: str) -> PracticeRecord:
        """Return all that is known of a practice, as of one instant; empty where nothing is."""
        ...

    def points(
        self, practice: str, system: str | None = None, *, repository: str | None = None
    ) -> tuple[RecoveryPoint, ...]:
        """Return recovery points by `as_of`, oldest first.

        With `repository` only those it holds; each still names all its copies.
        """
        ...

    def find_point(self, practice: str, id_or_prefix: str) -> RecoveryPoint:
        """Return the one point whose id is, or begins with, `id_or_prefix`.

        Raises:
            PointNotFound: there is none, or more than one.
        """
        ...

    def tests(
        self, practice: str, system: str | None = None, *, repository: str | None = None
    ) -> tuple[RestoreTest, ...]:
        """Return restore tests by `started_at`, oldest first."""
        ...

    def open_runs(self, practice: str | None = None) -> tuple[Run, ...]:
        """Return the runs that were never closed, oldest first: running, or killed."""
        ...

    def runs(
        self,
        practices: Collection[str] | None = None,
        system: str | None = None,
        *,
        since: datetime,
        until: datetime | None = None,
        outcomes: Collection[Outcome] | None = None,
        limit: int,
    ) -> RunHistory:
        """Return what was attempted by these practices; by all where `None` is given.

        `closed` are at most `limit` runs that began at `since` or later, but before `until`, and
        ended as one of `outcomes`. Neither of the last two narrows `ended`.
        """
        ...

    def find_runs(self, id_or_prefix: str, *, limit: int) -> tuple[Run, ...]:
        """Return the run of this id; else at most `limit` whose id begins so, newest first."""
        ...

    def tests_by(self, run: Run) -> tuple[RestoreTest, ...]:
        """Return the restore test that `run` made, then those that followed it up, oldest first."""
        ...

    def repository_id(self, practice: str, name: str) -> str | None:
        """Return restic's own id of the repository the plan calls `name`.

        `None` before its first `RepositorySeen`.
        """
        ...

    def journal(self, practice: str | None = None) -> tuple[JournalLine, ...]:
        """Return the journal in the order it was written."""
        ...

    def close(self) -> None:
        """Give back what is held open. The store is not used after this."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
