"""Looking at a kit that lies in a folder or a bucket, as the plan and the runbooks are now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.model import BucketPlace
from dr_orchestrator.runbook.kit.build import SUMS
from dr_orchestrator.runbook.kit.given import inputs_of
from dr_orchestrator.runbook.kit.place import in_bucket, in_folder
from dr_orchestrator.runbook.kit.standing import Expected, KitStanding, standing
from dr_orchestrator.runbook.shelf import shelf_of

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.runbook.kit.place import KitFiles


def look_at_kit(loaded: LoadedPlan, place: str, now: datetime) -> KitStanding:
    """Return what the kit at `place` is worth: a folder, or the one above it, or s3://….

    Raises:
        StorageUnusable: the bucket could not be asked.
        UsageMistake: a file is there and cannot be read.
    """
    practice = loaded.plan.practice
    expected = Expected(
        practice=practice.id,
        inputs=inputs_of(loaded, shelf_of(loaded).runbooks),
        now=now,
        zone=practice.timezone,
    )
    try:
        return standing(_files(loaded, place), expected)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UsageMistake(f"the kit in {place} cannot be read: {why}") from None


def _files(loaded: LoadedPlan, place: str) -> KitFiles:
    practice, spec = loaded.plan.practice.id, loaded.plan.kit
    if place.startswith("s3://"):
        planned = spec.s3 if spec is not None else None
        is_planned = planned is not None and planned.to.rstrip("/") == place.rstrip("/")
        return in_bucket(planned if planned and is_planned else BucketPlace(to=place), practice)
    folder = Path(place)
    below = folder / practice
    return in_folder(below if not (folder / SUMS).exists() and below.is_dir() else folder)
