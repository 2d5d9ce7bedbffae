"""Restore a recovery point to a new directory, ready for a person to put into service.

Never over anything that exists: the target type is a directory that this very restore created. What
cannot be completed is not left looking complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import DroError, PointNotFound, UsageMistake
from dr_orchestrator.repositories.manifests import find_manifest, read_sidecars
from dr_orchestrator.repositories.restored import locate
from dr_orchestrator.restore.bring_back import RESTORE_TIMEOUT
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.single_files import SingleFiles
from dr_orchestrator.restore.unfinished import unfinished
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.target import NewDirectoryTarget
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Progress, Repository
    from dr_orchestrator.repositories.manifests import FoundManifest
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class RestoreTools:
    """What a restore works with; made by `app.py`."""

    store: Store
    clock: Clock
    drivers: Mapping[AssetKind, AssetDriver]
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan for reading; never creates one."""
    lock_wait: timedelta
    """How long to wait where retention looks at the very point."""
    notes: Path
    """Where it is noted what is not finished, for the next start to remove."""
    on_progress: Callable[[str, Progress], None] = field(default=lambda _asset, _progress: None)


@dataclass(frozen=True, kw_only=True)
class RestoreToDirectory:
    """What is to come back, from where, and where to."""

    plan: Plan
    point: RecoveryPoint
    repository: str
    assets: tuple[str, ...]
    """All of the point's where empty."""
    target: NewDirectoryTarget
    by: str = ""
    """Who has it restored."""
    why: str = ""
    """What they said; empty where they were not asked."""
    files: tuple[str, ...] = ()
    """Of trees only these files and folders: relative to the asset's folder, or as they once were.
    All there is where empty."""


@dataclass(frozen=True, kw_only=True)
class RestoredAsset:
    """One asset that came back."""

    asset: str
    place: Path
    next_steps: tuple[str, ...]
    """What a responder does now, a line each: the exact load or start command."""
    files: int | None = None
    """How many came back, where not all of it was wanted."""


@dataclass(frozen=True, kw_only=True)
class RestoreResult:
    """What a restore brought back, and what it could not."""

    point: RecoveryPoint
    repository: str
    restored: tuple[RestoredAsset, ...]
    failures: Mapping[str, DroError]
    """By asset."""
    missing: tuple[str, ...] = ()
    """Of the files that were asked for those that the point does not hold. For the person who asked
    and nobody else: these are names of patients."""


def restore_point(request: RestoreToDirectory, tools: RestoreTools) -> RestoreResult:
    """Restore the assets that are asked for; one that cannot be does not stop another.

    Where all are wanted, one that the system or the point has and this copy lacks is a failure:
    half a system must not look like all of it.

    The point is held meanwhile, so that retention does not take it away.

    Raises:
        Busy: retention has the point just now, or the repository is being pruned.
        UsageMistake: the point holds no such asset.
        DroError: the repository or the manifest cannot be read.
    """
    point = request.point
    with (
        held(point, request.repository, tools.store, wait=tools.lock_wait),
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.RESTORE,
            practice=point.practice,
            system=point.system,
            repository=request.repository,
        ) as run,
    ):
        repository = tools.open_repository(request.plan, request.repository)
        found = find_manifest(
            repository,
            point.practice,
            point.system,
            point.id,
            point.copy_in(request.repository),
            kept=tools.store.kept_manifest,
        )
        restored: list[RestoredAsset] = []
        missing = set(request.files)
        failures = {} if request.assets or request.files else _lacking(found, request)
        for asset in _chosen(found, request):
            try:
                single = _single_files(asset, found, repository, request.files)
                if single is not None:
                    missing -= single.found
                if single is None or single.found:
                    came = _restore_asset(
                        asset, found, repository, request.target, tools, run=run.id, single=single
                    )
                    restored.append(came)
            except DroError as error:
                failures[asset] = error
        if restored:
            tools.store.record(_as_recorded(request, run.id, restored, tools.clock.now()))
        if failures or missing:
            reasons = [f"{asset}: {error.message}" for asset, error in failures.items()]
            if missing:
                paths = count_words(len(request.files), "path")
                reasons.append(f"{len(missing)} of {paths} not in the recovery point")
            run.conclude(Outcome.PARTIAL if restored else Outcome.FAILED, "; ".join(reasons))
    return RestoreResult(
        point=point,
        repository=request.repository,
        restored=tuple(restored),
        failures=failures,
        missing=tuple(each for each in request.files if each in missing),
    )


def _as_recorded(
    request: RestoreToDirectory, run: str, restored: Sequence[RestoredAsset], now: datetime
) -> Restored:
    point = request.point
    files = sum(each.files or 0 for each in restored)
    return Restored(
        practice=point.practice,
        run=run,
        at=now,
        system=point.system,
        point=point.id,
        repository=request.repository,
        assets=tuple(each.asset for each in restored),
        place=f"{request.target.path} on {os.uname().nodename}"
        + (f", {count_words(files, 'single file')}" if request.files else ""),
        by=request.by,
        why=request.why,
    )


def _chosen(found: FoundManifest, request: RestoreToDirectory) -> tuple[str, ...]:
    held = tuple(found.manifest.assets)
    unknown = [asset for asset in request.assets if asset not in held]
    if unknown:
        raise UsageMistake(
            f"the point holds no asset {unknown[0]}", hint=f"it holds: {', '.join(held)}"
        )
    chosen = tuple(dict.fromkeys(request.assets)) or held
    if not request.files:
        return chosen
    trees = tuple(each for each in chosen if not found.manifest.assets[each].kind.is_database)
    if not trees:
        raise UsageMistake(
            f"no single file can come back of {some_names(chosen)}: only of files and shares",
            hint="without paths all of it comes back",
        )
    return trees


def _single_files(
    asset: str, found: FoundManifest, repository: Repository, files: tuple[str, ...]
) -> SingleFiles | None:
    if not files:
        return None
    state = found.manifest.assets[asset]
    single = SingleFiles(state.path, files, from_windows=state.kind is AssetKind.SMB)
    single.look(repository, state.snapshot)
    return single


def _lacking(found: FoundManifest, request: RestoreToDirectory) -> dict[str, DroError]:
    """Return what belongs to the system, and cannot come back from this copy of the point."""
    point, here = request.point, request.repository
    lacking: dict[str, DroError] = {}
    for asset in dict.fromkeys((*request.plan.protected[point.system].assets, *point.assets)):
        if asset in found.manifest.assets:
            continue
        others = [copy.repository for copy in point.copies if asset in copy.snapshots]
        lacking[asset] = PointNotFound(
            f"it is not in the recovery point as {here} holds it",
            hint=f"restore it with --asset {asset} --repository {others[0]}"
            if others
            else f"an older point may hold it: `dro points {point.practice}` lists them",
        )
    return lacking


def _restore_asset(
    asset: str,
    found: FoundManifest,
    repository: Repository,
    target: NewDirectoryTarget,
    tools: RestoreTools,
    *,
    run: str,
    single: SingleFiles | None,
) -> RestoredAsset:
    state = found.manifest.assets[asset]
    incoming = target.path / f"{asset}.incoming"  # no asset's name has a dot
    place = target.path / asset
    place.mkdir(mode=0o700)
    try:
        with unfinished(incoming, run, tools.notes) as within:
            folder = repository.restore(
                state.snapshot,
                within,
                "tree",
                paths=single.paths if single else found.paths(asset),
                hidden_below=state.path,
                timeout=RESTORE_TIMEOUT,
                on_progress=lambda progress: tools.on_progress(asset, progress),
            )
            restored = locate(folder, state.path, asset)
            files = single.keep_only_these(restored) if single is not None else None
            sidecars = read_sidecars(repository, found, asset)
            steps = tools.drivers[state.kind].hand_over(state, restored, sidecars, place)
    except BaseException:
        shutil.rmtree(place)  # what is not complete must not look as if it were
        raise
    return RestoredAsset(asset=asset, place=place, next_steps=steps, files=files)
