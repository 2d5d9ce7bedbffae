from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.postgres_logical import check_archive
from dr_orchestrator.assets.postgres_logical_restoration import explain_failure
from dr_orchestrator.errors import (
    CaptureFailed,
    CouldNotVerify,
    DroError,
    LoadFailed,
    SpaceExhausted,
)

PATIENT = "Zebedee Canaryson"


def test_check_archive_accepts_a_whole_archive() -> None:
    check_archive(b"PGDMP\x01\x0e", b"row\x00\x00\x00\x00\x00", 1000)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (b"PGDMP\x01", b"half a row"),
        (b"PGDMP\x01", b"\x00\x00\x00\x00"),
        (b"-- SQL", b"\x00\x00\x00\x00\x00"),
        (b"", b""),
    ],
)
def test_check_archive_refuses_what_has_no_beginning_or_no_end(first: bytes, last: bytes) -> None:
    with pytest.raises(CaptureFailed):
        check_archive(first, last, 1000)


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("pg_restore: error: could not read from input file: end of file", LoadFailed),
        (
            "pg_restore: error: could not find block ID 3412 in archive -- possibly corrupt",
            LoadFailed,
        ),
        ("pg_restore: error: did not find magic string in file header", LoadFailed),
        ('error: could not execute query: ERROR:  role "emr_owner" does not exist', LoadFailed),
        ('ERROR:  insert or update violates foreign key constraint "x"', LoadFailed),
        ('ERROR:  extension "vector" is not available', CouldNotVerify),
        ('ERROR: could not access file "$libdir/emr": No such file', CouldNotVerify),
        ('ERROR:  could not extend file "base/1/2": No space left on device', SpaceExhausted),
        ("FATAL: server closed the connection unexpectedly", CouldNotVerify),
        ("something nobody foresaw", LoadFailed),
    ],
)
def test_explain_failure_tells_kinds_apart(stderr: str, kind: type[DroError]) -> None:
    error = explain_failure("pg_restore", 1, f"{stderr}\nCONTEXT: {PATIENT}")
    assert type(error) is kind
    assert PATIENT not in str(error)


@given(st.text())
def test_explain_failure_never_passes_anything_on(stderr: str) -> None:
    error = explain_failure("pg_restore", 1, f"{stderr} {PATIENT} {stderr}")
    assert PATIENT not in str(error)
