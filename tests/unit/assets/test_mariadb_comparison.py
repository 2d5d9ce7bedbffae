from __future__ import annotations

from dataclasses import replace

import pytest

from dr_orchestrator.assets.mariadb_catalog import FINGERPRINT
from dr_orchestrator.assets.mariadb_comparison import Restored, compare
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import Result, Verification

COLUMNS = f"{FINGERPRINT}columns"
TABLES = {
    "patient": TableBaseline(rows=100, checksum="11", level=Level.FULL),
    "lab": TableBaseline(rows=5000, checksum="22", level=Level.SAMPLED),
}
BASELINE = DatabaseBaseline(
    level=Level.SAMPLED,
    algorithm="md5-sum/mariadb-10.11",
    tables=TABLES,
    objects={"views": 1, "triggers": 2, COLUMNS: 4711},
    sequences={"invoice": 10, "patient": 4096},
)
RESTORED = Restored(
    algorithm=BASELINE.algorithm,
    tables=TABLES,
    objects=BASELINE.objects,
    sequences=BASELINE.sequences,
)
OTHER = replace(TABLES["patient"], checksum="12")
ELSEWHERE = "md5-sum/mariadb-11.4"


def judged(restored: Restored, method: Method = Method.LOGICAL) -> tuple[Verification, ...]:
    return compare("emr", method, BASELINE, restored)


def test_compare_passes_everything_when_all_is_equal() -> None:
    assert [each.result for each in judged(RESTORED)] == [Result.PASSED] * 5


@pytest.mark.parametrize(
    ("which", "changes", "reason"),
    [
        (0, {"tables": {**TABLES, "patient": OTHER}}, "patient: as many rows, but other content"),
        (0, {"damaged": {"lab": "damaged: x"}}, "lab: damaged: x"),
        (1, {"objects": {**BASELINE.objects, "triggers": 1}}, "1 triggers instead of 2"),
        (2, {"objects": {**BASELINE.objects, COLUMNS: 1}}, "not defined as at capture: columns"),
        (2, {"objects": {"views": 1, "triggers": 2}}, "not defined as at capture: columns"),
        (3, {"sequences": {"invoice": 9, "patient": 4096}}, "behind or missing: invoice"),
        (4, {"broken_views": {"visit": "no such column"}}, "visit: no such column"),
        (4, {"homeless": ("doc@%",)}, "no account doc@%, which something runs as"),
    ],
)
def test_compare_fails_one_thing_and_names_it_when_it_differs(
    which: int, changes: dict[str, object], reason: str
) -> None:
    verifications = judged(replace(RESTORED, **changes))  # type: ignore[arg-type]
    failed = [each for each in verifications if each.result is not Result.PASSED]
    assert failed == [verifications[which]]
    assert failed[0].result is Result.FAILED
    assert reason in failed[0].reason


def test_compare_leaves_open_what_another_series_may_show_otherwise() -> None:
    restored = replace(
        RESTORED,
        algorithm=ELSEWHERE,
        tables={**TABLES, "patient": OTHER},
        objects={**BASELINE.objects, COLUMNS: 1},
    )
    results = [each.result for each in judged(restored)]
    assert results == [Result.UNPROVEN, Result.PASSED, Result.UNPROVEN, *[Result.PASSED] * 2]


def test_compare_fails_lost_rows_when_loaded_by_another_series() -> None:
    fewer = replace(TABLES["patient"], rows=99)
    restored = replace(RESTORED, algorithm=ELSEWHERE, tables={**TABLES, "patient": fewer})
    assert judged(restored)[0].result is Result.FAILED


def test_compare_wants_reserved_numbers_back_from_a_dump_only() -> None:
    """A restart forgets AUTO_INCREMENT values that were reserved and never used."""
    restored = replace(RESTORED, sequences={"invoice": 10, "patient": 3001})
    assert judged(restored)[3].result is Result.FAILED
    assert judged(restored, Method.PHYSICAL)[3].result is Result.PASSED
