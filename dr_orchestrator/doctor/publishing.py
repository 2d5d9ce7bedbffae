"""Whether this machine's status can get to where others watch it; a bucket is not asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.doctor.complaint import Complaint, Kind

if TYPE_CHECKING:
    from dr_orchestrator.settings import Settings


def look_at_publishing(settings: Settings) -> Iterator[Complaint]:
    """Complain of a folder of `metrics` or `publish.to` that is not there: neither is made."""
    if settings.metrics is not None:
        do = "make it; the node exporter's --collector.textfile.directory names it"
        yield from _folder("metrics", settings.metrics.parent, do)
    if settings.publish is not None and settings.publish.to.startswith("/"):
        yield from _folder("publish.to", Path(settings.publish.to), "mount it, or make it")


def _folder(key: str, folder: Path, do: str) -> Iterator[Complaint]:
    what = f"the folder {folder} of `{key}` in the settings"
    if not folder.is_dir():
        yield Complaint(kind=Kind.NOT_PUBLISHED, what=f"{what} is not there", do=do)
    elif not os.access(folder, os.W_OK | os.X_OK):
        do = "let the user that dro runs as write there"
        yield Complaint(kind=Kind.NOT_PUBLISHED, what=f"{what} cannot be written to", do=do)
