"""Windows and Samba shares: copied into a mirror that stays, and captured from there like a folder.

The share is listed, copied, and listed again. What both listings have alike must be in the mirror
alike, or there is no recovery point; what changed meanwhile is said and left out of the comparison.
What kept its size and time is not copied again, but a sample of it is read: where that is not what
the mirror has, everything is copied anew. A listing that is not complete ends the capture before
the mirror is touched. Why a mirror: docs/adr/0012-mirror-of-a-share.md. Nothing here writes to the
share.

`exclude` means what it means for `files`: names, `*`, `?`, `**` and slashes, capital letters told
from small ones; a pattern that begins with a slash begins at the asset's folder. What is left out
is not even listed.

Not saved, since SMB clients on Linux do not read it: owners, attributes (hidden, read-only),
alternate data streams, times of folders, and permissions of the topmost folder.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import shlex
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from dr_orchestrator.assets.base import (
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.smb_capture import SmbCapture, copy_share, look_briefly
from dr_orchestrator.assets.smb_mirror import mirror_bytes, opened_mirror
from dr_orchestrator.assets.smb_permissions import PERMISSIONS
from dr_orchestrator.assets.smb_share import Share, opened_share
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetKind, AssetState
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.plan.model import FilesAsset, SmbAsset
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.process import SystemLauncher

_PERMISSIONS_BUDGET = timedelta(minutes=10)
_LISTED = "permissions.txt"


class SecretReader(Protocol):
    """Reads what a reference leads to."""

    def read(self, reference: SecretReference, /) -> Secret:
        """Return the secret.

        Raises:
            SecretUnavailable: the reference leads nowhere.
        """
        ...


@dataclass(frozen=True)
class SmbDriver:
    """Captures shares, and brings them back. Keeps the promises of `AssetDriver`."""

    launcher: SystemLauncher
    secrets: SecretReader
    clock: Clock
    runtime_folder: Path
    """For password files that live as long as a capture; swept at start by whoever owns it."""
    permissions_budget: timedelta = _PERMISSIONS_BUDGET
    """After which the permissions that were read so far are all that is saved."""

    @contextlib.contextmanager
    def capture(self, request: CaptureRequest) -> Iterator[Capture]:
        asset = _asset(request)
        with (
            self._share(asset) as share,
            opened_mirror(request.mirror, share.name) as mirror,
        ):
            copied = copy_share(share, mirror, self.clock)
            folder = FilesAsset(
                kind=AssetKind.FILES,
                path=mirror.files,
                marker=asset.marker,
                require_files=asset.require_files,
                baseline=asset.baseline,
                made_by=asset.made_by,
                data_time=asset.data_time,
                timeout=asset.timeout,
            )
            with self._files.capture(
                replace(request, asset=folder),
                read_at=copied.instant,
                changed=copied.changed,
                name=share.name,
            ) as held:
                yield SmbCapture(held, share, mirror, copied, self.permissions_budget)

    def probe(self, request: CaptureRequest) -> Probed:
        """See `AssetDriver.probe`: of the share only its topmost folder is listed."""
        asset = _asset(request)
        with self._share(asset) as share:
            look_briefly(share)
        if asset.permissions == "save":
            try:
                self.launcher.find("smbclient")
            except ProgramMissing as error:
                words = f"Windows permissions are not in the backup: {error.message}"
                return Probed(conditions=(words,))
        return Probed()

    def staging_bytes(self, request: CaptureRequest) -> int:
        """Return what the share has more than the mirror. Costs a listing of the share."""
        with self._share(_asset(request)) as share:
            return max(0, share.size() - mirror_bytes(request.mirror))

    def sandbox_bytes(self, state: AssetState) -> int:
        return self._files.sandbox_bytes(state)

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        return self._files.restoration(request)

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        target = place / restored.name
        restored.rename(target)
        permissions = _permission_steps(sidecars.get(PERMISSIONS), place / _LISTED)
        return (*_steps(state, target), *permissions)

    @property
    def _files(self) -> FilesDriver:
        return FilesDriver(self.clock)

    def _share(self, asset: SmbAsset) -> AbstractContextManager[Share]:
        return opened_share(
            asset,
            self.secrets.read(asset.password),
            launcher=self.launcher,
            clock=self.clock,
            runtime_folder=self.runtime_folder,
        )


def _asset(request: CaptureRequest) -> SmbAsset:
    if not isinstance(request.asset, SmbAsset):
        raise TypeError("not a share")
    return request.asset


def _steps(state: AssetState, target: Path) -> Iterator[str]:
    # it comes out of a repository and goes to a terminal
    server = {key: text for key, text in state.server.items() if text.isprintable()}
    share, inside = server.get("share", "SHARE"), server.get("path", "")
    place = f"{share}/{inside}".rstrip("/")
    yield (
        f"the folder {target} holds what was on //{server.get('host', 'HOST')}/{place}, with the "
        "times of its files"
    )
    yield "to put it back onto a share from here, with the server's name for HOST:"
    yield 'export RCLONE_SMB_PASS="$(rclone obscure -)"   # type the password, then Enter'
    spelling = "--smb-encoding Dot --local-encoding Dot"
    port = f" --smb-port {_quoted(server, 'port')}" if server.get("port", "445") != "445" else ""
    account = f"--smb-user {_quoted(server, 'user')} --smb-domain {_quoted(server, 'domain')}"
    yield (
        f"rclone copy --create-empty-src-dirs {spelling} --smb-host HOST{port} {account} "
        f"{shlex.quote(str(target))} {shlex.quote(f':smb:{place}')}"
    )
    yield "or on the Windows server, once the folder was brought there (a disk, say, as E:\\files):"
    yield "robocopy E:\\files D:\\FOLDER /E /COPY:DAT /R:1 /W:1"


def _permission_steps(packed: bytes | None, listed: Path) -> Iterator[str]:
    if packed is None:
        yield "Windows permissions are not in the backup: give them again"
        return
    if not _unpacked(packed, listed):
        yield (
            "the Windows permissions in this backup are damaged: give them again, or take those "
            "of another backup"
        )
        return
    yield f"then, as administrator, the permissions ({listed.name} lies beside the folder):"
    yield f"icacls D:\\FOLDER /restore E:\\{listed.name} /C"
    yield (
        "they name accounts by number: in another domain, or for accounts of a server that is "
        "gone, give them again (icacls /substitute OLD NEW)"
    )
    yield "the folder itself keeps the permissions it has there; owners are not in the backup"


def _unpacked(packed: bytes, to: Path) -> bool:
    """Write what was packed to a file; return whether it was whole."""
    to.touch(mode=0o600)
    with contextlib.suppress(gzip.BadGzipFile, EOFError, zlib.error):
        with gzip.open(io.BytesIO(packed)) as content, to.open("wb") as file:
            shutil.copyfileobj(content, file)
        if to.stat().st_size:
            return True
    to.unlink()
    return False


def _quoted(server: Mapping[str, str], key: str) -> str:
    return shlex.quote(server.get(key, key.upper()))
