"""What a kit is made of, and what all its files read out of that: points, and ways to them.

Nothing here holds a secret: a plan says where keys are, and this says it in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import printable
from dr_orchestrator.runbook.order import recovery_order

if TYPE_CHECKING:
    from dr_orchestrator.core.point import Manifest, PointCopy, RecoveryPoint
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.secret_reference import SecretReference
    from dr_orchestrator.runbook.load import LoadedRunbook

_OF_AMAZON = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_OF_REST = ("RESTIC_REST_PASSWORD",)


@dataclass(frozen=True, kw_only=True)
class KitInput:
    """What a kit is made of."""

    loaded: LoadedPlan
    runbooks: Mapping[str, LoadedRunbook]
    points: tuple[RecoveryPoint, ...]
    """The newest of each system that is held in each repository."""
    manifests: Mapping[str, Manifest]
    """By point, where one could be read: what a server must offer, and how much space it takes."""
    kept: Mapping[str, str]
    """By point, the manifests (JSON) that no repository holds: another tool saved what it is of."""
    restic: Mapping[str, bytes]
    """File name -> program, checked against its hash."""
    script: bytes
    """`dro-kit.py`."""
    made: datetime
    expires: datetime
    tests: tuple[RestoreTest, ...] = ()
    """Those that passed."""
    restic_ids: Mapping[str, str] = field(default_factory=dict)
    """Repository -> restic's own id of it, where it was seen."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Repository -> why no manifest could be read there: what is said of it is from our record."""

    @property
    def plan(self) -> Plan:
        """What is promised."""
        return self.loaded.plan


def inputs_of(loaded: LoadedPlan, runbooks: Mapping[str, LoadedRunbook]) -> str:
    """Return SHA-256 over the plan and the runbooks that a kit would be made of."""
    said = [loaded.sha256, *(f"{name}\n{runbooks[name].sha256}" for name in sorted(runbooks))]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Held:
    """A recovery point as one repository holds it."""

    point: RecoveryPoint
    copy: PointCopy
    proven: datetime | None

    @property
    def bytes(self) -> int:
        """Of its data, before compression."""
        return sum(each.bytes for each in self.point.assets.values())


def held(given: KitInput, system: str) -> tuple[Held, ...]:
    """Return the newest point of a system in each of its repositories, the newest first; of equal
    ones the nearest.
    """
    found = []
    for repository in given.plan.repositories_of(system):
        there = [
            (point, copy)
            for point in given.points
            if point.system == system and (copy := point.copy_in(repository)) is not None
        ]
        if there:
            point, copy = max(there, key=lambda each: each[0].as_of)
            found.append(Held(point=point, copy=copy, proven=_proven(given, point, repository)))
    return tuple(sorted(found, key=lambda each: each.point.as_of, reverse=True))


def example(given: KitInput) -> tuple[str, str]:
    """Return a system and a repository for a command that shows how: a restore that can be done,
    of the first system that has a point; else names to be replaced, where there is nothing.
    """
    order = recovery_order(given.plan, given.plan.protected)
    for system in order:
        for each in held(given, system):
            return system, each.copy.repository
    return next(iter(order), "SYSTEM"), next(iter(given.plan.used_repositories), "REPOSITORY")


def _proven(given: KitInput, point: RecoveryPoint, repository: str) -> datetime | None:
    """Return when a restore test of all of a point last passed."""
    passed = (
        test.started_at
        for test in given.tests
        if (test.point, test.repository, test.parts) == (point.id, repository, 1)
    )
    return max(passed, default=None)


@dataclass(frozen=True, kw_only=True)
class Way:
    """How restic gets at a repository when this machine is gone."""

    repository: str
    location: str
    restic_id: str | None
    key: str
    """Where a person finds its password."""
    user: str | None
    """Whom a REST server knows us as."""
    environment: tuple[str, ...]
    """Variables that restic needs beside the password."""
    environment_key: str
    """Where a person finds their values."""
    region: str | None


def ways(given: KitInput) -> tuple[Way, ...]:
    """Return how to get at each repository that a system is saved or copied to."""
    return tuple(_way(given, name) for name in given.plan.used_repositories)


def _way(given: KitInput, name: str) -> Way:
    spec = given.plan.repositories[name]
    credentials = spec.credentials
    user = credentials.user if spec.location.startswith("rest:") else None
    environment = _OF_AMAZON if spec.is_s3 else _OF_REST if user else ()
    keys = (credentials.access_key_id, credentials.secret_access_key, credentials.password)
    found = dict.fromkeys(_where(each) for each in keys if each is not None)
    profile = credentials.aws_profile
    if not found and environment and profile:
        found[f"profile {profile} in ~/.aws/credentials of the machine that made the backups"] = (
            None
        )
    return Way(
        repository=name,
        location=spec.location,
        restic_id=given.restic_ids.get(name),
        key=_where(spec.password),
        user=user,
        environment=environment,
        environment_key=printable("; ".join(found)) if environment else "",
        region=spec.bucket.region if spec.is_s3 else None,
    )


def _where(reference: SecretReference) -> str:
    return printable(reference.obtain or f"{reference} of the machine that made the backups")
