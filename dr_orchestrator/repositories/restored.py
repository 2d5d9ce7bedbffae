"""Where an asset lies in what restic wrote: beneath a folder, under the full path it once had."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.errors import RepositoryDamaged

if TYPE_CHECKING:
    from pathlib import Path


def locate(folder: Path, path: str, asset: str) -> Path:
    """Return what stands in `folder` for the absolute `path` that was saved.

    A restored tree is hostile: no folder on the way, and not the end of it, may be a link.

    Raises:
        RepositoryDamaged: there is no file and no folder under that path.
    """
    parts = tuple(os.fsencode(part) for part in path.split("/") if part)
    root = beneath.open_root(folder)
    try:
        found = beneath.Entry(parts[-1] if parts else b"", beneath.status(root, parts))
    except OSError:
        found = None
    finally:
        os.close(root)
    if found is None or not (found.is_folder or found.is_file):
        raise RepositoryDamaged(f"{asset}: its snapshot does not hold what the manifest names")
    return folder.joinpath(*map(os.fsdecode, parts))
