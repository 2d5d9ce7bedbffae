"""Custody: whoever is to hold a key showed recently enough that it opens the backups. Pure.

A proof counts for the repository it was given in, until the key is revoked. Each repository that is
used asks for one of its own, from the day it was first seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.acceptance import most_important
from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case
from dr_orchestrator.core.custody import CustodyStanding, KeyProof
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.wording import duration_words, some_names

if TYPE_CHECKING:
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.model import Custody, Plan


def custody_standings(
    plan: Plan, record: PracticeRecord, now: datetime
) -> tuple[CustodyStanding, ...]:
    """Return how each holder that the plan names stands, in its order."""
    return tuple(_standing(plan, record, each, now) for each in plan.custody)


def repositories_of_keys(plan: Plan, record: PracticeRecord) -> tuple[str, ...]:
    """Return the repositories that a key is to open: those in use, and not retired. Where all of
    them are, whoever holds a key still needs it: the plan was not changed yet.
    """
    used = plan.used_repositories
    return tuple(name for name in used if name not in record.retired) or used


def judge_custody(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge all holders that the plan wants proof of, with the most important system."""
    standings = custody_standings(case.plan, record, case.now)
    asked = [each for each in standings if each.due is not None]
    if not asked or most_important(case.plan) != case.name:
        return
    failed = [each for each in asked if each.failed]
    open_now = [each for each in asked if each.verdict(case.now) is not Verdict.MET]
    due = min((each.due for each in open_now if each.due), default=None)
    promised = ", ".join(
        f"{each.holder} every {duration_words(each.prove_every)}"
        for each in asked
        if each.prove_every
    )
    achieved = f"{len(asked) - len(open_now)} of {len(asked)} proven"
    if failed:
        yield case.finding(
            Objective.CUSTODY,
            Verdict.BREACHED,
            promised=promised,
            achieved=achieved,
            reason="; ".join(_failed_words(case, each) for each in failed),
            since=min(proof.at for each in failed for proof in each.failed),
        )
    elif open_now:
        yield case.finding(
            Objective.CUSTODY,
            Verdict.UNPROVEN,
            promised=promised,
            achieved=achieved,
            reason="; ".join(_open_words(case, each) for each in open_now),
            due=due,
        )
    else:
        yield case.finding(
            Objective.CUSTODY,
            Verdict.MET,
            promised=promised,
            achieved=achieved,
            reason="each opened every repository when it was last tried",
        )


def _standing(
    plan: Plan, record: PracticeRecord, custody: Custody, now: datetime
) -> CustodyStanding:
    latest = now + CLOCK_TOLERANCE
    proofs = {
        each.repository: each
        for each in record.key_proofs
        if each.holder == custody.holder and each.at <= latest
    }
    revoked = {(each.repository, each.key) for each in record.keys if each.is_revoked}
    living = {
        each.repository
        for each in record.keys
        if each.holder == custody.holder and not each.is_revoked
    }
    first_day = min(record.first_seen.values(), default=now)
    counted: list[datetime] = []
    failed: list[KeyProof] = []
    unproven: list[str] = []
    keyless: list[str] = []
    waits_since: list[datetime] = []
    lost: list[datetime] = []
    for name in repositories_of_keys(plan, record):
        proof = proofs.get(name)
        began = max(first_day, record.repositories_seen.get(name, first_day))
        waits_since.append(proof.at if proof and proof.opened else began)
        if proof is not None and not proof.opened:
            failed.append(proof)
        elif proof is None or (name, proof.key) in revoked:
            unproven.append(name)
            if name not in living:
                keyless.append(name)
                lost += _lost(record, custody.holder, name, proof)
        else:
            counted.append(proof.at)
    asked = custody.prove_every
    due = min([min(waits_since, default=now) + asked, *lost]) if asked else None
    return CustodyStanding(
        holder=custody.holder,
        form=custody.form,
        prove_every=custody.prove_every,
        proven=None if failed or unproven else min(counted, default=None),
        failed=tuple(failed),
        unproven=tuple(unproven),
        due=due,
        keyless=tuple(keyless),
    )


def _lost(
    record: PracticeRecord, holder: str, name: str, proof: KeyProof | None
) -> Iterator[datetime]:
    """Yield when a holder's key was taken back, or another repository began to stand for the one
    that it opened. Nothing comes back by that key, so there is nothing to wait for.
    """
    for key in record.keys:
        was_theirs = key.holder == holder or (proof is not None and proof.key == key.key)
        if key.repository == name and was_theirs and key.revoked_at is not None:
            yield key.revoked_at
    held = {each.repository for each in record.keys if each.holder == holder}
    held |= {each.repository for each in record.key_proofs if each.holder == holder and each.opened}
    if not held.isdisjoint(record.retired):
        yield from (each.at for each in record.retired.values() if each.replaced_by == name)


def _failed_words(case: Case, each: CustodyStanding) -> str:
    first = each.failed[0]
    names = some_names([proof.repository for proof in each.failed])
    return (
        f"the key of {each.holder} ({each.form}) did not open {names} "
        f"when tried {case.at(first.at)}: {first.reason}"
    )


def _open_words(case: Case, each: CustodyStanding) -> str:
    whose = f"the key of {each.holder} ({each.form})"
    if each.proven is not None:
        return f"{whose} was last tried {case.at(each.proven)}"
    parts = []
    if each.keyless:
        addable = not all(case.plan.only_reads(name) for name in each.keyless)
        command = f"dro key {'sheet' if addable else 'prove'} {case.plan.practice.id}"
        parts.append(
            f"no key of {each.holder} ({each.form}) is known that opens "
            f"{some_names(each.keyless)}: `{command} --holder {each.holder}`"
        )
    made = [name for name in each.unproven if name not in each.keyless]
    if made:
        parts.append(f"{whose} was never proven to open {some_names(made)}")
    return "; ".join(parts)
