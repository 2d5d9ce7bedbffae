"""Looking for everything that would make tonight's run fail.

Nothing is changed: no repository is made, no lock removed, nothing recorded, and no patient data
read. What is looked at is what backup and test would do first, by the same drivers; whatever takes
longer than 20 seconds counts as not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.doctor.append_only import look_at_direct_way, look_at_removal
from dr_orchestrator.doctor.assets import look_at_asset, look_at_points
from dr_orchestrator.doctor.attempts import look_at_attempts
from dr_orchestrator.doctor.buckets import look_at_bucket_settings
from dr_orchestrator.doctor.clock import look_at_clock, look_at_time_zones
from dr_orchestrator.doctor.complaint import Complaint, Kind, worst_first
from dr_orchestrator.doctor.cost import MonthOfTests, TimesAMonth, cost_of_tests
from dr_orchestrator.doctor.disks import (
    look_at_record_room,
    look_at_sandbox_room,
    look_at_staging,
    look_at_state,
)
from dr_orchestrator.doctor.encryption import look_at_encryption
from dr_orchestrator.doctor.evidence import look_at_evidence
from dr_orchestrator.doctor.existing import look_at_existing
from dr_orchestrator.doctor.instruments import DoctorTools, Patient
from dr_orchestrator.doctor.keys import look_at_keys, look_at_settings
from dr_orchestrator.doctor.kit import look_at_kit
from dr_orchestrator.doctor.machine import look_at_lab, look_at_programs, look_at_sandbox
from dr_orchestrator.doctor.notifications import (
    look_at_listener,
    look_at_mail,
    look_at_own_listener,
    look_for_listeners,
)
from dr_orchestrator.doctor.plans import look_at_plan, read_plans
from dr_orchestrator.doctor.publishing import look_at_publishing
from dr_orchestrator.doctor.repositories import (
    look_at_repository,
    look_at_repository_certificate,
    repositories_in_use,
)
from dr_orchestrator.doctor.runbooks import look_at_runbooks
from dr_orchestrator.doctor.scheduler import look_at_due, look_at_scheduler
from dr_orchestrator.doctor.side_by_side import Look, look_at_all
from dr_orchestrator.errors import DroError
from dr_orchestrator.repositories.bucket import is_described

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.core.record import HandedOver
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found."""

    practices: tuple[str, ...]
    complaints: tuple[Complaint, ...]
    """The worst first."""
    costs: Mapping[str, tuple[MonthOfTests, ...]]
    """Practice -> what its restore tests cost a month."""


def examine(
    practices: tuple[str, ...],
    settings: Settings,
    make_tools: Callable[[], DoctorTools],
    times_a_month: TimesAMonth,
    goes_on: Callable[[Path], bool],
) -> Examination:
    """Return all that is wrong with this machine and these practices; all, where none is named.

    `make_tools` is called once it is certain that there is a state folder to work in. `goes_on`
    says whether a scheduler goes on with an earlier version of a plan file.

    Raises:
        UsageMistake: there is no such plan, or no folder of plans.
        PlanInvalid: there is no plan at all.
    """
    plans, complaints = read_plans(practices, settings.plans, goes_on)
    invalid = [each.practice for each in complaints]
    names = tuple(dict.fromkeys([*(loaded.plan.practice.id for loaded in plans), *invalid]))
    complaints += tuple(look_at_state(settings))
    costs: dict[str, tuple[MonthOfTests, ...]] = {}
    if not any(each.kind is Kind.STATE_UNUSABLE for each in complaints):
        tools = make_tools()
        patients, unusable = _patients(plans, tools)
        looks = [*_at_machine(patients, tools)]
        for patient in patients:
            looks += _at_practice(patient)
        complaints += (*unusable, *look_at_all(looks, tools.clock))
        costs = {
            each.plan.practice.id: tuple(cost_of_tests(each.plan, each.record, times_a_month))
            for each in patients
        }
    return Examination(practices=names, complaints=worst_first(complaints), costs=costs)


def _patients(
    plans: tuple[LoadedPlan, ...], tools: DoctorTools
) -> tuple[tuple[Patient, ...], tuple[Complaint, ...]]:
    """Return the practices that are this machine's, with what is recorded of them; nothing where
    the record is no use. Of those that another machine has now only that is said.
    """
    try:
        records = [_record(loaded, tools) for loaded in plans]
    except DroError as error:
        do = error.hint or "run dro as the user who owns it"
        return (), (Complaint(kind=Kind.RECORD_UNUSABLE, what=error.message, do=do),)
    patients = [
        Patient(loaded=loaded, record=record, tools=tools)
        for loaded, record in zip(plans, records, strict=True)
    ]
    away = tuple(_away(each.record.handed_over) for each in patients if each.record.handed_over)
    return tuple(each for each in patients if not each.record.handed_over), away


def _away(handed_over: HandedOver) -> Complaint:
    return Complaint(
        kind=Kind.HANDED_OVER,
        what=f"it was handed over to {handed_over.to} on {handed_over.at:%Y-%m-%d}",
        do=f"take its plan out of the plans folder; or go on with it here: "
        f"`dro handover {handed_over.practice} --withdraw`",
        practice=handed_over.practice,
    )


def _record(loaded: LoadedPlan, tools: DoctorTools) -> PracticeRecord:
    practice, store = loaded.plan.practice.id, tools.store()
    if store is not None:
        return store.practice_record(practice)
    return PracticeRecord(practice=practice, first_seen={}, points=(), tests=(), last_runs=())


def _at_machine(patients: tuple[Patient, ...], tools: DoctorTools) -> Iterator[Look]:
    plans = tuple(patient.loaded for patient in patients)
    settings, now = tools.settings, tools.clock.now()
    records = [patient.record for patient in patients]
    for at, complain in (
        ("the programs of this machine", partial(look_at_programs, tools, plans)),
        ("the sandbox", partial(look_at_sandbox, tools)),
        ("the disk of the state folder", partial(look_at_record_room, settings)),
        ("the encryption of disks", partial(look_at_encryption, settings)),
        ("the clock", partial(look_at_clock, now, records)),
        ("the time zones", partial(look_at_time_zones, now)),
        ("the keys in the settings", partial(look_at_settings, settings)),
        ("the mail server", partial(look_at_mail, tools, plans)),
        ("the scheduler", partial(look_at_scheduler, tools, plans)),
        ("where it is watched from", partial(look_at_publishing, settings)),
    ):
        yield Look(at=at, complain=complain)
    for entry in settings.notify if plans else ():
        zone = plans[0].plan.practice.timezone
        complain = partial(look_at_own_listener, tools, entry, zone)
        yield Look(at="a server that the settings' `notify` names", complain=complain)


def _at_practice(patient: Patient) -> Iterator[Look]:
    loaded, plan = patient.loaded, patient.plan
    look = partial(Look, practice=plan.practice.id)
    yield look(at="the plan", complain=partial(look_at_plan, loaded))
    yield look(at="its runbooks", complain=partial(look_at_runbooks, patient))
    yield look(at="its recovery kit", complain=partial(look_at_kit, patient))
    yield look(at="its evidence", complain=partial(look_at_evidence, patient))
    yield look(
        at="its keys",
        complain=partial(look_at_keys, loaded, patient.record, patient.tools.clock.now()),
    )
    yield look(at="who is told", complain=partial(look_for_listeners, patient))
    yield look(at="what is due", complain=partial(look_at_due, patient))
    for number in range(len(plan.notify)):
        complain = partial(look_at_listener, patient, number)
        yield look(at=f"the server that `notify[{number}]` names", complain=complain)
    for name in repositories_in_use(patient):
        at = f"the repository {name}"
        yield look(at=at, complain=partial(look_at_repository, patient, name))
        complain = partial(look_at_repository_certificate, patient, name)
        yield look(at=f"the certificate of {at}", complain=complain)
        if is_described(plan.repositories[name]):
            complain = partial(look_at_bucket_settings, patient, name)
            yield look(at=f"the bucket of {at}", complain=complain)
        complain = partial(look_at_removal, patient, name)
        yield look(at=f"what the server of {at} lets be removed", complain=complain)
        complain = partial(look_at_direct_way, patient, name)
        yield look(at=f"the way by which {at} is looked after", complain=complain)
    yield look(at="the last immutability tests", complain=partial(look_at_attempts, patient))
    for system, spec in plan.protected.items():
        complain = partial(look_at_sandbox_room, patient, system)
        yield look(at=f"the room for restore tests of {system}", complain=complain)
        for asset, asked in spec.assets.items():
            if lab := getattr(asked, "lab", None):
                complain = partial(look_at_lab, patient, system, asset, lab)
                yield look(at=f"the lab server {lab}", complain=complain)
        if spec.is_existing:
            complain = partial(look_at_existing, patient, system)
            yield look(at=f"what another tool saves of {system}", complain=complain)
            continue
        yield look(
            at=f"the staging of {system}", complain=partial(look_at_staging, patient, system)
        )
        for asset in spec.assets:
            complain = partial(look_at_asset, patient, system, asset)
            yield look(at=f"{system}/{asset}", complain=complain)
            complain = partial(look_at_points, patient, system, asset)
            yield look(at=f"the points of {system}/{asset}", complain=complain)
