"""A key that a repository lists no more is named, whoever made it."""

from __future__ import annotations

from dataclasses import replace

from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.custody.list import gone_keys
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_record

PROOF = KeyProof(
    practice=PRACTICE,
    holder="manager",
    repository="onsite",
    at=NOW,
    by="Kim",
    key="23e673c3",
    opened=True,
)
MADE = HeldKey(
    practice=PRACTICE,
    repository="onsite",
    key="23e673c3",
    holder="manager",
    form="sealed sheet",
    made_at=NOW,
    made_by="Kim",
)


def test_key_that_was_proven_and_is_there_no_more_is_gone_until_it_is_taken_back() -> None:
    proven = make_record(key_proofs=(PROOF,))
    (gone,) = gone_keys(proven, "onsite", {"a152e7d1"})
    assert (gone.key, gone.holder) == ("23e673c3", "manager")
    assert gone_keys(proven, "onsite", {"23e673c3"}) == ()
    assert gone_keys(proven, "offsite", {"a152e7d1"}) == ()

    assert gone_keys(make_record(key_proofs=(PROOF,), keys=(MADE,)), "onsite", ()) == (MADE,)
    revoked = replace(MADE, revoked_at=NOW, revoked_by="Kim")
    assert gone_keys(make_record(key_proofs=(PROOF,), keys=(revoked,)), "onsite", ()) == ()


def test_key_of_which_nobody_can_say_which_one_it_is_is_not_said_to_be_gone() -> None:
    unnamed = replace(PROOF, key="")
    assert gone_keys(make_record(key_proofs=(unnamed,)), "onsite", {"a152e7d1"}) == ()
