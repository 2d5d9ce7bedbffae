from __future__ import annotations

import pytest

from dr_orchestrator.assets.mariadb_catalog import (
    Column,
    Table,
    _fingerprint,
    _names,
    _neutral,
    row_text,
)


def table(*columns: tuple[str, str, bool]) -> Table:
    return Table(
        name="t",
        engine="InnoDB",
        transactional=True,
        versioned=False,
        size=0,
        columns=tuple(
            Column(name=name, type=kind, nullable=nullable) for name, kind, nullable in columns
        ),
        key=(),
    )


def test_row_text_takes_text_as_bytes_with_its_length_at_the_end() -> None:
    text = row_text(table(("id", "int", False), ("na`me", "varchar", True), ("at", "date", True)))
    assert text == (
        "concat_ws('#', '', `id`, cast(`na``me` as binary), `at`, "
        "coalesce(length(`na``me`), 'n'), isnull(`at`))"
    )


def test_row_text_takes_what_may_be_larger_than_a_packet_by_its_hash() -> None:
    text = row_text(table(("scan", "longblob", True)))
    assert text == "concat_ws('#', '', md5(`scan`), isnull(`scan`))"
    many = table(*((f"t{number}", "text", True) for number in range(9)))
    assert "md5(`t8`)" in row_text(many)


@pytest.mark.parametrize(
    ("pattern", "database", "is_for"),
    [
        ("`emr`", "emr", True),
        ("`em%`", "emr", True),
        ("`e_r`", "emr", True),
        (r"`e\_r`", "emr", False),
        (r"`open\_emr`", "open_emr", True),
        ("`od``d`", "od`d", True),
        ("`emr`", "emr2", False),
        ("`emr.`", "emrx", False),
    ],
)
def test_names_reads_a_grants_pattern(pattern: str, database: str, is_for: bool) -> None:
    assert _names(pattern, database) is is_for


def test_fingerprint_is_the_same_in_any_order_and_changes_with_any_value() -> None:
    rows = [("a", 1, None), ("b", 2, "x")]
    assert _fingerprint(rows) == _fingerprint(reversed(rows))
    assert _fingerprint(rows) != _fingerprint([("a", 1, None), ("b", 2, "y")])
    assert 0 <= _fingerprint(rows) < 2**48


def test_neutral_leaves_out_the_databases_own_name_and_formats_of_old_servers() -> None:
    assert _neutral("select `emr`.`patient`.`id`", "emr") == "select `patient`.`id`"
    assert _neutral("timestamp /* mariadb-5.3 */", "emr") == "timestamp"
    assert _neutral(b"x", "emr") == "x"
    assert _neutral(7, "emr") == 7
