from __future__ import annotations

import pytest

from dr_orchestrator.assets.mariadb_logical_restoration import explain_failure
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted

PATIENT = "Zebedee Canaryson"


def said(number: int, text: str = "") -> str:
    """Return what the client prints: the whole statement, and then the error."""
    statement = f"--------------\nINSERT INTO `patient` VALUES ('{PATIENT}')\n--------------\n\n"
    return f"{statement}ERROR {number} (HY000) at line 7: {text} near '{PATIENT}'\n"


@pytest.mark.parametrize(
    ("stderr", "kind", "words"),
    [
        (said(1064), LoadFailed, "not SQL"),
        ("ERROR at line 3: Unknown command '\\!'.", LoadFailed, "not SQL"),
        (said(1062), LoadFailed, "constraints"),
        (said(1136), LoadFailed, "rows cannot be read"),
        (said(1146), LoadFailed, "not in the backup"),
        (said(1227), LoadFailed, "what no dump needs"),
        (said(1273), CouldNotVerify, "collation"),
        (said(1286), CouldNotVerify, "engine"),
        (said(2013), CouldNotVerify, "went away"),
        (said(1153), CouldNotVerify, "went away"),
        (said(1114), SpaceExhausted, "no room"),
        (said(1030, "Got error 28 from storage engine"), SpaceExhausted, "no room"),
        (said(3, 'Error writing file (Errcode: 28 "No space left")'), SpaceExhausted, "no room"),
        (said(4242), LoadFailed, "error 4242"),
        ("", CouldNotVerify, "exit code 1"),
    ],
)
def test_explain_failure_tells_the_backups_fault_from_this_machines(
    stderr: str, kind: type[DroError], words: str
) -> None:
    error = explain_failure(1, stderr)
    assert type(error) is kind
    assert words in error.message
    assert PATIENT not in str(error)
