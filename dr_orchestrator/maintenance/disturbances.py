"""When something was deleted or overwritten in a repository, and whether we did it.

What a responder needs to choose the time to which the repository is brought back. Reads only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation
from dr_orchestrator.repositories.object_history import FILES, Deed, deeds, histories

if TYPE_CHECKING:
    from dr_orchestrator.core.run import Run
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest

_CLOCKS_DIFFER = timedelta(minutes=5)
"""Between the server and this machine."""
_MOST_RUNS = 5000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_REMOVING = frozenset({Operation.FORGET, Operation.PRUNE, Operation.UNDELETE})


@dataclass(frozen=True, kw_only=True)
class Hour:
    """What was done to a repository in one hour."""

    start: datetime
    counts: Mapping[Deed, int]
    """Files."""
    by_us: int
    """How many of those while we forgot, pruned or brought back."""


@dataclass(frozen=True, kw_only=True)
class Disturbances:
    """Everything that was deleted or overwritten, as far back as the bucket keeps versions."""

    hours: tuple[Hour, ...]
    """Oldest first."""
    first: datetime | None
    """The first of it that we have no part in: bring the repository back to just before this."""
    unrecorded: tuple[datetime, ...]
    """When snapshots were added that are here, and that this memory did not see being made, oldest
    first. Some may be ours: of a backup that failed, or the note on who forgets here."""


@dataclass
class _Counting:
    counts: Counter[Deed] = field(default_factory=Counter)
    by_us: int = 0


def disturbances(request: RepositoryRequest, tools: MaintenanceTools) -> Disturbances:
    """Return when files of a repository in a bucket were deleted or overwritten.

    Raises:
        StorageUnusable: the bucket cannot be read.
        UsageMistake: it is in no bucket.
    """
    runs = _runs(request, tools)

    @cache  # a second often sees hundreds of them
    def is_ours(at: datetime) -> bool:
        return any(_within(at, run) for run in runs)

    recorded = _recorded(request, tools)
    unrecorded: list[datetime] = []
    hours: dict[datetime, _Counting] = {}
    first: datetime | None = None
    place = tools.open_place(request.plan, request.repository)
    for history in histories(place, FILES):
        folder, _, name = history.path.partition("/")
        if folder == "snapshots" and history.versions[0].is_content and name not in recorded:
            unrecorded.append(history.versions[-1].at)
        for at, deed in deeds(history):
            hour = hours.setdefault(at.replace(minute=0, second=0, microsecond=0), _Counting())
            hour.counts[deed] += 1
            if is_ours(at):
                hour.by_us += 1
            elif first is None or at < first:
                first = at
    return Disturbances(
        hours=tuple(
            Hour(start=start, counts=hour.counts, by_us=hour.by_us)
            for start, hour in sorted(hours.items())
        ),
        first=first,
        unrecorded=tuple(sorted(unrecorded)),
    )


def _recorded(request: RepositoryRequest, tools: MaintenanceTools) -> frozenset[str]:
    """Return the ids of the snapshots here that we saw being made, of all practices that save here:
    what was read back from a repository is what it says itself.
    """
    restic_id = tools.store.repository_id(request.practice, request.repository)
    names = frozenset(tools.store.names_of_repository(restic_id) if restic_id else ())
    return frozenset(
        snapshot
        for practice in {practice for practice, _ in names}
        for point in tools.store.points(practice)
        for copy in point.copies
        if (practice, copy.repository) in names and not copy.read_back
        for snapshot in (copy.manifest_snapshot, *copy.snapshots.values())
    )


def _runs(request: RepositoryRequest, tools: MaintenanceTools) -> list[Run]:
    """Return the runs of ours that remove something here."""
    history = tools.store.runs((request.practice,), "", since=_BEGINNING, limit=_MOST_RUNS)
    return [
        run
        for run in (*history.open, *history.closed)
        if run.operation in _REMOVING and run.repository == request.repository
    ]


def _within(at: datetime, run: Run) -> bool:
    ended = run.finished_at
    return run.started_at - _CLOCKS_DIFFER <= at and (ended is None or at <= ended + _CLOCKS_DIFFER)
