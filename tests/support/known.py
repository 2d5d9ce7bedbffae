"""What a judgement of a policy knows: nothing, or a practice where all is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dr_orchestrator.compliance.case import open_case
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.custody import CustodyStanding, KeyProof
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress, TestsDue
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import Anchored, KitMade
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.runbook import DrillKind, Mode, StepExercised
from dr_orchestrator.core.sign_off import CorrectiveAction, HowGiven, SignOff
from dr_orchestrator.policies.known import Known
from tests.support.clock import START as NOW
from tests.support.evidence import (
    PRACTICE,
    SYSTEM,
    full_id,
    looked_after,
    make_attempts,
    make_drill,
    make_plan,
    make_point,
    make_record,
    make_run,
    make_test,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OFFSITE = "s3:https://s3.us-east-2.amazonaws.com/riverside-dr"


def nothing_known(**changes: Any) -> Known:
    """Return a practice that was never acted on."""
    plan, record = make_plan(), make_record()
    known = Known(plan=plan, record=record, findings=judge(plan, record, NOW), now=NOW)
    return replace(known, **changes)


def all_well(**changes: Any) -> Known:
    """Return a practice of which everything that can be on record is, and is good."""
    plan = make_plan(
        repositories={"offsite": {"location": OFFSITE, "append_only": True}},
        importance="critical",
        backup={"schedule": "every 30m", "to": ["onsite"], "copy_to": ["offsite"]},
        restore_tests=[{"schedule": "03:30", "from": "onsite", "prove_every": "2d"}],
    ).model_copy(update={"custody": make_custody()})
    moved = make_point(NOW - 9 * DAY, label="before the move", repositories=("onsite",))
    point = make_point(NOW - HOUR / 2, repositories=("onsite", "offsite"))
    promise = make_promise(NOW - 300 * DAY)
    record = make_record(
        first_seen=NOW - 300 * DAY,
        points=[moved, point],
        tests=[make_test(NOW - 8 * DAY, point=moved.id), make_test(NOW - DAY)],
        promises=(promise,),
        sign_offs=(make_sign_off(NOW - 5 * DAY),),
        actions=(make_action(NOW - 90 * DAY, closed_at=NOW - 88 * DAY),),
        immutability={"offsite": make_attempts(NOW - DAY, location=OFFSITE)},
        checks=looked_after(NOW - DAY, "onsite", "offsite")["checks"],
        last_runs=(evidence_saved(NOW - HOUR),),
    )
    known = Known(
        plan=plan,
        record=record,
        findings=met_findings(),
        now=NOW,
        tests=record.tests,
        due=TestsDue(states=(make_due(NOW - DAY),)),
        drills=(
            make_drill(NOW - 100 * DAY),
            make_drill(NOW - 99 * DAY, kind=DrillKind.COLD_START),
        ),
        exercised=(
            done("emr-server-lost", SYSTEM),
            done("downtime", ""),
            done("building-lost", ""),
        ),
        kit=make_kit(NOW - DAY),
        head=full_id("head"),
        anchors=(make_anchor(NOW - 3 * DAY),),
    )
    return replace(known, **changes)


def met_findings(**verdicts: Verdict) -> tuple[Finding, ...]:
    """Return a finding on each objective of the EMR, met unless stated: `rto=Verdict.BREACHED`."""
    held_in = {
        Objective.COPIES: ("onsite", "offsite"),
        Objective.REPOSITORY_CHECK: ("onsite", "offsite"),
        Objective.IMMUTABILITY: ("offsite",),
        Objective.RESTORE_TEST: ("onsite",),
    }
    return tuple(
        Finding(
            practice=PRACTICE,
            system=SYSTEM,
            objective=objective,
            repository=repository,
            verdict=verdicts.get(objective.value, Verdict.MET),
            promised="",
            achieved="",
            reason="because",
        )
        for objective in Objective
        for repository in held_in.get(objective, (None,))
    )


def with_findings(known: Known, **verdicts: Verdict) -> Known:
    """Return the same with other verdicts."""
    return replace(known, findings=met_findings(**verdicts))


def with_record(known: Known, **changes: Any) -> Known:
    """Return the same with another record; its tests too where they change."""
    tests = {"tests": changes["tests"]} if "tests" in changes else {}
    record = replace(known.record, **changes)
    damaged = open_case(known.plan, SYSTEM, record, NOW).damaged
    return replace(known, record=record, damaged=damaged, **tests)


def make_due(at: datetime, **changes: Any) -> OccurrenceState:
    """Return that a restore test came due and was made."""
    occurrence = Occurrence(
        id=f"nightly@{at.isoformat()}",
        schedule_id="nightly",
        due_at=at,
        practice=PRACTICE,
        operation=Operation.RESTORE_TEST,
        system=SYSTEM,
        repository="onsite",
    )
    plain = OccurrenceState(
        occurrence=occurrence,
        progress=Progress.SETTLED,
        attempt=1,
        not_before=None,
        outcome=Outcome.DONE,
        reason="",
    )
    return replace(plain, **changes)


def make_key_proof(at: datetime, **changes: Any) -> KeyProof:
    """Return that the manager's key did not open what is offsite."""
    proof = KeyProof(
        practice=PRACTICE,
        holder="manager",
        repository="offsite",
        at=at,
        by="Kim",
        key="",
        opened=False,
        reason="this key does not open it",
    )
    return replace(proof, **changes)


def make_standing(**changes: Any) -> CustodyStanding:
    """Return a holder whose key was never tried, and of whom no proof is asked."""
    standing = CustodyStanding(
        holder="manager",
        form="sealed sheet",
        prove_every=None,
        proven=None,
        failed=(),
        unproven=(),
        due=None,
    )
    return replace(standing, **changes)


def make_custody() -> Any:
    """Return two who hold a key."""
    from dr_orchestrator.plan.model import Custody

    return (
        Custody(holder="manager", form="sealed sheet"),
        Custody(holder="msp", form="vault"),
    )


def make_promise(at: datetime, **changes: Any) -> PromiseMade:
    """Return a version of the promise that was first seen `at`."""
    plain = PromiseMade(
        id=f"promise-{at:%Y%m%d}",
        practice=PRACTICE,
        at=at,
        by="Ada",
        known_by="git commit 1a2b3c4",
        plan_sha256=full_id("plan"),
        sha256=full_id("promise", at),
        fields={},
        changes=(),
    )
    return replace(plain, **changes)


def make_sign_off(at: datetime, **changes: Any) -> SignOff:
    """Return that the manager certified the page `at`, on paper."""
    plain = SignOff(
        id=f"sign-{at:%Y%m%d}",
        practice=PRACTICE,
        at=at,
        contact="manager",
        name="Maria Lopez",
        role="practice manager",
        how=HowGiven.PAPER,
        recorded_by="ada on clinic",
        head=full_id("head")[:12],
        number=12,
        chain="c" * 32,
        promise=f"promise-{NOW - 300 * DAY:%Y%m%d}",
        statement_sha256=full_id("statement"),
        document_sha256=full_id("scan"),
    )
    return replace(plain, **changes)


def make_action(opened_at: datetime, **changes: Any) -> CorrectiveAction:
    """Return a corrective action for a failed test, due within a week."""
    plain = CorrectiveAction(
        id=f"action-{opened_at:%Y%m%d}",
        practice=PRACTICE,
        system=SYSTEM,
        repository="onsite",
        cause="failed test",
        test="",
        what="find out why",
        owner="msp",
        opened_at=opened_at,
        due=opened_at + 7 * DAY,
        opened_by="",
        closed_by="ada" if "closed_at" in changes else "",
        done="replaced a disk" if "closed_at" in changes else "",
    )
    return replace(plain, **changes)


def make_kit(at: datetime) -> KitMade:
    """Return a kit that is current for 30 days."""
    return KitMade(
        practice=PRACTICE,
        run=f"kit-{at:%Y%m%d}",
        at=at,
        expires=at + 30 * DAY,
        inputs=full_id("inputs"),
        places=("/srv/kit",),
    )


def make_anchor(at: datetime, **changes: Any) -> Anchored:
    """Return that the head was sent to the manager."""
    plain = Anchored(
        practice=PRACTICE,
        at=at,
        chain="c" * 32,
        number=12,
        head=full_id("head"),
        place="mailbox of practice manager",
    )
    return replace(plain, **changes)


def evidence_saved(at: datetime, outcome: Outcome = Outcome.DONE) -> Any:
    """Return a run that saved the evidence into the repositories."""
    return make_run(
        at, operation=Operation.EVIDENCE, system="", finished_at=at, outcome=outcome, id="saved"
    )


def done(runbook: str, system: str, at: datetime = NOW - 50 * DAY) -> StepExercised:
    """Return that a step of a runbook was really done."""
    return StepExercised(
        runbook=runbook,
        system=system,
        step="look",
        at=at,
        fingerprint="f",
        seconds=60.0,
        mode=Mode.REHEARSAL,
        run=f"run-{runbook}",
    )
