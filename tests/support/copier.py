"""A practice whose points are copied to a second repository: real restic, a real record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.backup.copy import CopyRequest, CopyResult, CopyTools, copy_points
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import RepositoryAbsent
from dr_orchestrator.maintenance.survey import decide
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.base import Repository
from dr_orchestrator.repositories.restic import ResticRepository
from tests.support.evidence import PRACTICE, SYSTEM, make_plan
from tests.support.keeper import THREE_DAYS, Keeper, new_keeper
from tests.support.quick_repository import make_quick, put_quick_repository
from tests.support.restic import PASSWORD, RawRestic

_ANOTHER = "another battery"
"""Repositories of one password have one id here."""


@dataclass(frozen=True)
class Copier:
    """One machine that saves to `onsite` and copies to `offsite`."""

    keeper: Keeper
    location: str
    """Of `offsite`."""
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """Where it lies on this disk."""
    password: str = PASSWORD

    @property
    def target(self) -> ResticRepository:
        return ResticRepository(
            "offsite",
            self.location,
            Secret(self.password),
            launcher=self.keeper.launcher,
            clock=SystemClock(),
            cache=self.keeper.folder / "cache",
            tmp=self.keeper.folder / "tmp",
            hostname=PRACTICE,
            extra_env=self.env,
            lock_wait=timedelta(0),
        )

    @property
    def raw(self) -> RawRestic:
        """Restic as a person runs it on `offsite`."""
        cache = self.keeper.folder / "raw-cache"
        return RawRestic(self.location, cache, self.password, env=self.env)

    def copy(self) -> CopyResult:
        """Copy what there is to copy, as one round does."""
        request = CopyRequest(plan=self.keeper.plan, system=SYSTEM, repository="offsite")
        return copy_points(request, self.tools)

    @property
    def tools(self) -> CopyTools:
        return CopyTools(
            store=self.keeper.store,
            clock=self.keeper.clock,
            open_source=lambda _plan, _name: self.keeper.repository(),
            open_target=self.open_target,
            keeps=lambda plan, record, name, now: decide(plan, record, name, now).kept,
            lock_wait=timedelta(0),
        )

    def open_target(self, _plan: Plan, _name: str, like: Repository) -> Repository:
        """Open `offsite`; make it like the source where there is none."""
        target = self.target
        try:
            target.identity()
        except RepositoryAbsent:
            identity = target.create(like=like)
            if self.folder is not None:
                make_quick(self.folder, self.password)
            seen = RepositorySeen(
                practice=PRACTICE,
                repository="offsite",
                restic_id=identity,
                at=self.keeper.clock.now(),
            )
            self.keeper.store.record(seen)
        return target

    def held(self) -> set[str]:
        """Return the ids of the points that are on record in `offsite`."""
        points = self.keeper.store.points(PRACTICE, repository="offsite")
        return {point.id for point in points}


def copying(keeper: Keeper, location: str, *, folder: Path | None = None, **env: str) -> Copier:
    """Let a machine copy to a repository that is not there yet."""
    return Copier(_with_copies(keeper), location, env, folder)


@contextmanager
def new_copier() -> Iterator[Copier]:
    """Make a machine that copies to an empty repository, and remove it with all it held."""
    with new_keeper() as keeper:
        folder = keeper.folder / "offsite"
        put_quick_repository(folder, _ANOTHER)
        yield Copier(_with_copies(keeper), str(folder), folder=folder, password=_ANOTHER)


def _with_copies(keeper: Keeper) -> Keeper:
    backup = {"schedule": "every 30m", "copy_to": ["offsite"]}
    return replace(keeper, plan=make_plan(retention=THREE_DAYS, backup=backup))
