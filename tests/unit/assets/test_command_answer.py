"""What may come of a program's answer: one value or none, and never its text."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.command_answer import (
    argv_of,
    argv_text,
    both_answers,
    expected_answer,
    filled,
    parse_answer,
)
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, Value
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.plan.expectation import NOT_CAPTURED

_CHICAGO = ZoneInfo("America/Chicago")
_ASK = ("emrctl", "count", "visits")


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        (b"42\n", 42),
        (b"          42  \r\n\r\n", 42),
        (b"-1", -1),
        (b"0.50\n", 0.5),
        (b"true\n", True),
        (b"False\n", False),
        (b"2026-11-21\n", datetime(2026, 11, 21, 6, tzinfo=UTC)),
        (b"2026-11-21 08:30:00\n", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        (b"2026-11-21T08:30:00.5Z\n", datetime(2026, 11, 21, 8, 30, 0, 500000, tzinfo=UTC)),
    ],
)
def test_parse_answer_reads_one_value(printed: bytes, value: Value) -> None:
    answer = parse_answer(printed, _CHICAGO)
    assert (answer, type(answer)) == (value, type(value))


@pytest.mark.parametrize(
    "printed",
    [
        *(
            b"",
            b"\n",
            b"NULL",
            b"nan",
            b"inf",
            b"1e9",
            b"0x10",
            b"1,000",
            b"1 2",
            b"1\n2",
            b"42 rows",
        ),
        *(b"2026-02-30", b"24:00", b"yes", b"Jane Doe", b"\xff\xfe", "٤٢".encode(), b"9" * 19),
        b"0001-01-01 00:00:00+14:00",
    ],
)
def test_parse_answer_refuses_what_is_no_value(printed: bytes) -> None:
    with pytest.raises(CouldNotVerify):
        parse_answer(printed, _CHICAGO)


@given(st.text(min_size=4))
def test_parse_answer_never_repeats_what_was_printed(text: str) -> None:
    printed = f"patient {text}"
    with pytest.raises(CouldNotVerify) as raised:
        parse_answer(printed.encode(errors="replace"), UTC)
    assert printed not in str(raised.value)


@given(st.lists(st.text(), min_size=1), st.text(), st.text())
def test_filled_keeps_every_argument_one_argument(words: list[str], dump: str, folder: str) -> None:
    argv = filled((*words, "{dump}", "a{folder}b"), {"dump": dump, "folder": folder})
    assert len(argv) == len(words) + 2
    assert argv[-2:] == (dump, f"a{folder}b")


def test_filled_leaves_other_braces_and_what_was_put_in_alone() -> None:
    argv = ("{}", "{other}", '{"a": 1}', "{dump}")
    assert filled(argv, {"dump": "/a/{folder}", "folder": "x"}) == (
        *("{}", "{other}", '{"a": 1}', "/a/{folder}"),
    )
    assert filled(argv, {}) == argv


@given(st.lists(st.text(), min_size=1))
def test_argv_text_is_read_back(argv: list[str]) -> None:
    assert argv_of(argv_text(tuple(argv))) == tuple(argv)


@pytest.mark.parametrize("text", ["select 1", "", "[]", "{}", "[1]", "null", '["a", null]'])
def test_argv_of_refuses_what_is_no_program(text: str) -> None:
    with pytest.raises(CouldNotVerify, match="answers no SQL"):
        argv_of(text)


def _expected(before: Value, after: Value, restored: Value) -> object:
    queries = both_answers(argv_text(_ASK), before, after)
    baseline = DatabaseBaseline(level=Level.FULL, algorithm="a", tables={}, queries=queries)
    return expected_answer(baseline, _ASK, restored)


def test_expected_answer_is_what_production_answered() -> None:
    assert _expected(120, 120, 120) == 120
    assert _expected(120, 120, 119) == 120
    assert _expected(True, True, False) is True


@pytest.mark.parametrize("restored", [119, 123, True, None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_expected_answer_takes_nothing_outside_of_what_production_answered(
    restored: Value,
) -> None:
    assert _expected(120, 122, restored) == 120


def test_expected_answer_takes_anything_in_between_where_production_moved_on() -> None:
    early, noon, late = (datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in (8, 12, 16))
    assert [_expected(120, 122, each) for each in (120, 121, 122)] == [120, 121, 122]
    assert [_expected(122, 120, each) for each in (121, 119)] == [121, 122]
    assert _expected(early, late, noon) == noon
    assert _expected(noon, late, early) == noon
    assert _expected(False, True, True) is True


def test_expected_answer_is_not_captured_without_an_answer() -> None:
    baseline = DatabaseBaseline(level=Level.FULL, algorithm="a", tables={})
    assert expected_answer(baseline, _ASK, 1) is NOT_CAPTURED
    assert expected_answer(None, _ASK, 1) is NOT_CAPTURED
