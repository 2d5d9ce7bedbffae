"""Where recovery points are kept: whether each answers, is ours, and has room.

None is made, none is recorded as seen, and no lock is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dr_orchestrator.compliance.retired import ADVICE, retired_in_use, retired_words
from dr_orchestrator.core.wording import duration_words, size_words
from dr_orchestrator.doctor.certificates import https_certificate, look_at_certificate
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_error, of_plan
from dr_orchestrator.doctor.disks import additions_to, disk_of, growth_of
from dr_orchestrator.doctor.instruments import nearest_existing
from dr_orchestrator.errors import (
    ProgramFailed,
    ProgramMissing,
    RepositoryAbsent,
    RepositoryDamaged,
    RepositoryError,
    SecretUnavailable,
    WrongPassword,
)
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.repositories.restic_location import local_path, where_it_went

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import Patient
    from dr_orchestrator.repositories.restic import ResticRepository

_DO_LOOK = "look at its place from this machine, as the user that dro runs as"
_UNPRUNED = timedelta(days=14)
"""How far ahead room must last where nothing is ever pruned."""


def repositories_in_use(patient: Patient) -> tuple[str, ...]:
    """Return those that some system is backed up or copied to, or tested from."""
    systems = patient.plan.protected.values()
    used = {*patient.plan.used_repositories}
    used |= {test.from_ for system in systems for test in system.restore_tests}
    return tuple(name for name in patient.plan.repositories if name in used)


def look_at_repository(patient: Patient, name: str) -> Iterator[Complaint]:
    """Complain of what would keep points from being saved in, or restored from, a repository."""
    loaded, field = patient.loaded, f"repositories.{name}.location"
    yield from _retired(patient, name)
    try:
        repository = patient.tools.repository(patient.plan, name)
        identity = repository.identity()
        yield from _other_one(patient, name, identity)
        yield from _locks(patient, name, repository)
    except SecretUnavailable as error:
        password = f"repositories.{name}.password"
        named = f"the repository {name}"
        kind = Kind.SECRET_UNAVAILABLE
        yield of_error(loaded, password, kind, error, do="put it there", named=named)
    except ProgramMissing:
        return  # said of this machine
    except RepositoryAbsent as error:
        yield from _absent(patient, name, error)
    except WrongPassword as error:
        do = "check what its `password` refers to: is it another repository's?"
        field = f"repositories.{name}.password"
        yield of_error(loaded, field, Kind.REPOSITORY_PASSWORD, error, do=do)
    except RepositoryDamaged as error:
        do = "keep it as it is, and test the other repositories: `dro test`"
        yield of_error(loaded, field, Kind.REPOSITORY_DAMAGED, error, do=do)
    except (RepositoryError, ProgramFailed) as error:
        yield of_error(loaded, field, Kind.REPOSITORY_UNREACHABLE, error, do=_DO_LOOK)
    yield from _room(patient, name)


def look_at_repository_certificate(patient: Patient, name: str) -> Iterator[Complaint]:
    """Complain of the certificate of a repository that is reached by HTTPS."""
    place = https_place(patient.plan.repositories[name].location)
    if place is None or patient.tools.settings.environment_value("HTTPS_PROXY"):
        return
    try:
        certificate = https_certificate(*place)
    except OSError:
        return  # that it does not answer is seen when it is opened
    if certificate is not None:
        shown = f"the certificate of {place[0]} (repository {name})"
        field = f"repositories.{name}.location"
        yield from look_at_certificate(patient, field, shown, certificate)


def https_place(location: str) -> tuple[str, int | None] | None:
    """Return host and port where restic reaches a location by HTTPS, else `None`.

    restic's manual, "Preparing a new repository": `s3:host/bucket` is HTTPS unless it says http.
    """
    kind, _, rest = location.partition(":")
    if kind == "s3" and "://" not in rest:
        rest = f"https://{rest}"
    if kind not in {"s3", "rest"} or not rest.startswith("https://"):
        return None
    parts = urlsplit(rest)
    return (parts.hostname, parts.port) if parts.hostname else None


def _retired(patient: Patient, name: str) -> Iterator[Complaint]:
    for each in retired_in_use(patient.plan, patient.record):
        if each.repository == name:
            what = retired_words(each, patient.plan.practice.timezone)
            field = f"repositories.{name}"
            yield of_plan(patient.loaded, field, Kind.REPOSITORY_RETIRED, what, ADVICE)


def _known(patient: Patient, name: str) -> str | None:
    store = patient.tools.store()
    return None if store is None else store.repository_id(patient.plan.practice.id, name)


def _other_one(patient: Patient, name: str, identity: str) -> Iterator[Complaint]:
    known = _known(patient, name)
    if known not in {None, identity}:
        yield of_plan(
            patient.loaded,
            f"repositories.{name}.location",
            Kind.REPOSITORY_CHANGED,
            f"another repository is at the place of {name}: it has the id {identity[:8]}, the one "
            f"we know has {str(known)[:8]}",
            "is the right disk mounted? if the change was meant, give the new repository a new "
            "name in the plan",
        )


def _absent(patient: Patient, name: str, error: RepositoryAbsent) -> Iterator[Complaint]:
    loaded, field = patient.loaded, f"repositories.{name}.location"
    known = _known(patient, name)
    if known is not None:
        what = f"the repository {name} was here ({known[:8]}) and is gone"
        practice, location = patient.plan.practice.id, patient.plan.repositories[name].location
        do = where_it_went(practice, name, location)
        yield of_plan(loaded, field, Kind.REPOSITORY_GONE, what, do)
        return
    if patient.plan.only_reads(name):
        what, do = f"there is no repository at the place of {name}", "is this the place?"
        yield of_plan(loaded, field, Kind.REPOSITORY_GONE, what, error.hint or do)
        return
    folder = local_path(patient.plan.repositories[name].location)
    above = nearest_existing(folder) if folder else None
    if above is not None and not os.access(above, os.W_OK | os.X_OK):
        what = f"the repository {name} is not there yet, and cannot be made in {above}"
        do = "let the user that dro runs as write there"
        yield of_plan(loaded, field, Kind.REPOSITORY_UNREACHABLE, what, do)
        return
    what, do = f"the repository {name} is not there yet", "is this the place that is meant?"
    yield of_plan(loaded, field, Kind.REPOSITORY_NOT_MADE, what, error.hint or do)


def _locks(patient: Patient, name: str, repository: ResticRepository) -> Iterator[Complaint]:
    now = patient.tools.clock.now()
    for lock in repository.stale_locks():
        age = duration_words(now - lock.since)
        if lock.is_ours:
            kind = Kind.REPOSITORY_DEAD_LOCK
            what = f"a lock of a process that ended {age} ago lies in the repository {name}"
            do = "nothing: it is removed by itself"
        else:
            kind = Kind.REPOSITORY_LOCKED
            sort = "an exclusive lock" if lock.exclusive else "a lock"
            what = f"{sort} of {lock.hostname}, {age} old, lies in the repository {name}"
            do = "make sure that no restic works there any more, then `restic unlock`"
        yield of_plan(patient.loaded, f"repositories.{name}.location", kind, what, do)


def _room(patient: Patient, name: str) -> Iterator[Complaint]:
    spec = patient.plan.repositories[name]
    folder = local_path(spec.location)
    additions = additions_to(name, patient.record.points)
    if folder is None or not additions:
        return
    prune = spec.maintenance.prune
    ahead = min(prune.period, _UNPRUNED) if isinstance(prune, Schedule) else _UNPRUNED
    growth = growth_of(additions, now=patient.tools.clock.now(), ahead=ahead)
    free = disk_of(folder).free_bytes
    loaded, field, do = patient.loaded, f"repositories.{name}.location", "free some space there"
    has = f"the disk of the repository {name} has {size_words(free)} free"
    if free < growth.newest:
        what = f"{has}, and the last backup added {size_words(growth.newest)}"
        yield of_plan(loaded, field, Kind.REPOSITORY_FULL, what, do)
    elif free < growth.ahead:
        what = f"{has}; {size_words(growth.ahead)} are added in {duration_words(ahead)}"
        yield of_plan(loaded, field, Kind.REPOSITORY_FILLS, what, do)
