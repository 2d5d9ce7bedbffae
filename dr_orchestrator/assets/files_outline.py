"""A folder of files at a glance: counted, for as long as somebody waits for it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import walk
from dr_orchestrator.assets.outline import FolderOutline
from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.plan.model import FilesAsset

LOOK_FOR = timedelta(seconds=20)


def outline(asset: FilesAsset, clock: Clock, look_for: timedelta = LOOK_FOR) -> FolderOutline:
    """Return what was counted within `look_for`.

    Raises:
        CaptureFailed: it is not there, or may not be read.
    """
    until = clock.monotonic() + look_for.total_seconds()
    path = Path(os.path.realpath(asset.path))
    above = tuple(os.fsencode(part) for part in path.parts[1:])
    now = clock.now().timestamp()
    files = size = special = 0
    newest, is_whole = 0.0, True
    try:
        root = beneath.open_root(path)
        try:
            for seen in walk(root, excluded=Exclusion(()), above=above, may_vanish=True):
                if clock.monotonic() > until:
                    is_whole = False
                    break
                entry = seen.entry
                if entry.is_file:
                    files += 1
                    size += entry.stat.st_size
                    newest = max(newest, entry.stat.st_mtime if entry.stat.st_mtime <= now else 0)
                elif not entry.is_folder and not entry.is_link:
                    special += 1
        finally:
            os.close(root)
    except OSError as error:
        raise CaptureFailed(
            f"the folder {asset.path} could not be read: {(error.strerror or 'unknown').lower()}",
            hint="does it exist, is the share mounted, and may this user read it?",
        ) from None
    return FolderOutline(
        files=files,
        bytes=size,
        newest=datetime.fromtimestamp(newest, UTC) if newest else None,
        is_whole=is_whole,
        special=special,
        is_mounted=_is_mounted(path),
    )


def _is_mounted(path: Path) -> bool:
    return any(os.path.ismount(each) for each in (path, *path.parents) if each != Path("/"))
