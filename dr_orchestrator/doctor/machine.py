"""What this machine needs, whatever the plans say: programs, a sandbox, lab servers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error
from dr_orchestrator.errors import (
    ProgramFailed,
    ProgramMissing,
    SandboxNotRemoved,
    SandboxUnavailable,
    SecretUnavailable,
)
from dr_orchestrator.process import Command, require_success
from dr_orchestrator.repositories.restic_version import ResticVersion

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import DoctorTools, Patient
    from dr_orchestrator.plan.load import LoadedPlan

_ASKING = timedelta(seconds=15)
_PACKAGES = {"restic": "restic", "setpriv": "util-linux", "ssh": "openssh-client"}
_OF_LOCATIONS = {"sftp": "ssh", "rclone": "rclone"}
"""Programs that restic itself starts for such locations."""


def look_at_programs(tools: DoctorTools, plans: tuple[LoadedPlan, ...]) -> Iterator[Complaint]:
    """Complain of programs that are not here; those of assets are seen with the assets."""
    kinds = {
        location.partition(":")[0]
        for loaded in plans
        for repository in loaded.plan.repositories.values()
        for location in repository.locations
    }
    needed = ["restic", "setpriv", *(_OF_LOCATIONS[kind] for kind in kinds & {*_OF_LOCATIONS})]
    missing = [name for name in needed if not _is_here(tools, name)]
    for name in missing:
        yield Complaint(
            kind=Kind.PROGRAM_MISSING,
            what=f"the program {name} is not installed on this machine",
            do=f"apt-get install {_PACKAGES.get(name, name)}, or set `path` in the settings",
        )
    if not missing:
        yield from _restic_version(tools)


def look_at_sandbox(tools: DoctorTools) -> Iterator[Complaint]:
    """Complain where no sandbox can be made. One is made, and removed at once."""
    try:
        tools.sandboxes.probe()
    except (SandboxUnavailable, SandboxNotRemoved) as error:
        do = error.hint or "docs/reference/doctor.md says what a sandbox needs"
        yield Complaint(kind=Kind.NO_SANDBOX, what=error.message, do=do)


def look_at_lab(patient: Patient, system: str, asset: str, lab: str) -> Iterator[Complaint]:
    """Complain of a lab server that could not receive an asset's restore tests."""
    try:
        patient.tools.labs.probe(lab, patient.plan)
    except (SandboxUnavailable, SecretUnavailable) as error:
        field = f"systems.{system}.assets.{asset}.lab"
        do = "check `lab_servers` in the machine's settings"
        yield of_error(patient.loaded, field, Kind.LAB_UNUSABLE, error, do=do)


def _is_here(tools: DoctorTools, program: str) -> bool:
    try:
        tools.launcher.find(program)
    except ProgramMissing:
        return False
    return True


def _restic_version(tools: DoctorTools) -> Iterator[Complaint]:
    try:
        completed = tools.launcher.run(Command(argv=("restic", "version"), timeout=_ASKING))
        require_success(completed, "telling its version")
        ResticVersion.parse(completed.stdout.decode(errors="replace"))
    except ProgramFailed as error:
        do = error.hint or "install restic 0.14 or later"
        yield Complaint(kind=Kind.PROGRAM_TOO_OLD, what=error.message, do=do)
