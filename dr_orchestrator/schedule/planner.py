"""What is due now: a pure function of what plans say, of what was handed out before, and of now.

It reads no clock, keeps nothing and starts nothing, so any number of planners may ask; whoever
records what it says lets each occurrence in once (the ledger: one a schedule id and instant).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import chain, pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo

from dr_orchestrator.core.occurrence import AFTER_TEST, LATEST, Occurrence, Skipped
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.plan.model import BackupSpec, Plan, RestoreTestSpec, Timing
from dr_orchestrator.plan.opening import OpeningHours, is_open, open_time_between
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.schedule.occurrence import occurrences, quiet_until

_NO_PAUSES: Mapping[str, Iterable[SystemPaused]] = MappingProxyType({})


class CatchUp(StrEnum):
    """What becomes of occurrences that nobody was there to start."""

    SKIP = "skip"
    """The newest runs, if it is still within its grace."""
    LATEST = "latest"
    """The newest runs, however late."""
    ALL = "all"
    """Every one runs, however late."""


@dataclass(frozen=True)
class Blackout:
    """Hours in which nothing is started: what comes due in them waits until they are over."""

    hours: OpeningHours
    closed: frozenset[date]
    """Days on which the hours do not hold."""

    def __post_init__(self) -> None:
        if self.hours.never_end:
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
    grace: timedelta | None = None
    """With `skip`: the time after an occurrence, blackout left out, within which it may start."""
    blackout: Blackout | None = None


_POLICIES: Mapping[Operation, Policy] = {
    # what a plan does not state itself; of backups and restore tests it does
    Operation.CHECK: Policy(catch_up=CatchUp.LATEST),
    Operation.FORGET: Policy(catch_up=CatchUp.LATEST),
    # nobody else can write meanwhile: on the morning it was meant for, or a week later
    Operation.PRUNE: Policy(catch_up=CatchUp.SKIP, grace=timedelta(hours=6)),
    Operation.EXTEND: Policy(catch_up=CatchUp.LATEST),
    Operation.IMMUTABILITY: Policy(catch_up=CatchUp.LATEST),
    Operation.REPORT: Policy(catch_up=CatchUp.LATEST),
    Operation.KIT: Policy(catch_up=CatchUp.LATEST),
    Operation.EVIDENCE: Policy(catch_up=CatchUp.LATEST),
}
_WHATEVER_IS_PAUSED = frozenset({Operation.REPORT, Operation.KIT, Operation.EVIDENCE})
"""The page tells of the pause, an emergency waits for none, and what is done is put on record."""
CHANGED_AGAIN = timedelta(hours=1)
"""How soon a kit that could not be made after a change is tried again."""


@dataclass(frozen=True, kw_only=True)
class ScheduledOperation:
    """One operation that a plan puts on a schedule."""

    practice: str
    operation: Operation
    schedule: Schedule
    zone: ZoneInfo
    policy: Policy
    field: str
    """Where the plan says so: the path of the schedule."""
    id: str
    """Of what it says: the same words at the same hours to the same end keep it across restarts,
    machines and edits elsewhere in the plan; an edited schedule is a new one, without a past.
    How late it may be is no part of it."""
    system: str = ""
    """Empty where the operation is one on a whole repository, or on the practice."""
    repositories: tuple[str, ...] = ()
    """What a backup saves to, a test restores from, and everything else looks after."""
    point: str = LATEST
    """Which recovery point a test takes."""

    def at(self, due_at: datetime, *, skipped: str = "") -> Occurrence:
        """Return what the ledger gets to know of its occurrence at an instant, in UTC."""
        is_of_one = self.repositories and self.operation is not Operation.BACKUP
        return Occurrence(
            id=f"{self.id}@{due_at:%Y%m%dT%H%M%SZ}",
            schedule_id=self.id,
            due_at=due_at,
            practice=self.practice,
            operation=self.operation,
            system=self.system,
            repository=self.repositories[0] if is_of_one else None,
            point=self.point,
            skipped=skipped,
            keeps_older=self.policy.catch_up is CatchUp.ALL,
        )


def scheduled_operations(plan: Plan) -> tuple[ScheduledOperation, ...]:
    """Return all that a complete plan puts on a schedule: of its systems, repositories, itself.

    What a plan says twice in the same words is done once. Pure, and dearer than `due`: keep it as
    long as the plan stays loaded.
    """
    found: dict[str, ScheduledOperation] = {}
    for each in chain(_of_systems(plan), _of_repositories(plan), _of_practice(plan)):
        found.setdefault(each.id, each)
    return tuple(found.values())


def due(
    operations: Iterable[ScheduledOperation],
    last_due: Mapping[str, datetime],
    now: datetime,
    pauses: Mapping[str, Iterable[SystemPaused]] = _NO_PAUSES,
) -> Iterator[Occurrence]:
    """Yield every occurrence that has come due, in order for each operation: to run, or skipped.

    `last_due` holds by id the newest instant, not after `now`, that was handed out before, run or
    skipped; of an operation that was never handed out, when it was first seen. What is in no
    `last_due` is seen for the first time: nothing is due of it yet. Recording each occurrence by
    (id, `due_at`) before the next call is all it takes that none is lost and none comes twice, also
    with several planners and with a clock that was put back.

    During a blackout of its policy an operation yields nothing, and afterwards what came due in it.
    `pauses` holds by practice what was paused, over or not: what would run during one is skipped.
    """
    for operation in operations:
        since = last_due.get(operation.id)
        if since is None or now < quiet_until(operation.schedule, operation.zone, since):
            continue
        blackout = operation.policy.blackout
        if blackout and blackout.holds(now, operation.zone):
            continue
        of_practice = pauses.get(operation.practice, ())
        why = paused(operation.operation, operation.system, of_practice, now, operation.zone)
        found = occurrences(operation.schedule, operation.zone, since, now)
        for due_at, later in pairwise(chain(found, (None,))):
            if due_at is not None:
                skipped = _skipped(operation, due_at, now, is_newest=later is None) or why
                yield operation.at(due_at, skipped=skipped)


def _skipped(
    operation: ScheduledOperation, due_at: datetime, now: datetime, *, is_newest: bool
) -> str:
    policy = operation.policy
    if policy.catch_up is CatchUp.ALL:
        return ""
    if not is_newest:
        return Skipped.SUPERSEDED.value
    late = now - due_at
    if policy.blackout:
        late -= policy.blackout.within(due_at, now, operation.zone)
    is_late = policy.grace is not None and late > policy.grace
    return Skipped.TOO_LATE.value if is_late else ""


def paused(
    operation: Operation,
    system: str,
    pauses: Iterable[SystemPaused],
    now: datetime,
    zone: tzinfo,
) -> str:
    """Return why nothing of it is started, by the pause that lasts longest; empty without one."""
    if operation in _WHATEVER_IS_PAUSED:
        return ""
    about = {"", system}
    in_force = (each for each in pauses if each.system in about and not each.is_over(now))
    longest = max(in_force, key=lambda each: each.until, default=None)
    if longest is None:
        return ""
    return f"paused until {instant_words(longest.until, zone)}: {longest.why}"


def _of_systems(plan: Plan) -> Iterator[ScheduledOperation]:
    for name, system in plan.protected.items():
        yield _of_system(plan, name, system.backup, "backup")
        yield from _copies(plan, name, system.backup)
        for index, test in enumerate(system.restore_tests):
            yield _of_system(plan, name, test, f"restore_tests[{index}]")


def _of_system(
    plan: Plan, system: str, spec: BackupSpec | RestoreTestSpec, field: str
) -> ScheduledOperation:
    if isinstance(spec, BackupSpec):
        operation, repositories, point = Operation.BACKUP, spec.to, LATEST
        key = _id(plan, system, operation, spec.schedule)
    else:
        operation, repositories, point = Operation.RESTORE_TEST, (spec.from_,), spec.point
        key = _restore_test_id(plan, system, spec)
    return ScheduledOperation(
        practice=plan.practice.id,
        system=system,
        operation=operation,
        schedule=spec.schedule,
        repositories=repositories,
        point=point,
        zone=plan.practice.timezone,
        policy=_policy(plan, spec),
        field=f"systems.{system}.{field}.schedule",
        id=key,
    )


def parts_asked(plan: Plan, system: str, schedule_id: str) -> int:
    """Return into how many shares of the files a plan divides a restore test that came due; 1 where
    it is whole, or not in the plan any more.
    """
    return next(
        (
            test.parts
            for test in plan.protected[system].restore_tests
            if _restore_test_id(plan, system, test) == schedule_id
        ),
        1,
    )


def _restore_test_id(plan: Plan, system: str, spec: RestoreTestSpec) -> str:
    sampled = ("sampled",) if spec.files else ()
    what = (spec.from_, spec.point, *sampled)
    return _id(plan, system, Operation.RESTORE_TEST, spec.schedule, *what)


def _copies(plan: Plan, system: str, spec: BackupSpec) -> Iterator[ScheduledOperation]:
    timing = spec.copying
    if timing is None:
        return
    for repository in spec.copy_to:
        yield ScheduledOperation(
            practice=plan.practice.id,
            system=system,
            operation=Operation.COPY,
            schedule=timing.schedule,
            repositories=(repository,),
            zone=plan.practice.timezone,
            policy=_policy(plan, timing),
            field=f"systems.{system}.backup.copying.schedule",
            id=_id(plan, system, Operation.COPY, timing.schedule, repository),
        )


def _policy(plan: Plan, timing: Timing) -> Policy:
    return Policy(
        catch_up=CatchUp(timing.catch_up),
        grace=timing.grace,
        blackout=_blackout(plan, timing.blackout),
    )


def _of_repositories(plan: Plan) -> Iterator[ScheduledOperation]:
    for name in plan.used_repositories:
        repository = plan.repositories[name]
        maintenance = repository.maintenance
        locked, tested = repository.object_lock is not None, repository.keeps_attackers_out
        blackout = _blackout(plan, maintenance.blackout)
        for operation, key, schedule in (
            (Operation.CHECK, "check", maintenance.check),
            (Operation.FORGET, "forget", maintenance.forget),
            (Operation.PRUNE, "prune", maintenance.prune),
            (Operation.EXTEND, "extend", maintenance.extend if locked else "never"),
            (
                Operation.IMMUTABILITY,
                "immutability",
                maintenance.immutability if tested else "never",
            ),
        ):
            if schedule == "never":
                continue
            yield ScheduledOperation(
                practice=plan.practice.id,
                operation=operation,
                schedule=schedule,
                repositories=(name,),
                zone=plan.practice.timezone,
                policy=replace(_POLICIES[operation], blackout=blackout),
                field=f"repositories.{name}.maintenance.{key}",
                id=_id(plan, name, operation, schedule),
            )


def _of_practice(plan: Plan) -> Iterator[ScheduledOperation]:
    for operation, key, spec in (
        (Operation.REPORT, "report", plan.report),
        (Operation.KIT, "kit", plan.kit),
        (Operation.EVIDENCE, "evidence", plan.evidence),
    ):
        if spec is not None:
            yield ScheduledOperation(
                practice=plan.practice.id,
                operation=operation,
                schedule=spec.schedule,
                zone=plan.practice.timezone,
                policy=_POLICIES[operation],
                field=f"{key}.schedule",
                id=_id(plan, "", operation, spec.schedule),
            )


def kit_after_change(
    practice: str, inputs: str, last_due: Mapping[str, datetime], now: datetime
) -> Occurrence | None:
    """Return a kit that a change has made due, beside its schedule; `None` where one of the same
    inputs (a hash) was due within the hour: it is being made, or could not be.
    """
    schedule_id = f"{practice}/{Operation.KIT.value}/changed-{inputs[:12]}"
    before = last_due.get(schedule_id)
    if before is not None and now - CHANGED_AGAIN < before <= now:
        return None
    due_at = now.replace(second=0, microsecond=0)
    return Occurrence(
        id=f"{schedule_id}@{due_at:%Y%m%dT%H%M%SZ}",
        schedule_id=schedule_id,
        due_at=due_at,
        practice=practice,
        operation=Operation.KIT,
        system="",
        repository=None,
        point=LATEST,
    )


def report_after_test(
    practice: str, tested: datetime, last_due: Mapping[str, datetime], now: datetime
) -> Occurrence | None:
    """Return the report that a restore test which finished at `tested` has made due, beside its
    schedule; `None` where it, or a later one, was handed out before.
    """
    schedule_id = f"{practice}/{Operation.REPORT.value}/{AFTER_TEST}"
    before = last_due.get(schedule_id)
    if tested > now or (before is not None and tested <= before <= now):
        return None
    return Occurrence(
        id=f"{schedule_id}@{tested:%Y%m%dT%H%M%S.%fZ}",
        schedule_id=schedule_id,
        due_at=tested,
        practice=practice,
        operation=Operation.REPORT,
    )


def _blackout(plan: Plan, hours: OpeningHours | None) -> Blackout | None:
    return Blackout(hours, frozenset(plan.practice.closed)) if hours else None


def _id(plan: Plan, of: str, operation: Operation, schedule: Schedule, *end: str) -> str:
    said = "\n".join((str(schedule), plan.practice.timezone.key, *end))
    digest = hashlib.sha256(said.encode()).hexdigest()[:12]
    words = (plan.practice.id, of, operation.value.replace(" ", "-"), digest)
    return "/".join(word for word in words if word)
