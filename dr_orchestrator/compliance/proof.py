"""What the restore tests from one repository prove, read once for the objectives that rest on it.

The last conclusive test decides: one that failed is not outweighed by an older one that passed, nor
by one of other files; one that could not verify says nothing, so it takes nothing away. Follow-ups
look for the extent of damage and are not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.compliance.shares import newest_failure
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What is proven of restoring one system from one repository."""

    repository: str
    prove_every: timedelta
    conclusive: tuple[RestoreTest, ...]
    """Passed or failed, oldest first."""
    passed: RestoreTest | None
    """The newest test, where it passed recently enough: what may be called proven."""
    timed: RestoreTest | None
    """The newest test of all files, where it passed recently enough, and so timed the recovery."""
    timed_due: datetime | None
    """By when such a test has to pass, or had to; `None` where the plan asks for none."""
    failed: RestoreTest | None
    """The newest test that failed and was not outweighed since, however long ago."""
    due: datetime | None
    """By when a test has to pass, or had to."""
    why_not: str
    """Where nothing is proven and nothing failed: why, as a sentence."""

    def since(self, holds: Callable[[RestoreTest], bool]) -> datetime | None:
        """Return the start of the oldest test since which `holds` is true of every one."""
        start = None
        for test in reversed(self.conclusive):
            if not holds(test):
                break
            start = test.started_at
        return start


def proofs(case: Case) -> tuple[Proof, ...]:
    """Return what is proven for each repository that the plan has a restore test from."""
    return tuple(
        _proof(case, repository, prove_every)
        for repository, prove_every in case.prove_every.items()
    )


def unasked_failures(case: Case) -> tuple[Proof, ...]:
    """Return the failures in repositories that are backed up to, but not tested by plan.

    Nobody promised to test there; but who did so by hand and found damage must not be told that all
    is well.
    """
    unasked = (each for each in case.repositories if each not in case.prove_every)
    found = (_proof(case, repository, timedelta(0)) for repository in unasked)
    return tuple(proof for proof in found if proof.failed)


def _proof(case: Case, repository: str, prove_every: timedelta) -> Proof:
    tests = [test for test in case.tests if test.repository == repository]
    conclusive = tuple(test for test in tests if test.result is not Result.UNPROVEN)
    failed = newest_failure(conclusive)
    passed = conclusive[-1] if conclusive and not failed else None
    due = passed.started_at + prove_every if passed else case.due(prove_every, repository)
    whole = next((test for test in reversed(conclusive) if test.share.is_whole), None)
    timed = whole if whole and not failed and whole.result is Result.PASSED else None
    whole_every = _whole_every(case, repository)
    return Proof(
        repository=repository,
        prove_every=prove_every,
        conclusive=conclusive,
        passed=passed if passed and _still_proves(case, passed, prove_every) else None,
        timed=timed if timed and _still_proves(case, timed, whole_every or prove_every) else None,
        timed_due=_timed_due(case, timed, repository),
        failed=failed,
        due=due,
        why_not=_why_not(case, tests, passed, prove_every),
    )


def _still_proves(case: Case, test: RestoreTest, prove_every: timedelta) -> bool:
    return case.now <= test.started_at + prove_every and not case.untested(test)


def _whole_every(case: Case, repository: str) -> timedelta | None:
    """Return how often the plan wants recovery of all files proven; `None` where never."""
    planned = case.restore_tests(repository)
    return min((spec.prove_every for spec in planned if spec.parts == 1), default=None)


def _timed_due(case: Case, timed: RestoreTest | None, repository: str) -> datetime | None:
    every = _whole_every(case, repository)
    if every is None:
        return None
    return timed.started_at + every if timed else case.due(every, repository)


def _why_not(
    case: Case, tests: list[RestoreTest], passed: RestoreTest | None, prove_every: timedelta
) -> str:
    tried = tests[-1] if tests and tests[-1].result is Result.UNPROVEN else None
    last_try = f"; the last try could not verify: {tried.reason}" if tried else ""
    if passed is None:
        return f"no restore test has come to a result yet{last_try}"
    if untested := case.untested(passed):
        return (
            f"the last passed restore test ({case.at(passed.started_at)}) was without "
            f"{' and '.join(untested)} as the plan has it now{last_try}"
        )
    return (
        f"the last passed restore test was {case.at(passed.started_at)}, "
        f"longer than {duration_words(prove_every)} ago{last_try}"
    )
