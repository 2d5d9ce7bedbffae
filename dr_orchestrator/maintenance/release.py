"""A person looked into what had frozen a repository, and retention goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import PointForgotten, RetentionReleased
from dr_orchestrator.maintenance.look import list_all, look
from dr_orchestrator.maintenance.tools import held_repository

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.maintenance.strangers import Stranger
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest

_GONE = "no longer whole in the repository when retention was released"


@dataclass(frozen=True, kw_only=True)
class Released:
    """What a person let stand."""

    given_up: tuple[RecoveryPoint, ...] = ()
    """What was to be kept, and is not whole there any more: the record no longer counts on it."""
    accepted: tuple[Stranger, ...] = ()
    """What we did not make: it is told no more."""


def release(request: RepositoryRequest, tools: MaintenanceTools, *, by: str, why: str) -> Released:
    """Let retention go on in a frozen repository, and return what that lets stand.

    Raises:
        Busy: somebody works in the repository.
        RepositoryError: by its class: what cannot be looked at is not released.
    """
    with held_repository(request, tools, exclusive=True) as is_known:
        released = _look(request, tools) if is_known else Released()
        at = tools.clock.now()
        practice, name = request.practice, request.repository
        tools.store.record(
            *(
                PointForgotten(practice=practice, repository=name, point=point.id, at=at, why=_GONE)
                for point in released.given_up
            ),
            RetentionReleased(
                practice=practice,
                repository=name,
                at=at,
                by=by,
                why=why,
                accepted=tuple(each.snapshot.id for each in released.accepted),
            ),
        )
        return released


def _look(request: RepositoryRequest, tools: MaintenanceTools) -> Released:
    listing = list_all(request, tools, tools.open_repository(request.plan, request.repository))
    gone = look(request, tools, listing).vanished
    # what is left of those is on no record either, once they are given up
    rest = look(request, tools, listing, given_up={point.id for point in gone})
    return Released(given_up=gone, accepted=rest.strangers)
