from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest

from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.postgres_connection import (
    Address,
    as_value,
    failure_words,
    identifier,
    private_environment,
)

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, None),
        (True, True),
        (42, 42),
        (1.5, 1.5),
        (Decimal(12), 12),
        (Decimal("12.50"), 12.5),
        (datetime(2026, 1, 5, 8, 0), datetime(2026, 1, 5, 14, 0, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2026, 1, 5, 8, 0, tzinfo=UTC), datetime(2026, 1, 5, 8, 0, tzinfo=UTC)),
        (date(2026, 7, 5), datetime(2026, 7, 5, 5, 0, tzinfo=UTC)),
    ],
)
def test_as_value_returns_numbers_booleans_and_times(found: object, expected: object) -> None:
    value = as_value(found, CHICAGO)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    "found", ["Zebedee Canaryson", b"x", timedelta(1), [1], Decimal("NaN"), float("inf")]
)
def test_as_value_refuses_other_kinds_without_showing_them(found: object) -> None:
    with pytest.raises(CouldNotVerify) as raised:
        as_value(found, UTC)
    assert str(found) not in str(raised.value)


def test_failure_words_say_the_kind_and_nothing_of_the_server() -> None:
    words = failure_words(psycopg.errors.UndefinedTable('relation "Zebedee" does not exist'))
    assert words == "undefined table (42P01)"
    assert failure_words(psycopg.OperationalError("Zebedee")) == "the connection was lost"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("public", "patient"), "public.patient"),
        (("Public", "a b"), '"Public"."a b"'),
        (('x"y', "ärzte"), '"x""y"."ärzte"'),
        (("select", "1st"), 'select."1st"'),
        (("_hidden",), '"_hidden"'),
    ],
)
def test_identifier_quotes_only_where_it_must(names: tuple[str, ...], expected: str) -> None:
    assert identifier(*names) == expected


def test_private_environment_keeps_restored_databases_from_loading_libraries() -> None:
    environment = private_environment(Address(host="/run/x", port=5432, user="u"), "d")
    assert "session_preload_libraries=" in environment["PGOPTIONS"]
    assert environment["PGDATABASE"] == "d"
    assert "PGPASSWORD" not in environment
