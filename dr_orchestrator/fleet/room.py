"""How much room this machine's disks have, for the forecast of the day they are full."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from dr_orchestrator.compliance.forecast import SANDBOX, STAGING
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.restic_location import local_path
from dr_orchestrator.settings import Settings

_PATIENCE_SECONDS = 2.0


def room(plan: Plan, settings: Settings) -> Mapping[str, tuple[int, int]]:
    """Return name of a disk, as `forecasts` takes it -> bytes that are free, and bytes in all.

    What is not there, or does not answer, is left out.
    """
    folders = {STAGING: settings.state / "staging", SANDBOX: settings.sandbox_directory}
    for name, repository in plan.repositories.items():
        folder = local_path(repository.location)
        if folder is not None:
            folders[name] = folder
    found = {name: _room_at(folder) for name, folder in folders.items()}
    return {name: each for name, each in found.items() if each is not None}


def _room_at(folder: Path) -> tuple[int, int] | None:
    """Ask a thread that may hang for ever: the server of a network disk may be gone."""
    name = f"room at {folder}"
    if any(thread.name == name for thread in threading.enumerate()):
        return None
    answer: list[tuple[int, int]] = []

    def ask() -> None:
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return
        answer.append((usage.free, usage.total))

    asking = threading.Thread(target=ask, name=name, daemon=True)
    asking.start()
    asking.join(_PATIENCE_SECONDS)
    return answer[0] if answer else None
