"""Only one installation forgets in a repository: whoever was first, or was told to take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.errors import NotTheOwner, RepositoryAbsent
from dr_orchestrator.maintenance.tools import held_repository
from dr_orchestrator.repositories.owner import owner_among, record_owner, site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.repositories.base import Repository, Snapshot


def make_sure_of_owner(
    request: RepositoryRequest,
    tools: MaintenanceTools,
    repository: Repository,
    listed: Sequence[Snapshot],
) -> None:
    """Make sure that this installation may forget; become the owner where there is none.

    Raises:
        NotTheOwner: another one may.
        RepositoryError: by its class.
    """
    owner = owner_among(listed)
    if owner is None:
        record_owner(
            repository,
            request.practice,
            tools.installation,
            scratch=tools.scratch,
            at=tools.clock.now(),
            why="the first to look after this repository",
        )
        # Another machine may have done the same at the same moment: the first of both counts.
        owner = owner_among(repository.snapshots({"practice": request.practice}))
    if owner is not None and owner.installation != tools.installation.id:
        site = site_of(repository, owner)
        since = instant_words(owner.since, request.plan.practice.timezone)
        raise NotTheOwner(
            f"points in {request.repository} are let go of by another installation"
            f"{f' ({site})' if site else ''}, since {since}",
            hint=f"`dro retention take {request.practice} --repository {request.repository}` takes "
            "over where that one is gone; else say `forget: never` and `prune: never` in this plan",
        )


def take_over(request: RepositoryRequest, tools: MaintenanceTools, why: str) -> None:
    """Make this installation the one that forgets in a repository. A person's decision.

    Raises:
        Busy: somebody works in it.
        RepositoryError: by its class.
    """
    with held_repository(request, tools, exclusive=True) as is_known:
        if not is_known:
            raise RepositoryAbsent(
                f"nothing was ever saved in {request.repository} by this machine",
                hint=f"`dro points rebuild {request.practice} --repository {request.repository}` "
                "records what it holds",
            )
        repository = tools.open_repository(request.plan, request.repository)
        record_owner(
            repository,
            request.practice,
            tools.installation,
            scratch=tools.scratch,
            at=tools.clock.now(),
            why=why,
            instead_of=repository.snapshots({"practice": request.practice}),
        )
