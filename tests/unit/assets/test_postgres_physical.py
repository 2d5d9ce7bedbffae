from __future__ import annotations

from dataclasses import replace

from dr_orchestrator.assets.database_baseline import bracket
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline

PATIENT = TableBaseline(rows=100, checksum="11", level=Level.FULL)
BEFORE = DatabaseBaseline(
    level=Level.FULL,
    algorithm="hashtextextended/15",
    tables={"patient": PATIENT},
    objects={"views": 1, "tables": 1},
    sequences={"invoice": 10},
    queries={"select 1": 1},
    seconds=1.0,
)


def test_bracket_settles_a_table_that_was_the_same_both_times() -> None:
    assert bracket(BEFORE, BEFORE, set()).tables == {"patient": PATIENT}


def test_bracket_unsettles_a_table_that_changed() -> None:
    after = replace(BEFORE, tables={"patient": replace(PATIENT, rows=105, checksum="12")})
    table = bracket(BEFORE, after, {"patient"}).tables["patient"]
    assert (table.settled, table.rows, table.rows_after, table.checksum) == (False, 100, 105, None)


def test_bracket_unsettles_a_queue_whose_rows_came_and_went() -> None:
    assert not bracket(BEFORE, BEFORE, {"patient"}).tables["patient"].settled


def test_bracket_unsettles_a_table_that_is_new() -> None:
    after = replace(BEFORE, tables={"patient": PATIENT, "new": PATIENT})
    table = bracket(BEFORE, after, set()).tables["new"]
    assert (table.settled, table.rows, table.rows_after) == (False, None, 100)


def test_bracket_drops_a_table_that_is_gone() -> None:
    assert bracket(BEFORE, replace(BEFORE, tables={}), set()).tables == {}


def test_bracket_keeps_an_unlogged_table_as_not_looked_at() -> None:
    unlogged = {"queue": TableBaseline(rows=None, level=Level.NONE)}
    both = replace(BEFORE, tables=unlogged)
    assert bracket(both, both, {"queue"}).tables == unlogged


def test_bracket_keeps_only_what_was_equal_of_objects_and_answers() -> None:
    after = replace(BEFORE, objects={"views": 1, "tables": 2}, queries={"select 1": 2})
    bracketed = bracket(BEFORE, after, set())
    assert (bracketed.objects, bracketed.queries) == ({"views": 1}, {})


def test_bracket_asks_of_a_sequence_what_it_had_reached_before() -> None:
    after = replace(BEFORE, sequences={"invoice": 12})
    assert bracket(BEFORE, after, set()).sequences == {"invoice": 10}
    assert bracket(BEFORE, replace(BEFORE, sequences={"invoice": 3}), set()).sequences == {}
