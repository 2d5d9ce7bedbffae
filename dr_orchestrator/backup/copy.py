"""Bring the recovery points of a system to another repository, newest first.

A point is there once its manifest is: that is copied last, and recorded after it was seen there. So
one whose copying was cut short is no copy, and the next round ends it: restic passes over what is
there already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.record import PointRecorded, PracticeRecord
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import (
    DroError,
    ManifestInvalid,
    PointNotFound,
    RepositoryDamaged,
    RepositoryError,
)
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.manifests import point_tags
from dr_orchestrator.store.base import copying_key, repository_key
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.repositories.base import Repository, Snapshot
    from dr_orchestrator.store.base import Store

_TIMEOUT = timedelta(days=3)
"""For one point: the first of a large system takes that long over a slow line."""
Keeps = Callable[[Plan, PracticeRecord, str, datetime], Collection[str]]
"""Which points, by id, retention keeps in a repository, going by a record at an instant."""


@dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """Which system's points go to which repository."""

    plan: Plan
    system: str
    repository: str
    """The one that is copied to."""
    serves: Serves | None = None


@dataclass(frozen=True, kw_only=True)
class CopyTools:
    """What copying works with; made by `app.py`."""

    store: Store
    clock: Clock
    open_source: Callable[[Plan, str], Repository]
    """Opens a repository of the plan that is copied from; makes none."""
    open_target: Callable[[Plan, str, Repository], Repository]
    """Opens a repository of the plan that is copied to, creating it like the source where there
    certainly is none."""
    keeps: Keeps
    lock_wait: timedelta
    """How long to wait where somebody works alone on a repository."""
    on_point: Callable[[str, int, int], None] = field(default=lambda _point, _done, _all: None)
    """Called before each point with its id, and how many of how many were copied."""


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What came of copying."""

    copied: tuple[str, ...] = ()
    """Ids of points, newest first."""
    left: tuple[tuple[str, str], ...] = ()
    """(id, why) of the points that could not be copied, and of those that are not worth it."""
    outcome: Outcome = Outcome.DONE
    """`partial` where some could not be copied, `failed` where all could not."""
    reason: str = ""


@dataclass(frozen=True)
class Coming:
    """A point that is to be copied, and where from."""

    point: RecoveryPoint
    source: PointCopy


def copy_points(request: CopyRequest, tools: CopyTools) -> CopyResult:
    """Copy what the repository lacks of a system, and would keep. Always leaves a closed run, but
    where the same is being copied already.

    Raises:
        Busy: somebody works alone in one of the repositories, or copies the same; nothing was
            copied.
        DroError: nothing could be done at all.
    """
    practice, system, name = request.plan.practice.id, request.system, request.repository
    only_one = tools.store.locks.hold(
        {copying_key(practice, system, name)},
        exclusive=True,
        wait=timedelta(),
        what=f"copying {system} to {name}",
    )
    with (
        only_one,
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.COPY,
            practice=practice,
            system=system,
            repository=name,
            serves=request.serves,
        ) as run,
    ):
        result = _Copying(request, tools).make()
        run.conclude(result.outcome, result.reason)
    return result


def what_to_copy(
    request: CopyRequest, record: PracticeRecord, now: datetime, keeps: Keeps
) -> tuple[tuple[Coming, ...], tuple[tuple[str, str], ...]]:
    """Return the points that the repository lacks and retention would keep in it, newest first; and
    (id, why) of those that are damaged wherever they could come from. Pure. What only a repository
    tells of is not spread before a person looked.

    Each comes from the repository the system is saved to that holds most of it, the first of
    several. What retention let go of here does not come back: it would not be kept now either.
    """
    failed = _failed(record.tests)
    coming: list[Coming] = []
    damaged: list[tuple[str, str]] = []
    for point in record.points:
        if point.system != request.system or point.copy_in(request.repository):
            continue
        holding = [
            copy
            for name in request.plan.protected[request.system].backup.to
            if (copy := point.copy_in(name)) is not None
            and record.vouches_for(copy)
            and not copy.is_existing
        ]
        sound = [copy for copy in holding if (point.id, copy.repository) not in failed]
        if sound:
            most = max(sound, key=lambda copy: len(copy.snapshots))
            coming.append(Coming(point=point, source=most))
        elif holding:
            why = f"its last restore test from {holding[0].repository} failed"
            damaged.append((point.id, why))
    kept = keeps(
        request.plan, _as_if_there(record, request.repository, coming), request.repository, now
    )
    wanted = [each for each in coming if each.point.id in kept]
    wanted.sort(key=lambda each: (each.point.as_of, each.point.id), reverse=True)
    return tuple(wanted), tuple(damaged)


def _failed(tests: Iterable[RestoreTest]) -> frozenset[tuple[str, str]]:
    """Return (point, repository) whose last conclusive restore test failed; tests oldest first."""
    last = {
        (test.point, test.repository): test.result
        for test in tests
        if test.result is not Result.UNPROVEN
    }
    return frozenset(key for key, result in last.items() if result is Result.FAILED)


def _as_if_there(
    record: PracticeRecord, repository: str, coming: Iterable[Coming]
) -> PracticeRecord:
    """Return what the record would be with all of them copied."""
    copies = {
        each.point.id: replace(each.source, repository=repository, read_back=False)
        for each in coming
    }
    points = (
        replace(point, copies=(*point.copies, copies[point.id])) if point.id in copies else point
        for point in record.points
    )
    return replace(record, points=tuple(points))


class _Copying:
    """One round of copying, and what came of it so far."""

    def __init__(self, request: CopyRequest, tools: CopyTools) -> None:
        self._request = request
        self._tools = tools
        self._practice = request.plan.practice.id
        self._copied: list[str] = []
        self._failed: list[tuple[str, str]] = []

    def make(self) -> CopyResult:
        """Copy what there is to copy.

        Raises:
            DroError: nothing could be copied, for a reason that holds for all of it.
        """
        tools = self._tools
        record = tools.store.practice_record(self._practice)
        wanted, damaged = what_to_copy(self._request, record, tools.clock.now(), tools.keeps)
        if wanted:
            sources = self._open_sources(wanted)
            target = tools.open_target(
                self._request.plan, self._request.repository, next(iter(sources.values()))
            )
            self._bring_all(
                [each for each in wanted if each.source.repository in sources], sources, target
            )
        return CopyResult(
            copied=tuple(self._copied),
            left=(*self._failed, *damaged),
            outcome=self._outcome(),
            reason=self._reason(),
        )

    def _outcome(self) -> Outcome:
        if not self._failed:
            return Outcome.DONE
        return Outcome.PARTIAL if self._copied else Outcome.FAILED

    def _reason(self) -> str:
        if not self._failed:
            return ""
        whys = dict.fromkeys(why for _, why in self._failed)
        return f"{count_words(len(self._failed), 'recovery point')} not copied: {'; '.join(whys)}"

    def _open_sources(self, wanted: Iterable[Coming]) -> dict[str, Repository]:
        """Open those that answer; what would come from the others could not be copied.

        Raises:
            DroError: none answers.
        """
        sources: dict[str, Repository] = {}
        closed: dict[str, DroError] = {}
        for name in dict.fromkeys(each.source.repository for each in wanted):
            try:
                sources[name] = self._tools.open_source(self._request.plan, name)
            except DroError as error:
                closed[name] = error
        if not sources:
            raise next(iter(closed.values()))
        self._failed += [
            (each.point.id, closed[each.source.repository].message)
            for each in wanted
            if each.source.repository in closed
        ]
        return sources

    def _bring_all(
        self, wanted: Sequence[Coming], sources: dict[str, Repository], target: Repository
    ) -> None:
        """Copy one point after the other; what is wrong with one stops no other."""
        for number, each in enumerate(wanted):
            self._tools.on_point(each.point.id, number, len(wanted))
            try:
                self._bring(each, sources[each.source.repository], target)
            except DroError as error:
                if _is_of_one_point(error):
                    self._failed.append((each.point.id, error.message))
                    continue
                if not self._copied:
                    raise
                self._failed += [(left.point.id, error.message) for left in wanted[number:]]
                return

    def _bring(self, coming: Coming, source: Repository, target: Repository) -> None:
        """Copy one point, unless retention let go of it since it was chosen.

        Both repositories are shared with others meanwhile, and let go of between two points: who
        forgets or prunes in one, or must be alone there for another reason, need not wait for all.

        Raises:
            DroError: it is not there; parts of it may be.
        """
        point, wanted = coming.point, coming.source
        with self._shared(source, target):
            if not self._is_still_in(source, point):
                return
            manifest, assets = _as_saved(wanted, self._listed(source, point), source.name)
            target.copy_from(source, tuple(wanted.snapshots.values()), timeout=_TIMEOUT)
            there = self._listed(target, point)
            arrived = {asset: _arrived(each, there, target.name) for asset, each in assets.items()}
            target.copy_from(source, (wanted.manifest_snapshot,), timeout=_TIMEOUT)
            last = _arrived(manifest, self._listed(target, point), target.name)
            copy = PointCopy(
                repository=target.name,
                manifest_snapshot=last.id,
                manifest_sha256=wanted.manifest_sha256,
                snapshots={asset: each.id for asset, each in arrived.items()},
                recorded_at=self._tools.clock.now(),
            )
            self._tools.store.record(PointRecorded(point=replace(point, copies=(copy,))))
        self._copied.append(point.id)

    def _shared(self, source: Repository, target: Repository) -> AbstractContextManager[None]:
        return self._tools.store.locks.hold(
            {repository_key(each.identity()) for each in (source, target)},
            exclusive=False,
            wait=self._tools.lock_wait,
            what=f"the repository {source.name} or {target.name}",
        )

    def _is_still_in(self, source: Repository, point: RecoveryPoint) -> bool:
        held = self._tools.store.points(self._practice, point.system, repository=source.name)
        return any(each.id == point.id for each in held)

    def _listed(self, repository: Repository, point: RecoveryPoint) -> tuple[Snapshot, ...]:
        return repository.snapshots(point_tags(self._practice, point.system, point.id))


def _is_of_one_point(error: DroError) -> bool:
    """Whether it says nothing of other points; what nobody can classify may."""
    return type(error) is RepositoryError or isinstance(
        error, RepositoryDamaged | ManifestInvalid | PointNotFound
    )


def _as_saved(
    copy: PointCopy, listed: Iterable[Snapshot], source: str
) -> tuple[Snapshot, dict[str, Snapshot]]:
    """Return the manifest and the assets of a point as their repository lists them.

    Raises:
        PointNotFound: it lists no such snapshots.
    """
    by_id = {each.id: each for each in listed}
    try:
        assets = {asset: by_id[snapshot] for asset, snapshot in copy.snapshots.items()}
        return by_id[copy.manifest_snapshot], assets
    except KeyError:
        raise PointNotFound(
            f"it is no longer in {source} as it was saved",
            hint="somebody changed the repository: look into it",
        ) from None


def _arrived(saved: Snapshot, there: Iterable[Snapshot], target: str) -> Snapshot:
    """Return the copy of a snapshot.

    Raises:
        RepositoryError: it is not there; restic exits 0 for ids that it does not find.
    """
    for each in there:
        if (each.first_id, each.tree) == (saved.first_id, saved.tree):
            return each
    raise RepositoryError(f"part of it did not arrive in {target}")
