"""Renew the object locks of a repository that would run out before the next round.

restic never does: what it does not write again falls out of its lock, however many recovery points
are made of it (restic#3195).

Every lock is looked at each time, of young objects too: a bucket that lost its default retention,
or never had it, locks nothing, and that must not be taken for protection. It is one request an
object, and the same again for each that is renewed. Nor is it taken for protection that we lock
what was not locked: what is saved next would be open until the next round.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.immutability import renewed_below
from dr_orchestrator.core.immutability import LocksExtended
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import RepositoryDamaged, UsageMistake
from dr_orchestrator.maintenance.forget import NOTHING_SAVED
from dr_orchestrator.maintenance.tools import run_on_repository
from dr_orchestrator.repositories.object_locks import (
    LockMode,
    ObjectLock,
    StoredVersion,
    default_lock,
    put_lock,
    read_lock,
    renewed,
    stored_versions,
)

if TYPE_CHECKING:
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.repositories.s3_place import S3Place
    from dr_orchestrator.store.base import Store

_AT_ONCE = 10
"""As many connections as botocore keeps (`max_pool_connections`)."""
_OWN_FILE = re.compile(r"config|(?:keys|index|snapshots)/[0-9a-f]{64}")
"""What a repository consists of beside its packs, and its locks, which may go (restic's design,
"Repository Layout")."""
_PACK = re.compile(r"data/[0-9a-f]{2}/([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class ExtendResult:
    """What came of renewing the locks of a repository."""

    locks: LocksExtended | None = None
    """`None` where nothing was ever saved."""
    outcome: Outcome = Outcome.DONE
    """`partial` where some locks could not be renewed, `failed` where none could, or where what the
    repository needs is not as it was saved."""
    reason: str = ""


def extend_locks(request: RepositoryRequest, tools: MaintenanceTools) -> ExtendResult:
    """Lock anew every object that the repository needs and whose lock runs out before the round
    after the next one. Always leaves a closed run behind, but where the repository is busy.

    Raises:
        Busy: somebody works alone in the repository.
        UsageMistake: the plan promises no lock there.
        DroError: the bucket or the repository cannot be read or written.
    """
    spec = request.plan.repositories[request.repository]
    promise = spec.object_lock
    if promise is None:
        raise UsageMistake(
            f"the plan locks nothing in {request.repository}",
            hint="`object_lock:` of the repository says for how long",
        )
    with run_on_repository(request, tools, Operation.EXTEND, exclusive=False) as (run, repository):
        if repository is None:
            run.conclude(Outcome.DONE, NOTHING_SAVED)
            return ExtendResult()
        place = tools.open_place(request.plan, request.repository)
        known = _snapshots_on_record(tools.store, request)
        now = tools.clock.now()
        packs = repository.packs()
        if known and not packs:
            raise RepositoryDamaged(
                f"there is no index in the repository {request.repository}",
                hint="see `dro repository undelete`",
            )
        needed = _look(place, packs, known)
        wanted = ObjectLock(
            mode=LockMode(promise.mode.upper()),
            until=(now + timedelta(days=promise.days)).replace(microsecond=0),
        )
        below = now + renewed_below(promise, spec.maintenance)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look_") as pool:
            renewing = pool.map(lambda each: _renew(place, each, wanted, below), needed.versions)
            seen = list(renewing)
        by_default = default_lock(place)
        young = now + by_default if by_default else None
        locks = LocksExtended(
            practice=request.practice,
            repository=request.repository,
            location=request.plan.repositories[request.repository].location,
            run=run.id,
            at=now,
            objects=len(needed.paths),
            extended=sum(each.renewed for each in seen),
            until=None if needed.missing else _earliest(seen, young),
        )
        tools.store.record(locks)
        outcome, reason = _conclude(request, needed, seen, locks_by_default=by_default is not None)
        run.conclude(outcome, reason)
        return ExtendResult(locks=locks, outcome=outcome, reason=reason)


@dataclass(frozen=True)
class _Needed:
    """What a repository needs, as it lies in the bucket."""

    paths: frozenset[str]
    versions: tuple[StoredVersion, ...]
    missing: int
    """How many are not there at all: no version of them."""
    hidden: int
    """How many were deleted, so that restic does not see them, and can be brought back."""
    overwritten: int
    """How many have another size than they were saved with: restic never writes a file twice but
    to repeat an upload."""


@dataclass(frozen=True)
class _Seen:
    """The lock of one version after we looked at it."""

    until: datetime | None
    renewed: bool = False
    refused: str = ""
    """The code, where it should have been renewed."""


def _snapshots_on_record(store: Store, request: RepositoryRequest) -> frozenset[str]:
    """Return the files of the snapshots of our points: their locks are renewed even where somebody
    hid them, since that can be undone only as long as nobody may remove them for good.
    """
    copies = (
        copy
        for point in store.points(request.practice, repository=request.repository)
        if (copy := point.copy_in(request.repository))
    )
    return frozenset(f"snapshots/{each}" for copy in copies for each in copy.all_snapshots)


def _look(place: S3Place, packs: frozenset[str], known: frozenset[str]) -> _Needed:
    """List the bucket after the index was read: what came since is young, and nothing went."""

    def is_wanted(path: str) -> bool:
        pack = _PACK.fullmatch(path)
        return pack[1] in packs if pack else _OWN_FILE.fullmatch(path) is not None

    found: dict[str, list[StoredVersion]] = {}
    for each in stored_versions(place, is_wanted):
        found.setdefault(each.path, []).append(each)
    must = {f"data/{pack[:2]}/{pack}" for pack in packs} | {"config"}
    there = {path for path, versions in found.items() if any(v.is_current for v in versions)}
    paths = must | there | (known & found.keys())
    return _Needed(
        paths=frozenset(paths),
        versions=tuple(each for path in sorted(paths) for each in found.get(path, ())),
        missing=len(must - found.keys()),
        hidden=len((must & found.keys()) - there),
        overwritten=sum(found[path][0].bytes != found[path][-1].bytes for path in there),
    )


def _earliest(seen: list[_Seen], young: datetime | None) -> datetime | None:
    """Return until when every one is locked, and the next one that is saved will be; `None` where
    one is not.
    """
    ends = [*(each.until for each in seen), young]
    known = [each for each in ends if each]
    return min(known) if seen and len(known) == len(ends) else None


def _renew(place: S3Place, stored: StoredVersion, wanted: ObjectLock, below: datetime) -> _Seen:
    lock = read_lock(place, stored)
    then = renewed(lock, wanted.mode, wanted.until)
    if lock is not None and lock.until >= below and lock.mode is then.mode:
        return _Seen(lock.until)
    refused = put_lock(place, stored, then)
    if not refused:
        return _Seen(then.until, renewed=True)
    if (
        lock is None
        or lock.mode is then.mode
        or put_lock(place, stored, replace(then, mode=lock.mode))
    ):
        return _Seen(lock.until if lock else None, refused=refused)
    return _Seen(then.until, renewed=True, refused=refused)  # as weak as it was, and longer


def _conclude(
    request: RepositoryRequest, needed: _Needed, seen: list[_Seen], *, locks_by_default: bool
) -> tuple[Outcome, str]:
    repository = request.repository
    parts = [
        f"{count_words(number, 'object')} that {repository} needs: {what}"
        for number, what in (
            (needed.missing, "not found in its bucket; have it read back"),
            (needed.hidden, "deleted; see `dro repository undelete`"),
            (needed.overwritten, "overwritten; see `dro repository undelete`"),
        )
        if number
    ]
    refused = Counter(each.refused for each in seen if each.refused)
    done = any(each.renewed for each in seen)
    outcome = Outcome.FAILED if parts or (refused and not done) else Outcome.DONE
    if outcome is Outcome.DONE and (refused or not locks_by_default):
        outcome = Outcome.PARTIAL
    if not locks_by_default:
        parts.append(
            "its bucket locks nothing that is saved from now on: see `dro repository prepare "
            f"{request.practice} --repository {repository}`"
        )
    if refused:
        codes = ", ".join(sorted(refused))
        parts.append(
            f"{count_words(refused.total(), 'lock')} could not be renewed ({codes}): may the "
            "credential of the maintenance do that?"
        )
    return outcome, "; ".join(parts)
