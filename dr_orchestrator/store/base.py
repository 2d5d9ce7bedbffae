"""What every store promises. Free of any database, so that those who only ask import little.

There is one way in, `record`, and its entries are frozen nouns of `core`. Nobody else writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import Entry, PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Run


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
