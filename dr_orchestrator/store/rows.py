"""Rows of the tables as nouns of `core`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, PointCopy, RecoveryPoint
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.store.codec import decode, encode

_VERIFICATIONS = tuple[Verification, ...]
_CONDITIONS = tuple[str, ...]
_SNAPSHOTS = Mapping[str, str]


def run_row(run: Run) -> dict[str, Any]:
    """Return the row of a run."""
    return vars(run) | {
        "operation": run.operation.value,
        "outcome": run.outcome and run.outcome.value,
    }


def run_from(row: Any) -> Run:
    """Return the run of a row. Its claim's token stays behind: it belongs to whoever runs it."""
    columns = {name: value for name, value in row._asdict().items() if name != "token"}
    columns["operation"] = Operation(row.operation)
    columns["outcome"] = row.outcome and Outcome(row.outcome)
    return Run(**columns)


def copy_row(point: RecoveryPoint, copy: PointCopy) -> dict[str, Any]:
    """Return the row of one copy of a point."""
    return vars(copy) | {
        "practice": point.practice,
        "point": point.id,
        "snapshots": encode(copy.snapshots, _SNAPSHOTS),
    }


def points_from(
    points: Iterable[Any], assets: Iterable[Any], copies: Iterable[Any]
) -> tuple[RecoveryPoint, ...]:
    """Return the points of the rows of three tables, all of one practice, in the first's order."""
    assets_of: dict[str, dict[str, AssetSummary]] = {}
    for row in assets:
        summary = AssetSummary(
            kind=AssetKind(row.kind),
            method=Method(row.method),
            bytes=row.bytes,
            level=row.level,
            data_as_of=row.data_as_of,
        )
        assets_of.setdefault(row.point, {})[row.asset] = summary
    copies_of: dict[str, list[PointCopy]] = {}
    for row in copies:
        copy = PointCopy(
            repository=row.repository,
            manifest_snapshot=row.manifest_snapshot,
            manifest_sha256=row.manifest_sha256,
            snapshots=decode(row.snapshots, _SNAPSHOTS),
            recorded_at=row.recorded_at,
        )
        copies_of.setdefault(row.point, []).append(copy)
    return tuple(
        RecoveryPoint(
            **row._asdict(),
            assets=assets_of.get(row.id, {}),
            copies=tuple(copies_of.get(row.id, ())),
        )
        for row in points
    )


def restore_test_row(test: RestoreTest) -> dict[str, Any]:
    """Return the row of a restore test."""
    return vars(test) | {
        "result": test.result.value,
        "depth": test.depth.value,
        "verifications": encode(test.verifications, _VERIFICATIONS),
        "conditions": encode(test.conditions, _CONDITIONS),
    }


def restore_test_from(row: Any) -> RestoreTest:
    """Return the restore test of a row."""
    columns = row._asdict()
    columns["result"] = Result(row.result)
    columns["depth"] = Depth(row.depth)
    columns["verifications"] = decode(row.verifications, _VERIFICATIONS)
    columns["conditions"] = decode(row.conditions, _CONDITIONS)
    return RestoreTest(**columns)
