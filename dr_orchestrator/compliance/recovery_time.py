"""RTO: what a restore test proved, plus what the plan allows for the steps outside our reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.compliance.proof import Proof, proofs
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words


def judge_rto(case: Case) -> Iterator[Finding]:
    """Judge the time of recovery, for each repository that the plan has a restore test from.

    A repository from which each test restores a share of the files is passed over, if there is
    another: what the plan promises of the time is proven there.
    """
    found = proofs(case)
    if not found:
        yield case.finding(
            Objective.RTO,
            Verdict.UNPROVEN,
            promised=duration_words(case.system.rto),
            reason="the plan asks for no restore test, so no recovery time is ever proven",
        )
    of_shares_only = [proof for proof in found if not _is_to_be_timed(case, proof.repository)]
    for proof in found:
        says_nothing = proof in of_shares_only and not (proof.timed or proof.failed)
        if not says_nothing or len(of_shares_only) == len(found):
            yield _judge(case, proof)


def _judge(case: Case, proof: Proof) -> Finding:
    rto = case.system.rto
    promised = duration_words(rto)
    if proof.failed is not None:
        return case.finding(
            Objective.RTO,
            Verdict.BREACHED,
            repository=proof.repository,
            promised=promised,
            reason=f"the last restore test ({case.at(proof.failed.started_at)}) failed",
            since=proof.since(lambda test: test.result is Result.FAILED) or proof.failed.started_at,
        )
    whole = _whole(case, proof.timed) if proof.timed else None
    if proof.timed is None or whole is None:
        return case.finding(
            Objective.RTO,
            Verdict.UNPROVEN,
            repository=proof.repository,
            promised=promised,
            reason=_why_untimed(proof),
            due=_untimed_due(proof),
        )
    over = whole - rto
    broken = over > timedelta(0)
    return case.finding(
        Objective.RTO,
        Verdict.BREACHED if broken else Verdict.MET,
        repository=proof.repository,
        promised=promised,
        achieved=_words(case, whole),
        reason=f"the whole recovery would take {duration_words(over)} longer than promised"
        if broken
        else f"proven by the restore test of {case.at(proof.timed.started_at)}",
        since=_over_since(case, proof) if broken else None,
        due=proof.timed_due or proof.due,
    )


def _is_to_be_timed(case: Case, repository: str) -> bool:
    return any(spec.parts == 1 for spec in case.restore_tests(repository))


def _why_untimed(proof: Proof) -> str:
    if proof.passed is None:
        return proof.why_not
    if proof.passed.share.is_whole:
        return "the last restore test passed without timing the recovery"
    return (
        f"the restore tests from {proof.repository} brought back a share of the files each, so "
        "none of them timed the recovery"
    )


def _untimed_due(proof: Proof) -> datetime | None:
    if proof.passed is None:
        return proof.due
    return None if proof.passed.share.is_whole else proof.timed_due


def _whole(case: Case, test: RestoreTest) -> timedelta | None:
    """Return the time of the whole recovery; `None` where the test did not time its part."""
    if test.rta_service_seconds is None:
        return None
    return timedelta(seconds=test.rta_service_seconds) + _allowed(case)


def _over_since(case: Case, proof: Proof) -> datetime | None:
    telling = (
        test for test in proof.conclusive if test.share.is_whole or test.result is Result.FAILED
    )
    return replace(proof, conclusive=tuple(telling)).since(lambda test: _is_over(case, test))


def _is_over(case: Case, test: RestoreTest) -> bool:
    whole = _whole(case, test)
    return test.result is Result.FAILED or (whole is not None and whole > case.system.rto)


def _allowed(case: Case) -> timedelta:
    return sum((step.allow for step in case.system.recovery), timedelta(0))


def _words(case: Case, whole: timedelta) -> str:
    proven = f"{duration_words(whole - _allowed(case))} proven"
    if not case.system.recovery:
        return f"{proven}, data and service only"
    never = sum(
        (step.allow for step in case.system.recovery if step.rehearsed is None), timedelta(0)
    )
    rehearsed = f" ({duration_words(never)} never rehearsed)" if never else ""
    allowed = f"{duration_words(_allowed(case))} allowed{rehearsed}"
    return f"{proven} + {allowed} = {duration_words(whole)}"
