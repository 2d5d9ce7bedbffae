"""Versions of a promise, sign-offs and corrective actions as tests need them: one line each."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.promise import Direction, PromiseChange, PromiseMade
from dr_orchestrator.core.record import FindingChanged
from dr_orchestrator.core.sign_off import CorrectiveAction, HowGiven, SignOff
from tests.support.evidence import PRACTICE, SYSTEM, full_id


def make_promise(at: datetime, rto: str = "4h", **changes: Any) -> PromiseMade:
    """Return a promise of that RTO, first seen at `at`."""
    plain = PromiseMade(
        id=f"{at:%Y%m%d-%H%M%S}-{full_id(at, rto)[:6]}",
        practice=PRACTICE,
        at=at,
        by="Ada",
        known_by="git commit 1a2b3c4",
        plan_sha256=full_id("plan", at, rto),
        sha256=full_id("promise", rto),
        fields={"systems.emr.rto": rto},
        changes=(
            PromiseChange(
                field="systems.emr.rto", before="2h", after=rto, direction=Direction.LOOSENED
            ),
        ),
    )
    return replace(plain, **changes)


def make_sign_off(at: datetime, **changes: Any) -> SignOff:
    """Return a sign-off on paper, recorded by the engineer."""
    plain = SignOff(
        id=f"{at:%Y%m%d-%H%M%S}-{full_id(at, changes)[:6]}",
        practice=PRACTICE,
        at=at,
        contact="manager",
        name="Grace Example",
        role="practice manager",
        how=HowGiven.PAPER,
        recorded_by="Ada on clinic",
        head=full_id("head")[:12],
        number=7,
        chain=full_id("chain")[:32],
        promise="",
        statement_sha256=full_id("statement"),
        document_sha256=full_id("scan"),
    )
    return replace(plain, **changes)


def make_action(opened_at: datetime, **changes: Any) -> CorrectiveAction:
    """Return what a failed restore test of the EMR asks for, due in a week."""
    plain = CorrectiveAction(
        id=f"{opened_at:%Y%m%d-%H%M%S}-{full_id(opened_at, changes)[:6]}",
        practice=PRACTICE,
        system=SYSTEM,
        repository="onsite",
        cause="failed test",
        test="20261118-120000-test00",
        what="find out why the restore test of emr failed",
        owner="msp",
        opened_at=opened_at,
        due=opened_at + timedelta(days=7),
        opened_by="",
    )
    return replace(plain, **changes)


def make_change(at: datetime, verdict: Verdict | None, **changes: Any) -> FindingChanged:
    """Return that the verdict on the EMR's RTO became another."""
    plain = FindingChanged(
        practice=PRACTICE,
        at=at,
        system=SYSTEM,
        objective=Objective.RTO,
        repository="",
        verdict=verdict,
        promised="4 h",
        achieved="41 min",
        reason="",
    )
    return replace(plain, **changes)
