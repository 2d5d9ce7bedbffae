"""What is due now: a pure function of what plans say, of what was handed out before, and of now.

It reads no clock, keeps nothing and starts nothing, so any number of planners may ask; whoever
records what it says lets each occurrence in once (the ledger: one run a schedule id and instant).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

from dr_orchestrator.core.run import Operation
from dr_orchestrator.plan.model import BackupSpec, Plan, RestoreTestSpec
from dr_orchestrator.plan.opening import OpeningHours, is_open, open_time_between
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.schedule.occurrence import occurrences

_WEEK = timedelta(days=7)


class CatchUp(StrEnum):
    """What becomes of occurrences that nobody was there to start."""

    SKIP = "skip"
    """The newest runs, if it is still within its grace."""
    LATEST = "latest"
    """The newest runs, however late."""
    ALL = "all"
    """Every one runs, however late."""


class Skipped(StrEnum):
    """Why an occurrence that came due is not to run, as a person reads it."""

    SUPERSEDED = "a later one had come due before it could be started"
    TOO_LATE = "it could not be started within its grace"


@dataclass(frozen=True)
class Blackout:
    """Hours in which nothing is started: what comes due in them waits until they are over."""

    hours: OpeningHours
    closed: frozenset[date]
    """Days on which the hours do not hold."""

    def __post_init__(self) -> None:
        covered = sum((end - begin for day in self.hours.week for begin, end in day), timedelta())
        if covered == _WEEK:
            raise ValueError("a blackout that never ends lets nothing start")

    def holds(self, instant: datetime, zone: ZoneInfo) -> bool:
        """Return whether nothing may be started at an aware instant."""
        return is_open(instant, hours=self.hours, closed=self.closed, zone=zone)

    def within(self, start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
        """Return how much of a stretch of time it covers."""
        return open_time_between(start, end, hours=self.hours, closed=self.closed, zone=zone)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How an operation may be late."""

    catch_up: CatchUp
    grace: timedelta = timedelta(hours=1)
    """With `skip`: the time after an occurrence, blackout left out, within which it may start."""
    blackout: Blackout | None = None


DEFAULT_POLICIES: Mapping[Operation, Policy] = {
    # one point now closes the gap that ten missed ones left; ten in a row close it no further
    Operation.BACKUP: Policy(catch_up=CatchUp.LATEST),
    # a night's test may begin until about when the practice opens, and never in the midst of work
    Operation.RESTORE_TEST: Policy(catch_up=CatchUp.SKIP, grace=timedelta(hours=4)),
}


@dataclass(frozen=True, kw_only=True)
class ScheduledOperation:
    """One operation that a plan puts on a schedule."""

    practice: str
    system: str
    operation: Operation
    spec: BackupSpec | RestoreTestSpec
    zone: ZoneInfo
    policy: Policy
    field: str
    """Where the plan says so: the path of the schedule."""
    id: str
    """Of what it says: the same words at the same hours to the same end keep it across restarts,
    machines and edits elsewhere in the plan; an edited schedule is a new one, without a past."""

    @property
    def schedule(self) -> Schedule:
        """When."""
        return self.spec.schedule

    @property
    def repositories(self) -> tuple[str, ...]:
        """What a backup saves to, or a test restores from."""
        return self.spec.to if isinstance(self.spec, BackupSpec) else (self.spec.from_,)


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """An operation has come due."""

    operation: ScheduledOperation
    due_at: datetime
    """In UTC; with the operation's id the name of this occurrence."""
    skipped: Skipped | None = None
    """Why it is not to run, which is recorded like a run; None where it is to be started."""


def scheduled_operations(
    plan: Plan, policies: Mapping[Operation, Policy] = DEFAULT_POLICIES
) -> tuple[ScheduledOperation, ...]:
    """Return all that a complete plan puts on a schedule, in file order.

    What a plan says twice in the same words is done once.
    """
    found: dict[str, ScheduledOperation] = {}
    for name, system in plan.protected.items():
        place = f"systems.{name}"
        specs: list[tuple[Operation, BackupSpec | RestoreTestSpec, str]] = [
            (Operation.BACKUP, system.backup, f"{place}.backup.schedule"),
            *(
                (Operation.RESTORE_TEST, test, f"{place}.restore_tests[{index}].schedule")
                for index, test in enumerate(system.restore_tests)
            ),
        ]
        for operation, spec, field in specs:
            key = _id(plan, name, operation, spec)
            made = ScheduledOperation(
                practice=plan.practice.id,
                system=name,
                operation=operation,
                spec=spec,
                zone=plan.practice.timezone,
                policy=policies[operation],
                field=field,
                id=key,
            )
            found.setdefault(key, made)
    return tuple(found.values())


def due(
    operations: Iterable[ScheduledOperation], last_due: Mapping[str, datetime], now: datetime
) -> Iterator[Occurrence]:
    """Yield every occurrence that has come due, in order for each operation: to run, or skipped.

    `last_due` holds by id the newest instant, not after `now`, that was handed out before, run or
    skipped; of an operation that was never handed out, when it was first seen. What is in no
    `last_due` is seen for the first time: nothing is due of it yet. Recording each occurrence by
    (id, `due_at`) before the next call is all it takes that none is lost and none comes twice, also
    with several planners and with a clock that was put back.

    During a blackout of its policy an operation yields nothing, and afterwards what came due in it.
    """
    for operation in operations:
        since = last_due.get(operation.id)
        blackout = operation.policy.blackout
        if since is None or (blackout and blackout.holds(now, operation.zone)):
            continue
        found = occurrences(operation.schedule, operation.zone, since, now)
        for due_at, later in pairwise(chain(found, (None,))):
            if due_at is not None:
                skipped = _skipped(operation, due_at, now, is_newest=later is None)
                yield Occurrence(operation=operation, due_at=due_at, skipped=skipped)


def _skipped(
    operation: ScheduledOperation, due_at: datetime, now: datetime, *, is_newest: bool
) -> Skipped | None:
    policy = operation.policy
    if policy.catch_up is CatchUp.ALL:
        return None
    if not is_newest:
        return Skipped.SUPERSEDED
    late = now - due_at
    if policy.blackout:
        late -= policy.blackout.within(due_at, now, operation.zone)
    is_late = policy.catch_up is CatchUp.SKIP and late > policy.grace
    return Skipped.TOO_LATE if is_late else None


def _id(plan: Plan, system: str, operation: Operation, spec: BackupSpec | RestoreTestSpec) -> str:
    said = [str(spec.schedule), plan.practice.timezone.key]
    if isinstance(spec, RestoreTestSpec):
        said += [spec.from_, spec.point]
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]
    return f"{plan.practice.id}/{system}/{operation.value.replace(' ', '-')}/{digest}"
