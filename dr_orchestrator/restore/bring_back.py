"""Bring every asset of a recovery point back to life in a sandbox, side by side."""

from __future__ import annotations

import concurrent.futures
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed
from dr_orchestrator.repositories.manifests import read_sidecars
from dr_orchestrator.repositories.restored import locate
from dr_orchestrator.restore.outcome import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dr_orchestrator.assets.base import AssetDriver, Restoration
    from dr_orchestrator.assets.files_share import FilesShare
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import AssetKind, AssetState
    from dr_orchestrator.plan.model import Asset
    from dr_orchestrator.repositories.base import Progress, Repository
    from dr_orchestrator.repositories.manifests import FoundManifest
    from dr_orchestrator.sandbox.base import Sandbox
    from dr_orchestrator.servers.lab import OpenLab

RESTORE_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True)
class Living:
    """A recovery point that lives in a sandbox."""

    restorations: Mapping[str, Restoration]
    """By asset."""
    data_seconds: float
    """Restore start -> the last asset loaded, without what only proves."""
    conditions: tuple[str, ...]


@contextlib.contextmanager
def bring_back(
    found: FoundManifest,
    repository: Repository,
    sandbox: Sandbox,
    drivers: Mapping[AssetKind, AssetDriver],
    *,
    clock: Clock,
    jobs: int,
    on_progress: Callable[[str, Progress], None],
    planned: Mapping[str, Asset],
    labs: Mapping[str, OpenLab],
    shares: Mapping[str, FilesShare],
) -> Iterator[Living]:
    """Restore and load all assets; they live until the block is left.

    `planned` is what the plan says of the system's assets now: how to load what only the practice's
    own programs can. `labs` are the lab servers that some are loaded into, by asset, and `shares`
    what comes back of trees that do not come back whole.

    Raises (on entering):
        DroError: the first error, in the manifest's order, that kept an asset from living.
    """
    assets = found.manifest.assets
    with contextlib.ExitStack() as living:
        begun = clock.monotonic()
        restorations = {
            asset: living.enter_context(
                drivers[state.kind].restoration(
                    RestoreRequest(
                        asset_id=asset,
                        state=state,
                        place=sandbox,
                        sidecars=read_sidecars(repository, found, asset),
                        jobs=jobs,
                        asset=_still_planned(planned.get(asset), state),
                        lab=labs.get(asset),
                        share=shares.get(asset),
                    )
                )
            )
            for asset, state in assets.items()
        }

        def bring(asset: str) -> tuple[float, tuple[str, ...]]:
            restoration = restorations[asset]
            preparing = pool.submit(restoration.prepare)
            state, share = assets[asset], shares.get(asset)
            paths = share.paths if share else found.paths(asset)
            restored, said = fetch(asset, state, repository, sandbox, on_progress, paths=paths)
            preparing.result()
            try:
                restoration.load(restored)
            except LoadFailed:
                _require_lab(labs.get(asset))
                raise
            return clock.monotonic() - begun - restoration.loading_proof_seconds, said

        with concurrent.futures.ThreadPoolExecutor(2 * len(assets) or 1, "restore") as pool:
            bringing = [pool.submit(bring, asset) for asset in assets]
            _raise_worst(bringing)
        ended = [future.result() for future in bringing]
        conditions = [text for _, said in ended for text in said]
        conditions += [text for each in restorations.values() for text in each.conditions]
        yield Living(restorations, max(seconds for seconds, _ in ended), tuple(conditions))


def _still_planned(asset: Asset | None, state: AssetState) -> Asset | None:
    return asset if asset is not None and asset.kind is state.kind else None


def _require_lab(lab: OpenLab | None) -> None:
    """Take no failure for the backup's that is the lab server's.

    Raises:
        CouldNotVerify: the lab server went away meanwhile.
    """
    if lab is not None and not lab.still_there():
        raise CouldNotVerify(f"{lab.access.words} went away while it was loaded into")


def fetch(
    asset: str,
    state: AssetState,
    repository: Repository,
    sandbox: Sandbox,
    on_progress: Callable[[str, Progress], None],
    *,
    paths: tuple[str, ...],
) -> tuple[Path, tuple[str, ...]]:
    """Restore one asset, or only `paths` of it, and hand it to the sandbox; return where it lies,
    and what to say.
    """
    folder = repository.restore(
        state.snapshot,
        sandbox.target,
        asset,
        paths=paths,
        timeout=RESTORE_TIMEOUT,
        on_progress=lambda progress: on_progress(asset, progress),
    )
    adopted = sandbox.adopt(folder)
    restored = locate(folder, state.path, asset)
    if not adopted.removed_special:
        return restored, ()
    kept_out = count_words(adopted.removed_special, "device, socket or pipe", "special files")
    return restored, (f"{asset}: {kept_out} not let into the sandbox",)


def _raise_worst(futures: list[concurrent.futures.Future[tuple[float, tuple[str, ...]]]]) -> None:
    """Wait for all; raise the error that says most: a bad backup before a lack of this machine."""
    concurrent.futures.wait(futures)
    errors = [error for future in futures if (error := future.exception()) is not None]
    errors.sort(key=_weight)
    if errors:
        raise errors[0]


def _weight(error: BaseException) -> int:
    if not isinstance(error, DroError):
        return 0  # a mistake of ours must not hide behind one of theirs
    return 1 if result_of(error) is Result.FAILED else 2
