"""What is known of a site and its practices, in numbers, verdicts and sentences of ours.

This is what is shown, published and measured. Nothing here may hold patient data or a secret: no
field takes what a person typed on the spot, a row's value, the name of a file, or the output of
another program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.compliance.immutability import protected_until
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.verdict import practice_verdict
from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.problem import OpenProblem, ProblemKind
from dr_orchestrator.core.record import PracticeRecord, SystemPaused
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.store.base import SCHEDULER_SILENT


@dataclass(frozen=True, kw_only=True)
class NewestPoint:
    """The newest recovery point of a system that one repository holds."""

    system: str
    repository: str
    as_of: datetime
    data_as_of: datetime | None
    """How old its data was then, where another tool had made it."""
    bytes: int
    """Of the data itself, all assets together."""


@dataclass(frozen=True, kw_only=True)
class NewestTest:
    """The newest restore test of a system from one repository, or the newest that passed."""

    system: str
    repository: str
    point_as_of: datetime
    started_at: datetime
    finished_at: datetime
    result: Result
    rta_data_seconds: float | None
    rta_service_seconds: float | None
    proof_seconds: float
    rpa_seconds: float
    data_age_seconds: float | None
    depth: Depth
    passed: int
    """How many verifications passed, failed or came to nothing."""
    failed: int
    unproven: int


@dataclass(frozen=True, kw_only=True)
class NewestRun:
    """The newest finished run of an operation on a system or a repository."""

    operation: Operation
    system: str
    repository: str | None
    started_at: datetime
    finished_at: datetime
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Protected:
    """Until when nobody can remove the newest point of a system that was restored from a repository
    and proven.
    """

    system: str
    repository: str
    until: datetime
    """What its locks say; it may be over."""


@dataclass(frozen=True, kw_only=True)
class PracticeStatus:
    """A practice: what was found on it, and the newest numbers behind that."""

    practice: str
    name: str
    titles: Mapping[str, str]
    """System -> what the plan calls it."""
    findings: tuple[Finding, ...]
    paused: Mapping[str, datetime]
    """System (empty: all of them) -> until when nothing scheduled is started for it."""
    forecasts: tuple[str, ...]
    """What will be missed at this pace, each one sentence."""
    points: tuple[NewestPoint, ...]
    tests: tuple[NewestTest, ...]
    runs: tuple[NewestRun, ...]
    protected: tuple[Protected, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any finding."""
        return practice_verdict(self.findings)


@dataclass(frozen=True, kw_only=True)
class SiteProblem:
    """A problem that is not over."""

    id: str
    kind: ProblemKind
    practice: str
    """Empty where it is the machine's."""
    system: str
    what: str
    next: str
    since: datetime | None
    opened_at: datetime
    acknowledged: bool


@dataclass(frozen=True, kw_only=True)
class JournalHead:
    """The newest line of the journal, so that what came before can be held against it later."""

    seq: int
    sha256: str
    """Of its payload, as it stands there."""


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """A machine, and the practices it looks after."""

    site: str
    version: str
    """Of this program."""
    made_at: datetime
    practices: tuple[PracticeStatus, ...]
    problems: tuple[SiteProblem, ...]
    scheduler_seen_at: datetime | None
    """When a scheduler last showed that it runs; `None` where none ever did."""
    journal: JournalHead | None

    @property
    def scheduler_stopped(self) -> bool:
        """Whether there was a scheduler, and nobody has heard of it for a while."""
        seen = self.scheduler_seen_at
        return seen is not None and abs(self.made_at - seen) > SCHEDULER_SILENT

    @property
    def unattended(self) -> tuple[SiteProblem, ...]:
        """The problems that nobody has said to look after."""
        return tuple(problem for problem in self.problems if not problem.acknowledged)


def practice_status(
    plan: Plan, record: PracticeRecord, now: datetime, forecasts: Iterable[str] = ()
) -> PracticeStatus:
    """Return how a practice stands at `now`."""
    latest = now + CLOCK_TOLERANCE
    return PracticeStatus(
        practice=plan.practice.id,
        name=plan.practice.name,
        titles={name: system.title or name for name, system in plan.systems.items()},
        findings=judge(plan, record, now),
        paused={pause.system: pause.until for pause in pauses_in_force(record, now)},
        forecasts=tuple(forecasts),
        # what is dated in the future would look young for as long
        points=tuple(_newest_points(record, latest)),
        tests=tuple(_newest_tests(each for each in record.tests if each.started_at <= latest)),
        runs=tuple(_newest_runs(record.last_runs)),
        protected=tuple(_protected(plan, record)),
    )


def pauses_in_force(record: PracticeRecord, now: datetime) -> tuple[SystemPaused, ...]:
    """Return the pauses that are not over."""
    return tuple(pause for pause in record.pauses.values() if not pause.is_over(now))


def published_problem(found: OpenProblem) -> SiteProblem:
    """Return an open problem without the name of whoever looks after it."""
    problem = found.problem
    return SiteProblem(
        id=found.id,
        kind=problem.kind,
        practice=problem.practice,
        system=problem.system,
        what=problem.what,
        next=problem.next,
        since=problem.since,
        opened_at=found.opened_at,
        acknowledged=found.acknowledged_at is not None,
    )


def _protected(plan: Plan, record: PracticeRecord) -> Iterator[Protected]:
    for system in plan.protected:
        for repository in plan.repositories_of(system):
            if until := protected_until(record, plan, system, repository):
                yield Protected(system=system, repository=repository, until=until)


def _newest_points(record: PracticeRecord, latest: datetime) -> Iterator[NewestPoint]:
    """Yield one for each system and repository, of those that somebody vouches for."""
    newest = {
        (point.system, copy.repository): point
        for point in record.points
        if point.as_of <= latest
        for copy in point.copies
        if record.vouches_for(copy)
    }
    for (system, repository), point in sorted(newest.items()):
        yield NewestPoint(
            system=system,
            repository=repository,
            as_of=point.as_of,
            data_as_of=point.data_as_of,
            bytes=sum(asset.bytes for asset in point.assets.values()),
        )


def _newest_tests(tests: Iterable[RestoreTest]) -> Iterator[NewestTest]:
    """Yield the newest for each system and repository, and the newest passed before it."""
    newest: dict[tuple[str, str], dict[bool, RestoreTest]] = {}
    for test in tests:
        passed = test.result is Result.PASSED
        of_both = newest.setdefault((test.system, test.repository), {})
        of_both[passed] = test
        if passed:
            of_both.pop(False, None)
    for _, found in sorted(newest.items()):
        yield from (_test(test) for test in found.values())


def _test(test: RestoreTest) -> NewestTest:
    results = [verification.result for verification in test.verifications]
    return NewestTest(
        system=test.system,
        repository=test.repository,
        point_as_of=test.point_as_of,
        started_at=test.started_at,
        finished_at=test.finished_at,
        result=test.result,
        rta_data_seconds=test.rta_data_seconds,
        rta_service_seconds=test.rta_service_seconds,
        proof_seconds=test.proof_seconds,
        rpa_seconds=test.rpa_seconds,
        data_age_seconds=test.data_age_seconds,
        depth=test.depth,
        passed=results.count(Result.PASSED),
        failed=results.count(Result.FAILED),
        unproven=results.count(Result.UNPROVEN),
    )


def _newest_runs(runs: Iterable[Run]) -> Iterator[NewestRun]:
    for run in runs:
        if run.finished_at and run.outcome:
            yield NewestRun(
                operation=run.operation,
                system=run.system,
                repository=run.repository,
                started_at=run.started_at,
                finished_at=run.finished_at,
                outcome=run.outcome,
            )
