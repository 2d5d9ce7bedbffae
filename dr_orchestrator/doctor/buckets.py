"""Buckets of repositories in S3: whether each is still set as the plan says. None is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import some_names
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error, of_plan
from dr_orchestrator.errors import SecretUnavailable, StorageUnusable
from dr_orchestrator.repositories.bucket import ESSENTIAL, Setting, judge_bucket, wanted_bucket
from dr_orchestrator.repositories.bucket_settings import look_at_bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dr_orchestrator.doctor.instruments import Patient
    from dr_orchestrator.repositories.bucket import Unseen
    from dr_orchestrator.repositories.s3_place import S3Place

_KINDS = {
    Setting.PUBLIC_ACCESS: Kind.BUCKET_PUBLIC,
    Setting.VERSIONING: Kind.BUCKET_VERSIONING,
    Setting.OBJECT_LOCK: Kind.BUCKET_LOCK,
    Setting.TLS_ONLY: Kind.BUCKET_TLS,
    Setting.ENCRYPTION: Kind.BUCKET_ENCRYPTION,
    Setting.LIFECYCLE: Kind.BUCKET_LIFECYCLE,
    Setting.EXPIRY: Kind.BUCKET_EXPIRY,
}


def look_at_bucket_settings(patient: Patient, name: str) -> Iterator[Complaint]:
    """Complain of each setting of a repository's bucket that is not as the plan says."""
    loaded, field = patient.loaded, f"repositories.{name}"
    try:
        place = patient.tools.place(patient.plan, name)
        yield from _settings(patient, name, place)
    except SecretUnavailable as error:
        do, named = "put it there", f"the bucket of {name}"
        yield of_error(loaded, field, Kind.SECRET_UNAVAILABLE, error, do=do, named=named)
    except StorageUnusable as error:
        do = "look at it with the maintenance credential, from this machine"
        yield of_error(loaded, f"{field}.location", Kind.BUCKET_UNSEEN, error, do=do)


def _settings(patient: Patient, name: str, place: S3Place) -> Iterator[Complaint]:
    loaded, spec = patient.loaded, patient.plan.repositories[name]
    field, bucket = f"repositories.{name}", f"the bucket {place.bucket} ({name})"
    prepare = f"`dro repository prepare {patient.plan.practice.id} --repository {name}`"
    wanted, found = wanted_bucket(spec, place.location), look_at_bucket(place)
    if found is None:
        what = f"{bucket} is not there"
        yield of_plan(loaded, f"{field}.location", Kind.BUCKET_MISSING, what, prepare)
        return
    judgement = judge_bucket(wanted, found)
    for drift in judgement.drifts:
        what = f"{bucket}: {drift.setting.words}: {drift.found}; the plan wants: {drift.wanted}"
        do = drift.fix if drift.change is None else f"{drift.fix}: {prepare}"
        yield of_plan(loaded, field, _KINDS[drift.setting], what, do)
    for each in judgement.stricter:
        what = f"{bucket}: {each.setting.words}: {each.found}; the plan wants: {each.wanted}"
        do = "say so in the plan, if it is meant"
        yield of_plan(loaded, field, Kind.BUCKET_STRICTER, what, do)
    yield from _unseen(patient, name, bucket, judgement.unseen)


def _unseen(
    patient: Patient, name: str, bucket: str, unseen: Mapping[Setting, Unseen]
) -> Iterator[Complaint]:
    loaded, field = patient.loaded, f"repositories.{name}"
    if refused := [each.words for each, why in unseen.items() if why.is_known]:
        what = f"{bucket} does not let us look at: {some_names(refused)}"
        do = (
            f"let the maintenance credential: `dro repository prepare --policy --repository {name}`"
        )
        yield of_plan(loaded, field, Kind.BUCKET_UNSEEN, what, do)
    for setting, why in unseen.items():
        if why.is_known:
            continue
        what = f"{bucket}: its storage does not know: {setting.words}"
        if setting in ESSENTIAL:
            do = "keep the copy that nobody may destroy on other storage"
            yield of_plan(loaded, field, Kind.BUCKET_UNSEEN, what, do)
        else:
            do = "ask its provider how it is there"
            yield of_plan(loaded, field, Kind.BUCKET_NOT_KNOWN, what, do)
