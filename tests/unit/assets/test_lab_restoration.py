"""What of a dump is changed on its way to a lab server, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.mariadb_lab_restoration import _as_ourselves
from dr_orchestrator.assets.postgres_lab_restoration import _SETTING, _literals


def _settings(script: str) -> dict[str, tuple[str, ...]]:
    return {name: _literals(values) for name, values in _SETTING.findall(script)}


def test_settings_of_a_database_are_read_as_pg_dump_writes_them() -> None:
    name = '"Dr. ""Hara"""'
    script = f"""
CREATE DATABASE {name} WITH TEMPLATE = template0;
ALTER DATABASE {name} OWNER TO emr_owner;
ALTER DATABASE {name} SET search_path TO 'emr', 'a, b', 'it''s';
ALTER DATABASE emr SET "TimeZone" TO 'America/Chicago';
ALTER DATABASE emr SET myapp.note TO E'back\\\\slash';
ALTER ROLE emr_owner IN DATABASE emr SET work_mem TO '1GB';
"""
    assert _settings(script) == {
        "search_path": ("emr", "a, b", "it's"),
        "TimeZone": ("America/Chicago",),
        "myapp.note": ("back\\slash",),
    }


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\\\n")), min_size=1))
def test_any_literal_is_read_back(values: list[str]) -> None:
    escaped = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    assert _literals(escaped) == tuple(values)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`emr_owner`@`localhost`*/ /*!50003 TRIGGER t",
            b"/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/ /*!50003 TRIGGER t",
        ),
        (
            b"/*!50013 DEFINER=`a``b`@`%` SQL SECURITY DEFINER */",
            b"/*!50013 DEFINER=CURRENT_USER SQL SECURITY DEFINER */",
        ),
        (b"CREATE DEFINER=`r` FUNCTION `age`()", b"CREATE DEFINER=CURRENT_USER FUNCTION `age`()"),
        (  # made with the SQL mode ANSI_QUOTES or ORACLE
            b'CREATE DEFINER="a""b"@"%" FUNCTION "age"()',
            b'CREATE DEFINER=CURRENT_USER FUNCTION "age"()',
        ),
        (
            b"/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `e`",
            b"/*!50106 CREATE*/ /*!50117 DEFINER=CURRENT_USER*/ /*!50106 EVENT `e`",
        ),
    ],
)
def test_what_ran_as_somebody_of_production_runs_as_ourselves(line: bytes, expected: bytes) -> None:
    assert b"".join(_as_ourselves([b"-- x\n" + line + b"\n"])) == b"-- x\n" + expected + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        b"INSERT INTO `note` VALUES ('CREATE DEFINER=`a`@`b` VIEW');",
        b"  -- CREATE DEFINER=`a`@`b` PROCEDURE, as it was",
    ],
)
def test_rows_and_bodies_are_left_as_they_are(line: bytes) -> None:
    assert b"".join(_as_ourselves([line])) == line
