"""Manifests in a repository: saved last, found by tag, checked when read.

A manifest names its assets' snapshots by the ids they were saved with. What was copied has other
ids, and those it first had as its `original`: `resolve` finds them, and what is found here names
the snapshots as the repository at hand has them.

A manifest's snapshot is a small folder that a person can read with nothing but restic:
`manifest.json`, `plan.yaml`, `runbooks/`, and `assets/ID/` with small files such as `globals.sql`.

Of what others saved no repository holds a manifest: we made it of what they list, and keep it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.manifest_codec import decode_manifest, encode_manifest
from dr_orchestrator.core.point import (
    AssetState,
    AssetSummary,
    Manifest,
    Method,
    PointCopy,
    RecoveryPoint,
)
from dr_orchestrator.errors import (
    ManifestInvalid,
    PointNotFound,
    RepositoryDamaged,
    RepositoryError,
    SpaceExhausted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from dr_orchestrator.repositories.base import Repository, Saved, Snapshot

_MANIFEST_LIMIT = 64 * 1024 * 1024
_SAVE_TIMEOUT = timedelta(minutes=15)
_FILE = "manifest.json"
_SERVERS = frozenset({"postgres", "mariadb", "mysql"})
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}", re.ASCII)


KeptManifest = Callable[[str, str], str | None]
"""(practice, point) -> the manifest that we keep ourselves: `Store.kept_manifest`."""
ASSET, MANIFEST = "asset", "manifest"
"""What the tag `dro` says of a snapshot that belongs to a point."""


def asset_tags(practice: str, system: str, point: str, asset: str) -> dict[str, str]:
    """Return the tags of an asset's snapshot."""
    return {"dro": ASSET, **point_tags(practice, system, point), "asset": asset}


def manifest_tags(practice: str, system: str, point: str) -> dict[str, str]:
    """Return the tags of a manifest's snapshot."""
    return {"dro": MANIFEST, **point_tags(practice, system, point)}


def point_tags(practice: str, system: str, point: str) -> dict[str, str]:
    """Return the tags that all snapshots of one point share."""
    return {"practice": practice, "system": system, "point": point}


def manifests_among(snapshots: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
    """Return the snapshots that say they hold a manifest."""
    return tuple(each for each in snapshots if tag_value(each, "dro") == MANIFEST)


def tag_value(snapshot: Snapshot, key: str) -> str:
    """Return what a snapshot's tag `key=value` says; empty where it has none."""
    start = f"{key}="
    return next((tag[len(start) :] for tag in snapshot.tags if tag.startswith(start)), "")


@dataclass(frozen=True)
class FoundManifest:
    """A manifest as it lies in a repository."""

    manifest: Manifest
    """Its assets' snapshots have the ids of this repository."""
    snapshot: str
    """The one that holds it; empty where we alone keep it."""
    sha256: str
    folder: str
    """The folder inside the snapshot."""

    def paths(self, asset: str) -> tuple[str, ...]:
        """Return what to restore of an asset's snapshot; empty is all of it. What others saved may
        hold much that is none of the asset.
        """
        path = self.manifest.assets[asset].path
        return () if self.snapshot or path == "/" else (path,)


def save_manifest(
    repository: Repository,
    manifest: Manifest,
    folder: Path,
    *,
    attachments: Mapping[str, bytes],
) -> PointCopy:
    """Write the manifest and its `attachments` (relative name -> content) to `folder` (not there
    yet) and save it. Once this returns, the recovery point exists.

    Raises:
        ManifestInvalid: it is none that `read_manifest` would take; then there is no point.
        SpaceExhausted: the disk that `folder` is on has no room; then there is no point.
        RepositoryError: by its class; then there is no point.
    """
    content = encode_manifest(manifest)
    decode_manifest(content)
    try:
        _write_files(folder, {**attachments, _FILE: content})
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise SpaceExhausted(
            f"no space left to write the manifest to {folder.parent}",
            hint="free space there: what is captured passes through it",
        ) from None
    tags = manifest_tags(manifest.practice, manifest.system, manifest.point)
    saved = repository.save_tree(folder, tags=tags, time=manifest.as_of, timeout=_SAVE_TIMEOUT)
    return PointCopy(
        repository=repository.name,
        manifest_snapshot=saved.snapshot,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        snapshots={asset: state.snapshot for asset, state in manifest.assets.items()},
        recorded_at=manifest.finished,
    )


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(mode=0o700)
    for name, data in files.items():
        file = folder / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(data)


def resolve(snapshots: Iterable[Snapshot], first_id: str) -> Snapshot | None:
    """Return the snapshot that was saved with this id, here or where it was copied from, however
    often; `None` where there is none.

    Raises:
        ManifestInvalid: there are several that hold different things.
    """
    found = [each for each in snapshots if first_id in {each.id, each.first_id}]
    here = [each for each in found if each.id == first_id] or found
    if len({each.tree for each in here}) > 1:
        raise ManifestInvalid(
            f"{len(here)} different snapshots claim to be copies of {first_id[:8]}"
        )
    return here[0] if here else None


def read_manifest(
    repository: Repository, snapshot: Snapshot, beside: Iterable[Snapshot]
) -> FoundManifest:
    """Read and check the manifest in `snapshot`; `beside` are the snapshots of its assets, in any
    order, among others.

    Raises:
        ManifestInvalid: it is damaged, or speaks of another point than its tags do, or it cannot be
            told which snapshots it names.
        RepositoryDamaged: it cannot be read back.
    """
    folder = snapshot.paths[0].rstrip("/") if snapshot.paths else ""
    content = repository.read_file(snapshot.id, f"{folder}/{_FILE}", limit_bytes=_MANIFEST_LIMIT)
    manifest = decode_manifest(content)
    tags = manifest_tags(manifest.practice, manifest.system, manifest.point)
    if not {f"{key}={value}" for key, value in tags.items()} <= snapshot.tags:
        raise ManifestInvalid(f"the manifest in snapshot {snapshot.id[:8]} is of another point")
    return FoundManifest(
        _as_here(manifest, tuple(beside)),
        snapshot.id,
        hashlib.sha256(content).hexdigest(),
        folder,
    )


def _as_here(manifest: Manifest, snapshots: Iterable[Snapshot]) -> Manifest:
    """Return a manifest that names its assets' snapshots by their ids in this repository; what is
    not here keeps its id, by which nobody finds anything.
    """
    states = {}
    for asset, state in manifest.assets.items():
        here = resolve(snapshots, state.snapshot)
        states[asset] = replace(state, snapshot=here.id) if here else state
    return replace(manifest, assets=states)


def find_manifest(
    repository: Repository,
    practice: str,
    system: str,
    point: str,
    recorded: PointCopy | None = None,
    *,
    kept: KeptManifest = lambda _practice, _point: None,
) -> FoundManifest:
    """Find the manifest of one point: the one that is on record, where one is, whatever somebody
    else saved beside it. `kept` tells those that we keep ourselves.

    Raises:
        PointNotFound: the repository holds none, or no longer what it is of.
        ManifestInvalid: it is damaged, or not the one on record; or there is no record, and there
            are two that differ.
    """
    if recorded is not None and recorded.is_existing:
        return _found_existing(repository, recorded, point, kept(practice, point))
    listed = repository.snapshots(point_tags(practice, system, point))
    if recorded is not None:
        ids = {recorded.manifest_snapshot, *recorded.snapshots.values()}
        ours = tuple(each for each in listed if each.id in ids)
        listed = ours if len(ours) == len(ids) else listed
    read = (read_manifest(repository, each, listed) for each in manifests_among(listed))
    found = {each.sha256: each for each in read}
    if not found:
        raise PointNotFound(
            f"the repository {repository.name} holds no manifest of point {point} of {system}"
        )
    if recorded is not None:
        if recorded.manifest_sha256 not in found:
            raise ManifestInvalid(
                f"the manifest of point {point} in {repository.name} is not the one recorded",
                hint="somebody changed the repository: keep it as it is, and look into it",
            )
        return found[recorded.manifest_sha256]
    if len(found) > 1:
        raise ManifestInvalid(f"two manifests in {repository.name} claim to be point {point}")
    return next(iter(found.values()))


def _found_existing(
    repository: Repository, recorded: PointCopy, point: str, kept: str | None
) -> FoundManifest:
    """Return the manifest that we keep of what others saved, once it is certain that this is there.

    Raises:
        PointNotFound: it is not kept here, or its snapshots are gone.
        ManifestInvalid: it is not the one on record.
    """
    if kept is None:
        raise PointNotFound(
            f"what recovery point {point} is made of is not on record on this machine",
            hint="`dro backup` looks into the repository again",
        )
    content = kept.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != recorded.manifest_sha256:
        raise ManifestInvalid(
            f"the manifest that is kept of point {point} is not the one recorded",
            hint="somebody changed the record of this machine: `dro evidence verify` says more",
        )
    listed = {each.id for each in repository.snapshots({})}
    if not listed.issuperset(recorded.all_snapshots):
        raise PointNotFound(
            f"{repository.name} no longer holds all snapshots of point {point}: whoever saves "
            "there let go of them",
            hint="`dro backup` looks what is there now",
        )
    return FoundManifest(decode_manifest(content), "", sha256, "")


def list_manifests(
    repository: Repository, practice: str
) -> Iterator[tuple[Snapshot, FoundManifest | ManifestInvalid | RepositoryError]]:
    """Yield every manifest of a practice, oldest first; one that cannot be read as its error, so
    that nobody keeps the others from being read by saving what is none.

    Raises:
        RepositoryError: by its class, where no manifest can be read.
    """
    by_point: dict[str, list[Snapshot]] = {}
    listed = repository.snapshots({"practice": practice})
    for snapshot in listed:
        by_point.setdefault(tag_value(snapshot, "point"), []).append(snapshot)
    for snapshot in manifests_among(listed):
        try:
            beside = by_point[tag_value(snapshot, "point")]
            yield snapshot, read_manifest(repository, snapshot, beside)
        except (ManifestInvalid, RepositoryDamaged) as error:
            yield snapshot, error
        except RepositoryError as error:
            if type(error) is not RepositoryError:
                raise  # of the repository, not of this one snapshot
            yield snapshot, error


def newest_manifest(repository: Repository, practice: str) -> FoundManifest:
    """Return the newest manifest of a practice that can be read, of whichever system.

    Raises:
        PointNotFound: there is none.
        RepositoryError: by its class; it could not be found out.
    """
    listed = repository.snapshots({"practice": practice})
    for snapshot in sorted(manifests_among(listed), key=lambda each: each.time, reverse=True):
        with contextlib.suppress(ManifestInvalid, RepositoryDamaged):
            return read_manifest(repository, snapshot, listed)
    raise PointNotFound(
        f"the repository {repository.name} holds no manifest of {practice} that can be read"
    )


def read_runbooks(repository: Repository, found: FoundManifest) -> dict[str, bytes]:
    """Return the runbooks that lie beside a manifest, by name: data, whoever saved it.

    Raises:
        ManifestInvalid: one is not what the manifest says.
        RepositoryError: by its class.
    """
    runbooks = {}
    for name, sha256 in found.manifest.runbooks.items():
        content = repository.read_file(
            found.snapshot, f"{found.folder}/runbooks/{name}", limit_bytes=_MANIFEST_LIMIT
        )
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ManifestInvalid(f"the runbook {name} is not the one that its manifest names")
        runbooks[name] = content
    return runbooks


def read_sidecars(repository: Repository, found: FoundManifest, asset: str) -> dict[str, bytes]:
    """Return the small files of one asset that lie beside the manifest."""
    return {
        name: repository.read_file(
            found.snapshot, f"{found.folder}/assets/{asset}/{name}", limit_bytes=_MANIFEST_LIMIT
        )
        for name in found.manifest.assets[asset].sidecars
    }


def point_of(
    manifest: Manifest, copies: tuple[PointCopy, ...], first: Mapping[str, Saved] | None = None
) -> RecoveryPoint:
    """Return what the record keeps of a point.

    `first` is, by asset, what its save put into the repository that is saved to first: how much of
    it is new can be held against the points before only where it is always the same one.
    """
    counted = first or {}
    return RecoveryPoint(
        id=manifest.point,
        practice=manifest.practice,
        system=manifest.system,
        run=manifest.run,
        label=manifest.label,
        as_of=manifest.as_of,
        finished=manifest.finished,
        data_as_of=manifest.data_as_of,
        skew_seconds=manifest.skew_seconds,
        assets={
            name: _summary(state, counted.get(name)) for name, state in manifest.assets.items()
        },
        copies=copies,
    )


def _summary(state: AssetState, saved: Saved | None) -> AssetSummary:
    is_tree = state.method is Method.TREE
    return AssetSummary(
        kind=state.kind,
        method=state.method,
        bytes=state.bytes,
        level=state.baseline.level.value if state.baseline else "none",
        data_as_of=state.data_as_of,
        files=saved.files if saved and is_tree else None,
        changed_files=saved.changed_files if saved and is_tree else None,
        added_bytes=saved.added_bytes if saved else None,
        server=_server(state),
    )


def _server(state: AssetState) -> str:
    """Return `AssetSummary.server`: of what a manifest says only what can be one."""
    version = state.server.get("version", "")
    vendor = state.server.get("vendor", state.kind.value)
    return f"{vendor} {version}" if vendor in _SERVERS and _VERSION.fullmatch(version) else ""


def copy_of(found: FoundManifest, repository: str, recorded_at: datetime) -> PointCopy:
    """Return the record of a copy that was found in a repository."""
    return PointCopy(
        repository=repository,
        manifest_snapshot=found.snapshot,
        manifest_sha256=found.sha256,
        snapshots={name: state.snapshot for name, state in found.manifest.assets.items()},
        recorded_at=recorded_at,
    )
