"""Which files of a recovery point a restore test of a share brings back.

Only of folders and shares is a part restored. All else is whole: a database or a dump that came
back in part proves nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.core.baseline import FilesBaseline
from dr_orchestrator.packs.choice import roles_of
from dr_orchestrator.packs.model import SealedFact
from dr_orchestrator.plan.model import FilesCheck, PackCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.point import AssetState, Manifest
    from dr_orchestrator.core.share import Share
    from dr_orchestrator.packs.choice import Packs
    from dr_orchestrator.plan.model import ProtectedSystem
    from dr_orchestrator.repositories.base import Repository

_LIST_TIMEOUT = timedelta(hours=2)


def list_shares(
    share: Share,
    manifest: Manifest,
    repository: Repository,
    system: ProtectedSystem,
    packs: Packs,
) -> dict[str, FilesShare]:
    """List the files of each asset of which a part is enough, and choose those of the share.

    What has no baseline that can be read is left out, so that it comes back whole: nothing else
    would tell what of it is missing.

    Raises:
        RepositoryError: by its class.
    """
    if share.is_whole:
        return {}
    chosen: dict[str, FilesShare] = {}
    for asset, state in manifest.assets.items():
        files = _share_of(share, asset, state, system, packs)
        if files is not None:
            repository.list_files(state.snapshot, files.take, timeout=_LIST_TIMEOUT)
            files.finish()
            chosen[asset] = files
    return chosen


def _share_of(
    share: Share, asset: str, state: AssetState, system: ProtectedSystem, packs: Packs
) -> FilesShare | None:
    if state.kind.is_database or not isinstance(state.baseline, FilesBaseline):
        return None
    try:
        return FilesShare(
            share,
            state.path,
            state.baseline,
            whole_folders=tuple(_sealed_folders(asset, system, packs)),
            keep_names=_is_looked_up(asset, system, packs),
        )
    except ValueError:
        return None


def _is_looked_up(asset: str, system: ProtectedSystem, packs: Packs) -> bool:
    """Whether a check looks for files of an asset by their names."""
    return any(
        (isinstance(check, FilesCheck) and check.files.listed_by and check.files.asset == asset)
        or (
            isinstance(check, PackCheck)
            and check.pack in packs
            and asset in roles_of(packs[check.pack], check, system.assets).values()
        )
        for check in system.verify
    )


def _sealed_folders(asset: str, system: ProtectedSystem, packs: Packs) -> Iterator[str]:
    """Yield where the keys of an asset may lie, without which nothing that was sealed opens."""
    for check in system.verify:
        if not isinstance(check, PackCheck) or check.pack not in packs:
            continue
        pack = packs[check.pack]
        roles = roles_of(pack, check, system.assets)
        for fact in pack.checks:
            if isinstance(fact, SealedFact) and roles.get(fact.sealed.asset) == asset:
                for above in pack.roles[fact.sealed.asset].within:
                    yield f"{above}/{fact.sealed.folder}".removeprefix("./")
