from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.expectation import NOT_CAPTURED, Expectation

_AS_OF = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_PASSED, _FAILED, _UNPROVEN = Result.PASSED, Result.FAILED, Result.UNPROVEN


@pytest.mark.parametrize(
    ("written", "value", "result"),
    [
        (5, 5, _PASSED),
        (5, 5.0, _PASSED),
        (5, 4, _FAILED),
        (0, False, _UNPROVEN),
        (True, True, _PASSED),
        (True, False, _FAILED),
        (True, 1, _UNPROVEN),
        ("> 0", 1, _PASSED),
        ("> 0", 0, _FAILED),
        (">= 100", 100, _PASSED),
        (">=100", 99, _FAILED),
        ("!= 0", 0, _FAILED),
        ("!= 0", 3, _PASSED),
        ("== 5", 5, _PASSED),
        ("< 2.5", 2.4, _PASSED),
        ("<= -1", -1, _PASSED),
        ("> 0", _AS_OF, _UNPROVEN),
        ("> 0", True, _UNPROVEN),
        ("> 0", None, _FAILED),
        (True, None, _FAILED),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC), _PASSED),
        ("2026-11-21T09:00:00Z", _AS_OF, _PASSED),
        (">= 2026-11-21", _AS_OF, _PASSED),
        ("< 2026-11-21", _AS_OF, _FAILED),
        ("> 2026-01-01", 7, _UNPROVEN),
        ({"newer_than": "26h"}, _AS_OF - timedelta(hours=25), _PASSED),
        ({"newer_than": "26h"}, _AS_OF - timedelta(hours=26), _FAILED),
        ({"newer_than": "26h"}, _AS_OF + timedelta(hours=2), _PASSED),
        ({"newer_than": "26h"}, _AS_OF + timedelta(hours=27), _UNPROVEN),
        ({"newer_than": "1h"}, _AS_OF + timedelta(hours=23), _PASSED),
        ({"newer_than": "26h"}, 26, _UNPROVEN),
        ({"newer_than": "26h"}, None, _FAILED),
    ],
)
def test_judge_compares_values_of_one_kind(written: Any, value: Value, result: Result) -> None:
    judgement = Expectation.parse(written).judge(value, as_of=_AS_OF)

    assert judgement.result is result
    assert bool(judgement.reason) is (result is not _PASSED)


@pytest.mark.parametrize(
    ("value", "baseline", "result"),
    [
        (7, 7, _PASSED),
        (7, 8, _FAILED),
        (None, None, _PASSED),
        (None, 7, _FAILED),
        (7, None, _FAILED),
        (1, True, _FAILED),
        (0.1 + 0.2, 0.3, _PASSED),
        (1_000_000_000.01, 1_000_000_000.02, _FAILED),
        (_AS_OF, _AS_OF.astimezone(ZoneInfo("America/Chicago")), _PASSED),
        (7, NOT_CAPTURED, _UNPROVEN),
        (None, NOT_CAPTURED, _UNPROVEN),
    ],
)
def test_judge_compares_with_capture(value: Value, baseline: Any, result: Result) -> None:
    expectation = Expectation.parse("baseline")

    judgement = expectation.judge(value, as_of=_AS_OF, baseline=baseline)

    assert judgement.result is result
    assert judgement.expected == "equal to capture"
    assert expectation.needs_baseline


def test_judge_reads_times_without_a_zone_in_the_zone_that_is_stated() -> None:
    chicago = ZoneInfo("America/Chicago")
    midnight_there = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    expectation = Expectation.parse("2026-11-21")

    assert expectation.judge(midnight_there, as_of=_AS_OF, zone=chicago).result is _PASSED
    assert expectation.judge(midnight_there, as_of=_AS_OF).result is _FAILED


def test_age_is_measured_from_the_point_and_not_from_now() -> None:
    last_year = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
    expectation = Expectation.parse({"newer_than": "1h"})

    assert expectation.judge(last_year, as_of=last_year).result is _PASSED


@pytest.mark.parametrize(
    "written",
    [
        "Smith",
        "> Smith",
        "",
        "> ",
        "=> 3",
        None,
        [],
        {},
        {"newer_than": 26},
        {"newer_than": "0s"},
        {"newer_than": "26h", "older_than": "1h"},
        "2026-13-01",
        "> 2026-02-30",
        float("nan"),
        float("inf"),
    ],
)
def test_parse_refuses_what_could_be_text_of_a_row(written: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Expectation.parse(written)

    assert "Smith" not in str(caught.value)


def test_validation_never_repeats_the_text() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Expectation).validate_python("Smith")

    assert "Smith" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (5, "5"),
        (True, "true"),
        ("> 0", "> 0"),
        ("== 5", "5"),
        ("2026-11-21", "2026-11-21"),
        ({"newer_than": "26h"}, "newer than 26 h before the recovery point"),
    ],
)
def test_words_say_what_is_expected(written: Any, words: str) -> None:
    assert Expectation.parse(written).words == words


@pytest.mark.parametrize(
    "written", [5, 2.5, True, "> 0", "2026-11-21", "baseline", {"newer_than": "26h"}]
)
def test_expectation_is_written_as_it_was_read(written: Any) -> None:
    adapter = TypeAdapter(Expectation)
    expectation = adapter.validate_python(written)

    assert adapter.dump_python(expectation, mode="json") == written
    assert adapter.validate_python(adapter.dump_python(expectation, mode="json")) == expectation
