"""What is asked of a database, without a sandbox around it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets import sqlite_inside

_cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)
_rows = st.lists(st.tuples(_cells, _cells), max_size=8)


def _checksum(rows: list[tuple[object, object]]) -> str:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (a, b)")
        connection.executemany("insert into t values (?, ?)", rows)
        return sqlite_inside.checksum(connection, "t", sampled=False)


@given(_rows, st.randoms())
def test_checksum_is_the_same_in_any_order_and_another_with_another_row(
    rows: list[tuple[object, object]], random: object
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert _checksum(shuffled) == _checksum(rows)
    assert _checksum([*rows, (1, 2)]) != _checksum(rows)


def test_checksum_tells_kinds_and_columns_apart() -> None:
    rows: list[tuple[object, object]] = [
        (1, None),
        (None, 1),
        ("1", None),
        (1.0, None),
        (b"1", None),
        ("", None),
        (None, None),
    ]

    assert len({_checksum([row]) for row in rows}) == len(rows)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as made, made:
        made.execute('create table "odd "" name" (id integer primary key, body text)')
        made.execute('insert into "odd "" name" values (1, 2)')
    with contextlib.closing(sqlite_inside.connect(str(tmp_path / "x.db"))) as opened:
        yield opened


def test_tables_with_odd_names_are_counted_and_summed(connection: sqlite3.Connection) -> None:
    (name,) = sqlite_inside.tables(connection)

    assert sqlite_inside.count(connection, name) == 1
    assert len(sqlite_inside.checksum(connection, name, sampled=True)) == 32


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("select 1", ("number", 1)),
        ("select 1.5", ("number", 1.5)),
        ("select null", ("null", None)),
        ("select '2026-11-18'", ("time", "2026-11-18")),
        ("select '2026-11-18 10:00:00.123Z'", ("time", "2026-11-18 10:00:00.123Z")),
        ("select '2026-11-18+01:00'", ("other", None)),
        ("select '2026-11-18 Jane Roe'", ("other", None)),
        ("select '\u0662026-11-18'", ("other", None)),
        ("select 'Jane Roe'", ("other", None)),
        ("select x'00'", ("other", None)),
        ("select 1, 2", ("shape", None)),
        ("select 1 where false", ("shape", None)),
        ("select 1 union select 2", ("shape", None)),
    ],
)
def test_one_value_lets_out_numbers_and_times_only(
    connection: sqlite3.Connection, sql: str, answer: tuple[str, object]
) -> None:
    assert sqlite_inside.one_value(connection, sql) == answer


def test_query_is_stopped_when_its_time_is_up(connection: sqlite3.Connection) -> None:
    sqlite_inside.stop_when(connection, lambda: True)
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"

    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute(endless).fetchall()

    assert sqlite_inside.code(caught.value) == "SQLITE_INTERRUPT"


def test_connection_cannot_write(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("create table made (id int)")
