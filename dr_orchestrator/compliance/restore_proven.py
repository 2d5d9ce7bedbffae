"""Restore test: a recovery point from each repository was restored and verified recently enough.

Where each test restores a share of the files only, all of them must come round in the time that
takes by the plan: what was not restored is not proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.compliance.proof import Proof, proofs, unasked_failures
from dr_orchestrator.compliance.shares import last_restored, share_restored
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.share import MOST_PARTS
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words


def judge_restore_tests(case: Case) -> Iterator[Finding]:
    """Judge whether restoring is proven, for each repository that the plan has a test from."""
    found = proofs(case)
    if not found:
        yield case.finding(
            Objective.RESTORE_TEST,
            Verdict.UNPROVEN,
            promised="none",
            reason="the plan asks for no restore test, so nothing is ever proven",
        )
    for proof in found:
        yield _judge(case, proof, _promised(case, proof))
    for proof in unasked_failures(case):
        yield _judge(case, proof, "what is tested by hand comes back")


def _judge(case: Case, proof: Proof, promised: str) -> Finding:
    if proof.failed is not None:
        why = f": {proof.failed.reason}" if proof.failed.reason else ""
        return case.finding(
            Objective.RESTORE_TEST,
            Verdict.BREACHED,
            repository=proof.repository,
            promised=promised,
            achieved=f"failed {case.at(proof.failed.started_at)}",
            reason=f"the last restore test{_of_share(proof.failed)} failed{why}",
            since=proof.since(lambda test: test.result is Result.FAILED) or proof.failed.started_at,
        )
    if proof.passed is None:
        return case.finding(
            Objective.RESTORE_TEST,
            Verdict.UNPROVEN,
            repository=proof.repository,
            promised=promised,
            reason=proof.why_not,
            due=proof.due,
        )
    restored = f"passed {case.at(proof.passed.started_at)}"
    verified = f"restored and verified to depth {proof.passed.depth.name}"
    if all(test.share.is_whole for test in proof.conclusive):
        return case.finding(
            Objective.RESTORE_TEST,
            Verdict.MET,
            repository=proof.repository,
            promised=promised,
            achieved=restored,
            reason=verified,
            due=proof.due,
        )
    if not proof.passed.share.is_whole:
        restored += f", with {proof.passed.share}"
    due = _all_files_due(case, proof)
    late = due < case.now
    came_round = _came_round(case, proof, late=late)
    return case.finding(
        Objective.RESTORE_TEST,
        Verdict.UNPROVEN if late else Verdict.MET,
        repository=proof.repository,
        promised=promised,
        achieved=restored,
        reason=came_round if late else f"{verified}; {came_round}",
        due=due if late else min(due, proof.due or due),
    )


def _of_share(test: RestoreTest) -> str:
    return "" if test.share.is_whole else f", with {test.share},"


def _promised(case: Case, proof: Proof) -> str:
    every = f"proven every {duration_words(proof.prove_every)}"
    planned = case.restore_tests(proof.repository)
    if any(spec.parts == 1 for spec in planned):
        return every
    all_files_every = min(spec.all_files_every for spec in planned)
    return f"{every}, all files in turn within {duration_words(all_files_every)}"


def _all_files_due(case: Case, proof: Proof) -> datetime:
    """Return by when all files must have come back, counted from when the oldest of them did, or
    from the first test that restored a share; late tests are allowed for as the plan does.
    """
    planned = case.restore_tests(proof.repository)
    allowed = min(spec.all_files_every + spec.prove_every for spec in planned)
    tests = _of_all_assets(case, proof)
    oldest = _oldest(tests)
    of_shares = [test.started_at for test in tests if not test.share.is_whole]
    return max([*([oldest] if oldest else []), *of_shares[:1]]) + allowed


def _came_round(case: Case, proof: Proof, *, late: bool) -> str:
    tests = _of_all_assets(case, proof)
    if oldest := _oldest(tests):
        what = "part of the files was not restored" if late else "all files came back"
        return f"{what} since {case.at(oldest)}"
    return f"{100 * share_restored(tests):.0f} % of the files came back so far"


def _of_all_assets(case: Case, proof: Proof) -> tuple[RestoreTest, ...]:
    """Return the tests that restored a share of all that the plan has now: nothing came back of an
    asset before it was in the plan. What they looked at tells where their points are long gone.
    """

    def looked_at(test: RestoreTest) -> frozenset[str]:
        return frozenset(each.asset for each in test.verifications).intersection(case.system.assets)

    now = looked_at(proof.conclusive[-1])
    return tuple(t for t in proof.conclusive if now <= looked_at(t) and not case.untested(t))


def _oldest(tests: Iterable[RestoreTest]) -> datetime | None:
    """Return when what was not restored for longest came back; `None` where not all did yet."""
    restored = last_restored(tests)
    if len(restored) < MOST_PARTS:
        return None
    return min(test.started_at for test in restored.values())
