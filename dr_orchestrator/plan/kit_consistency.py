"""What a plan says of its kit, and another part of it contradicts.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.plan.asset_consistency import duration_of
from dr_orchestrator.plan.delivery_consistency import check_places
from dr_orchestrator.plan.document import Mapping, child
from dr_orchestrator.plan.model import KitSpec
from dr_orchestrator.plan.timing_consistency import period_of

if TYPE_CHECKING:
    from dr_orchestrator.plan.notes import Notes


def check_kit(notes: Notes) -> None:
    """Note a kit that goes nowhere, or to somebody who cannot get it, or is old when it arrives."""
    kit = child(notes.root, "kit")
    if not isinstance(kit, Mapping):
        return
    check_places(notes, kit)
    schedule, valid = child(kit, "schedule"), child(kit, "valid")
    within = KitSpec.model_fields["valid"].default if valid is None else duration_of(valid)
    period = KitSpec.model_fields["schedule"].default.period
    period = period if schedule is None else period_of(schedule)
    if within is not None and period is not None and within <= period:
        notes.warn(
            valid or schedule or kit,
            "it is out of date before the next one is made",
            "make it more often, or `valid` longer",
        )
