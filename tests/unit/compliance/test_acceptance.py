"""Versions of a promise and signatures on the left, what is not accepted on the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.promise import (
    certifications,
    changes,
    not_accepted,
    promise_of,
    sha256_of,
)
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.promise import Direction, PromiseMade
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.sign_off import HowGiven, SignOff
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, full_id, make_plan, make_record

DAY = timedelta(days=1)
PLAN = make_plan()
ACCEPTED = promise_of(PLAN)
RTO, RPO, POLICIES = "systems.emr.rto", "systems.emr.rpo", "policies"


def _version(number: int, *, by: str = "Sam", **changed: str) -> PromiseMade:
    """Return a version that was made on the `number`-th day: without what is empty."""
    named = {"rto": RTO, "rpo": RPO, "policies": POLICIES}
    fields = {**ACCEPTED, **{named[name]: value for name, value in changed.items()}}
    fields = {field: value for field, value in fields.items() if value}
    return PromiseMade(
        id=f"version-{number}",
        practice=PRACTICE,
        at=NOW + number * DAY,
        by=by,
        known_by="git commit 1a2b3c4",
        plan_sha256=full_id("plan", number),
        sha256=sha256_of(fields),
        fields=fields,
        changes=(),
    )


def _signed(version: PromiseMade) -> SignOff:
    return SignOff(
        id=f"signed-{version.id}",
        practice=PRACTICE,
        at=version.at + timedelta(hours=1),
        contact="manager",
        name="A Manager",
        role="practice manager",
        how=HowGiven.PAPER,
        recorded_by="sam on riverside-box",
        head=full_id("head")[:12],
        number=7,
        chain=full_id("chain")[:32],
        promise=version.id,
        statement_sha256=full_id("statement"),
    )


def _record(*versions: PromiseMade, signed: tuple[PromiseMade, ...] = ()) -> PracticeRecord:
    return make_record(promises=versions, sign_offs=tuple(map(_signed, signed)))


def _said(record: PracticeRecord) -> list[tuple[str, str, str, str]]:
    return [
        (each.change.field, each.change.before, each.change.after, each.made.id)
        for each in not_accepted(record)
    ]


def _finding(
    record: PracticeRecord, now: datetime = NOW + 10 * DAY, plan: Plan = PLAN
) -> Finding | None:
    found = [each for each in judge(plan, record, now) if each.objective is Objective.ACCEPTANCE]
    return found[0] if found else None


def test_not_accepted_is_nothing_before_anything_changed() -> None:
    assert _said(_record()) == []
    assert _said(_record(_version(1))) == []


def test_not_accepted_counts_from_the_first_version_when_none_was_signed() -> None:
    record = _record(_version(1), _version(2, rto="8h"), _version(3, rto="24h"))

    assert _said(record) == [(RTO, "4h", "24h", "version-3")]


def test_not_accepted_leaves_out_what_was_taken_back() -> None:
    assert _said(_record(_version(1), _version(2, rto="24h"), _version(3))) == []


def test_not_accepted_leaves_out_what_was_tightened() -> None:
    assert _said(_record(_version(1), _version(2, rto="1h"))) == []


def test_a_signature_settles_everything_up_to_its_version_and_nothing_after_it() -> None:
    first, second, third = _version(1), _version(2, rto="24h"), _version(3, rto="24h", rpo="2h")

    assert _said(_record(first, second, third, signed=(second,))) == [
        (RPO, "1h", "2h", "version-3")
    ]
    assert _said(_record(first, second, third, signed=(third,))) == []


def test_an_older_signature_takes_nothing_from_a_newer_one() -> None:
    first, second = _version(1), _version(2, rto="24h")

    assert _said(_record(first, second, signed=(second, first))) == []


def test_not_accepted_is_against_what_was_signed_and_not_against_what_came_first() -> None:
    tighter = _version(2, rto="1h")

    assert _said(_record(_version(1), tighter, _version(3), signed=(tighter,))) == [
        (RTO, "1h", "4h", "version-3")
    ]


def test_changing_it_again_gains_no_time() -> None:
    versions = (_version(1), _version(2, rto="8h"), _version(9, rto="24h"), _version(15, rto="8h"))

    (loosened,) = not_accepted(_record(*versions))

    assert loosened.made.id == "version-15"
    assert loosened.since == NOW + 2 * DAY


def test_the_clock_starts_again_after_it_was_taken_back() -> None:
    (loosened,) = not_accepted(
        _record(_version(1), _version(2, rto="8h"), _version(5), _version(9, rto="8h"))
    )

    assert loosened.since == NOW + 9 * DAY


def _updated(version: PromiseMade, **fields: str) -> PromiseMade:
    """Return what another version of the program reads out of the same plan."""
    read = {**version.fields, "systems.emr.new": "1", **fields}
    read.pop(RPO)
    return replace(version, id=f"{version.id}-updated", fields=read, sha256=sha256_of(read))


def test_an_update_that_names_fields_otherwise_loosens_nothing() -> None:
    first = _version(1)
    assert changes(first.fields, _updated(first).fields)

    assert _said(_record(first, _updated(first), signed=(first,))) == []


def test_an_update_hides_nothing_that_is_promised_otherwise() -> None:
    first, looser = _version(1), _version(2, rto="24h", rpo="9h")

    told = _said(_record(first, looser, _updated(looser)))
    default = _said(_record(first, _updated(first, **{RTO: "9h"})))

    assert {field for field, *_ in told} == {RTO, RPO}
    assert {field for field, *_ in default} == {RTO}


def test_judge_says_nothing_before_a_signature_or_a_loosening() -> None:
    assert _finding(_record()) is None
    assert _finding(_record(_version(1), _version(2, rto="1h"))) is None


def test_judge_says_who_loosened_what_and_is_quiet_for_14_days() -> None:
    record = _record(_version(1), _version(2, rto="24h"))

    quiet = _finding(record, NOW + 10 * DAY)
    late = _finding(record, NOW + 16 * DAY)

    assert quiet is not None
    assert late is not None
    assert quiet.verdict is late.verdict is Verdict.UNPROVEN
    assert quiet.reason == (
        "limit of the recovery time: 4 h became 24 h on 2026-11-20 06:00 CST, by Sam; "
        "not accepted by the practice"
    )
    assert (quiet.since, quiet.due) == (NOW + 2 * DAY, NOW + 16 * DAY)
    assert not is_overdue(quiet, NOW + 10 * DAY)
    assert is_overdue(late, NOW + 16 * DAY)


def test_judge_is_content_with_a_signature() -> None:
    second = _version(2, rto="24h")

    finding = _finding(_record(_version(1), second, signed=(second,)))

    assert finding is not None
    assert finding.verdict is Verdict.MET


def test_judge_puts_what_is_the_whole_practices_with_its_most_important_system() -> None:
    plan = make_plan(importance="routine")
    second_system = plan.systems["emr"].model_copy(update={"importance": "critical"})
    plan = plan.model_copy(update={"systems": plan.systems | {"lab": second_system}})
    record = _record(_version(1, policies="hipaa, more"), _version(2))

    finding = _finding(record, plan=plan)

    assert finding is not None
    assert finding.system == "lab"
    assert finding.reason.startswith("for the whole practice, the rules that are reported on: ")


def test_judge_tells_of_a_system_that_is_not_protected_any_more() -> None:
    gone = {"systems.phones": "protected", "systems.phones.rto": "4h"}
    first = _version(1)
    before = replace(first, fields={**first.fields, **gone})

    finding = _finding(_record(before, _version(2)))

    assert finding is not None
    assert finding.reason.startswith("system phones: protection was taken out on ")


# --- whatever happens -----------------------------------------------------------------------------

_ONE_OF = st.fixed_dictionaries(
    {},
    optional={
        "rto": st.sampled_from(("1h", "4h", "8h", "24h")),
        "rpo": st.sampled_from(("", "30m", "1h", "2h")),
        "policies": st.sampled_from(("", "hipaa", "hipaa, insurer-common")),
    },
)


@settings(max_examples=60, deadline=None)
@given(
    versions=st.lists(_ONE_OF, min_size=1, max_size=6),
    signed=st.sets(st.integers(0, 5)),
    more=_ONE_OF,
)
def test_not_accepted_is_what_is_less_than_the_newest_that_was_signed(
    versions: list[dict[str, Any]], signed: set[int], more: dict[str, Any]
) -> None:
    made = tuple(_version(number, **each) for number, each in enumerate((*versions, more)))
    those = tuple(made[number] for number in sorted(signed) if number < len(made))
    record = _record(*made, signed=those)

    loosened = not_accepted(record)

    accepted: Mapping[str, str] = (those[-1] if those else made[0]).fields
    assert [each.change for each in loosened] == [
        each for each in changes(accepted, made[-1].fields) if each.direction is Direction.LOOSENED
    ]
    for each in loosened:
        assert each.made in made
        assert (those[-1] if those else made[0]).at < each.since <= each.made.at
    assert not_accepted(_record(*made, signed=(*those, made[-1]))) == ()


# --- whose signature counts -----------------------------------------------------------------------

_HERS = {f"contacts.manager.{each}": each for each in ("signs", "email", "signing_key")}
_HIS = {f"contacts.msp.{each}": each for each in ("signs", "email", "signing_key")}


def _with(version: PromiseMade, fields: Mapping[str, str]) -> PromiseMade:
    return replace(version, fields={**version.fields, **fields})


def test_a_signer_more_signs_nothing_before_somebody_who_signed_accepts_that() -> None:
    first = _with(_version(1), _HERS)
    second = _with(_version(2, rto="24h"), {**_HERS, **_HIS})
    hers, his = _signed(second), replace(_signed(second), contact="msp")
    versions = make_record(promises=(first, second))

    alone = replace(versions, sign_offs=(his,))
    assert {each[0] for each in _said(alone)} == {
        "contacts.msp.signing_key",
        "contacts.msp.signs",
        RTO,
    }
    assert certifications(alone) == ()
    both = replace(versions, sign_offs=(his, hers, his))
    assert _said(both) == []
    assert certifications(both) == (hers, his)


def test_a_first_key_of_who_signs_already_waits_and_a_first_address_does_not() -> None:
    keyless = {"contacts.manager.signs": _HERS["contacts.manager.signs"]}
    record = _record(_with(_version(1), keyless), _with(_version(2), {**keyless, **_HERS}))

    assert [each[0] for each in _said(record)] == ["contacts.manager.signing_key"]


def test_an_update_that_begins_to_ask_who_signs_alarms_nobody() -> None:
    before, read_now = _version(1), _with(_version(2, policies="hipaa, other"), _HERS)
    record = _record(before, read_now, signed=(before,))

    assert _said(record) == []
    same_text = replace(read_now, plan_sha256=before.plan_sha256)
    hijacked = _with(_version(3), {**_HERS, **_HIS})
    by_him = replace(_signed(hijacked), contact="msp")
    record = make_record(promises=(before, same_text, hijacked), sign_offs=(by_him,))
    assert certifications(record) == ()
