"""Whether there is a kit for when everything of ours is gone, and whether it can be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import date_words, instant_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient


def look_at_kit(patient: Patient) -> Iterator[Complaint]:
    """Complain of a practice without a kit, or with one that is out of date."""
    loaded, practice = patient.loaded, patient.plan.practice.id
    zone, make = patient.plan.practice.timezone, f"`dro runbook kit {practice}` makes one now"
    if patient.plan.kit is None:
        what = f"the plan of {practice} asks for no recovery kit"
        do = "add `kit: {folder: DIR}`, `{s3: {to: s3://BUCKET/PREFIX}}` or `{mail: [CONTACT]}`"
        yield of_plan(loaded, "", Kind.NO_KIT, what, do)
        return
    store = patient.tools.store()
    last = store.followed.kit(practice) if store is not None else None
    if last is None:
        what = f"the recovery kit of {practice} was never made"
        yield of_plan(loaded, "kit", Kind.KIT_MISSING, what, f"{make}; so does a scheduler")
    elif last.expires <= patient.tools.clock.now():
        what = (
            f"the recovery kit of {practice} is out of date since {date_words(last.expires, zone)}"
        )
        yield of_plan(loaded, "kit", Kind.KIT_MISSING, what, f"{make}; does the scheduler run?")
    elif patient.tools.is_kit_due(loaded):
        what = (
            f"the recovery kit of {practice} ({instant_words(last.at, zone)}) is older than the "
            "plan or a runbook, or is not everywhere the plan wants it"
        )
        yield of_plan(loaded, "kit", Kind.KIT_STALE, what, f"{make}; so does a scheduler")
