"""Free the space of what was forgotten in one repository.

What was forgotten can be brought back until then, so nothing is pruned while something is
suspicious: after somebody else's `forget` a prune would destroy the last of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.maintenance.forget import NOTHING_SAVED
from dr_orchestrator.maintenance.look import frozen_because, list_all, look
from dr_orchestrator.maintenance.ownership import make_sure_of_owner
from dr_orchestrator.maintenance.tools import run_on_repository

if TYPE_CHECKING:
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest

_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """What came of it."""

    outcome: Outcome = Outcome.DONE
    """`unproven` where nothing is pruned until a person has looked."""
    reason: str = ""


def prune(request: RepositoryRequest, tools: MaintenanceTools) -> PruneResult:
    """Free the space of what no snapshot needs any more; nobody else writes there meanwhile, or
    restores from there: restic moves what is still needed.

    Raises:
        Busy: somebody else works in the repository.
        NotTheOwner: another installation forgets there.
        RepositoryError: by its class.
    """
    with run_on_repository(request, tools, Operation.PRUNE, exclusive=True, unread=True) as (
        run,
        repository,
    ):
        if repository is None:
            run.conclude(Outcome.DONE, NOTHING_SAVED)
            return PruneResult()
        listing = list_all(request, tools, repository)
        make_sure_of_owner(request, tools, repository, listing.of_practice(request.practice))
        if why := frozen_because(request, tools, look(request, tools, listing)):
            reason = f"nothing is pruned until it is released: {why}"
            run.conclude(Outcome.UNPROVEN, reason)
            return PruneResult(outcome=Outcome.UNPROVEN, reason=reason)
        repository.prune(timeout=_TIMEOUT)
        return PruneResult()
