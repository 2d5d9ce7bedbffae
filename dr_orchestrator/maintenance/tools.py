"""What looking after a repository works with, and how each of its operations begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.repositories.owner import Installation
from dr_orchestrator.store.base import reading_key, repository_key
from dr_orchestrator.store.ledger import OpenRun, run_in_ledger

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.repositories.s3_place import S3Place
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class RepositoryRequest:
    """Which repository of which practice is looked after."""

    plan: Plan
    repository: str
    """The plan's name of it."""
    serves: Serves | None = None

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.plan.practice.id


@dataclass(frozen=True, kw_only=True)
class MaintenanceTools:
    """What looking after a repository works with; made by `app.py`."""

    store: Store
    clock: Clock
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan that is there, by the way of who may remove from it; makes
    none."""
    open_as_backup: Callable[[Plan, str], Repository]
    """The same, by the way and with the credential of a backup."""
    open_place: Callable[[Plan, str], S3Place]
    """Where a repository lies in S3, with the credential of who may remove from it."""
    open_place_as_backup: Callable[[Plan, str], S3Place]
    """The same, with the credential of a backup."""
    installation: Installation
    scratch: Path
    """A private folder of ours."""
    lock_wait: timedelta
    """How long to wait for whoever else works in the repository."""


@contextmanager
def run_on_repository(
    request: RepositoryRequest,
    tools: MaintenanceTools,
    operation: Operation,
    *,
    exclusive: bool,
    unread: bool = False,
    as_backup: bool = False,
) -> Iterator[tuple[OpenRun, Repository | None]]:
    """Open the run of an operation and the repository, held for it alone or shared with others.
    With `unread` nobody restores from it meanwhile; with `as_backup` it is opened the way that a
    backup does.

    There is no repository where nothing was ever saved. One that is busy leaves no run behind:
    nothing was attempted.

    Raises:
        Busy: somebody else works in it.
        UsageMistake: it is only read, and the operation may change it.
        RepositoryError: by its class.
    """
    if operation is not Operation.CHECK:
        require_ours(request)
    with (
        held_repository(request, tools, exclusive=exclusive, unread=unread) as is_known,
        run_in_ledger(
            tools.store,
            tools.clock,
            operation,
            practice=request.practice,
            system="",
            repository=request.repository,
            serves=request.serves,
        ) as run,
    ):
        open_it = tools.open_as_backup if as_backup else tools.open_repository
        yield run, open_it(request.plan, request.repository) if is_known else None


def require_ours(request: RepositoryRequest) -> None:
    """Make sure that we save to a repository.

    Raises:
        UsageMistake: all that the plan wants of it is another tool's.
    """
    if request.plan.only_reads(request.repository):
        raise UsageMistake(
            f"{request.repository} is only read: another tool saves there what the plan tests",
            hint="it is looked after by whoever saves there",
        )


@contextmanager
def held_repository(
    request: RepositoryRequest, tools: MaintenanceTools, *, exclusive: bool, unread: bool = False
) -> Iterator[bool]:
    """Hold a repository for a block; tell whether there is one. See `Locks.hold`."""
    restic_id = tools.store.repository_id(request.practice, request.repository)
    if restic_id is None:
        yield False
        return
    with tools.store.locks.hold(
        {repository_key(restic_id), *([reading_key(restic_id)] if unread else [])},
        exclusive=exclusive,
        wait=tools.lock_wait,
        what=f"the repository {request.repository}",
    ):
        yield True
