"""One attempt at an occurrence: the use case that it asks for, and what its result means.

Which plan holds is asked now, not when it came due: what is gone from the plan is not run any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from dr_orchestrator.core.occurrence import Occurrence, Serves
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import DroError, ExitCode, PointNotFound, PracticeHandedOver
from dr_orchestrator.schedule.planner import paused
from dr_orchestrator.schedule.retry import Again, Ended
from dr_orchestrator.store.base import Claim

if TYPE_CHECKING:
    from dr_orchestrator.backup.backup import BackupResult
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan

_GONE = "the plan does not ask for this any more"
_TESTED = {
    Result.PASSED: Ended(outcome=Outcome.DONE),
    Result.FAILED: Ended(outcome=Outcome.FAILED),
    Result.UNPROVEN: Ended(outcome=Outcome.UNPROVEN, again=Again.ONCE),
}


class Concluded(Protocol):
    """What a use case says of how it ended."""

    @property
    def outcome(self) -> Outcome:
        """How."""
        ...

    @property
    def reason(self) -> str:
        """One sentence, where the outcome is not `done`."""
        ...


class UseCases(Protocol):
    """What can be on a schedule. Each opens and closes a run that serves the occurrence."""

    def back_up(self, loaded: LoadedPlan, system: str, *, serves: Serves | None) -> BackupResult:
        """Make one recovery point of one system."""
        ...

    def prove_scheduled(
        self, loaded: LoadedPlan, system: str, repository: str, *, point: str, serves: Serves | None
    ) -> tuple[RestoreTest, ...]:
        """Test one recovery point; the test that was asked for comes first."""
        ...

    def check(self, plan: Plan, repository: str, *, serves: Serves | None) -> Concluded:
        """Read back a share of what a repository holds."""
        ...

    def forget(self, plan: Plan, repository: str, *, serves: Serves | None) -> Concluded:
        """Let go of what retention does not keep."""
        ...

    def prune(self, plan: Plan, repository: str, *, serves: Serves | None) -> Concluded:
        """Free the space of what was forgotten."""
        ...

    def copy(self, plan: Plan, system: str, repository: str, *, serves: Serves | None) -> Concluded:
        """Bring the recovery points of one system to another repository."""
        ...

    def extend_locks(self, plan: Plan, repository: str, *, serves: Serves | None) -> Concluded:
        """Renew the object locks that would run out."""
        ...

    def try_to_destroy(self, plan: Plan, repository: str, *, serves: Serves | None) -> Concluded:
        """Try to destroy what a repository holds, and want to be refused."""
        ...

    def deliver_reports(self, loaded: LoadedPlan, *, serves: Serves | None) -> Concluded:
        """Make the reports, and bring them to where the plan wants them."""
        ...

    def make_kit(self, loaded: LoadedPlan, *, serves: Serves | None) -> Concluded:
        """Make the kit, and bring it to where the plan wants it."""
        ...

    def keep_evidence(self, loaded: LoadedPlan, *, serves: Serves | None) -> Concluded:
        """Save the evidence into every repository, and anchor its head where that is due."""
        ...


def carry_out(
    claim: Claim,
    plan_of: Callable[[str], LoadedPlan | None],
    use_cases: UseCases,
    *,
    pauses: Iterable[SystemPaused],
    now: datetime,
) -> Ended:
    """Make one attempt at an occurrence, and say how it ended.

    What was paused after it came due is not attempted, nor what another machine has by now.

    Raises:
        KeyboardInterrupt: we were stopped.
    """
    occurrence = claim.occurrence
    serves = Serves(
        schedule_id=occurrence.schedule_id, due_at=occurrence.due_at, attempt=claim.attempt
    )
    try:
        loaded = plan_of(occurrence.practice)
        if loaded is None or not _asked_for(occurrence, loaded.plan):
            return Ended(outcome=None, reason=_GONE)
        zone = loaded.plan.practice.timezone
        if why := paused(occurrence.operation, occurrence.system, pauses, now, zone):
            return Ended(outcome=None, reason=why)
        return _OPERATIONS[occurrence.operation](occurrence, loaded, serves, use_cases)
    except PracticeHandedOver as error:
        return Ended(outcome=None, reason=error.message)
    except DroError as error:
        return _failed(error, occurrence.operation)


def _asked_for(occurrence: Occurrence, plan: Plan) -> bool:
    """Whether what an occurrence is about is still in the plan."""
    if occurrence.operation is Operation.REPORT:
        return plan.report is not None
    if occurrence.operation is Operation.KIT:
        return plan.kit is not None
    return (not occurrence.system or occurrence.system in plan.protected) and (
        occurrence.repository is None or occurrence.repository in plan.repositories
    )


def _failed(error: DroError, operation: Operation) -> Ended:
    """Say what an error means that ended the whole attempt."""
    if error.exit_code is ExitCode.BUSY:
        return Ended(outcome=Outcome.FAILED, reason=error.message, again=Again.WHEN_FREE)
    if error.exit_code is ExitCode.USAGE:
        return Ended(outcome=Outcome.FAILED, reason=error.message)
    if operation is Operation.RESTORE_TEST:
        unproven = error.exit_code is ExitCode.UNPROVEN or isinstance(error, PointNotFound)
        outcome = Outcome.UNPROVEN if unproven else Outcome.FAILED
        return Ended(outcome=outcome, reason=error.message, again=Again.ONCE)
    return Ended(outcome=Outcome.FAILED, reason=error.message, again=Again.SOME)


def _back_up(occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    result = app.back_up(loaded, occurrence.system, serves=serves)
    if result.outcome is Outcome.DONE:
        return Ended(outcome=Outcome.DONE)
    reason = "; ".join(
        f"{each.asset or each.repository or each.system}: {each.reason}" for each in result.failures
    )
    only_busy = all(each.busy for each in result.failures)
    again = Again.WHEN_FREE if only_busy else Again.SOME
    return Ended(outcome=result.outcome, reason=reason, again=again)


def _test(occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    asked, *_ = app.prove_scheduled(
        loaded,
        occurrence.system,
        occurrence.repository or "",
        point=occurrence.point,
        serves=serves,
    )
    ended = _TESTED[asked.result]
    return Ended(outcome=ended.outcome, reason=asked.reason, again=ended.again)


def _copy(occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    repository = occurrence.repository or ""
    if repository not in loaded.plan.protected[occurrence.system].backup.copy_to:
        return Ended(outcome=None, reason=_GONE)
    result = app.copy(loaded.plan, occurrence.system, repository, serves=serves)
    done = result.outcome is Outcome.DONE
    return Ended(
        outcome=result.outcome, reason=result.reason, again=Again.NO if done else Again.SOME
    )


def _look_after(occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    operations = {
        Operation.CHECK: app.check,
        Operation.FORGET: app.forget,
        Operation.PRUNE: app.prune,
        Operation.EXTEND: app.extend_locks,
        Operation.IMMUTABILITY: app.try_to_destroy,
    }
    repository = occurrence.repository or ""
    result = operations[occurrence.operation](loaded.plan, repository, serves=serves)
    return Ended(outcome=result.outcome, reason=result.reason)


def _report(_occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    return _brought(app.deliver_reports(loaded, serves=serves))


def _kit(_occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    return _brought(app.make_kit(loaded, serves=serves))


def _evidence(_occurrence: Occurrence, loaded: LoadedPlan, serves: Serves, app: UseCases) -> Ended:
    return _brought(app.keep_evidence(loaded, serves=serves))


def _brought(result: Concluded) -> Ended:
    """Say what it means how something was brought to several places."""
    done = result.outcome is Outcome.DONE
    return Ended(
        outcome=result.outcome, reason=result.reason, again=Again.NO if done else Again.SOME
    )


_Carried = Callable[[Occurrence, "LoadedPlan", Serves, UseCases], Ended]
_OPERATIONS: Mapping[Operation, _Carried] = {
    Operation.BACKUP: _back_up,
    Operation.RESTORE_TEST: _test,
    Operation.CHECK: _look_after,
    Operation.FORGET: _look_after,
    Operation.PRUNE: _look_after,
    Operation.COPY: _copy,
    Operation.EXTEND: _look_after,
    Operation.IMMUTABILITY: _look_after,
    Operation.REPORT: _report,
    Operation.KIT: _kit,
    Operation.EVIDENCE: _evidence,
}
