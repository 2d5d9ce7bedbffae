"""Whether the evidence can be signed, and leaves this machine often enough to be believed.

Whether it is as it was written is found out each time it is saved, which takes long: the doctor
says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.vouched import found_altered
from dr_orchestrator.core.record import Anchored
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.evidence.entries import entries_in
from dr_orchestrator.evidence.facts import KINDS
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.plan.anchoring import outside_places, repository_words

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient
    from dr_orchestrator.store.base import ChainHead, Store

_DAY = timedelta(days=1)


def look_at_evidence(patient: Patient) -> Iterator[Complaint]:
    """Complain of evidence that cannot be signed, or that is kept nowhere else, or not lately."""
    plan, practice = patient.plan, patient.plan.practice.id
    outside = outside_places(plan, has_mail=patient.tools.settings.mail is not None)
    if not outside:
        what = f"the head of the evidence of {practice} is put nowhere but into its repositories"
        do = (
            "give the contact `manager` an e-mail address, and the settings a `mail` server; or "
            "add `evidence: {anchor: {s3: {to: s3://BUCKET/PREFIX}}}` to the plan"
        )
        yield of_plan(patient.loaded, "evidence", Kind.EVIDENCE_HERE_ALONE, what, do)
    if found_altered(patient.record):
        what = f"the record of {practice} is not as it was written, as was found when it was saved"
        do = f"keep all as it is, and find out what was altered: `dro evidence verify {practice}`"
        yield of_plan(patient.loaded, "", Kind.EVIDENCE_ALTERED, what, do)
    store = patient.tools.store()
    ours = (
        next((each for each in store.evidence.chains(practice) if each.ours), None)
        if store
        else None
    )
    if store is None or ours is None:
        return
    if ours.key not in patient.tools.evidence_keys():
        what = f"the key that signs the evidence of {practice} is not on this machine"
        do = (
            "put `keys/evidence` back into the state folder, from where the folder came; where it "
            f"is lost: `dro evidence begin-anew {practice}`"
        )
        yield of_plan(patient.loaded, "", Kind.EVIDENCE_KEY, what, do)
    yield from _behind(patient, store, ours, outside)


def _behind(
    patient: Patient, store: Store, ours: ChainHead, outside: tuple[str, ...]
) -> Iterator[Complaint]:
    plan, practice = patient.plan, patient.plan.practice.id
    lines = store.evidence.lines(practice, kinds={KINDS[Anchored]})
    newest = {each.place: each.at for each in entries_in(lines, Anchored) if not each.reason}
    began = datetime.fromisoformat(
        read_line(next(store.evidence.lines(practice, chain=ours.chain))).at
    )
    spec, now = plan.evidence, patient.tools.clock.now()
    places = [(each, "evidence.anchor", spec.anchor.schedule.period, began) for each in outside]
    for name in plan.used_repositories:
        copies = [each for point in patient.record.points if (each := point.copy_in(name))]
        if copies and not plan.only_reads(name):
            since = max(began, min(each.recorded_at for each in copies))
            places.append((repository_words(name), "evidence", spec.schedule.period, since))
    for place, field, period, since in places:
        last = newest.get(place)
        if now - (last or since) > 2 * period + _DAY:
            when = f"since {instant_words(last, plan.practice.timezone)}" if last else "yet"
            what = f"{place} got nothing of the evidence of {practice} {when}"
            do = f"see why: `dro runs {practice} --failed`; now: `dro evidence anchor {practice}`"
            yield of_plan(patient.loaded, field, Kind.EVIDENCE_BEHIND, what, do)
