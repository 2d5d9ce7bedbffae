"""Restore one recovery point to a sandbox, prove it, and record what came of it.

Every way out of here is a recorded restore test that is passed, failed or unproven; only an
interruption, or a mistake of ours, leaves none, and then the run says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.compliance.advice import advise
from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.compliance.shares import next_share
from dr_orchestrator.core.record import RestoreTestRecorded
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.share import ALL_FILES
from dr_orchestrator.core.verification import (
    NOTHING_TOLD,
    Depth,
    Result,
    Verification,
    overall,
)
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import Busy, DroError
from dr_orchestrator.repositories.manifests import FoundManifest, find_manifest
from dr_orchestrator.restore.bring_back import Living, bring_back
from dr_orchestrator.restore.choose import choose_point, point_before
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.outcome import result_of
from dr_orchestrator.restore.shares import list_shares
from dr_orchestrator.restore.verify import Verifier
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.assets.files_share import FilesShare
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.core.point import AssetKind, RecoveryPoint
    from dr_orchestrator.core.share import Share
    from dr_orchestrator.packs.choice import Packs
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Progress, Repository
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.sandbox.lab import LabDriver
    from dr_orchestrator.store.base import Store

_TOLD = 3
"""Checks that a reason names; the test has them all."""
_UNTIMED = "not all files came back, so the time of the whole recovery was not taken"
OUTCOMES = {
    Result.PASSED: Outcome.DONE,
    Result.FAILED: Outcome.FAILED,
    Result.UNPROVEN: Outcome.UNPROVEN,
}
"""How a run ends that came to a result."""


@dataclass(frozen=True, kw_only=True)
class RestoreTestTools:
    """What a restore test works with; made by `app.py`."""

    store: Store
    clock: Clock
    drivers: Mapping[AssetKind, AssetDriver]
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan for reading; never creates one."""
    sandboxes: SandboxDriver
    labs: LabDriver
    jobs: int
    lock_wait: timedelta
    """How long to wait where retention looks at the very point."""
    on_progress: Callable[[str, Progress], None] = field(default=lambda _asset, _progress: None)


@dataclass(frozen=True, kw_only=True)
class RestoreTestRequest:
    """Which point of which system is to be proven, and from where."""

    plan: Plan
    system: str
    repository: str
    point: str = "latest"
    """`latest`, `random`, or the beginning of an id."""
    packs: Packs = field(default_factory=dict)
    """Those that the plan names."""
    parts: int = 1
    """Above 1: restore one of so many equal shares of the files, that which was least recently."""
    serves: Serves | None = None
    """What of a schedule the first test is an attempt at."""


def prove(request: RestoreTestRequest, tools: RestoreTestTools) -> tuple[RestoreTest, ...]:
    """Test one recovery point. Where it fails, test also the same point from each other repository
    and the point before it, so that the first test can say where the damage is and what to do; of
    the same files, where a share was restored.

    Returns the test that was asked for first, then its follow-ups.

    Every point is held while it is tested, so that retention does not take it away meanwhile.

    Raises:
        PointNotFound: there is no such point to test.
        Busy: retention has that point just now, or its repository is being pruned; nothing was
            attempted.
        Interrupted: we were stopped; nothing is recorded but the interrupted run.
    """
    with contextlib.ExitStack() as holds:
        point = _chosen(request, tools, holds)
        share = _next_share(request, tools)
        asked = _test(request, point, share, tools, follow_up_of=None)
        follow_ups = _followed_up(asked, request, point, tools) if _is_failed(asked) else ()
    advised = replace(asked, next=advise(asked, follow_ups, _points(request, tools)))
    return (advised, *follow_ups)


def _is_failed(test: RestoreTest) -> bool:
    return test.result is Result.FAILED


def _next_share(request: RestoreTestRequest, tools: RestoreTestTools) -> Share:
    tests = tools.store.tests(
        request.plan.practice.id, system=request.system, repository=request.repository
    )
    latest = tools.clock.now() + CLOCK_TOLERANCE
    asked = (test for test in tests if test.follow_up_of is None and test.started_at <= latest)
    return next_share(asked, request.parts)


def _chosen(
    request: RestoreTestRequest, tools: RestoreTestTools, holds: contextlib.ExitStack
) -> RecoveryPoint:
    """Choose a point and hold it; choose again where it was forgotten before it was held."""
    points = _points(request, tools)
    while True:
        point = choose_point(
            points,
            system=request.system,
            repository=request.repository,
            wanted=request.point,
            now=tools.clock.now(),
            vouched=tools.store.practice_record(request.plan.practice.id).vouches_for,
        )
        holds.enter_context(held(point, request.repository, tools.store, wait=tools.lock_wait))
        points = _points(request, tools)
        if any(each.id == point.id and each.copy_in(request.repository) for each in points):
            return point


def _points(request: RestoreTestRequest, tools: RestoreTestTools) -> tuple[RecoveryPoint, ...]:
    return tools.store.points(request.plan.practice.id, system=request.system)


def _followed_up(
    asked: RestoreTest, request: RestoreTestRequest, point: RecoveryPoint, tools: RestoreTestTools
) -> tuple[RestoreTest, ...]:
    """Test the same point from elsewhere, and the one before it, but for what is taken just now."""
    elsewhere = [
        (point, copy.repository) for copy in point.copies if copy.repository != request.repository
    ]
    before = point_before(_points(request, tools), point, request.repository)
    earlier = [(before, request.repository)] if before is not None else []
    follow_ups = []
    for other, repository in (*elsewhere, *earlier):
        follow_up = replace(request, repository=repository, serves=None)
        with contextlib.suppress(Busy), held(other, repository, tools.store, wait=timedelta()):
            test = _test(follow_up, other, asked.share, tools, follow_up_of=asked.id)
            follow_ups.append(test)
    return tuple(follow_ups)


def _test(
    request: RestoreTestRequest,
    point: RecoveryPoint,
    share: Share,
    tools: RestoreTestTools,
    *,
    follow_up_of: str | None,
) -> RestoreTest:
    with run_in_ledger(
        tools.store,
        tools.clock,
        Operation.RESTORE_TEST,
        practice=point.practice,
        system=point.system,
        repository=request.repository,
        serves=request.serves,
    ) as run:
        attempt = _Attempt(request, point, share, tools)
        started = tools.clock.now()
        try:
            attempt.make(run.id)
        except DroError as error:
            attempt.give_up(error)
        test = attempt.result(run.id, started, follow_up_of)
        tools.store.record(RestoreTestRecorded(test=test))
        run.conclude(OUTCOMES[test.result], test.reason)
    return test


class _Attempt:
    """One restore test while it is being made: what is known of it so far."""

    def __init__(
        self,
        request: RestoreTestRequest,
        point: RecoveryPoint,
        share: Share,
        tools: RestoreTestTools,
    ) -> None:
        self._request = request
        self._point = point
        self._share = share
        self._tools = tools
        self._verifications: tuple[Verification, ...] = ()
        self._conditions: tuple[str, ...] = ()
        self._rta_data: float | None = None
        self._rta_service: float | None = None
        self._proof = 0.0
        self._newest: datetime | None = None
        self._depth = Depth.L0
        self._sandbox = "none"
        self._error: DroError | None = None

    def make(self, run: str) -> None:
        tools, request = self._tools, self._request
        repository = tools.open_repository(request.plan, request.repository)
        found = self._manifest(repository)
        states = found.manifest.assets
        system = request.plan.protected[self._point.system]
        planned = system.assets
        wanted = {
            asset: lab for asset in states if (lab := getattr(planned.get(asset), "lab", None))
        }
        shares = list_shares(self._share, found.manifest, repository, system, request.packs)
        self._share = self._share if shares else ALL_FILES
        needed = sum(share.sandbox_bytes for share in shares.values()) + sum(
            state.bytes if asset in wanted else tools.drivers[state.kind].sandbox_bytes(state)
            for asset, state in states.items()
            if asset not in shares
        )
        with (
            tools.sandboxes.open(run, bytes_needed=needed) as sandbox,
            tools.labs.open(run, wanted, states, request.plan) as labs,
        ):
            levels = (sandbox.level, *(lab.target.level for lab in labs.values()))
            self._sandbox = ", ".join(dict.fromkeys(levels))
            with bring_back(
                found,
                repository,
                sandbox,
                tools.drivers,
                clock=tools.clock,
                jobs=tools.jobs,
                on_progress=tools.on_progress,
                planned=planned,
                labs=labs,
                shares=shares,
            ) as living:
                self._verify(found, living, shares)

    def _manifest(self, repository: Repository) -> FoundManifest:
        """Find the manifest that is on record."""
        point = self._point
        return find_manifest(
            repository,
            point.practice,
            point.system,
            point.id,
            point.copy_in(repository.name),
            kept=self._tools.store.kept_manifest,
        )

    def _verify(
        self, found: FoundManifest, living: Living, shares: Mapping[str, FilesShare]
    ) -> None:
        manifest, plan = found.manifest, self._request.plan
        # what a share takes would pass for the time that all of it takes
        self._rta_data = None if shares else living.data_seconds
        captured = (text for state in manifest.assets.values() for text in state.conditions)
        untimed = (_UNTIMED,) if shares else ()
        self._conditions = tuple(dict.fromkeys((*untimed, *living.conditions, *captured)))
        self._depth = max((each.depth for each in living.restorations.values()), default=Depth.L0)
        verifier = Verifier(
            plan,
            plan.protected[self._point.system],
            manifest,
            living.restorations,
            self._request.packs,
            shares,
        )
        service = Stopwatch(self._tools.clock)
        answers = verifier.service()
        seconds = service.elapsed()
        if not shares and all(answer.result is not Result.FAILED for answer in answers):
            self._rta_service = living.data_seconds + seconds
        self._newest = verifier.newest()
        proof = Stopwatch(self._tools.clock)
        self._verifications = (*answers, *verifier.proof())
        self._proof = proof.elapsed() + sum(
            each.loading_proof_seconds for each in living.restorations.values()
        )

    def give_up(self, error: DroError) -> None:
        self._error = error

    def result(self, test_id: str, started: datetime, follow_up_of: str | None) -> RestoreTest:
        result, reason = self._judgement()
        point = self._point
        age = None if self._newest is None else (point.as_of - self._newest).total_seconds()
        test = RestoreTest(
            id=test_id,
            practice=point.practice,
            system=point.system,
            repository=self._request.repository,
            point=point.id,
            point_as_of=point.as_of,
            started_at=started,
            finished_at=self._tools.clock.now(),
            result=result,
            reason=reason,
            rta_data_seconds=self._rta_data,
            rta_service_seconds=self._rta_service,
            proof_seconds=self._proof,
            rpa_seconds=(started - point.as_of).total_seconds(),
            newest=self._newest,
            data_age_seconds=age,
            depth=self._reached(),
            sandbox=self._sandbox,
            verifications=self._verifications,
            conditions=self._conditions,
            part=self._share.part,
            parts=self._share.parts,
            follow_up_of=follow_up_of,
        )
        return replace(test, next=advise(test, (), (point,)))

    def _judgement(self) -> tuple[Result, str]:
        if self._error is not None:
            return result_of(self._error), self._error.message
        result = overall(self._verifications)
        if result is Result.PASSED:
            return result, ""
        telling = [each for each in self._verifications if each.result is result]
        if {each.reason for each in telling} == {NOTHING_TOLD}:
            return result, NOTHING_TOLD
        reasons = [f"{each.title}: {each.reason}" for each in telling[:_TOLD]]
        if more := len(telling) - len(reasons):
            reasons.append(f"and {count_words(more, 'more check')}")
        return result, "; ".join(reasons) or "nothing was verified"

    def _reached(self) -> Depth:
        """Return how deep the proof went: a level counts only if nothing contradicts it."""
        if self._error is not None or overall(self._verifications) is Result.FAILED:
            return self._depth
        passed = [each.proves for each in self._verifications if each.result is Result.PASSED]
        return max([self._depth, *passed])
