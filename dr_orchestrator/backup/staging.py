"""Where captured data lies for as long as it is being saved: patient data in the clear.

One folder a run, 0700, named after the run, so that what a killed run left is found and removed.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.errors import SpaceExhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Make the folder, and remove it with everything in it when the block is left.

    Raises:
        SpaceExhausted: the disk has no room for so much as a folder.
        OSError: removing failed; raised because patient data would be left behind.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise SpaceExhausted(
            f"the staging folder {folder} cannot be made: {error.strerror}",
            hint="set `state` in the machine's settings to a disk with room",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def sweep_staging(staging: Path, living_runs: Callable[[], frozenset[str]]) -> int:
    """Remove the staging of runs that are not alive any more; return how many there were.

    `living_runs` is asked after the folders were listed: a run is recorded before it has a folder,
    so that of one which begins meanwhile either both are seen or no folder is. Another process may
    sweep at the same time.
    """
    if not staging.is_dir():
        return 0
    found = tuple(staging.iterdir())
    living = living_runs()
    dead = [each for each in found if each.name not in living]
    for folder in dead:
        beneath.remove(folder)
    return len(dead)
