"""A chain vouches for what it says where it is whole, and signed by whom somebody expects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dr_orchestrator.evidence.canonical import Facts
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.takeover.saved_evidence import SavedChain, SavedEvidence
from tests.support.chains import WrittenChain, written

COPY: Facts = {
    "repository": "onsite",
    "manifest_sha256": "5f" * 32,
    "manifest_snapshot": "ab" * 32,
}


def a_chain(name: str = "site", *, practice: str = "riverside") -> WrittenChain:
    said: Facts = {"id": "p1", "copies": [COPY]}
    return WrittenChain(name, practice=practice).say("point_recorded", said).checkpoint()


def saved(*chains: WrittenChain, keys: tuple[str, ...] = ()) -> SavedEvidence:
    return SavedEvidence(
        chains=tuple(
            SavedChain(
                practice="riverside",
                lines=tuple(written(each)),
                verification=verify(written(each), fingerprints=keys),
            )
            for each in chains
        )
    )


def test_whole_chain_tells_its_points_its_host_and_how_the_repository_was_called() -> None:
    evidence = saved(a_chain())

    assert evidence.points == {"p1"}
    assert evidence.called({"ab" * 32}) == {"onsite"}
    assert evidence.called({"cd" * 32}) == frozenset()
    assert evidence.chains[0].host == "site"
    assert evidence.until == datetime(2026, 11, 22, 10, 0, 3, tzinfo=UTC)


def test_altered_chain_tells_nothing_and_spoils_no_other() -> None:
    altered = a_chain("other")
    altered.lines[1] = altered.lines[2]

    evidence = saved(altered, a_chain())

    assert not evidence.chains[0].is_whole
    assert evidence.chains[0].host == ""
    assert evidence.points == {"p1"}


def test_chain_of_another_practice_is_not_whole() -> None:
    assert not saved(a_chain(practice="lakeside")).chains[0].is_whole


def test_chain_that_no_named_key_signed_vouches_for_nothing() -> None:
    ours, forged = a_chain(), a_chain("forged")

    assert saved(forged).points == {"p1"}
    assert saved(forged, keys=(ours.fingerprint,)).points == frozenset()
    assert saved(ours, keys=(ours.fingerprint,)).points == {"p1"}


@pytest.mark.parametrize(
    "about",
    [
        {"id": "p1"},
        {"id": "p1", "copies": "none"},
        {"id": "p1", "copies": [["onsite"], None, 7]},
        {"copies": [{}]},
    ],
)
def test_signed_line_may_say_anything(about: Facts) -> None:
    evidence = saved(WrittenChain("site").say("point_recorded", about).checkpoint())

    assert evidence.chains[0].is_whole
    assert evidence.called({"ab" * 32}) == frozenset()
