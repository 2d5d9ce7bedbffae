"""Folders that live as long as this process, for what must not outlive it: a password file, a
half-written pack. What a killed process left is found by its name and removed by the next start.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.process import ProcessIdentity

if TYPE_CHECKING:
    from pathlib import Path


def make_process_folder(base: Path) -> Path:
    """Return this process's own folder in `base`, 0700, made if need be."""
    folder = base / _name(ProcessIdentity.ours())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def remove_process_folder(base: Path) -> None:
    """Remove this process's own folder in `base`, if there is one."""
    folder = base / _name(ProcessIdentity.ours())
    if folder.exists():
        shutil.rmtree(folder)


def sweep_process_folders(base: Path) -> int:
    """Remove the folders of processes that are gone; return how many there were.

    Another process may sweep at the same time.
    """
    if not base.is_dir():
        return 0
    dead = [each for each in base.iterdir() if not _may_live(each.name)]
    for folder in dead:
        beneath.remove(folder)
    return len(dead)


def _name(identity: ProcessIdentity) -> str:
    return f"{identity.pid}.{identity.started.replace('/', '.')}"


def _may_live(name: str) -> bool:
    """Whether a folder of that name is a living process's; a name of another form is nobody's."""
    pid, _, started = name.partition(".")
    if not pid.isdigit():
        return False
    host = os.uname().nodename
    return ProcessIdentity(host, int(pid), started.replace(".", "/")).alive is not False
