from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.evidence.canonical import Fact, canonical, milliseconds

# Of the test data that goes with RFC 8785, all that holds no fraction and only names in ASCII.
ARRAYS = [56, {"d": True, "10": None, "1": []}]
STRUCTURES = {
    "1": {"f": {"f": "hi", "F": 5}, "\n": 56},
    "10": {},
    "": "empty",
    "a": {},
    "111": [{}],
    "A": {},
}
VALUES = {"literals": [None, True, False], "escaping": '€$\u000f\nA\'B"\\\\"/'}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ARRAYS, '[56,{"1":[],"10":null,"d":true}]'),
        ("this is a test string 1235", '"this is a test string 1235"'),
        (
            STRUCTURES,
            '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
        ),
        ({"Unnormalized Unicode": "A\u030a"}, '{"Unnormalized Unicode":"A\u030a"}'),
        (VALUES, '{"escaping":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","literals":[null,true,false]}'),
        ("\x7f\b\f\r\t\x1f", '"\x7f\\b\\f\\r\\t\\u001f"'),
        (2**53 - 1, "9007199254740991"),
    ],
)
def test_canonical_writes_what_rfc_8785_writes(value: Fact, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0.5, TypeError),
        (timedelta(1), TypeError),
        ({1: "a"}, AttributeError),
        (2**53, ValueError),
        ([-(2**53)], ValueError),
        ({"é": 1}, ValueError),
        ("\ud800", ValueError),
    ],
)
def test_canonical_refuses_what_readers_do_not_agree_on(value: Fact, error: type) -> None:
    with pytest.raises(error):
        canonical(value)


@given(st.dictionaries(st.text(st.characters(codec="ascii")), st.integers(-9, 9)))
def test_canonical_is_the_same_in_whatever_order_names_come(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_milliseconds_of_durations() -> None:
    assert [milliseconds(each) for each in (None, 1.2345, timedelta(hours=1))] == [
        None,
        1234,
        3600000,
    ]
