"""When something was deleted or overwritten in a repository, and whether we did it.

What a responder needs to choose the time to which the repository is brought back. Reads only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import RepositoryError, StorageUnusable
from dr_orchestrator.maintenance.look import backups_of, known_here
from dr_orchestrator.maintenance.strangers import strangers, unrecorded
from dr_orchestrator.maintenance.undelete import opened_from, opens
from dr_orchestrator.repositories.object_history import CONFIG, FILES, Deed, deeds, histories

if TYPE_CHECKING:
    from dr_orchestrator.core.run import Run
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.maintenance.undelete import UndeleteTools
    from dr_orchestrator.repositories.object_history import ObjectHistory, Version
    from dr_orchestrator.repositories.s3_place import S3Place

_CLOCKS_DIFFER = timedelta(seconds=10)
"""Between the server and this machine. Who attacks just before or after a run of ours must not hide
behind it."""
_MOST_RUNS = 5000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_REMOVES = {
    Operation.FORGET: frozenset({"snapshots"}),
    Operation.PRUNE: frozenset({"data", "index"}),
}
"""The folders restic removes from for it; an undelete may set aside, or write over, any file."""


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
    strange: tuple[tuple[datetime, str], ...]
    """Snapshots that are here and that we did not make, oldest first: when it was added, and its
    id, which somebody else may have written."""
    is_told_apart: bool
    """Whether restic could say what is not on record: else some of `strange` may be ours."""


@dataclass
class _Counting:
    counts: Counter[Deed] = field(default_factory=Counter)
    by_us: int = 0


def disturbances(request: RepositoryRequest, tools: UndeleteTools) -> Disturbances:
    """Return when files of a repository in a bucket were deleted or overwritten.

    Raises:
        StorageUnusable: the bucket cannot be read.
        UsageMistake: it is in no bucket.
    """
    runs = _runs(request, tools.maintenance)

    @cache  # a second often sees hundreds of them
    def is_ours(folder: str, deed: Deed, at: datetime) -> bool:
        return any(explains(run, folder, deed, at) for run in runs)

    hours: dict[datetime, _Counting] = {}
    first: datetime | None = None
    opening: dict[str, Version] = {}
    there: dict[str, Version] = {}
    place = tools.maintenance.open_place(request.plan, request.repository)
    for history in histories(place, FILES):
        folder, _, name = history.path.partition("/")
        if opens(history.path):
            opening[history.path] = _oldest(history)
        elif folder == "snapshots" and history.versions[0].is_content:
            there[name] = _oldest(history)
        for at, deed in deeds(history):
            hour = hours.setdefault(at.replace(minute=0, second=0, microsecond=0), _Counting())
            hour.counts[deed] += 1
            if is_ours(folder, deed, at):
                hour.by_us += 1
            elif first is None or at < first:
                first = at
    ours, is_told_apart = _ours(request, tools, place, opening, there)
    return Disturbances(
        hours=tuple(
            Hour(start=start, counts=hour.counts, by_us=hour.by_us)
            for start, hour in sorted(hours.items())
        ),
        first=first,
        strange=tuple(sorted((there[name].at, name) for name in there.keys() - ours)),
        is_told_apart=is_told_apart,
    )


def explains(run: Run, folder: str, deed: Deed, at: datetime) -> bool:
    """Return whether a run of ours did this to a file of that folder. Pure.

    One that failed, or was cut short, explains nothing: whether it came to remove anything is not
    on record, and an attack may be why it failed.
    """
    if run.outcome not in {Outcome.DONE, Outcome.PARTIAL} or run.finished_at is None:
        return False
    if not run.started_at - _CLOCKS_DIFFER <= at <= run.finished_at + _CLOCKS_DIFFER:
        return False
    if run.operation is Operation.UNDELETE:
        return deed is Deed.OVERWRITTEN or folder != CONFIG
    return deed is Deed.DELETED and folder in _REMOVES.get(run.operation, ())


def _ours(
    request: RepositoryRequest,
    tools: UndeleteTools,
    place: S3Place,
    opening: Mapping[str, Version],
    there: Mapping[str, Version],
) -> tuple[frozenset[str], bool]:
    """Return which of the snapshots that are there are ours, and whether restic could be asked of
    those that are on no record: as they were at first, since the repository may not open now.
    """
    recorded = _recorded(request, tools.maintenance)
    if there.keys() <= recorded:
        return recorded, True
    files = {**opening, **{f"snapshots/{name}": version for name, version in there.items()}}
    try:
        with opened_from(request, tools, place, files) as repository:
            listed = repository.snapshots({})
    except (RepositoryError, StorageUnusable):
        return recorded, False
    record = tools.maintenance.store.practice_record(request.practice)
    known = replace(known_here(request, tools.maintenance, record), here=recorded)
    runs = backups_of(tools.maintenance, unrecorded(listed, known))
    accepted = record.accepted.get(request.repository, frozenset())
    strange = {each.snapshot.id for each in strangers(listed, known, runs, accepted)}
    return recorded | ({each.id for each in listed} - strange), True


def _oldest(history: ObjectHistory) -> Version:
    """Return what was there at first: nothing of restic's is ever written over."""
    return next(
        (each for each in reversed(history.versions) if each.is_content), history.versions[-1]
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
        for snapshot in copy.all_snapshots
    )


def _runs(request: RepositoryRequest, tools: MaintenanceTools) -> list[Run]:
    """Return the runs of ours that ended here, and may have removed something."""
    history = tools.store.runs(
        (request.practice,),
        "",
        since=_BEGINNING,
        outcomes=(Outcome.DONE, Outcome.PARTIAL),
        limit=_MOST_RUNS,
    )
    return [
        run
        for run in history.closed
        if run.repository == request.repository
        and (run.operation is Operation.UNDELETE or run.operation in _REMOVES)
    ]
