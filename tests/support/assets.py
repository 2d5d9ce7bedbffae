"""Requests and states of files and SQLite assets, as the use cases make them."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.assets.base import Captured, CaptureRequest, RestoreRequest, Tree
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.point import AssetKind, AssetState
from dr_orchestrator.plan.model import Asset, BaselineSpec, DataTime, FilesAsset
from dr_orchestrator.servers.place import Place

KEY = bytes(range(32))


def baseline_spec(level: Level, budget: timedelta = timedelta(minutes=2)) -> BaselineSpec:
    return BaselineSpec(level=level, budget=budget)


def files_asset(
    path: Path,
    *,
    exclude: tuple[str, ...] = (),
    marker: str | None = None,
    require_files: int = 1,
    level: Level = Level.SAMPLED,
    budget: timedelta = timedelta(minutes=2),
    data_time: DataTime | None = None,
    made_by: str | None = None,
) -> FilesAsset:
    return FilesAsset(
        kind=AssetKind.FILES,
        path=path,
        exclude=exclude,
        marker=marker,
        require_files=require_files,
        baseline=baseline_spec(level, budget),
        data_time=data_time,
        made_by=made_by,
    )


def capture_request(
    asset: Asset,
    *,
    staging: Path | None = None,
    mirror: Path | None = None,
    key: bytes = KEY,
    queries: tuple[str, ...] = (),
    newest: str | None = None,
) -> CaptureRequest:
    return CaptureRequest(
        practice="riverside",
        system="emr",
        asset_id="asset",
        asset=asset,
        queries=queries,
        newest=newest,
        staging=staging or Path("/nonexistent"),
        mirror=mirror or Path("/nonexistent"),
        files_key=key,
    )


def state_of(captured: Captured, path: Path, size: int = 0) -> AssetState:
    return AssetState(
        kind=captured.kind,
        method=captured.method,
        scope=captured.scope,
        snapshot="0" * 64,
        path=str(path),
        bytes=size,
        captured_at=captured.captured_at,
        data_as_of=captured.data_as_of,
        server=captured.server,
        baseline=captured.baseline,
        conditions=captured.conditions,
    )


def restore_request(state: AssetState, place: Place) -> RestoreRequest:
    return RestoreRequest(asset_id="asset", state=state, place=place, sidecars={}, jobs=1)


def copy_as_restic_would(tree: Tree, target: Path) -> Path:
    """Copy a tree to below `target` with its full path, and return `target`."""
    place = target / tree.path.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if tree.path.is_dir():
        shutil.copytree(tree.path, place, symlinks=True)
    else:
        shutil.copy2(tree.path, place)
    return target
