"""Whether it was possible, when last tried, to destroy what a repository holds.

It is not tried here: the doctor changes nothing. What the newest attempt came to is on record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient


def look_at_attempts(patient: Patient) -> Iterator[Complaint]:
    """Complain of each repository in which the backup credential was able to destroy something."""
    plan = patient.plan
    for name, tested in patient.record.immutability.items():
        spec = plan.repositories.get(name)
        if spec is None or not spec.keeps_attackers_out or tested.location != spec.location:
            continue
        if tested.result is Result.FAILED:
            at = instant_words(tested.at, plan.practice.timezone)
            what = f"the backup credential of {name} was able to destroy what is there ({at})"
            do = (
                "mend what else is said of it here, then try again: `dro repository immutability "
                f"{plan.practice.id} --repository {name}`"
            )
            field = f"repositories.{name}"
            yield of_plan(patient.loaded, field, Kind.DESTROYABLE, what, do)
