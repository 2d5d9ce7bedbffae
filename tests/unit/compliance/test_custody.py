"""What is on record of keys on the left, who can open the backups on the right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.advice import what_to_do
from dr_orchestrator.compliance.custody import custody_standings
from dr_orchestrator.compliance.judge import judge, judge_all
from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord, RepositoryRetired
from dr_orchestrator.plan.model import Custody, Plan
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_plan, make_record

DAY = timedelta(days=1)
EVERY = 90 * DAY


def _plan(*custody: Custody) -> Plan:
    plan = make_plan(backup={"schedule": "every 30m", "to": ["onsite", "offsite"]})
    held = custody or (Custody(holder="manager", form="sealed sheet", prove_every=EVERY),)
    return plan.model_copy(update={"custody": held})


def _proof(at: datetime, repository: str, **changes: Any) -> KeyProof:
    proof = KeyProof(
        practice=PRACTICE,
        holder="manager",
        repository=repository,
        at=at,
        by="Kim",
        key="23e673c3",
        opened=True,
    )
    return replace(proof, **changes)


def _both(at: datetime, **changes: Any) -> tuple[KeyProof, ...]:
    return tuple(_proof(at, name, **changes) for name in ("onsite", "offsite"))


def _record(proofs: Iterable[KeyProof] = (), **more: Any) -> PracticeRecord:
    more = {"first_seen": NOW - 400 * DAY, **more}
    return make_record(key_proofs=tuple(proofs), **more)


def _made(repository: str, revoked_at: datetime | None = None) -> HeldKey:
    return HeldKey(
        practice=PRACTICE,
        repository=repository,
        key="23e673c3",
        holder="manager",
        form="sealed sheet",
        made_at=NOW - 20 * DAY,
        made_by="Kim",
        revoked_at=revoked_at,
    )


def _found(record: PracticeRecord, plan: Plan | None = None) -> Finding:
    found = judge_all(plan or _plan(), record, NOW)
    (finding,) = (each for each in found if each.objective is Objective.CUSTODY)
    return finding


def _told(record: PracticeRecord, plan: Plan | None = None) -> list[Verdict]:
    found = judge(plan or _plan(), record, NOW)
    return [each.verdict for each in found if each.objective is Objective.CUSTODY]


def test_key_is_proven_when_it_opened_every_repository_in_time() -> None:
    finding = _found(_record(_both(NOW - 80 * DAY)))
    assert (finding.verdict, finding.achieved) == (Verdict.MET, "1 of 1 proven")
    assert finding.promised == "manager every 90 d"


def test_key_is_unproven_when_it_was_never_tried_and_quiet_in_the_first_days() -> None:
    first_days = _record(first_seen=NOW - 10 * DAY)
    assert _found(first_days).due == NOW + 80 * DAY
    assert _told(first_days) == [Verdict.UNPROVEN]
    late = _found(_record())
    assert (late.verdict, late.due) == (Verdict.UNPROVEN, NOW - 310 * DAY)
    assert "no key of manager (sealed sheet) is known that opens onsite" in late.reason
    assert "`dro key sheet riverside --holder manager`" in late.reason


def test_key_is_unproven_when_the_proof_is_too_old_or_lacks_a_repository() -> None:
    old = _found(_record(_both(NOW - 91 * DAY)))
    assert (old.verdict, old.due) == (Verdict.UNPROVEN, NOW - DAY)
    one = _found(_record([_proof(NOW - DAY, "onsite")]))
    assert one.verdict is Verdict.UNPROVEN
    assert "is known that opens offsite: `dro key sheet" in one.reason
    made = _found(_record([_proof(NOW - DAY, "onsite")], keys=(_made("offsite"),)))
    assert made.reason.endswith("never proven to open offsite")


def test_new_repository_asks_for_its_proof_from_the_day_it_was_first_seen() -> None:
    seen = {"onsite": NOW - 400 * DAY, "offsite": NOW - 10 * DAY}
    record = _record([_proof(NOW - DAY, "onsite")], repositories_seen=seen)
    assert _found(record).due == NOW + 80 * DAY
    assert _told(record) == [Verdict.UNPROVEN]


def test_key_that_was_taken_back_is_due_at_once_until_another_was_made() -> None:
    proofs = _both(NOW - 10 * DAY)
    revoked = _made("offsite", revoked_at=NOW - DAY)
    assert _found(_record(proofs, keys=(revoked,))).due == NOW - DAY
    another = replace(_made("offsite"), key="79ab01cd")
    assert _found(_record(proofs, keys=(revoked, another))).due == NOW + 80 * DAY


def test_key_of_a_repository_that_another_stands_for_is_due_at_once_there() -> None:
    old = RepositoryRetired(
        practice=PRACTICE, repository="old", at=NOW - DAY, by="Kim", replaced_by="offsite", why="x"
    )
    more = {"retired": {"old": old}, "repositories_seen": {"offsite": NOW - DAY}}
    onsite = _proof(NOW - DAY, "onsite")
    assert _found(_record([onsite, _proof(NOW - DAY, "old")], **more)).due == NOW - DAY
    assert _found(_record([onsite], **more)).due == NOW + 89 * DAY


def test_key_is_breached_when_it_did_not_open_at_the_last_try() -> None:
    wrong = _proof(NOW - DAY, "offsite", opened=False, key="", reason="this key does not open it")
    finding = _found(_record([_proof(NOW - 2 * DAY, "onsite"), wrong]))
    assert (finding.verdict, finding.since) == (Verdict.BREACHED, NOW - DAY)
    assert "did not open offsite" in finding.reason
    assert finding.reason.endswith("this key does not open it")
    assert "dro key prove riverside" in what_to_do(finding, PRACTICE)


def test_proof_by_a_revoked_key_counts_no_more() -> None:
    revoked = HeldKey(
        practice=PRACTICE,
        repository="offsite",
        key="23e673c3",
        holder="",
        form="",
        made_at=NOW,
        made_by="",
        revoked_at=NOW,
        revoked_by="Kim",
    )
    record = _record(_both(NOW - DAY), keys=(revoked,))
    assert _found(record).verdict is Verdict.UNPROVEN
    assert custody_standings(_plan(), record, NOW)[0].unproven == ("offsite",)


def test_retired_repository_asks_for_no_proof() -> None:
    retired = RepositoryRetired(
        practice=PRACTICE, repository="offsite", at=NOW, by="Kim", replaced_by="onsite", why="rekey"
    )
    record = _record([_proof(NOW - DAY, "onsite")], retired={"offsite": retired})
    assert _found(record).verdict is Verdict.MET


def test_key_is_asked_for_where_all_is_retired_and_the_plan_was_not_changed_yet() -> None:
    retired = RepositoryRetired(
        practice=PRACTICE, repository="", at=NOW, by="Kim", replaced_by="fresh", why="rekey"
    )
    both = {name: replace(retired, repository=name) for name in ("onsite", "offsite")}
    assert _found(_record(_both(NOW - DAY), retired=both)).verdict is Verdict.MET
    late = _found(_record(retired=both))
    assert (late.verdict, late.due) == (Verdict.UNPROVEN, NOW - 310 * DAY)


def test_holder_without_prove_every_is_not_judged_and_is_shown() -> None:
    plan = _plan(Custody(holder="manager", form="vault"))
    assert _told(_record(), plan) == []
    (standing,) = custody_standings(plan, _record(_both(NOW - 900 * DAY)), NOW)
    assert (standing.verdict(NOW), standing.due) == (Verdict.MET, None)


def test_one_holder_s_proof_is_none_of_another_s() -> None:
    held = [Custody(holder=name, form="x", prove_every=EVERY) for name in ("manager", "msp")]
    finding = _found(_record(_both(NOW - DAY)), _plan(*held))
    assert (finding.verdict, finding.achieved) == (Verdict.UNPROVEN, "1 of 2 proven")
    assert "manager" not in finding.reason


_PROOFS = st.lists(
    st.builds(
        _proof,
        st.integers(-200, 30).map(lambda days: NOW + days * DAY),
        st.sampled_from(["onsite", "offsite", "elsewhere"]),
        opened=st.booleans(),
        holder=st.sampled_from(["manager", "msp"]),
    ),
    max_size=4,
    unique_by=lambda each: (each.holder, each.repository),
)


@given(_PROOFS)
def test_met_takes_a_proof_of_each_repository_that_is_no_older_than_promised(
    proofs: list[KeyProof],
) -> None:
    counted = {
        each.repository
        for each in proofs
        if each.holder == "manager" and each.opened and timedelta() <= NOW - each.at < EVERY
    }
    is_met = _found(_record(proofs)).verdict is Verdict.MET
    assert is_met == (counted >= {"onsite", "offsite"})
