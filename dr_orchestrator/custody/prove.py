"""Trying a key that somebody holds: whether it opens the repositories, and a file comes back.

It works with that key alone, as on the day when ours are gone, reads manifests and no patient data,
and changes nothing. Recorded is what was tried: a repository that does not answer says nothing
about a key, and takes no earlier proof away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.custody import KeyProof
from dr_orchestrator.core.record import KeyTried
from dr_orchestrator.errors import (
    CouldNotVerify,
    DroError,
    ManifestInvalid,
    PointNotFound,
    RepositoryDamaged,
    WrongPassword,
)
from dr_orchestrator.repositories.manifests import find_manifest

if TYPE_CHECKING:
    from dr_orchestrator.core.point import PointCopy, RecoveryPoint
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.custody.tools import CustodyTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.restic import ResticRepository


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of a key at one repository."""

    repository: str
    proof: KeyProof | None
    """What is on record now; `None` where it could not be tried."""
    error: DroError | None = None
    """Why it could not."""


def prove_key(
    plan: Plan,
    holder: str,
    password: Secret,
    repositories: Iterable[str],
    tools: CustodyTools,
    *,
    by: str,
) -> tuple[Trial, ...]:
    """Try a holder's key on each of these repositories, and record how that went."""
    trials = []
    for name in repositories:
        try:
            key, reason = _tried(plan, name, password, tools)
        except DroError as error:
            trials.append(Trial(repository=name, proof=None, error=error))
            continue
        proof = KeyProof(
            practice=plan.practice.id,
            holder=holder,
            repository=name,
            at=tools.clock.now(),
            by=by,
            key=key,
            opened=not reason,
            reason=reason,
        )
        tools.store.record(KeyTried(proof=proof))
        trials.append(Trial(repository=name, proof=proof))
    return tuple(trials)


def _tried(plan: Plan, name: str, password: Secret, tools: CustodyTools) -> tuple[str, str]:
    """Return which key opened a repository, and why it counts for nothing; empty where it counts.

    Raises:
        CouldNotVerify: nothing was saved there yet.
        RepositoryError: by its class.
    """
    newest = tuple(_newest(plan, name, tools))
    if not newest:
        raise CouldNotVerify(
            f"no recovery point in {name} is on record, so that no file could come back",
            hint=f"`dro backup {plan.practice.id}`, then try the key again",
        )
    try:
        repository = tools.open_by(plan, name, password)
    except WrongPassword:
        return "", "this key does not open it"
    key = next((each.id for each in repository.list_keys() if each.is_current), "")
    for point, copy in newest:
        try:
            _read_back(repository, point, copy)
        except (ManifestInvalid, PointNotFound, RepositoryDamaged) as error:
            return key, f"it opens, but a file of {point.system} did not come back: {error.message}"
    return key, ""


def _newest(
    plan: Plan, name: str, tools: CustodyTools
) -> Iterator[tuple[RecoveryPoint, PointCopy]]:
    """Yield the newest point of each system that the record says is there."""
    for system in plan.protected:
        held = [
            (point, copy)
            for point in tools.store.points(plan.practice.id, system=system, repository=name)
            if (copy := point.copy_in(name)) is not None
        ]
        if held:
            yield max(held, key=lambda each: (each[0].as_of, each[0].id))


def _read_back(repository: ResticRepository, point: RecoveryPoint, copy: PointCopy) -> None:
    """Bring the manifest of a point back, as it is on record; where somebody else saved the point,
    see that all of it is listed.
    """
    if not copy.is_existing:
        find_manifest(repository, point.practice, point.system, point.id, copy)
        return
    listed = {snapshot.id for snapshot in repository.snapshots({})}
    if not listed.issuperset(copy.all_snapshots):
        raise PointNotFound(f"{repository.name} does not hold all of point {point.id}")
