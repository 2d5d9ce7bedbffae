"""One attempt at an occurrence: the use case it asks for, and what its result means."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.backup.backup import BackupResult, Failure
from dr_orchestrator.core.occurrence import Occurrence, Serves
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import (
    Busy,
    CouldNotVerify,
    DroError,
    PlanInvalid,
    PointNotFound,
    RepositoryLocked,
    RepositoryUnreachable,
)
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.schedule.carry_out import carry_out
from dr_orchestrator.schedule.retry import Again, Ended
from dr_orchestrator.store.base import Claim
from tests.support.clock import START

PLAN = b"""\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories:
  onsite: {location: /srv/r, password: {file: /etc/dro/key}}
  offsite: {location: /srv/o, password: {file: /etc/dro/key}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    backup: {schedule: every 30m, copy_to: [offsite]}
    assets: {docs: {kind: files, path: /srv/d, marker: m}}
report: {schedule: "Mon 06:00", folder: /srv/pages}
kit: {folder: /srv/kits}
"""
LOADED = read_plan(PLAN, "riverside.yaml")


@dataclass(frozen=True)
class Came:
    """What a use case says of how it ended; a test's own, or a restore test's."""

    outcome: Outcome = Outcome.DONE
    reason: str = ""
    result: Result = Result.PASSED


@dataclass
class Cases:
    """Use cases that note how they were called, and return or raise what a test says."""

    comes_of_it: Any
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _called(self, *call: Any) -> Any:
        self.calls.append(call)
        if isinstance(self.comes_of_it, BaseException):
            raise self.comes_of_it
        return self.comes_of_it

    def back_up(self, _loaded: LoadedPlan, system: str, *, serves: Serves | None) -> Any:
        return self._called("back_up", system, serves)

    def prove_scheduled(
        self, _loaded: Any, system: str, repository: str, *, point: str, serves: Serves | None
    ) -> Any:
        return self._called("prove", system, repository, point, serves)

    def check(self, _plan: Any, repository: str, *, serves: Serves | None) -> Any:
        return self._called("check", repository, serves)

    def forget(self, _plan: Any, repository: str, *, serves: Serves | None) -> Any:
        return self._called("forget", repository, serves)

    def prune(self, _plan: Any, repository: str, *, serves: Serves | None) -> Any:
        return self._called("prune", repository, serves)

    def copy(self, _plan: Any, system: str, repository: str, *, serves: Serves | None) -> Any:
        return self._called("copy", system, repository, serves)

    def extend_locks(self, _plan: Any, repository: str, *, serves: Serves | None) -> Any:
        return self._called("extend_locks", repository, serves)

    def try_to_destroy(self, _plan: Any, repository: str, *, serves: Serves | None) -> Any:
        return self._called("try_to_destroy", repository, serves)

    def deliver_reports(self, _loaded: LoadedPlan, *, serves: Serves | None) -> Any:
        return self._called("report", serves)

    def make_kit(self, _loaded: LoadedPlan, *, serves: Serves | None) -> Any:
        return self._called("kit", serves)

    def keep_evidence(self, _loaded: LoadedPlan, *, serves: Serves | None) -> Any:
        return self._called("evidence", serves)


def claim(
    operation: Operation, *, system: str = "", repository: str | None = None, point: str = "latest"
) -> Claim:
    occurrence = Occurrence(
        id="o",
        schedule_id="s",
        due_at=START,
        practice="riverside",
        operation=operation,
        system=system,
        repository=repository,
        point=point,
    )
    return Claim(occurrence=occurrence, attempt=2, token="t")


def ended(claimed: Claim, comes_of_it: Any, loaded: LoadedPlan | None = LOADED) -> Ended:
    return carry_out(claimed, lambda _practice: loaded, Cases(comes_of_it), pauses=(), now=START)


BACKUP = claim(Operation.BACKUP, system="emr")
TEST = claim(Operation.RESTORE_TEST, system="emr", repository="onsite", point="random")
COPY = claim(Operation.COPY, system="emr", repository="offsite")
SERVES = Serves(schedule_id="s", due_at=START, attempt=2)


def failure(*, busy: bool) -> Failure:
    return Failure(system="emr", asset="docs", repository=None, reason="no", busy=busy)


@pytest.mark.parametrize(
    ("claimed", "call"),
    [
        (BACKUP, ("back_up", "emr", SERVES)),
        (TEST, ("prove", "emr", "onsite", "random", SERVES)),
        (claim(Operation.CHECK, repository="onsite"), ("check", "onsite", SERVES)),
        (claim(Operation.FORGET, repository="onsite"), ("forget", "onsite", SERVES)),
        (claim(Operation.PRUNE, repository="onsite"), ("prune", "onsite", SERVES)),
        (COPY, ("copy", "emr", "offsite", SERVES)),
        (claim(Operation.EXTEND, repository="onsite"), ("extend_locks", "onsite", SERVES)),
        (claim(Operation.IMMUTABILITY, repository="onsite"), ("try_to_destroy", "onsite", SERVES)),
        (claim(Operation.REPORT), ("report", SERVES)),
        (claim(Operation.KIT), ("kit", SERVES)),
        (claim(Operation.EVIDENCE), ("evidence", SERVES)),
    ],
)
def test_carry_out_calls_the_use_case_that_serves_the_occurrence(
    claimed: Claim, call: tuple[Any, ...]
) -> None:
    came = (Came(),) if claimed is TEST else Came()
    if claimed is BACKUP:
        came = BackupResult(point=None, failures=(), outcome=Outcome.DONE)  # type: ignore[assignment]
    cases = Cases(came)
    found = carry_out(claimed, lambda _practice: LOADED, cases, pauses=(), now=START)
    assert found == Ended(outcome=Outcome.DONE)
    assert cases.calls == [call]


@pytest.mark.parametrize(
    "claimed",
    [
        claim(Operation.BACKUP, system="gone"),
        claim(Operation.RESTORE_TEST, system="emr", repository="gone"),
        claim(Operation.RESTORE_TEST, system="gone", repository="onsite"),
        claim(Operation.PRUNE, repository="gone"),
        claim(Operation.COPY, system="emr", repository="onsite"),
        claim(Operation.COPY, system="gone", repository="offsite"),
    ],
)
def test_carry_out_attempts_nothing_that_the_plan_does_not_ask_for_any_more(claimed: Claim) -> None:
    assert ended(claimed, AssertionError()).outcome is None


def test_carry_out_attempts_nothing_without_a_plan() -> None:
    assert ended(BACKUP, AssertionError(), loaded=None).outcome is None
    without = read_plan(PLAN.rsplit(b"report:", 1)[0], "riverside.yaml")
    for operation in (Operation.REPORT, Operation.KIT):
        assert ended(claim(operation), AssertionError(), loaded=without).outcome is None


@pytest.mark.parametrize("system", ["", "emr"])
def test_carry_out_attempts_nothing_that_was_paused_meanwhile(system: str) -> None:
    until = START + timedelta(hours=4)
    pause = SystemPaused(
        practice="riverside", system=system, at=START, until=until, by="kim", why="upgrade"
    )
    cases = Cases(AssertionError())
    found = carry_out(BACKUP, lambda _practice: LOADED, cases, pauses=[pause], now=START)
    assert found == Ended(outcome=None, reason=found.reason)
    assert found.reason.startswith("paused until ")
    assert cases.calls == []


@pytest.mark.parametrize(
    ("failures", "again"),
    [
        ((True,), Again.WHEN_FREE),
        ((True, True), Again.WHEN_FREE),
        ((True, False), Again.SOME),
        ((False,), Again.SOME),
    ],
)
def test_carry_out_tries_a_backup_again_that_lacks_something(
    failures: tuple[bool, ...], again: Again
) -> None:
    result = BackupResult(
        point=None,
        failures=tuple(failure(busy=each) for each in failures),
        outcome=Outcome.PARTIAL,
    )
    found = ended(BACKUP, result)
    assert (found.outcome, found.again) == (Outcome.PARTIAL, again)
    assert found.reason.startswith("docs: no")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Result.PASSED, Ended(outcome=Outcome.DONE)),
        (Result.FAILED, Ended(outcome=Outcome.FAILED, reason="3 rows are gone")),
        (
            Result.UNPROVEN,
            Ended(outcome=Outcome.UNPROVEN, reason="3 rows are gone", again=Again.ONCE),
        ),
    ],
)
def test_carry_out_takes_damage_for_a_result(result: Result, expected: Ended) -> None:
    reason = "" if result is Result.PASSED else "3 rows are gone"
    assert ended(TEST, (Came(reason=reason, result=result), Came())) == expected


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PARTIAL])
def test_carry_out_tries_copies_again_that_lack_something(outcome: Outcome) -> None:
    again = Ended(outcome=outcome, reason="1 of 3 left", again=Again.SOME)
    assert ended(COPY, Came(outcome, "1 of 3 left")) == again


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNPROVEN, Outcome.PARTIAL])
def test_carry_out_takes_what_a_repository_is_like_for_a_result(outcome: Outcome) -> None:
    check = claim(Operation.CHECK, repository="onsite")
    assert ended(check, Came(outcome, "damaged")) == Ended(outcome=outcome, reason="damaged")


@pytest.mark.parametrize(
    ("claimed", "error", "outcome", "again"),
    [
        (BACKUP, Busy("busy"), Outcome.FAILED, Again.WHEN_FREE),
        (TEST, Busy("busy"), Outcome.FAILED, Again.WHEN_FREE),
        (BACKUP, RepositoryLocked("locked"), Outcome.FAILED, Again.WHEN_FREE),
        (BACKUP, RepositoryUnreachable("away"), Outcome.FAILED, Again.SOME),
        (BACKUP, PlanInvalid("a mistake"), Outcome.FAILED, Again.NO),
        (TEST, RepositoryUnreachable("away"), Outcome.FAILED, Again.ONCE),
        (TEST, CouldNotVerify("no sandbox"), Outcome.UNPROVEN, Again.ONCE),
        (TEST, PointNotFound("none yet"), Outcome.UNPROVEN, Again.ONCE),
    ],
)
def test_carry_out_says_what_an_error_means(
    claimed: Claim, error: DroError, outcome: Outcome, again: Again
) -> None:
    expected = Ended(outcome=outcome, reason=error.message, again=again)
    assert ended(claimed, error) == expected
