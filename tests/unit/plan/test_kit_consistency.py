from __future__ import annotations

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import effective_yaml, read_plan
from tests.support.kits import PLAN, plan_of

_WITHOUT = PLAN.rpartition("kit:")[0].replace(
    "contacts:\n", 'contacts:\n  vendor: {role: EMR vendor, phone: "+1 555 0199"}\n'
)


@pytest.mark.parametrize(
    ("kit", "mistake"),
    [
        ("{}", "kit: goes nowhere"),
        ("{schedule: '06:00'}", "kit: goes nowhere"),
        ("{folder: kits}", "kit.folder: must be an absolute path"),
        ("{mail: [managr]}", "kit.mail[0]: there is no such contact"),
        ("{mail: [vendor]}", "kit.mail[0]: has no e-mail address"),
        ("{s3: {to: 's3://'}}", "kit.s3.to: "),
        ("{folder: /srv/kits, valid: 30}", "kit.valid: a number without its unit"),
    ],
)
def test_kit_that_nobody_would_get_is_a_mistake(kit: str, mistake: str) -> None:
    with pytest.raises(PlanInvalid) as raised:
        plan_of(f"{_WITHOUT}kit: {kit}\n")
    assert mistake in raised.value.message


def test_kit_that_is_out_of_date_before_the_next_one_is_warned_of() -> None:
    loaded = plan_of(f"{_WITHOUT}kit: {{folder: /srv/kits, schedule: Mon 06:00, valid: 7d}}\n")
    assert "it is out of date before the next one is made" in [
        each.message for each in loaded.warnings
    ]
    daily = plan_of(f"{_WITHOUT}kit: {{folder: /srv/kits, valid: 7d}}\n")
    assert [each for each in daily.warnings if each.path.startswith("kit")] == []


def test_kit_stands_in_the_effective_plan() -> None:
    kit = "{folder: /srv/kits, s3: {to: 's3://kits/dr', aws_profile: msp}, mail: [manager]}"
    loaded = plan_of(f"{_WITHOUT}kit: {kit}\n")
    assert read_plan(effective_yaml(loaded).encode(), "p").plan == loaded.plan
