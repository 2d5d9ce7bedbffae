"""Room on this machine's disks, held against what backups and tests took so far."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import AssetState, AssetSummary, RecoveryPoint
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.doctor.instruments import nearest_existing
from dr_orchestrator.errors import DroError
from dr_orchestrator.plan.model import ExistingAsset

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.doctor.instruments import Patient
    from dr_orchestrator.settings import Settings

_HISTORY = timedelta(days=30)
_LEAST_SPAN = timedelta(days=1)
_RECORD_BYTES = 64 * 1024 * 1024
_FEW_FILES = 1000
_MAKE_ROOM = "free some space there, or name a larger disk in the machine's settings"


@dataclass(frozen=True)
class Disk:
    """What is free on a disk."""

    free_bytes: int
    free_files: int | None
    """How many more files it takes; `None` where it has no such limit."""


def disk_of(path: Path) -> Disk:
    """Return what is free where `path` is, or would be made."""
    found = os.statvfs(nearest_existing(path))
    return Disk(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def look_at_state(settings: Settings) -> Iterator[Complaint]:
    """Complain of a state folder that cannot be used: without it nothing else can be looked at."""
    above = nearest_existing(settings.state)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        yield Complaint(
            kind=Kind.STATE_UNUSABLE,
            what=f"the state folder {settings.state} cannot be written to",
            do="run dro as the user who owns it, or name another in the machine's settings",
        )


def look_at_record_room(settings: Settings) -> Iterator[Complaint]:
    """Complain where there is no room for so much as the record."""
    disk = disk_of(settings.state)
    few = disk.free_files is not None and disk.free_files < _FEW_FILES
    if disk.free_bytes < _RECORD_BYTES or few:
        has = f"room for {disk.free_files} files" if few else f"{size_words(disk.free_bytes)} free"
        what = f"the disk of the state folder {settings.state} has {has}"
        yield Complaint(kind=Kind.STATE_FULL, what=what, do=_MAKE_ROOM)


def look_at_staging(patient: Patient, system: str) -> Iterator[Complaint]:
    """Complain where what a system's backup stages does not fit."""
    folder, needed = patient.tools.staging, 0
    for name, asset in patient.plan.protected[system].assets.items():
        driver = patient.tools.drivers[asset.kind]
        with contextlib.suppress(DroError):  # said of the asset
            needed += driver.staging_bytes(patient.capture_request(system, name))
    free = disk_of(folder).free_bytes
    if needed > free:
        what = (
            f"a backup of {system} stages about {size_words(needed)}, and the disk of {folder} has "
            f"{size_words(free)} free"
        )
        yield of_plan(
            patient.loaded, f"systems.{system}.assets", Kind.STAGING_FULL, what, _MAKE_ROOM
        )


def look_at_sandbox_room(patient: Patient, system: str) -> Iterator[Complaint]:
    """Complain where the newest point of a system does not fit into a sandbox."""
    points = [each for each in patient.record.points if each.system == system]
    if not points:
        return
    newest = points[-1]
    folder = patient.tools.settings.sandbox_directory
    disk = disk_of(folder)
    needed = sandbox_bytes(patient, newest)
    files = sum(asset.files or 0 for asset in newest.assets.values())
    where = f"the disk of {folder} has"
    if needed > disk.free_bytes:
        has = f"{size_words(needed)}, and {where} {size_words(disk.free_bytes)} free"
    elif disk.free_files is not None and files > disk.free_files:
        has = f"room for {files:,} files, and {where} room for {disk.free_files:,}"
    else:
        return
    what = f"a restore test of {system} takes about {has}"
    field = f"systems.{system}.restore_tests"
    yield of_plan(patient.loaded, field, Kind.SANDBOX_FULL, what, _MAKE_ROOM)


def sandbox_bytes(patient: Patient, point: RecoveryPoint) -> int:
    """Return about how much a restoration of a point takes, by what the record knows of it."""
    planned: Mapping[str, object] = patient.plan.protected[point.system].assets
    return sum(
        asset.bytes
        if getattr(planned.get(name), "lab", None)
        else patient.tools.drivers[asset.kind].sandbox_bytes(
            _as_recorded(asset, point, planned.get(name))
        )
        for name, asset in point.assets.items()
    )


def _as_recorded(asset: AssetSummary, point: RecoveryPoint, planned: object) -> AssetState:
    return AssetState(
        kind=asset.kind,
        method=asset.method,
        scope="",
        snapshot="",
        path=planned.existing.path if isinstance(planned, ExistingAsset) else "",
        bytes=asset.bytes,
        captured_at=point.as_of,
    )


@dataclass(frozen=True)
class Addition:
    """What a point added to the repository."""

    system: str
    at: datetime
    bytes: int


@dataclass(frozen=True)
class Growth:
    """What backups add."""

    newest: int
    """The most that the newest backup of any system added."""
    ahead: int
    """What is added in the time that was asked for, as in the last month."""


def additions_to(repository: str, points: Iterable[RecoveryPoint]) -> tuple[Addition, ...]:
    """Return what points added to a repository, oldest first.

    The first point of a system is left out: it added everything. So is one of which nobody knows.
    """
    found, seen = [], set()
    for point in points:
        if point.copy_in(repository) is None:
            continue
        added = [asset.added_bytes for asset in point.assets.values()]
        if point.system in seen and None not in added:
            found.append(Addition(point.system, point.as_of, sum(each or 0 for each in added)))
        seen.add(point.system)
    return tuple(found)


def growth_of(additions: Iterable[Addition], *, now: datetime, ahead: timedelta) -> Growth:
    """Return what is to be expected after `additions`, oldest first."""
    recent = [each for each in additions if now - each.at < _HISTORY]
    if not recent:
        return Growth(0, 0)
    newest = {each.system: each.bytes for each in recent}
    span = max(now - recent[0].at, _LEAST_SPAN)
    total = sum(each.bytes for each in recent)
    return Growth(max(newest.values()), int(total * (ahead / span)))
