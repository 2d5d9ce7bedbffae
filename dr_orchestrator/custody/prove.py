"""Trying a key that somebody holds: whether it opens the repositories, and a file comes back.

It works with that key alone, as on the day when ours are gone, reads manifests and no patient data,
and changes nothing. Recorded is what was tried: a repository that does not answer says nothing
about a key, and takes no earlier proof away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
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
    UsageMistake,
    WrongPassword,
)
from dr_orchestrator.repositories.manifests import find_manifest

if TYPE_CHECKING:
    from dr_orchestrator.core.point import PointCopy, RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
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
    remark: str = ""
    """What to know of a proof that counts."""


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
            key, reason, remark = _tried(plan, name, holder, password, tools)
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
        trials.append(Trial(repository=name, proof=proof, remark=remark))
    return tuple(trials)


def _tried(
    plan: Plan, name: str, holder: str, password: Secret, tools: CustodyTools
) -> tuple[str, str, str]:
    """Return which key opened a repository, why it counts for nothing (empty where it counts), and
    what to know of it.

    Raises:
        CouldNotVerify: nothing was saved there yet.
        UsageMistake: it is not the key of this holder.
        RepositoryError: by its class.
    """
    newest = tuple(_newest(plan, name, tools))
    if not newest:
        raise CouldNotVerify(
            f"no recovery point in {name} is on record, so that no file could come back",
            hint=f"`dro backup {plan.practice.id}`, then try the key again",
        )
    record = tools.store.practice_record(plan.practice.id)
    try:
        repository = tools.open_by(plan, name, password)
    except WrongPassword:
        return "", why_not_opened(record, holder, name), ""
    key = next((each.id for each in repository.list_keys() if each.is_current), "")
    remark = require_theirs(record, holder, name, key, lambda: _plans_own(plan, name, tools) == key)
    for point, copy in newest:
        try:
            _read_back(repository, point, copy)
        except (ManifestInvalid, PointNotFound, RepositoryDamaged) as error:
            reason = f"it opens, but a file of {point.system} did not come back: {error.message}"
            return key, reason, remark
    return key, "", remark


def why_not_opened(record: PracticeRecord, holder: str, name: str) -> str:
    """Return why a key opened nothing, as far as the record tells. Pure."""
    revoked = any(
        each.is_revoked and (each.holder, each.repository) == (holder, name) for each in record.keys
    )
    doubt = f"; a key of {holder} was revoked: is it an old sheet?" if revoked else ""
    return f"this key does not open it{doubt}"


def require_theirs(
    record: PracticeRecord, holder: str, name: str, key: str, is_plans_own: Callable[[], bool]
) -> str:
    """Return what to know of a key that opened a repository; empty where that is nothing.

    `is_plans_own` is asked only of a key that was made for nobody. Pure but for that.

    Raises:
        UsageMistake: it was made for another holder, or is the plan's own, and this holder has
            another one.
    """
    living = [each for each in record.keys if each.repository == name and not each.is_revoked]
    made_for = next((each.holder for each in living if key and each.key == key), "")
    if made_for not in {"", holder}:
        raise UsageMistake(
            f"that is the key of {made_for}",
            hint=f"nothing was recorded; type the key of {holder}, or name --holder {made_for}",
        )
    if made_for or not key or not is_plans_own():
        return ""
    theirs = next((each.key for each in living if each.holder == holder), None)
    if theirs is not None:
        raise UsageMistake(
            f"that is the key this machine uses itself, and the key of {holder} is {theirs}",
            hint=f"nothing was recorded; type the key of {holder}",
        )
    return "it is the key this machine uses itself: it shows nothing about a copy elsewhere"


def _plans_own(plan: Plan, name: str, tools: CustodyTools) -> str:
    """Return the id of the plan's own key; empty where that cannot be had, which is no reason not
    to try another one.
    """
    with contextlib.suppress(DroError):
        listed = tools.open_repository(plan, name).list_keys()
        return next((each.id for each in listed if each.is_current), "")
    return ""


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
