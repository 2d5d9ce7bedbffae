from __future__ import annotations

from dataclasses import replace

import pytest

from dr_orchestrator.assets.postgres_comparison import Restored, compare
from dr_orchestrator.assets.postgres_definitions import OWNERS
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import Result, Verification

PATIENT = TableBaseline(rows=100, checksum="11", level=Level.FULL)
LAB = TableBaseline(rows=5000, checksum="22", level=Level.SAMPLED)
NOTE = TableBaseline(rows=7, level=Level.COUNTS)
TABLES = {"patient": PATIENT, "lab": LAB, "note": NOTE}
OBJECTS = {"views": 2, "triggers": 1, "extensions": 1, "invalid indexes": 0}
BASELINE = DatabaseBaseline(
    level=Level.COUNTS,
    algorithm="hashtextextended/15",
    tables=TABLES,
    objects=OBJECTS,
    sequences={"invoice": 10},
)
RESTORED = Restored(major="15", tables=TABLES, objects=OBJECTS, sequences={"invoice": 10})


def judged(
    restored: Restored = RESTORED,
    baseline: DatabaseBaseline = BASELINE,
    method: Method = Method.LOGICAL,
) -> tuple[Verification, Verification, Verification, Verification]:
    tables, objects, sequences, indexes = compare("emr", method, baseline, restored)
    return tables, objects, sequences, indexes


DEFINED = {"fingerprint of columns": 11, "fingerprint of views": 22, OWNERS: 33}


def defined(now: dict[str, int], major: str = "15") -> Verification:
    """Return what is said of definitions that were `DEFINED` at capture."""
    baseline = replace(BASELINE, objects={**OBJECTS, **DEFINED})
    restored = replace(RESTORED, objects={**OBJECTS, **now}, major=major)
    verdicts = compare("emr", Method.LOGICAL, baseline, restored)
    assert [each.result for each in verdicts[:4]] == [Result.PASSED] * 4
    assert verdicts[1].actual == "3 kinds equal"
    return verdicts[4]


def with_table(name: str, **changes: object) -> Restored:
    changed = replace(TABLES[name], **changes)  # type: ignore[arg-type]
    return replace(RESTORED, tables={**TABLES, name: changed})


def test_compare_passes_everything_when_all_is_equal() -> None:
    assert [each.result for each in judged()] == [Result.PASSED] * 4
    assert judged()[0].actual == "3 of 3 tables equal, 1 of them sampled, 1 of them counted only"


@pytest.mark.parametrize(
    ("restored", "reason"),
    [
        (with_table("patient", rows=99), "patient: 99 rows instead of 100"),
        (with_table("patient", rows=0, checksum="0"), "patient: 0 rows instead of 100"),
        (with_table("patient", checksum="12"), "patient: as many rows, but other content"),
        (with_table("lab", checksum="23"), "lab: as many rows, but other content"),
        (with_table("note", rows=8), "note: 8 rows instead of 7"),
    ],
)
def test_compare_fails_and_names_the_table_when_it_differs(restored: Restored, reason: str) -> None:
    tables = judged(restored)[0]
    assert (tables.result, tables.reason) == (Result.FAILED, reason)
    assert tables.actual == "1 of 3 tables differ"


def test_compare_fails_when_a_table_is_missing() -> None:
    tables = judged(replace(RESTORED, tables={"patient": PATIENT, "lab": LAB}))[0]
    assert (tables.result, tables.reason) == (Result.FAILED, "note: missing")


def test_compare_fails_when_a_table_was_not_there_at_capture() -> None:
    tables = judged(replace(RESTORED, tables={**TABLES, "other": NOTE}))[0]
    assert (tables.result, tables.reason) == (Result.FAILED, "other: was not there at capture")


def test_compare_ignores_other_tables_of_a_cluster_that_changed_while_copied() -> None:
    restored = replace(RESTORED, tables={**TABLES, "other": NOTE})
    assert judged(restored, method=Method.PHYSICAL)[0].result is Result.PASSED


def test_compare_shows_five_names_and_how_many_more() -> None:
    many = {f"t{number}": PATIENT for number in range(8)}
    tables = judged(
        replace(RESTORED, tables={name: replace(PATIENT, rows=1) for name in many}),
        replace(BASELINE, tables=many),
    )[0]
    assert tables.actual == "8 of 8 tables differ"
    assert tables.reason.endswith("t4: 1 row instead of 100; and 3 more")


def test_compare_is_unproven_when_another_major_hashes_differently() -> None:
    restored = replace(with_table("patient", checksum="99"), major="17")
    tables = judged(restored)[0]
    assert tables.result is Result.UNPROVEN
    assert "another version of PostgreSQL" in tables.reason


def test_compare_fails_when_rows_are_missing_whatever_the_major() -> None:
    restored = replace(with_table("patient", rows=1), major="17")
    assert judged(restored)[0].result is Result.FAILED


def test_compare_is_unproven_when_a_table_could_not_be_read() -> None:
    restored = replace(RESTORED, unreadable={"lab": "reading it failed: undefined function"})
    tables = judged(restored)[0]
    assert tables.result is Result.UNPROVEN
    assert tables.reason == "lab: reading it failed: undefined function"


def test_compare_is_unproven_when_a_table_was_not_looked_at_at_capture() -> None:
    baseline = replace(
        BASELINE, tables={**TABLES, "lab": TableBaseline(rows=None, level=Level.NONE)}
    )
    tables = judged(RESTORED, baseline)[0]
    assert tables.result is Result.UNPROVEN
    assert "lab" in tables.reason


def test_compare_leaves_unlogged_tables_of_a_cluster_out_and_says_so() -> None:
    baseline = replace(
        BASELINE, tables={**TABLES, "lab": TableBaseline(rows=None, level=Level.NONE)}
    )
    tables = judged(RESTORED, baseline, Method.PHYSICAL)[0]
    assert tables.result is Result.PASSED
    assert str(tables.actual).endswith("1 left out")


def test_compare_passes_when_a_table_changed_while_it_was_captured() -> None:
    moving = TableBaseline(rows=90, rows_after=110, level=Level.FULL, settled=False)
    baseline = replace(BASELINE, tables={**TABLES, "lab": moving})
    tables = judged(with_table("lab", rows=1), baseline, Method.PHYSICAL)[0]
    assert tables.result is Result.PASSED
    assert "1 could not be compared exactly: changed while captured" in str(tables.actual)


def test_compare_is_unproven_when_most_rows_of_a_changing_table_are_gone() -> None:
    moving = TableBaseline(rows=900, rows_after=1100, level=Level.FULL, settled=False)
    baseline = replace(BASELINE, tables={**TABLES, "lab": moving})
    assert judged(with_table("lab", rows=450), baseline, Method.PHYSICAL)[0].result is Result.PASSED
    tables = judged(with_table("lab", rows=449), baseline, Method.PHYSICAL)[0]
    assert tables.result is Result.UNPROVEN
    assert tables.reason == "lab: 449 rows, and 900 or more while it was captured"


def test_compare_is_unproven_when_every_table_changed_while_it_was_captured() -> None:
    moving = TableBaseline(rows=90, rows_after=110, level=Level.FULL, settled=False)
    baseline = replace(BASELINE, tables={"lab": moving})
    assert judged(RESTORED, baseline, Method.PHYSICAL)[0].result is Result.UNPROVEN


def test_compare_allows_a_materialised_view_that_loading_made_anew() -> None:
    restored = replace(with_table("note", rows=9), views={"note": True})
    tables = judged(restored)[0]
    assert tables.result is Result.PASSED
    assert "1 made anew by loading" in str(tables.actual)


def test_compare_fails_when_a_materialised_view_came_back_without_content() -> None:
    restored = replace(RESTORED, tables={"patient": PATIENT, "lab": LAB}, views={"note": False})
    assert judged(restored)[0].result is Result.FAILED


def test_compare_passes_an_empty_database_that_was_empty_at_capture() -> None:
    baseline = replace(BASELINE, tables={}, sequences={})
    tables = judged(replace(RESTORED, tables={}), baseline)[0]
    assert (tables.result, tables.actual) == (Result.PASSED, "no table, as at capture")


def test_compare_fails_when_a_trigger_is_gone() -> None:
    objects = judged(replace(RESTORED, objects={**OBJECTS, "triggers": 0}))[1]
    assert (objects.result, objects.reason) == (Result.FAILED, "0 triggers instead of 1")


def test_compare_allows_more_extensions_than_there_were() -> None:
    assert judged(replace(RESTORED, objects={**OBJECTS, "extensions": 2}))[1].result is (
        Result.PASSED
    )


@pytest.mark.parametrize(
    ("sequences", "result"),
    [
        ({"invoice": 10}, Result.PASSED),
        ({"invoice": 43}, Result.PASSED),
        ({"invoice": 9}, Result.FAILED),
        ({}, Result.FAILED),
    ],
)
def test_compare_lets_sequences_be_ahead_but_never_behind(
    sequences: dict[str, int], result: Result
) -> None:
    assert judged(replace(RESTORED, sequences=sequences))[2].result is result


def test_compare_fails_when_an_index_is_invalid() -> None:
    objects = {**OBJECTS, "invalid indexes": 1}
    assert judged(replace(RESTORED, objects=objects))[3].result is Result.FAILED


def test_compare_allows_the_invalid_indexes_that_production_has_in_a_copied_cluster() -> None:
    objects = {**OBJECTS, "invalid indexes": 1}
    verdicts = judged(
        replace(RESTORED, objects=objects), replace(BASELINE, objects=objects), Method.PHYSICAL
    )
    assert [each.result for each in verdicts] == [Result.PASSED] * 4


def test_compare_fails_and_names_the_kind_when_something_is_defined_otherwise() -> None:
    assert defined(DEFINED).result is Result.PASSED
    definitions = defined({**DEFINED, "fingerprint of columns": 12})
    assert definitions.result is Result.FAILED
    assert definitions.reason == "not defined as at capture: columns"
    assert definitions.actual == "1 of 3 kinds differ"


def test_compare_is_unproven_when_definitions_could_not_be_read() -> None:
    definitions = defined({OWNERS: 33})
    assert definitions.result is Result.UNPROVEN
    assert definitions.reason == "could not be read: columns; views"
    assert defined({OWNERS: 34}).result is Result.FAILED


def test_compare_leaves_definitions_out_that_another_major_writes_otherwise() -> None:
    definitions = defined({**DEFINED, "fingerprint of views": 23}, major="17")
    assert definitions.result is Result.PASSED
    assert definitions.actual == (
        "2 of 3 kinds equal, 1 left out: another version of PostgreSQL writes them otherwise"
    )


def test_compare_says_nothing_of_definitions_that_were_not_taken_at_capture() -> None:
    restored = replace(RESTORED, objects={**OBJECTS, **DEFINED})
    assert len(judged(restored)) == 4
    of_another_program = replace(BASELINE, objects={**OBJECTS, "fingerprint of old ways": 1})
    assert len(judged(restored, of_another_program)) == 4
