"""Look at what a repository lists, and hold it against the record. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.core.record import PointForgotten, RetentionFrozen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.maintenance.holdings import Listing
from dr_orchestrator.maintenance.strangers import Known, known_in, unrecorded
from dr_orchestrator.maintenance.survey import Survey, survey
from dr_orchestrator.repositories.owner import Owner, owner_among, site_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.run import Run
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.repositories.base import Repository

_GONE = "whoever saved it let go of it"
_REMEMBERED = timedelta(days=90)
_MOST_RUNS = 5000


@dataclass(frozen=True, kw_only=True)
class Insight:
    """All there is to know of retention in one repository."""

    survey: Survey
    frozen: RetentionFrozen | None
    owner: Owner | None
    is_ours: bool
    """Whether this installation is the owner, or would be the first."""
    site: str
    """What people call the owner's machine; empty where that is not known, or is this one."""


def look_into(request: RepositoryRequest, tools: MaintenanceTools) -> Insight:
    """Return what is kept in a repository and why, what would go, and who lets it go. Read only.

    Raises:
        RepositoryError: by its class.
    """
    repository = tools.open_repository(request.plan, request.repository)
    listing = list_all(request, tools, repository)
    owner = owner_among(listing.of_practice(request.practice))
    is_ours = owner is None or owner.installation == tools.installation.id
    return Insight(
        survey=look(request, tools, listing),
        frozen=tools.store.practice_record(request.practice).frozen.get(request.repository),
        owner=owner,
        is_ours=is_ours,
        site=site_of(repository, owner) if owner and not is_ours else "",
    )


def list_all(
    request: RepositoryRequest, tools: MaintenanceTools, repository: Repository
) -> Listing:
    """Return all that a repository lists: what an attacker saves carries no tag of ours.

    Raises:
        RepositoryError: by its class.
    """
    recorded = tools.store.points(request.practice, repository=request.repository)
    return Listing(
        snapshots=repository.snapshots({}), recorded=frozenset(point.id for point in recorded)
    )


def look(
    request: RepositoryRequest,
    tools: MaintenanceTools,
    listing: Listing,
    given_up: Collection[str] = (),
) -> Survey:
    """Return what is to become of the snapshots of a practice that its repository lists, and which
    are not ours. Points that are `given_up` are looked at as if they were not on record there.
    """
    record = tools.store.practice_record(request.practice)
    if given_up:
        record = replace(record, points=_without(record.points, given_up, request.repository))
    known = known_here(request, tools, record)
    now = tools.clock.now()
    return survey(
        request.plan,
        record,
        request.repository,
        now,
        listing=listing,
        known=known,
        runs=backups_of(tools, unrecorded(listing.snapshots, known)),
        last_forget=_last_forget(request, tools, now),
    )


def note_gone(request: RepositoryRequest, tools: MaintenanceTools, surveyed: Survey) -> None:
    """Record what another tool saved before us, and let go of: that it may."""
    at = tools.clock.now()
    tools.store.record(
        *(
            PointForgotten(
                practice=request.practice,
                point=point.id,
                repository=request.repository,
                at=at,
                why=_GONE,
            )
            for point in surveyed.gone
        )
    )


def frozen_because(request: RepositoryRequest, tools: MaintenanceTools, surveyed: Survey) -> str:
    """Return why nothing may be forgotten now, and record it where that is new; empty where
    everything may go its way.
    """
    if surveyed.doubts:
        tools.store.record(
            RetentionFrozen(
                practice=request.practice,
                repository=request.repository,
                at=tools.clock.now(),
                why="; ".join(surveyed.doubts),
            )
        )
    frozen = tools.store.practice_record(request.practice).frozen.get(request.repository)
    return frozen.why if frozen else ""


def known_here(
    request: RepositoryRequest, tools: MaintenanceTools, record: PracticeRecord
) -> Known:
    """Return what is on record of the repository: of all practices of this memory, since several
    may share one.
    """
    restic_id = tools.store.repository_id(request.practice, request.repository)
    names = set(tools.store.names_of_repository(restic_id)) if restic_id else set()
    names.add((request.practice, request.repository))
    others = {practice for practice, _ in names} - {request.practice}
    points = [point for practice in sorted(others) for point in tools.store.points(practice)]
    shared = any(
        system.is_existing and request.repository in system.backup.to
        for system in request.plan.protected.values()
    )
    return known_in(names, (*record.points, *points), shared=shared)


def backups_of(tools: MaintenanceTools, points: Collection[str]) -> dict[str, Run]:
    """Return the backups of ours that would have made these points, by id."""
    found = (run for point in points for run in tools.store.find_runs(point, limit=1))
    return {run.id: run for run in found if run.id in points and run.operation is Operation.BACKUP}


def _without(
    points: Iterable[RecoveryPoint], given_up: Collection[str], repository: str
) -> tuple[RecoveryPoint, ...]:
    return tuple(
        replace(point, copies=tuple(c for c in point.copies if c.repository != repository))
        if point.id in given_up
        else point
        for point in points
    )


def _last_forget(
    request: RepositoryRequest, tools: MaintenanceTools, now: datetime
) -> datetime | None:
    """Return when points were last let go of in this repository, as far as is looked back.

    A run that a wrong clock dated ahead of `now` says nothing: all that was saved since would count
    as there already when it ran.
    """
    history = tools.store.runs(
        (request.practice,),
        "",
        since=now - _REMEMBERED,
        outcomes=(Outcome.DONE, Outcome.PARTIAL),
        limit=_MOST_RUNS,
    )
    return next(
        (
            run.finished_at
            for run in history.closed
            if run.operation is Operation.FORGET
            and run.repository == request.repository
            and run.finished_at is not None
            and run.finished_at <= now + CLOCK_TOLERANCE
        ),
        None,
    )
