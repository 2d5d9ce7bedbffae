"""What only the practice's own programs can dump, and load again.

The dump program runs on this machine as our own user and is trusted as the plan is: it runs only
where the plan is a local file that others cannot write. What came back is not trusted: the restore
program, and those that look at what it loaded, run in the sandbox.

The exit code 0 of a program proves nothing by itself. The dump is held against its size and its
end, and byte for byte against what was captured; what the restore program loaded counts as proven
only where a check of the plan looked at it.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dr_orchestrator.assets.base import (
    NOT_LOADED,
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.command_answer import filled
from dr_orchestrator.assets.command_capture import SIDECAR, CommandCapture
from dr_orchestrator.assets.command_restoration import CommandRestoration
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.errors import CaptureFailed, CouldNotVerify, ProgramMissing
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.process import SystemLauncher

if TYPE_CHECKING:
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.plan.secret_reference import SecretReference

_LOADED = 3
"""Times the size of a dump that it takes, loaded, with what lies about meanwhile: a guess."""
_FROM_REPOSITORY = "the programs of a plan that came out of a repository do not run"
_COPY_PLAN = "look at the plan, and save it as a file of this machine that others cannot write"


class SecretReader(Protocol):
    """Reads secret references."""

    def read(self, reference: SecretReference) -> Secret:
        """Return the secret."""
        ...


class CommandDriver:
    """Runs the practice's own programs. Keeps the promises of `AssetDriver`."""

    def __init__(
        self,
        launcher: SystemLauncher,
        secrets: SecretReader,
        clock: Clock,
        *,
        commands_allowed: bool = False,
    ) -> None:
        """Take whether programs may run at all (`LoadedPlan.commands_allowed`)."""
        self._launcher = launcher
        self._secrets = secrets
        self._clock = clock
        self._commands_allowed = commands_allowed

    @contextlib.contextmanager
    def capture(self, request: CaptureRequest) -> Iterator[Capture]:
        asset, secrets = self._ready(request)
        capture = CommandCapture(request, asset, self._launcher, self._clock, secrets)
        capture.begin()
        yield capture

    def probe(self, request: CaptureRequest) -> Probed:
        """See `AssetDriver.probe`: the practice's programs are found, and not run."""
        asset, _ = self._ready(request)
        if not asset.restore:
            return Probed(conditions=(NOT_LOADED,))
        try:
            self._launcher.find(asset.restore[0])
        except ProgramMissing as error:
            return Probed(unloadable=error)
        return Probed()

    def _ready(self, request: CaptureRequest) -> tuple[CommandAsset, Mapping[str, Secret]]:
        if not self._commands_allowed:
            raise CaptureFailed(_FROM_REPOSITORY, hint=_COPY_PLAN)
        asset = _asset_of(request)
        try:
            self._launcher.find(asset.dump[0])
        except ProgramMissing as error:
            raise CaptureFailed(error.message, hint=error.hint) from None
        return asset, {name: self._secrets.read(each) for name, each in asset.secrets.items()}

    def staging_bytes(self, request: CaptureRequest) -> int:
        """See `AssetDriver`; nobody knows how large a tree will be before it is there."""
        asset = _asset_of(request)
        return asset.at_least if asset.output == "tree" else 0

    def sandbox_bytes(self, state: AssetState) -> int:
        return state.bytes * (1 + _LOADED)

    @contextlib.contextmanager
    def restoration(self, request: RestoreRequest) -> Iterator[Restoration]:
        asset = request.asset
        if asset is not None and not isinstance(asset, CommandAsset):
            raise TypeError("not a command asset")
        if not self._commands_allowed:
            raise CouldNotVerify(_FROM_REPOSITORY, hint=_COPY_PLAN)
        with _lab_placeholders(request) as placeholders:
            yield CommandRestoration(request, asset, self._clock, placeholders)

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        del state
        dump, work = place / restored.name, place / "work"
        restored.rename(dump)
        restore = _restore_argv(sidecars)
        found = f"the dump is {dump}, as the practice's own program wrote it"
        if not restore:
            return found, "the plan had no program that loads it: ask whoever made the dump"
        work.mkdir(mode=0o700)
        command = shlex.join(filled(restore, {"dump": str(dump), "folder": str(work)}))
        return (
            found,
            "the plan's own program that loads it; read it before you run it:",
            command,
        )


@contextlib.contextmanager
def _lab_placeholders(request: RestoreRequest) -> Iterator[Mapping[str, str]]:
    """Open the door to the lab server, where there is one; return what names it in an argv."""
    if request.lab is None:
        yield {}
        return
    with request.lab.door(request.place, f"lab-{request.asset_id}") as door:
        yield {
            "lab_host": door.host,
            "lab_port": str(door.port),
            "lab_user": door.user,
            "lab_database": door.database,
            "lab_login": str(door.login),
        }


def _asset_of(request: CaptureRequest) -> CommandAsset:
    if not isinstance(request.asset, CommandAsset):
        raise TypeError("not a command asset")
    return request.asset


def _restore_argv(sidecars: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the restore program as the point has it, or nothing where it cannot be shown."""
    try:
        argv = json.loads(sidecars.get(SIDECAR, b"[]"))
    except ValueError:
        return ()
    if not isinstance(argv, list) or not all(isinstance(each, str) for each in argv):
        return ()
    # it comes out of a repository and goes to a terminal
    return tuple(argv) if all(each.isprintable() for each in argv) else ()
