"""Rows of the tables as nouns of `core`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from dr_orchestrator.core.immutability import Attempt, ImmutabilityTested
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, PointCopy, RecoveryPoint
from dr_orchestrator.core.problem import Occasion, OpenProblem, Problem, ProblemKind, Telling
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import KitMade
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.runbook import Drill, Mode, Move, RunbookRun, StepExercised
from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.store.codec import decode, encode

_VERIFICATIONS = tuple[Verification, ...]
_CONDITIONS = tuple[str, ...]
_SNAPSHOTS = Mapping[str, str]
_ATTEMPTS = tuple[Attempt, ...]
_PLACES = tuple[str, ...]


def run_row(run: Run) -> dict[str, Any]:
    """Return the row of a run."""
    return vars(run) | {
        "operation": run.operation.value,
        "outcome": run.outcome and run.outcome.value,
    }


def run_from(row: Any) -> Run:
    """Return the run of a row."""
    columns = row._asdict()
    columns["operation"] = Operation(row.operation)
    columns["outcome"] = row.outcome and Outcome(row.outcome)
    return Run(**columns)


def attempted_key(run: Any) -> dict[str, Any]:
    """Return the key of what a run, or the row of one, attempts."""
    return {
        "practice": run.practice,
        "operation": str(run.operation),
        "system": run.system,
        "repository": run.repository or "",
    }


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
    for _, point, asset, kind, method, size, level, data_as_of, *counts, _, server in assets:
        files, changed, added = counts
        assets_of.setdefault(point, {})[asset] = AssetSummary(
            kind=AssetKind(kind),
            method=Method(method),
            bytes=size,
            level=level,
            data_as_of=data_as_of,
            files=files,
            changed_files=changed,
            added_bytes=added,
            server=server,
        )
    copies_of: dict[str, list[PointCopy]] = {}
    for _, point, repository, manifest, sha256, snapshots, recorded_at, read_back in copies:
        copy = PointCopy(
            repository=repository,
            manifest_snapshot=manifest,
            manifest_sha256=sha256,
            snapshots=decode(snapshots, _SNAPSHOTS),
            recorded_at=recorded_at,
            read_back=read_back,
        )
        copies_of.setdefault(point, []).append(copy)
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


def immutability_test_row(test: ImmutabilityTested) -> dict[str, Any]:
    """Return the row of an immutability test."""
    return vars(test) | {"attempts": encode(test.attempts, _ATTEMPTS)}


def immutability_test_from(row: Any) -> ImmutabilityTested:
    """Return the immutability test of a row."""
    return ImmutabilityTested(**row._asdict() | {"attempts": decode(row.attempts, _ATTEMPTS)})


_OF_OCCURRENCE = tuple(field.name for field in fields(Occurrence))


def occurrence_row(occurrence: Occurrence) -> dict[str, Any]:
    """Return the row of an occurrence."""
    return vars(occurrence) | {"operation": occurrence.operation.value, "reason": ""}


def occurrence_from(row: Any) -> Occurrence:
    """Return the occurrence of a row, which may have more columns."""
    columns = {name: getattr(row, name) for name in _OF_OCCURRENCE}
    columns["operation"] = Operation(row.operation)
    return Occurrence(**columns)


def occurrence_state_from(row: Any) -> OccurrenceState:
    """Return an occurrence and how far it is, of a row of it beside its claim."""
    outcome = row.last_outcome if row.settled_at is None else row.outcome
    return OccurrenceState(
        occurrence=occurrence_from(row),
        progress=_progress(row),
        attempt=row.attempts,
        not_before=row.not_before,
        outcome=outcome and Outcome(outcome),
        reason=row.waits_for or row.reason or row.skipped,
    )


def _progress(row: Any) -> Progress:
    if row.settled_at is None:
        return Progress.WAITING if row.token is None else Progress.RUNNING
    return Progress.SKIPPED if row.outcome is None else Progress.SETTLED


def telling_from(row: Any) -> Telling:
    """Return the telling of a row."""
    return Telling(**row._asdict() | {"occasion": Occasion(row.occasion)})


def problem_from(row: Any) -> OpenProblem:
    """Return the problem of a row."""
    return OpenProblem(
        id=row.id,
        problem=Problem(
            key=row.key,
            kind=ProblemKind(row.kind),
            practice=row.practice,
            system=row.system,
            what=row.what,
            next=row.next,
            since=row.since,
        ),
        opened_at=row.opened_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        closed_at=row.closed_at,
    )


def runbook_run_row(run: RunbookRun) -> dict[str, Any]:
    """Return the row of a runbook run that was just opened."""
    return {
        "id": run.id,
        "practice": run.practice,
        "incident": run.incident,
        "mode": run.mode.value,
        "opened_at": run.opened_at,
        "closed": False,
        "run": encode(run, RunbookRun),
    }


def runbook_run_from(row: Any) -> RunbookRun:
    """Return the runbook run of a row."""
    run: RunbookRun = decode(row.run, RunbookRun)
    return run


def move_row(move: Move) -> dict[str, Any]:
    """Return the row of a move."""
    return {"run": move.run, "number": move.number, "move": encode(move, Move)}


def move_from(row: Any) -> Move:
    """Return the move of a row."""
    move: Move = decode(row.move, Move)
    return move


def exercised_from(row: Any) -> StepExercised:
    """Return what a row says of one step."""
    columns = row._asdict()
    del columns["practice"]
    return StepExercised(**columns | {"mode": Mode(row.mode)})


def drill_row(drill: Drill) -> dict[str, Any]:
    """Return the row of a drill."""
    return {
        "id": drill.id,
        "practice": drill.practice,
        "started_at": drill.started_at,
        "drill": encode(drill, Drill),
    }


def drill_from(row: Any) -> Drill:
    """Return the drill of a row."""
    drill: Drill = decode(row.drill, Drill)
    return drill


def kit_row(kit: KitMade) -> dict[str, Any]:
    """Return the row of a kit."""
    return vars(kit) | {"places": encode(kit.places, _PLACES)}


def kit_from(row: Any) -> KitMade:
    """Return the kit of a row."""
    return KitMade(**row._asdict() | {"places": decode(row.places, _PLACES)})


def promise_row(promise: PromiseMade, number: int) -> dict[str, Any]:
    """Return the row of one version of a promise, the `number`-th of its practice."""
    return {
        "practice": promise.practice,
        "number": number,
        "id": promise.id,
        "sha256": promise.sha256,
        "promise": encode(promise, PromiseMade),
    }


def promise_from(row: Any) -> PromiseMade:
    """Return the version of a promise of a row."""
    promise: PromiseMade = decode(row.promise, PromiseMade)
    return promise


def sign_off_row(sign_off: SignOff) -> dict[str, Any]:
    """Return the row of a sign-off."""
    return {
        "id": sign_off.id,
        "practice": sign_off.practice,
        "at": sign_off.at,
        "sign_off": encode(sign_off, SignOff),
    }


def sign_off_from(row: Any) -> SignOff:
    """Return the sign-off of a row."""
    sign_off: SignOff = decode(row.sign_off, SignOff)
    return sign_off


def action_from(row: Any) -> CorrectiveAction:
    """Return the corrective action of a row."""
    return CorrectiveAction(**row._asdict())
