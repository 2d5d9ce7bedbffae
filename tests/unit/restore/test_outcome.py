"""Every error has one meaning for a restore test, and none of them is green."""

from __future__ import annotations

import pytest

from dr_orchestrator import errors
from dr_orchestrator.core.verification import Depth, Result, Verification, overall
from dr_orchestrator.errors import DroError
from dr_orchestrator.restore.outcome import result_of

_FAILED = {
    "LoadFailed",
    "ManifestInvalid",
    "PointNotFound",
    "RepositoryDamaged",
    "WrongPassword",
}
_ALL = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DroError)
]


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
def test_an_error_is_failed_only_where_the_backup_itself_is_at_fault(kind: type[DroError]) -> None:
    expected = Result.FAILED if kind.__name__ in _FAILED else Result.UNPROVEN
    assert result_of(kind("said")) is expected


def _verification(result: Result) -> Verification:
    return Verification(title="t", asset="a", result=result, proves=Depth.L4)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], Result.UNPROVEN),
        ([Result.PASSED], Result.PASSED),
        ([Result.PASSED, Result.UNPROVEN], Result.UNPROVEN),
        ([Result.UNPROVEN, Result.FAILED, Result.PASSED], Result.FAILED),
    ],
)
def test_overall_is_passed_only_if_something_was_asked_and_all_of_it_passed(
    results: list[Result], expected: Result
) -> None:
    assert overall(tuple(_verification(each) for each in results)) is expected
