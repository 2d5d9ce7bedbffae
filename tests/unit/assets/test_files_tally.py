"""A tally knows whether two sets are equal, and if not, in what they differ."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.files_tally import Tally

_KEY = b"key of a test"
_facts = st.sets(st.binary(min_size=1, max_size=6), max_size=60)


def _tally(facts: set[bytes], key: bytes = _KEY) -> tuple[Tally, dict[int, bytes]]:
    tally = Tally(key)
    return tally, {tally.add(fact): fact for fact in facts}


@given(_facts, _facts)
def test_difference_is_exactly_what_only_one_set_has(before: set[bytes], after: set[bytes]) -> None:
    (first, names), (second, more) = _tally(before), _tally(after)

    difference = first.difference(second)

    assert difference is not None
    known = names | more
    assert {known[element] for element in difference.only_before} == before - after
    assert {known[element] for element in difference.only_after} == after - before
    assert first.equals(second) is (before == after)


@given(_facts)
def test_tally_is_the_same_in_any_order_and_after_a_manifest(facts: set[bytes]) -> None:
    tally, _ = _tally(facts)
    backwards = Tally(_KEY)
    for fact in sorted(facts, reverse=True):
        backwards.add(fact)

    read = Tally.parse(tally.text(), _KEY)

    assert backwards.text() == tally.text()
    assert read.equals(tally)
    assert read.text() == tally.text()


def test_difference_is_found_in_a_large_set_and_given_up_when_it_is_large() -> None:
    numbers = random.Random(1)
    facts = {numbers.randbytes(8) for _ in range(20_000)}
    first, names = _tally(facts)
    gone = set(sorted(facts)[:100])

    difference = first.difference(_tally(facts - gone)[0])

    assert difference is not None
    assert {names[element] for element in difference.only_before} == gone
    assert first.difference(_tally(set())[0]) is None


def test_tally_shows_nothing_without_the_key() -> None:
    assert _tally({b"patient"})[0].text() != _tally({b"patient"}, b"another key")[0].text()


@pytest.mark.parametrize(
    "text", ["", "t2:1:00:AA==", "t1:x", "t1:1:00:!", "t1:1:00:AAAA", "t1:1:0"]
)
def test_parse_refuses_what_no_tally_wrote(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any kind: the caller treats them alike
        Tally.parse(text, _KEY)
