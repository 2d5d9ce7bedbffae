from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.custody.key_groups import (
    groups_of,
    looks_like_groups,
    new_groups,
    read_groups,
)
from dr_orchestrator.errors import UsageMistake

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
keys = st.lists(st.integers(0, 31), min_size=32, max_size=32).map(groups_of)


def _refused_group(typed: str) -> int:
    with pytest.raises(UsageMistake) as refused:
        read_groups(typed)
    words = refused.value.message.split()
    assert words[0] == "group"
    return int(words[1])


@given(keys)
def test_read_groups_returns_what_was_printed(key: str) -> None:
    assert read_groups(key).reveal() == key


@settings(max_examples=10)
@given(keys)
def test_read_groups_names_the_group_for_every_single_wrong_sign(key: str) -> None:
    for place, sign in enumerate(key):
        if sign == "-":
            continue
        for other in set(SIGNS) - {sign}:
            wrong = key[:place] + other + key[place + 1 :]
            assert _refused_group(wrong) == place // 6 + 1


@given(keys)
def test_read_groups_names_the_group_for_every_two_neighbours_swapped(key: str) -> None:
    signs = key.replace("-", "")
    for place in range(39):
        swapped = signs[:place] + signs[place + 1] + signs[place] + signs[place + 2 :]
        if swapped != signs:
            assert _refused_group(swapped) == place // 5 + 1


@given(keys)
def test_read_groups_names_the_first_for_every_two_groups_swapped(key: str) -> None:
    for first in range(8):
        for second in range(first + 1, 8):
            groups = key.split("-")
            groups[first], groups[second] = groups[second], groups[first]
            assert _refused_group("-".join(groups)) == first + 1


@given(keys, st.integers(0, 39))
def test_read_groups_refuses_a_sign_too_few_and_one_too_many(key: str, place: int) -> None:
    signs = key.replace("-", "")
    for wrong in (signs[:place] + signs[place + 1 :], signs[:place] + "7" + signs[place:]):
        assert looks_like_groups(wrong)
        with pytest.raises(UsageMistake):
            read_groups(wrong)


@given(keys)
def test_read_groups_forgives_how_people_type(key: str) -> None:
    typed = (
        key.lower().replace("0", "o").replace("1", "l"),
        key.replace("-", "").replace("1", "i"),
        f"  {key.replace('-', '  ')}\n",
        key.replace("-", " - "),
        key.replace("-", "–", 3),
        key[:24] + "\n" + key[24:],
    )
    assert {read_groups(each).reveal() for each in typed} == {key}
    assert all(looks_like_groups(each) for each in typed)


def test_read_groups_says_what_is_wrong_with_a_group() -> None:
    key = groups_of([0] * 32)
    with pytest.raises(UsageMistake, match=r"group 3 .*: it has 4 signs, not 5"):
        read_groups("-".join(g[:4] if n == 2 else g for n, g in enumerate(key.split("-"))))
    with pytest.raises(UsageMistake, match=r"group 2 .*: it has a sign that no key has"):
        read_groups(key[:6] + "U" + key[7:])
    with pytest.raises(UsageMistake, match="7 groups were typed"):
        read_groups(key[:-6])


@given(keys, st.integers(0, 7))
def test_seven_groups_and_nine_are_counted_and_not_taken_for_another_password(
    key: str, place: int
) -> None:
    groups = key.split("-")
    seven = [*groups[:place], *groups[place + 1 :]]
    nine = [*groups[: place + 1], *groups[place:]]
    for typed in ("-".join(seven), "".join(seven), " ".join(nine).lower()):
        assert looks_like_groups(typed)
        with pytest.raises(UsageMistake, match=r"[79] groups were typed, and a key has 8"):
            read_groups(typed)


def test_no_refusal_repeats_what_was_typed() -> None:
    key = new_groups().reveal()
    with pytest.raises(UsageMistake) as refused:
        read_groups(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert not any(group in str(refused.value) for group in key.split("-"))


@pytest.mark.parametrize(
    "typed",
    [
        "a key of the tests, 7f3a9c",
        "",
        "correct-horse-battery-staple",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY+",
        "é" * 40,
    ],
)
def test_looks_like_groups_passes_over_other_passwords(typed: str) -> None:
    assert not looks_like_groups(typed)


def test_new_groups_draws_160_bits_each_time_anew() -> None:
    drawn = {new_groups().reveal() for _ in range(50)}
    assert len(drawn) == 50
    assert all(len(each) == 47 and set(each) <= {*SIGNS, "-"} for each in drawn)
