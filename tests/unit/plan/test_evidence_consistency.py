from __future__ import annotations

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import effective_yaml, read_plan
from tests.support.kits import PLAN, plan_of

_PLAN = PLAN.replace("contacts:\n", 'contacts:\n  vendor: {role: EMR, phone: "+1 555 0199"}\n')


def warnings(evidence: str) -> list[tuple[str, str]]:
    loaded = plan_of(f"{_PLAN}\nevidence: {evidence}\n")
    return [
        (each.path, each.message) for each in loaded.warnings if each.path.startswith("evidence")
    ]


@pytest.mark.parametrize(
    ("anchor", "mistake"),
    [
        ("{mail: [managr]}", "evidence.anchor.mail[0]: there is no such contact"),
        ("{mail: [vendor]}", "evidence.anchor.mail[0]: has no e-mail address"),
        ("{s3: {to: 's3://'}}", "evidence.anchor.s3.to: "),
    ],
)
def test_anchor_that_would_not_arrive_is_a_mistake(anchor: str, mistake: str) -> None:
    with pytest.raises(PlanInvalid) as raised:
        plan_of(f"{_PLAN}\nevidence: {{anchor: {anchor}}}\n")
    assert mistake in raised.value.message


def test_evidence_that_is_seldom_brought_out_is_warned_of() -> None:
    assert warnings("{schedule: '0 5 1 * *'}") == [
        ("evidence.schedule", "leaves more than a week of evidence on this machine alone")
    ]
    assert warnings("{anchor: {schedule: '0 5 1 1 *'}}") == [
        (
            "evidence.anchor.schedule",
            "leaves more than a month of evidence that could be cut off unseen",
        )
    ]
    assert warnings("{anchor: {keep: 365d}}") == [
        ("evidence.anchor.keep", "ends before records may be given up")
    ]
    assert warnings("{schedule: '04:00', anchor: {mail: [manager], keep: 2192d}}") == []


def test_evidence_stands_in_the_effective_plan() -> None:
    anchor = "{mail: [manager], s3: {to: 's3://vault/dr', aws_profile: msp}}"
    loaded = plan_of(f"{_PLAN}\nevidence: {{schedule: '04:00', anchor: {anchor}}}\n")
    assert read_plan(effective_yaml(loaded).encode(), "p").plan == loaded.plan
