from __future__ import annotations

from zoneinfo import ZoneInfo

from dr_orchestrator.evidence.signing import Signer, fingerprint
from dr_orchestrator.maintenance.anchor import Head, anchor_letter, anchor_places
from dr_orchestrator.plan.anchoring import outside_places
from tests.support.clock import START
from tests.support.evidence import full_id
from tests.support.kits import PLAN, plan_of

HEAD = Head(
    practice="riverside",
    chain="c" * 32,
    number=1204,
    hash=full_id("head"),
    at=START,
    key=Signer(b"k" * 32).public,
    line="{}",
)


def test_letter_says_first_that_there_is_nothing_to_do_and_then_all_that_proves_it() -> None:
    letter = anchor_letter(HEAD, name="Riverside", zone=ZoneInfo("America/Chicago"))
    assert letter.subject.startswith("Riverside: please keep this e-mail")
    assert HEAD.hash[:12] in letter.subject
    first, *rest = letter.text.splitlines()
    assert first == "Please keep this e-mail. There is nothing to read or to do."
    assert f"  dro evidence verify riverside --expect {HEAD.hash}" in rest
    for said in (HEAD.hash, "1204", fingerprint(HEAD.key), HEAD.chain, "2026-11-18T12:00:00Z"):
        assert said in letter.text


def test_head_goes_to_the_manager_unless_the_plan_names_others_or_nobody_can_be_mailed() -> None:
    def places(plan: str, *, has_mail: bool = True) -> list[str]:
        loaded = plan_of(plan)
        found = anchor_places(
            loaded.plan, send=lambda _to, _letter: None, has_mail=has_mail, now=START
        )
        names = [each.name for each in found]
        assert names == list(outside_places(loaded.plan, has_mail=has_mail))
        return names

    assert places(PLAN) == ["the mailbox of manager"]
    assert places(PLAN, has_mail=False) == []
    assert places(f"{PLAN}\nevidence: {{anchor: {{mail: []}}}}\n") == []
    named = f"{PLAN}\nevidence: {{anchor: {{mail: [manager], s3: {{to: 's3://vault/dr/'}}}}}}\n"
    both = ["the mailbox of manager", "s3://vault/dr/riverside/evidence/"]
    assert places(named, has_mail=False) == both
