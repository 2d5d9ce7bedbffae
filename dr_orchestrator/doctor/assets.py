"""What is protected: whether it could be captured tonight, and what is captured be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.doctor.certificates import look_at_certificate
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error, of_plan
from dr_orchestrator.errors import CaptureFailed, ProgramMissing, SecretUnavailable

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient

_DO_HERE = "look at it from this machine, as the user that dro runs as"


def look_at_asset(patient: Patient, system: str, asset: str) -> Iterator[Complaint]:
    """Complain of what would keep an asset from being captured, or from being proven."""
    loaded = patient.loaded
    field, named = f"systems.{system}.assets.{asset}", f"{system}/{asset}"
    driver = patient.tools.drivers[patient.plan.protected[system].assets[asset].kind]
    try:
        probed = driver.probe(patient.capture_request(system, asset))
    except SecretUnavailable as error:
        yield of_error(loaded, field, Kind.SECRET_UNAVAILABLE, error, do=_DO_HERE, named=named)
        return
    except (CaptureFailed, ProgramMissing) as error:
        yield of_error(loaded, field, Kind.NOT_CAPTURABLE, error, do=_DO_HERE, named=named)
        return
    if probed.unloadable is not None:
        why = probed.unloadable
        yield of_error(loaded, field, Kind.NOT_LOADABLE, why, do=_DO_HERE, named=named)
    for condition in probed.conditions:
        do = "change it, or leave it where it is known"
        yield of_plan(loaded, field, Kind.CAPTURED_WITH, f"{named}: {condition}", do)
    if probed.certificate is not None:
        shown = f"the certificate of {named}'s server"
        yield from look_at_certificate(patient, field, shown, probed.certificate)
