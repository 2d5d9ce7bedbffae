"""A person looked into what had frozen a repository, and retention goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.record import PointForgotten, RetentionReleased
from dr_orchestrator.maintenance.look import look
from dr_orchestrator.maintenance.tools import held_repository

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest

_GONE = "no longer whole in the repository when retention was released"


def release(
    request: RepositoryRequest, tools: MaintenanceTools, *, by: str, why: str
) -> tuple[RecoveryPoint, ...]:
    """Let retention go on in a frozen repository, and return the points that are given up.

    Those are the ones that were to be kept and are not whole there any more: the record no longer
    counts on them.

    Raises:
        Busy: somebody works in the repository.
        RepositoryError: by its class: what cannot be looked at is not released.
    """
    with held_repository(request, tools, exclusive=True) as is_known:
        given_up: tuple[RecoveryPoint, ...] = ()
        if is_known:
            repository = tools.open_repository(request.plan, request.repository)
            listed = repository.snapshots({"practice": request.practice})
            given_up = look(request, tools, listed).vanished
        at = tools.clock.now()
        key = {"practice": request.practice, "repository": request.repository}
        tools.store.record(
            *(PointForgotten(point=point.id, at=at, why=_GONE, **key) for point in given_up),
            RetentionReleased(at=at, by=by, why=why, **key),
        )
        return given_up
