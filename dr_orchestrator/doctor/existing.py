"""What another tool saves: whether it is found where the plan says, and how old the newest is.

Nothing of the practice itself is asked: not we save it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.errors import DroError
from dr_orchestrator.plan.model import ExistingAsset
from dr_orchestrator.repositories.others import candidates, existing_words

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient

_DO = "say in the plan what `restic snapshots` shows: the path, the tag and the host"


def look_at_existing(patient: Patient, system: str) -> Iterator[Complaint]:
    """Complain of what is not found in the repository, and of what is older than the RPO."""
    spec = patient.plan.protected[system]
    name = spec.backup.to[0]
    with suppress(DroError):  # said of the repository
        listed = patient.tools.repository(patient.plan, name).snapshots({})
        for asset, planned in spec.assets.items():
            if not isinstance(planned, ExistingAsset):
                continue
            field = f"systems.{system}.assets.{asset}.existing"
            held = candidates(planned.existing, listed)
            if not held:
                kind = Kind.NOTHING_EXISTING
                what = f"{system}/{asset}: no snapshot in {name} holds "
                what += existing_words(planned.existing)
                yield of_plan(patient.loaded, field, kind, what, _DO)
                continue
            age = patient.tools.clock.now() - held[-1].time
            if age > spec.rpo:
                what = (
                    f"{system}/{asset}: the newest snapshot in {name} is {duration_words(age)} old,"
                    f" and the RPO is {duration_words(spec.rpo)}"
                )
                do = "see that whoever saves there still does"
                yield of_plan(patient.loaded, field, Kind.EXISTING_OLD, what, do)
