"""What a restore to a directory has not finished: noted before restic writes there, so that the
next start removes what a killed one left, and nothing else.

What restic writes may be data of others than was asked for. A person chose the place, so nothing is
removed there for its name alone: it must be the very folder that was noted.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import SandboxNotRemoved
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dr_orchestrator.core.target import NewDirectoryTarget


@contextlib.contextmanager
def unfinished(folder: Path, run: str, notes: Path) -> Iterator[NewDirectoryTarget]:
    """Make a folder to restore to, and remove it with everything in it when the block is left.

    Raises:
        TargetRefused: it cannot be made.
        OSError: removing failed; the next start tries again.
    """
    notes.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = claim_new_directory(folder)
    note = notes / f"{run}.{folder.name}"
    try:
        made = folder.lstat()
        noted = {"path": os.fspath(folder), "device": made.st_dev, "inode": made.st_ino}
        write_whole(note, json.dumps(noted).encode(), mode=0o600)
        yield target
    finally:
        beneath.remove(folder)
        note.unlink(missing_ok=True)


def sweep_unfinished(notes: Path, living_runs: Callable[[], frozenset[str]]) -> None:
    """Remove what runs left that are not alive any more. What is another folder by now, or not
    there, as where its disk is not mounted, is left alone and forgotten.

    `living_runs` is asked after the notes were listed, as `sweep_staging` does. Another process may
    sweep at the same time.

    Raises:
        SandboxNotRemoved: one could not be removed; all others were.
    """
    if not notes.is_dir():
        return
    found = sorted(notes.iterdir())
    living = living_runs()
    failures = []
    for note in found:
        if note.name.partition(".")[0] in living:
            continue
        try:
            _remove_noted(note)
        except SandboxNotRemoved as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _remove_noted(note: Path) -> None:
    try:
        noted = json.loads(note.read_bytes())
    except (FileNotFoundError, ValueError):  # swept by another; or killed while it was written
        note.unlink(missing_ok=True)
        return
    folder = Path(noted["path"])
    try:
        if _is_it(folder, noted["device"], noted["inode"]):
            beneath.remove(folder)
    except OSError as error:
        raise SandboxNotRemoved(
            f"what a killed restore left in {folder} could not be removed: {error.strerror}",
            hint="it is patient data that nobody asked for: remove it by hand",
        ) from None
    note.unlink(missing_ok=True)


def _is_it(folder: Path, device: int, inode: int) -> bool:
    try:
        there = folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (there.st_dev, there.st_ino) == (device, inode)
