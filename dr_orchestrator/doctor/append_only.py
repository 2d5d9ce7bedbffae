"""Whether the server of a repository lets things be removed, as the plan says or does not say.

It is asked to remove a snapshot that nobody has, which changes nothing: a server that lets nothing
be removed refuses before it looks (`repositories/rest_attack.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error, of_plan
from dr_orchestrator.errors import DroError, ProgramMissing, SecretUnavailable, UsageMistake
from dr_orchestrator.repositories.rest_attack import RestAccess

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient

_DO_DECLARE = "say so in the plan: `append_only: true`"


def look_at_removal(patient: Patient, name: str) -> Iterator[Complaint]:
    """Complain where what the plan says of a REST server, and what that server does, differ."""
    spec = patient.plan.repositories[name]
    if not spec.location.startswith("rest:"):
        return
    try:
        access = RestAccess(name, patient.tools.location(patient.plan, name))
    except (SecretUnavailable, UsageMistake):
        return  # said where it is opened
    is_allowed, said = access.lets_remove()
    field = f"repositories.{name}.append_only"
    if spec.append_only and is_allowed:
        what = f"the server of {name} lets snapshots be removed, and the plan says `append_only`"
        do = "start it with `--append-only`; then `dro repository immutability` proves it"
        yield of_plan(patient.loaded, field, Kind.NOT_APPEND_ONLY, what, do)
    elif spec.append_only and is_allowed is None and said.isdigit():
        what = f"the server of {name} answers {said} to whoever removes something"
        do = "see its log; does a proxy stand before it?"
        yield of_plan(patient.loaded, field, Kind.COULD_NOT_LOOK, what, do)
    elif not spec.append_only and is_allowed is False:
        what = f"the server of {name} lets nothing be removed, and the plan does not say so"
        upkeep = spec.maintenance
        is_removed_from = {upkeep.forget, upkeep.prune} != {"never"} and not upkeep.location
        kind = Kind.REMOVAL_REFUSED if is_removed_from else Kind.APPEND_ONLY_UNSAID
        yield of_plan(patient.loaded, field, kind, what, _DO_DECLARE)


def look_at_direct_way(patient: Patient, name: str) -> Iterator[Complaint]:
    """Complain where `maintenance: {location: }` leads to no repository, or to another one."""
    if patient.plan.repositories[name].maintenance.location is None:
        return
    field, kind = f"repositories.{name}.maintenance.location", Kind.MAINTENANCE_UNREACHABLE
    do = "it must be another way to the same repository"
    try:
        repository = patient.tools.direct_repository(patient.plan, name)
        identity = repository.identity()
        store = patient.tools.store()
        known = store and store.repository_id(patient.plan.practice.id, name)
    except ProgramMissing:
        return  # said of this machine
    except DroError as error:
        named = f"by its maintenance location, {name}"
        yield of_error(patient.loaded, field, kind, error, do=do, named=named)
        return
    if known and known != identity:
        what = (
            f"the maintenance location of {name} leads to another repository ({identity[:8]}) than "
            f"the one we know ({known[:8]})"
        )
        yield of_plan(patient.loaded, field, kind, what, do)
