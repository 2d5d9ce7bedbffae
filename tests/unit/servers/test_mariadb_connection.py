from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pymysql
import pytest
from pymysql.constants import FIELD_TYPE

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.mariadb_connection import (
    Address,
    as_value,
    client_settings,
    defaults_file,
    failure_words,
    identifier,
    is_damage,
    literal,
)
from dr_orchestrator.servers.mariadb_programs import Vendor

CHICAGO = ZoneInfo("America/Chicago")
THERE = Address(host="10.0.0.5", port=3307, user="backup", sslmode="prefer")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, None),
        (42, 42),
        (1.5, 1.5),
        (Decimal(12), 12),
        (Decimal("12.50"), 12.5),
        (datetime(2026, 1, 5, 8, 0), datetime(2026, 1, 5, 14, 0, tzinfo=UTC)),  # noqa: DTZ001
        (date(2026, 7, 5), datetime(2026, 7, 5, 5, 0, tzinfo=UTC)),
    ],
)
def test_as_value_returns_numbers_and_times(found: object, expected: object) -> None:
    value = as_value(found, CHICAGO)
    assert (value, type(value)) == (expected, type(expected))


def test_as_value_takes_bits_for_a_number() -> None:
    assert as_value(b"\x01\x02", UTC, FIELD_TYPE.BIT) == 258


@pytest.mark.parametrize(
    "found", ["Zebedee Canaryson", b"x", timedelta(1), Decimal("NaN"), float("inf"), "0000-00-00"]
)
def test_as_value_refuses_other_kinds_without_showing_them(found: object) -> None:
    with pytest.raises(CouldNotVerify) as raised:
        as_value(found, UTC)
    assert str(found) not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1045, "access denied (1045)"),
        (1194, "the table is damaged (1194)"),
        (2013, "the connection was lost (2013)"),
        (1969, "it took too long (1969)"),
        (1999, "the server refused (1999)"),
    ],
)
def test_failure_words_say_the_kind_and_nothing_of_the_server(code: int, words: str) -> None:
    error = pymysql.OperationalError(code, "Duplicate entry 'Zebedee Canaryson' for key")
    assert failure_words(error) == words
    assert is_damage(error) is (code == 1194)


def test_failure_words_take_an_error_without_a_number_for_a_lost_connection() -> None:
    assert failure_words(pymysql.InterfaceError()) == "the connection was lost"


def test_client_settings_lead_over_the_network_as_our_own_connection_went() -> None:
    plain = client_settings(THERE, Secret("x"), Vendor.MARIADB, encrypted=False)
    assert 'host="10.0.0.5"\nport="3307"\nprotocol="tcp"\nskip-ssl\n' in plain
    encrypted = client_settings(THERE, Secret("x"), Vendor.MARIADB, encrypted=True)
    assert encrypted.endswith("\nssl\nskip-ssl-verify-server-cert\n")
    mysqls = client_settings(THERE, Secret("x"), Vendor.MYSQL, encrypted=True)
    assert mysqls.endswith('\nssl-mode="REQUIRED"\n')


def test_client_settings_verify_the_certificate_when_the_plan_says_so() -> None:
    there = Address(host="db", port=3306, user="backup", sslmode="verify-full")
    text = client_settings(there, None, Vendor.MARIADB, encrypted=True)
    assert text.endswith("\nssl\nssl-verify-server-cert\n")
    assert 'ssl-mode="VERIFY_IDENTITY"' in client_settings(
        there, None, Vendor.MYSQL, encrypted=True
    )


def test_client_settings_keep_a_password_on_its_line() -> None:
    text = client_settings(
        THERE, Secret('a\n[client]\nuser=root "#\\'), Vendor.MARIADB, encrypted=False
    )
    assert r'password="a\n[client]\nuser=root \"#\\"' in text.splitlines()


def test_defaults_file_is_ours_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with defaults_file(tmp_path / "run", THERE, password=Secret("canary")) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert "canary" in path.read_text()
    assert list((tmp_path / "run").iterdir()) == []


def test_names_and_text_are_quoted() -> None:
    assert identifier("od`d") == "`od``d`"
    assert literal("O'Hara \\") == r"'O\'Hara \\'"
