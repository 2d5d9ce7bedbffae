"""Restore test: a recovery point from each repository was restored and verified recently enough."""

from __future__ import annotations

from collections.abc import Iterator

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.compliance.proof import Proof, proofs, unasked_failures
from dr_orchestrator.core.finding import Finding, Objective, Verdict
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
        yield _judge(case, proof, f"proven every {duration_words(proof.prove_every)}")
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
            reason=f"the last restore test failed{why}",
            since=proof.since(lambda test: test.result is Result.FAILED),
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
    return case.finding(
        Objective.RESTORE_TEST,
        Verdict.MET,
        repository=proof.repository,
        promised=promised,
        achieved=f"passed {case.at(proof.passed.started_at)}",
        reason=f"restored and verified to depth {proof.passed.depth.name}",
        due=proof.due,
    )
