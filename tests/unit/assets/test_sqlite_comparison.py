"""What answers from the sandbox mean, one answer at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dr_orchestrator.assets import sqlite_inside
from dr_orchestrator.assets.sqlite_comparison import Comparison, levels_to_measure
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline
from dr_orchestrator.core.verification import Result

_BASELINE = DatabaseBaseline(
    level=Level.COUNTS,
    algorithm=sqlite_inside.ALGORITHM,
    tables={
        "visit": TableBaseline(rows=10, checksum="aa", level=Level.FULL),
        "note": TableBaseline(rows=3, level=Level.COUNTS),
    },
    objects={"indexes": 2},
    sequences={"visit": 10},
    sha256="00",
)
_SAME = Comparison(
    asset="database",
    baseline=_BASELINE,
    damaged_at_capture=False,
    equal_bytes=True,
    tables={"visit": {"rows": 10, "checksum": "aa"}, "note": {"rows": 3}},
    others={"damages": 0, "objects": {"indexes": 2}, "sequences": {"visit": 10}},
)
_UNSEEN = replace(_BASELINE, tables={"visit": TableBaseline(rows=None, level=Level.NONE)})


def _results(comparison: Comparison) -> list[Result]:
    return [each.result for each in comparison.verifications()]


def test_comparison_passes_when_all_is_equal() -> None:
    assert _results(_SAME) == [Result.PASSED] * 4


def test_comparison_says_that_a_table_was_only_counted() -> None:
    unhashed = replace(_SAME, baseline=replace(_BASELINE, sha256=None), equal_bytes=None)

    (tables,) = [each for each in unhashed.verifications() if "table" in each.title]

    assert tables.actual == "2 of 2 equal, 1 of them in number only"


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"note": {"rows": 3}}, "visit (gone)"),
        ({"visit": {"rows": 9, "checksum": "aa"}, "note": {"rows": 3}}, "visit (10 rows, now 9)"),
        ({"visit": {"rows": 10, "checksum": "ab"}, "note": {"rows": 3}}, "visit (other content)"),
        ({"visit": {"rows": 10, "checksum": None}, "note": {"rows": 3}}, "visit (cannot be read)"),
        (
            {"visit": {"rows": None}, "note": {"rows": "3"}},
            "visit (cannot be read), note (cannot be read)",
        ),
        ({}, "visit (gone), note (gone)"),
    ],
)
def test_comparison_names_the_table_that_differs(tables: Any, reason: str) -> None:
    (found,) = [
        each
        for each in replace(_SAME, tables=tables, equal_bytes=False).verifications()
        if "table" in each.title
    ]

    assert (found.result, found.reason) == (Result.FAILED, f"not as at capture: {reason}")


def test_comparison_of_what_was_not_looked_at_rests_on_the_bytes() -> None:
    tables = {"visit": {"rows": 10}}
    equal = replace(_SAME, baseline=_UNSEEN, tables=tables)
    other_way = replace(_SAME, baseline=replace(_BASELINE, algorithm="another"))

    assert _results(equal)[2] is Result.PASSED
    assert _results(replace(equal, equal_bytes=None))[1] is Result.UNPROVEN
    assert _results(other_way)[2] is Result.PASSED
    assert _results(replace(other_way, equal_bytes=None))[1] is Result.UNPROVEN
    assert levels_to_measure(other_way.baseline) == {}
    assert levels_to_measure(_BASELINE) == {"visit": "full", "note": "counts"}


@pytest.mark.parametrize(
    ("others", "equal", "result", "reason"),
    [
        ({"damages": 3}, False, Result.FAILED, "the restored database is damaged"),
        ({"damages": 3}, True, Result.FAILED, "the database was damaged already when it was"),
        (
            {"damages": None, "damages failed": "SQLITE_CORRUPT"},
            False,
            Result.FAILED,
            "the restored",
        ),
        (
            {"damages": None, "damages failed": "SQLITE_ERROR"},
            False,
            Result.UNPROVEN,
            "SQLite could",
        ),
        ({"damages": "0"}, False, Result.UNPROVEN, "SQLite could"),
        ({}, False, Result.UNPROVEN, "SQLite could"),
    ],
)
def test_damage_is_judged_by_what_sqlite_found(
    others: Any, equal: bool, result: Result, reason: str
) -> None:
    found = list(replace(_SAME, others=others, equal_bytes=equal).verifications())[1]

    assert found.result is result
    assert found.reason.startswith(reason)


def test_missing_collation_is_no_alarm_when_the_bytes_are_equal() -> None:
    others = {**_SAME.others, "damages": None, "damages failed": "SQLITE_ERROR"}

    assert _results(replace(_SAME, others=others)) == [Result.PASSED] * 3


@pytest.mark.parametrize(
    "others",
    [
        {"objects": {"indexes": 1}},
        {"objects": {}},
        {"objects": None},
        {"sequences": {"visit": 9}},
        {"sequences": {}},
        {"sequences": {"visit": "10"}},
    ],
)
def test_lost_objects_and_sequences_fail(others: Any) -> None:
    assert _results(replace(_SAME, others={**_SAME.others, **others}))[-1] is Result.FAILED


def test_sequence_may_be_ahead() -> None:
    others = {**_SAME.others, "sequences": {"visit": 11}}

    assert _results(replace(_SAME, others=others))[-1] is Result.PASSED


def test_words_of_the_sandbox_are_not_passed_on() -> None:
    others = {**_SAME.others, "damages": None, "damages failed": "Jane Roe, 1970"}

    assert "Roe" not in repr(list(replace(_SAME, others=others, equal_bytes=False).verifications()))
