"""What is protected: whether it could be captured tonight, and what is captured be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import count_words, instant_words
from dr_orchestrator.doctor.certificates import look_at_certificate
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error, of_plan
from dr_orchestrator.errors import CaptureFailed, ProgramMissing, SecretUnavailable

if TYPE_CHECKING:
    from dr_orchestrator.core.point import Method, RecoveryPoint
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
        runs = f"{named}: production runs {probed.server}" if probed.server else named
        yield of_error(loaded, field, Kind.NOT_LOADABLE, why, do=_DO_HERE, named=runs)
    for condition in probed.conditions:
        do = "change it, or leave it where it is known"
        yield of_plan(loaded, field, Kind.CAPTURED_WITH, f"{named}: {condition}", do)
    if probed.certificate is not None:
        shown = f"the certificate of {named}'s server"
        yield from look_at_certificate(patient, field, shown, probed.certificate)


def look_at_points(patient: Patient, system: str, asset: str) -> Iterator[Complaint]:
    """Complain of points that are kept and were made of a version that nothing here loads: of
    before production was upgraded, or of before it was set back.
    """
    loaded, zone = patient.loaded, patient.plan.practice.timezone
    field, named = f"systems.{system}.assets.{asset}", f"{system}/{asset}"
    has_lab = getattr(patient.plan.protected[system].assets[asset], "lab", None) is not None
    known: dict[tuple[str, Method], ProgramMissing | None] = {}
    lacking: dict[str, tuple[ProgramMissing, list[RecoveryPoint]]] = {}
    for point in patient.record.points:
        summary = point.assets.get(asset)
        if point.system != system or summary is None:
            continue
        key = (summary.server, summary.method)
        if key not in known:
            known[key] = patient.tools.missing_to_load(summary, has_lab)
        if why := known[key]:
            lacking.setdefault(why.message, (why, []))[1].append(point)
    for why, points in lacking.values():
        newest = instant_words(max(point.as_of for point in points), zone)
        what = f"{named}: {count_words(len(points), 'recovery point')}, the newest of {newest}"
        yield of_error(loaded, field, Kind.POINTS_NOT_LOADABLE, why, do=_DO_HERE, named=what)
