"""What the doctor looks with; made by `app.py`. Nothing of it is used to change anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.assets.base import CaptureRequest

if TYPE_CHECKING:
    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import AssetKind, AssetSummary
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.doctor.runbooks import RunbooksSeen
    from dr_orchestrator.errors import ProgramMissing
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.process import SystemLauncher
    from dr_orchestrator.repositories.restic import ResticRepository
    from dr_orchestrator.repositories.s3_place import S3Place
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.sandbox.lab import LabDriver
    from dr_orchestrator.secrets import SecretReader
    from dr_orchestrator.settings import Settings
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class DoctorTools:
    """What the doctor looks with."""

    settings: Settings
    clock: Clock
    launcher: SystemLauncher
    secrets: SecretReader
    drivers: Mapping[AssetKind, AssetDriver]
    sandboxes: SandboxDriver
    labs: LabDriver
    missing_to_load: Callable[[AssetSummary, bool], ProgramMissing | None]
    """What is missing here to load an asset of a point; with a lab server, or without."""
    repository: Callable[[Plan, str], ResticRepository]
    """A repository of the plan as it is: neither made, nor recorded as seen."""
    direct_repository: Callable[[Plan, str], ResticRepository]
    """The same, by the way of who may remove from it."""
    location: Callable[[Plan, str], Secret]
    """Where a backup finds it, with the login of a REST server in it."""
    place: Callable[[Plan, str], S3Place]
    """Where a repository lies in S3, with the credential of who looks after the bucket."""
    runbooks: Callable[[LoadedPlan], RunbooksSeen]
    """What can be seen of a practice's runbooks."""
    is_kit_due: Callable[[LoadedPlan], bool]
    """Whether the newest kit is older than the plan or a runbook, or is not in every place."""
    evidence_keys: Callable[[], frozenset[str]]
    """The public keys (hex) that this machine signs evidence with: none before there is any, two
    while one comes in the place of the other."""
    store: Callable[[], Store | None]
    """Our own record, `None` before there is one."""
    staging: Path
    mirrors: Path


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One practice that is looked at."""

    loaded: LoadedPlan
    record: PracticeRecord
    tools: DoctorTools

    @property
    def plan(self) -> Plan:
        """What is promised."""
        return self.loaded.plan

    def capture_request(self, system: str, asset: str) -> CaptureRequest:
        """Return what a driver needs to know to look at an asset; none of its folders is made."""
        practice = self.plan.practice.id
        return CaptureRequest(
            practice=practice,
            system=system,
            asset_id=asset,
            asset=self.plan.protected[system].assets[asset],
            staging=self.tools.staging,
            mirror=self.tools.mirrors / practice / system / asset,
            files_key=b"",
        )


def nearest_existing(path: Path) -> Path:
    """Return `path`, or what is there of it: where it would be made."""
    return next((each for each in (path, *path.parents) if os.path.lexists(each)), Path("/"))
