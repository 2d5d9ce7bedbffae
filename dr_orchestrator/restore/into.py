"""Restore one database of a recovery point into a new database on a server that people work with.

It passes through a sandbox: what restic writes lies there, and what reads it runs there. It is held
against its baseline before anybody is told that it is there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.repositories.manifests import find_manifest, read_sidecars
from dr_orchestrator.restore.bring_back import fetch
from dr_orchestrator.restore.hold import held
from dr_orchestrator.sandbox.live import open_live, require_loadable, require_not_protected
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.core.target import LiveTarget
    from dr_orchestrator.core.verification import Verification
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.repositories.manifests import FoundManifest
    from dr_orchestrator.restore.restore import RestoreTools
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.sandbox.live import LiveAddress
    from dr_orchestrator.servers.lab import OpenLive


@dataclass(frozen=True, kw_only=True)
class RestoreIntoDatabase:
    """What is to come back, from where, and into which new database."""

    plan: Plan
    point: RecoveryPoint
    repository: str
    asset: str
    """Empty where the point holds one database only."""
    address: LiveAddress
    password: Secret | None
    target: LiveTarget
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class IntoTools:
    """What it works with; made by `app.py`."""

    restore: RestoreTools
    sandboxes: SandboxDriver
    plans: Callable[[], tuple[Plan, ...]]
    """All plans of this machine."""
    jobs: int


@dataclass(frozen=True, kw_only=True)
class RestoredDatabase:
    """A database that came back, and is not opened to anybody yet."""

    asset: str
    conditions: tuple[str, ...]
    """What is not as in production, each a sentence."""
    verifications: tuple[Verification, ...]
    """How it compares with what it was at capture."""


def restore_into(request: RestoreIntoDatabase, tools: IntoTools) -> RestoredDatabase:
    """Load a database; where that fails there is none of it.

    Raises:
        UsageMistake: the point holds no such asset.
        TargetRefused: nothing may land there.
        SandboxUnavailable: this machine has none to load it from.
        LoadFailed, CouldNotVerify: it does not load.
        SandboxNotRemoved: it does not load, and what was loaded could not be dropped.
        Busy: retention has the point just now, or the repository is being pruned.
    """
    point, restore = request.point, tools.restore
    asset = request.asset or _only_database(point)
    with (
        held(point, request.repository, restore.store, wait=restore.lock_wait),
        run_in_ledger(
            restore.store,
            restore.clock,
            Operation.RESTORE,
            practice=point.practice,
            system=point.system,
            repository=request.repository,
        ) as run,
    ):
        repository = restore.open_repository(request.plan, request.repository)
        found = find_manifest(
            repository,
            point.practice,
            point.system,
            point.id,
            point.copy_in(request.repository),
            kept=restore.store.kept_manifest,
        )
        if asset not in found.manifest.assets:
            raise UsageMistake(
                f"the point holds no asset {asset}",
                hint=f"it holds: {', '.join(found.manifest.assets)}",
            )
        state = found.manifest.assets[asset]
        require_loadable(asset, state, request.address)
        plans = (*tools.plans(), request.plan)
        with open_live(request.address, request.password, request.target, state, plans) as live:
            restored = _load(request, tools, repository, found, asset, live=live, run=run.id)
        if any(each.result is Result.FAILED for each in restored.verifications):
            run.conclude(Outcome.PARTIAL, "what came back is not what was captured")
    return restored


def database_to_load(
    point: RecoveryPoint, asset: str, address: LiveAddress, plans: tuple[Plan, ...]
) -> str:
    """Return the asset that is meant, if nothing that can be seen before a person is asked to
    confirm it speaks against loading it there.

    Raises:
        UsageMistake: the point holds no such asset, or several databases.
        TargetRefused: nothing may land there.
    """
    wanted = asset or _only_database(point)
    if wanted not in point.assets:
        raise UsageMistake(
            f"the point holds no asset {wanted}", hint=f"it holds: {', '.join(point.assets)}"
        )
    require_not_protected(address, plans)
    return wanted


def _only_database(point: RecoveryPoint) -> str:
    databases = [name for name, asset in point.assets.items() if asset.kind.is_database]
    if len(databases) != 1:
        raise UsageMistake(
            "one database is restored into another at a time",
            hint=f"--asset is one of: {', '.join(databases)}"
            if databases
            else "the point holds none",
        )
    return databases[0]


def _load(
    request: RestoreIntoDatabase,
    tools: IntoTools,
    repository: Repository,
    found: FoundManifest,
    asset: str,
    *,
    live: OpenLive,
    run: str,
) -> RestoredDatabase:
    """Load it, compare it, and record that it is there."""
    restore, state = tools.restore, found.manifest.assets[asset]
    with tools.sandboxes.open(run, bytes_needed=state.bytes) as sandbox:
        wanted = RestoreRequest(
            asset_id=asset,
            state=state,
            place=sandbox,
            sidecars=read_sidecars(repository, found, asset),
            jobs=tools.jobs,
            live=live,
        )
        with restore.drivers[state.kind].restoration(wanted) as restoration:
            restoration.prepare()
            archive, _ = fetch(
                asset, state, repository, sandbox, restore.on_progress, paths=found.paths(asset)
            )
            restoration.load(archive)
            verifications = restoration.compare()
            restore.store.record(
                Restored(
                    practice=request.point.practice,
                    run=run,
                    at=restore.clock.now(),
                    system=request.point.system,
                    point=request.point.id,
                    repository=request.repository,
                    assets=(asset,),
                    place=f"{request.address.words}, from {os.uname().nodename}",
                    by=request.by,
                    why=request.why,
                )
            )
            return RestoredDatabase(
                asset=asset, conditions=restoration.conditions, verifications=verifications
            )
