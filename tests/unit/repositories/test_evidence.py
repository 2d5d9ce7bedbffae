from __future__ import annotations

import pytest

from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.evidence import evidence_among
from tests.support.clock import START
from tests.support.evidence import full_id

GOOD = {
    "dro": "evidence",
    "practice": "riverside",
    "chain": "c" * 32,
    "number": "17",
    "head": full_id("head"),
}


def tagged(tags: dict[str, str]) -> Snapshot:
    return Snapshot(
        id=full_id(tags),
        time=START,
        hostname="riverside",
        tags=frozenset(f"{key}={value}" for key, value in tags.items()),
        paths=("/",),
        original=None,
    )


def test_copy_is_what_its_tags_say() -> None:
    (found,) = evidence_among([tagged(GOOD)], "riverside")
    assert (found.chain, found.number, found.head) == ("c" * 32, 17, GOOD["head"])


@pytest.mark.parametrize(
    "changed",
    [
        {"dro": "owner"},
        {"practice": "lakeside"},
        {"chain": "../../etc"},
        {"number": "-1"},
        {"number": "9" * 16},
        {"number": "\u0663"},
        {"head": "0" * 63},
        {"head": "G" * 64},
        {"chain": ""},
    ],
)
def test_what_only_says_that_it_is_a_copy_is_passed_over(changed: dict[str, str]) -> None:
    assert evidence_among([tagged(GOOD | changed)], "riverside") == ()
