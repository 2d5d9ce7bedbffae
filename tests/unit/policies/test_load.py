from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.plan.model import Plan, PolicyName
from dr_orchestrator.policies import model
from dr_orchestrator.policies.controls import JUDGEMENTS
from dr_orchestrator.policies.load import load_policy, read_policy
from tests.support.evidence import make_plan

_FOLDER = Path(model.__file__).parent
_REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "policies.md"
PACK = """\
id: own
title: Own
source: nothing
is_law: false
standing: a custom
note: none
controls:
  - id: one
    citation: Rule 1
    title: Something
    asks: exact_copies
    within: 30d
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return tmp_path / "own.yaml"


def test_load_policy_knows_every_pack_that_a_plan_may_name_and_no_other() -> None:
    assert set(get_args(PolicyName)) == {each.stem for each in _FOLDER.glob("*.yaml")}
    for name in get_args(PolicyName):
        assert load_policy(name).id == name


def test_load_policy_has_every_judgement_asked_for_by_a_pack() -> None:
    asked = {each.asks for name in get_args(PolicyName) for each in load_policy(name).controls}
    assert asked == set(JUDGEMENTS)


def test_the_proposal_is_marked_as_none_and_is_off_unless_asked_for() -> None:
    proposal = load_policy("hipaa-nprm-2025")
    assert (proposal.is_law, proposal.standing) == (False, "a proposal, not law")
    assert make_plan().policies == ("hipaa",)
    assert Plan.model_fields["policies"].default == ("hipaa",)


def test_the_rule_has_every_paragraph_that_belongs_to_contingency() -> None:
    cited = {each.citation for each in load_policy("hipaa").controls}
    assert cited >= {
        f"45 CFR {paragraph}"
        for paragraph in (
            "164.308(a)(7)(i)",
            *(f"164.308(a)(7)(ii)({letter})" for letter in "ABCDE"),
            "164.310(a)(2)(i)",
            "164.310(d)(2)(iv)",
            "164.312(a)(2)(ii)",
            "164.312(a)(2)(iv)",
            "164.312(b)",
            "164.312(c)(1)",
            "164.312(c)(2)",
            "164.316(b)(1)",
            *(f"164.316(b)(2)({number})" for number in ("i", "ii", "iii")),
        )
    }


def test_the_rule_says_addressable_of_what_is() -> None:
    addressable = {each.citation for each in load_policy("hipaa").controls if not each.required}
    assert addressable >= {"45 CFR 164.308(a)(7)(ii)(D)", "45 CFR 164.312(a)(2)(iv)"}
    assert "45 CFR 164.308(a)(7)(ii)(A)" not in addressable
    assert "45 CFR 164.316(b)(2)(i)" not in addressable


def test_read_policy_reads_a_pack(pack: Path) -> None:
    pack.write_text(PACK)
    assert read_policy(pack).controls[0].within == timedelta(days=30)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("exact_copies", "exact_copie", "there is no such judgement"),
        ("id: own", "id: other", "is not the name of its file"),
        ("    within: 30d", "    within: 30", "a number without its unit"),
        ("citation: Rule 1", "citatoin: Rule 1", "did you mean `citation`?"),
        ("note: none", "note: none\nextra: 1", "unknown key"),
    ],
)
def test_read_policy_says_what_is_wrong_and_where(
    pack: Path, before: str, after: str, said: str
) -> None:
    pack.write_text(PACK.replace(before, after))
    with pytest.raises(PlanInvalid) as raised:
        read_policy(pack)
    assert said in str(raised.value)
    assert f"{pack}:" in str(raised.value)


def test_read_policy_refuses_two_controls_of_one_id(pack: Path) -> None:
    control = PACK[PACK.index("  - id: one") :]
    pack.write_text(PACK + control)
    with pytest.raises(PlanInvalid, match="another control has this id"):
        read_policy(pack)


def test_read_policy_refuses_what_is_no_yaml_and_what_is_not_there(pack: Path) -> None:
    with pytest.raises(PlanInvalid):
        read_policy(pack)
    pack.write_text("id: [")
    with pytest.raises(PlanInvalid):
        read_policy(pack)


def test_a_plan_that_names_an_unknown_policy_is_refused_where_it_stands(tmp_path: Path) -> None:
    plan = tmp_path / "riverside.yaml"
    plan.write_text(
        "version: 1\n"
        "practice: {id: riverside, name: Riverside, timezone: UTC}\n"
        "repositories: {onsite: {location: /srv/restic, password: {env: KEY}}}\n"
        "systems: {emr: {rto: 4h, rpo: 1h, assets: {all: {kind: files, path: /srv/emr}}}}\n"
        "policies: [hipaa, hippa-nprm-2025]\n"
    )
    with pytest.raises(PlanInvalid) as raised:
        load_plan(plan)
    assert (
        f"{plan}:5:19: policies[1]: must be one of hipaa, hipaa-nprm-2025, insurer-common"
        in str(raised.value)
    )
    assert "did you mean `hipaa-nprm-2025`?" in str(raised.value)


def test_the_reference_names_every_policy_and_judgement() -> None:
    reference = _REFERENCE.read_text(encoding="utf-8")
    for name in (*get_args(PolicyName), *JUDGEMENTS):
        assert f"`{name}`" in reference, name
