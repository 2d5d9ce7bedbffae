"""From saved assets to a recovery point: the manifest that names them, saved after all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.assets.base import Stream
from dr_orchestrator.core.point import AssetState, Manifest, PointCopy, Recoverable
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import DroError
from dr_orchestrator.repositories.base import Repository, Saved
from dr_orchestrator.repositories.manifests import save_manifest

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from dr_orchestrator.assets.base import Capture, Captured
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.packs.load import LoadedPack
    from dr_orchestrator.plan.model import Plan


@dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """One system of one plan, and what is saved beside its data."""

    plan: Plan
    plan_text: str
    """The effective plan, as it goes into every repository."""
    runbooks: Mapping[str, bytes]
    """Name -> content."""
    system: str
    label: str | None = None
    packs: Mapping[str, LoadedPack] = field(default_factory=dict)
    """By name, those that the plan names."""
    serves: Serves | None = None
    """What of a schedule this is an attempt at."""


@dataclass
class Held:
    """An asset that is held at its instant, and what has become of it so far."""

    asset_id: str
    capture: Capture
    timeout: timedelta
    saved: dict[str, Saved | DroError] = field(default_factory=dict)
    captured: Captured | None = None
    """Set once the capture finished without an error."""


def save_point(
    held: tuple[Held, ...],
    repository: Repository,
    request: BackupRequest,
    *,
    run: str,
    folder: Path,
    clock: Clock,
) -> tuple[Manifest, PointCopy]:
    """Save the manifest of everything in `held` that this repository took; then the point exists.

    Raises:
        RepositoryError: by its class; then there is no point in this repository.
    """
    practice = request.plan.practice
    assets = {each.asset_id: _asset_state(each, repository.name) for each in held}
    as_of = min(state.captured_at for state in assets.values())
    skew = say_skew(assets, request.plan.protected[request.system].max_skew)
    manifest = Manifest(
        point=run,
        practice=practice.id,
        practice_name=practice.name,
        system=request.system,
        run=run,
        label=request.label,
        as_of=as_of,
        finished=clock.now(),
        data_as_of=oldest_data(assets),
        skew_seconds=skew.total_seconds(),
        repository=repository.identity(),
        assets=assets,
        recoverable=Recoverable(start=as_of, end=as_of),
        plan_sha256=_sha256(request.plan_text.encode()),
        runbooks={name: _sha256(content) for name, content in request.runbooks.items()},
        made_by=f"dr-orchestrator {__version__}",
    )
    copy = save_manifest(repository, manifest, folder, attachments=_attachments(held, request))
    return manifest, copy


def _asset_state(held: Held, repository: str) -> AssetState:
    saved, captured, content = held.saved[repository], held.captured, held.capture.content
    if not isinstance(saved, Saved) or captured is None:
        raise TypeError("only what was saved and finished can be in a point")
    return AssetState(
        kind=captured.kind,
        method=captured.method,
        scope=captured.scope,
        snapshot=saved.snapshot,
        path=f"/{content.name}" if isinstance(content, Stream) else _as_restic_has(content.path),
        bytes=saved.bytes,
        captured_at=captured.captured_at,
        data_as_of=captured.data_as_of,
        tools=captured.tools,
        server=captured.server,
        baseline=captured.baseline,
        conditions=captured.conditions,
        sidecars=tuple(sorted(captured.sidecars)),
    )


def say_skew(assets: dict[str, AssetState], allowed: timedelta | None) -> timedelta:
    """Return how far the data of a point's assets is apart.

    Where that is more than the plan allows, the newest of them says so in its conditions.
    """
    data = {asset: state.data_as_of or state.captured_at for asset, state in assets.items()}
    newest = max(data, key=lambda asset: data[asset])
    skew = data[newest] - min(data.values())
    if allowed is not None and skew > allowed:
        condition = (
            f"{newest} is {duration_words(skew)} newer than the oldest part of its recovery point, "
            f"and the plan allows {duration_words(allowed)}"
        )
        state = assets[newest]
        assets[newest] = replace(state, conditions=(*state.conditions, condition))
    return skew


def oldest_data(assets: Mapping[str, AssetState]) -> datetime | None:
    """Return how old the oldest data was that another tool made; `None` where none did."""
    return min((each.data_as_of for each in assets.values() if each.data_as_of), default=None)


def _as_restic_has(path: Path) -> str:
    """Return a path as it stands in a snapshot: restic takes `..` out of it by its letters."""
    return os.path.normpath(path)


def _attachments(held: tuple[Held, ...], request: BackupRequest) -> dict[str, bytes]:
    files = {"plan.yaml": request.plan_text.encode()}
    files |= {f"runbooks/{name}": content for name, content in request.runbooks.items()}
    files |= {f"packs/{name}.yaml": each.text.encode() for name, each in request.packs.items()}
    for each in held:
        if each.captured is not None:
            files |= {
                f"assets/{each.asset_id}/{name}": content
                for name, content in each.captured.sidecars.items()
            }
    return files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
