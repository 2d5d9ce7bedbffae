"""What is to become of what a repository holds: kept, let go of, or not touched. Pure.

`decide` needs the record alone. `survey` holds it against what the repository lists, and says
what is not as it should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import rpo_window
from dr_orchestrator.compliance.suspicion import suspicions
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import Run
from dr_orchestrator.maintenance import trust
from dr_orchestrator.maintenance.holdings import Listing, sort_snapshots
from dr_orchestrator.maintenance.retention import PROVEN_HERE, kept
from dr_orchestrator.maintenance.strangers import Known, Stranger, strangers
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.base import Snapshot

RUBBLE_AFTER = timedelta(days=2)
"""What a failed backup left is removed when nobody can still be looking into the failure."""
_NEVER_FORGOTTEN_BEFORE = timedelta(days=14)
"""Where nothing was ever forgotten, points that are older than this have been relied on."""
_NO_POLICY = "the plan no longer says anything of its system"
_THEIRS = "another tool saved it, and lets go of it"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Which points of a practice stay in a repository, by the record alone."""

    kept: Mapping[str, tuple[str, ...]]
    """Point -> why, in words."""
    going: tuple[RecoveryPoint, ...]
    """The others, oldest first."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A decision, held against what the repository lists."""

    decision: Decision
    vanished: tuple[RecoveryPoint, ...]
    """To be kept, and no longer whole in the repository."""
    gone: tuple[RecoveryPoint, ...]
    """Saved by another tool, and let go of by it."""
    rubble: tuple[Snapshot, ...]
    """What backups of ours saved that never became a point."""
    strangers: tuple[Stranger, ...]
    """What we did not make."""
    doubts: tuple[str, ...]
    """Why nothing may be forgotten until a person has looked, each a sentence."""


def decide(plan: Plan, record: PracticeRecord, repository: str, now: datetime) -> Decision:
    """Return which points that are on record in `repository` stay there."""
    held = [point for point in record.points if point.copy_in(repository)]
    reasons: dict[str, tuple[str, ...]] = {
        point.id: (_NO_POLICY,) for point in held if point.system not in plan.protected
    }
    for system in plan.protected:
        reasons |= _kept(plan, system, record, repository, now)
    reasons |= {point.id: (_THEIRS,) for point in held if is_existing(point, repository)}
    candidates = [point for point in held if point.id not in reasons]
    # weighs the whole history: only where it may change something
    doubtful = {each.system: each for each in suspicions(plan, record, now)} if candidates else {}
    for point in candidates:
        if (doubt := doubtful.get(point.system)) is not None:
            reasons[point.id] = (f"until the newest of its backups are as usual: {doubt.what}",)
    return Decision(kept=reasons, going=tuple(point for point in held if point.id not in reasons))


def survey(
    plan: Plan,
    record: PracticeRecord,
    repository: str,
    now: datetime,
    *,
    listing: Listing,
    known: Known,
    runs: Mapping[str, Run],
    last_forget: datetime | None,
) -> Survey:
    """Return what is to become of what `repository` holds.

    `runs` are the backups of our ledger by the id of a point that is not on record here;
    `last_forget` is when points were last let go of here, within what anybody remembers.
    """
    decision = decide(plan, record, repository, now)
    holdings = sort_snapshots(listing.of_practice(record.practice))
    recorded = {
        point.id: copy for point in record.points if (copy := point.copy_in(repository)) is not None
    }
    vanished = tuple(
        point
        for point in record.points
        if point.id in decision.kept
        and not is_existing(point, repository)
        and point.id in listing.recorded
        and holdings.lacks(recorded[point.id])
    )
    found = strangers(listing.snapshots, known, runs, record.accepted.get(repository, frozenset()))
    looked_into = record.retention_released.get(repository)
    proven = [point.id for point in vanished if PROVEN_HERE in decision.kept[point.id]]
    ids = {each.id for each in listing.snapshots}
    return Survey(
        decision=decision,
        vanished=vanished,
        gone=tuple(
            point
            for point in record.points
            if point.id in listing.recorded
            and is_existing(point, repository)
            and not ids.issuperset(recorded[point.id].all_snapshots)
        ),
        rubble=tuple(
            snapshot
            for point, remains in holdings.points.items()
            if point not in recorded and not remains.manifests and _is_over(runs.get(point), now)
            for snapshot in remains.assets
            if snapshot.original not in known.elsewhere  # a copy of it may be ended yet
        ),
        strangers=found,
        doubts=(
            *trust.wrong_dates(record.points, repository, now, looked_into),
            *_tightened(
                plan,
                record,
                repository,
                now=now,
                last_forget=last_forget,
                going=decision.going,
            ),
            *trust.strange_snapshots(found),
            *trust.vanished_points(len(vanished), proven[-1] if proven else ""),
            *(
                trust.read_back(record.points, repository, looked_into)
                if repository in record.frozen
                else ()
            ),
        ),
    )


def is_existing(point: RecoveryPoint, repository: str) -> bool:
    """Return whether what a repository holds of a point was saved by another tool."""
    copy = point.copy_in(repository)
    return copy is not None and copy.is_existing


def _kept(
    plan: Plan, system: str, record: PracticeRecord, repository: str, now: datetime
) -> dict[str, tuple[str, ...]]:
    spec = plan.protected[system]
    return kept(
        (
            point
            for point in record.points
            if point.system == system and not is_existing(point, repository)
        ),
        spec.retention,
        zone=plan.practice.timezone,
        now=now,
        repository=repository,
        window=rpo_window(spec.rpo),
        assets=tuple(spec.assets),
        tests=(test for test in record.tests if test.system == system),
        holds=record.holds,
        released=record.released,
    )


def _tightened(
    plan: Plan,
    record: PracticeRecord,
    repository: str,
    *,
    now: datetime,
    last_forget: datetime | None,
    going: Iterable[RecoveryPoint],
) -> Iterator[str]:
    """Yield whether the plan asks for much less than when points were last let go of.

    What was old already then, and survived, and would not have by the plan as it is now, goes only
    because the plan was changed. A person who released the repository since has seen it.

    What stayed only while a suspicion stood was let go of before that, or was not there yet: then
    the plan is held against the beginning of the suspicion.
    """
    looked_into = record.retention_released.get(repository)
    if looked_into is not None and (last_forget is None or looked_into > last_forget):
        return
    leaving = {point.id for point in going}
    stood = suspicions(plan, record, last_forget) if last_forget else ()
    for system, spec in plan.protected.items():
        began = [each.since for each in stood if each.system == system]
        then = min(last_forget, *began) if last_forget and began else last_forget
        before = [
            point
            for point in record.points
            if point.system == system
            and (copy := point.copy_in(repository)) is not None
            and (then is None or copy.recorded_at <= then)
        ]
        age = _NEVER_FORGOTTEN_BEFORE if then is None else rpo_window(spec.rpo)
        newest = max((point.as_of for point in before if point.as_of <= now), default=now)
        settled = {point.id for point in before if point.as_of <= newest - age}
        if then is None:
            lost, why = leaving, "nothing was ever forgotten here before"
        else:
            lost = leaving.difference(
                _kept(plan, system, replace(record, points=tuple(before)), repository, then)
            )
            why = "the plan asks for less than when points were last let go of"
        yield from trust.too_many(system, lost, settled, why)


def _is_over(run: Run | None, now: datetime) -> bool:
    return run is not None and run.finished_at is not None and now - run.finished_at >= RUBBLE_AFTER
