"""What one entry changes in the tables that answer questions.

Pure of any memory of its own: the tables are a function of the journal, so replaying it into an
empty store gives the same tables. Runs inside the transaction, and under the write lock, of
`Store.record`, so that what is looked up here cannot change before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache, singledispatch
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, delete, insert, select, update

from dr_orchestrator.core import record
from dr_orchestrator.core.immutability import ImmutabilityTested, LocksExtended
from dr_orchestrator.core.point import AssetSummary, PointCopy, RecoveryPoint
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import MUCH_NEW, Entry
from dr_orchestrator.core.run import Operation, Run
from dr_orchestrator.core.runbook import Event, Move, RunbookRun, StepResult
from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import Busy, RepositoryChanged
from dr_orchestrator.store import schema
from dr_orchestrator.store.ledger import handed_over_error
from dr_orchestrator.store.rows import (
    action_from,
    attempted_key,
    copy_row,
    drill_row,
    immutability_test_from,
    immutability_test_row,
    kit_row,
    move_from,
    move_row,
    occurrence_row,
    promise_from,
    promise_row,
    restore_test_from,
    restore_test_row,
    run_row,
    runbook_run_from,
    runbook_run_row,
    sign_off_from,
    sign_off_row,
)


def project(connection: Connection, entry: Entry) -> str | None:
    """Carry `entry` into the tables; return its practice, or `None` where it changed nothing.

    Raises:
        RepositoryChanged: another repository is known under this name.
        PracticeHandedOver: something begins, or is decided, for a practice that another machine
            has now.
        ValueError: the entry contradicts what is recorded.
    """
    practice = _project(entry, connection)
    if practice and _begins_or_decides(entry):
        _require_not_handed_over(connection, practice)
    return practice


_DECISIONS = (
    *(record.SignedOff, record.ActionOpened, record.ActionClosed, record.PromiseRecorded),
    *(record.HoldPlaced, record.HoldReleased, record.SystemPaused, record.PauseEnded),
    *(record.KeyMade, record.KeyTried, record.KeyRevoked, record.RepositoryRetired),
)
_HANDING_OVER = frozenset({Operation.KIT, Operation.EVIDENCE})
"""What handing over is made of: it can be done again where it was cut short."""


def _begins_or_decides(entry: Entry) -> bool:
    if isinstance(entry, record.RunOpened):
        return entry.run.operation not in _HANDING_OVER
    return isinstance(entry, _DECISIONS)


def _require_not_handed_over(connection: Connection, practice: str) -> None:
    """Asked under the write lock, so no scheduler that looked a moment before comes through."""
    away = _row(connection, schema.handed_over, practice=practice)
    if away is not None:
        raise handed_over_error(record.HandedOver(**away._asdict()))


@singledispatch
def _project(entry: object, connection: Connection) -> str | None:  # noqa: ARG001
    raise TypeError(f"not an entry of the record: {type(entry).__name__}")


@_project.register
def _run_opened(entry: record.RunOpened, connection: Connection) -> str | None:
    run = entry.run
    if run.finished_at is not None or run.outcome is not None:
        raise ValueError(f"a run that is opened has not ended: {run.id}")
    if _row(connection, schema.run, id=run.id) is not None:
        raise ValueError(f"run is opened already: {run.id}")
    if run.schedule_id is not None and run.due_at is not None:
        attempt = {name: getattr(run, name) for name in ("schedule_id", "due_at", "attempt")}
        if _row(connection, schema.run, **attempt) is not None:
            raise ValueError(f"this attempt has its run already: {run.schedule_id}")
    connection.execute(insert(schema.run).values(run_row(run)))
    _attempted_first(connection, run)
    return run.practice


def _attempted_first(connection: Connection, run: Run) -> None:
    key = attempted_key(run)
    known = _row(connection, schema.attempted, **key)
    if known is None:
        first = {"first_started": run.started_at}
        connection.execute(insert(schema.attempted).values(key | first))
    elif run.started_at < known.first_started:
        connection.execute(
            update(schema.attempted).filter_by(**key).values(first_started=run.started_at)
        )


@_project.register
def _run_closed(entry: record.RunClosed, connection: Connection) -> str | None:
    known = _row(connection, schema.run, id=entry.run)
    if known is None:
        raise ValueError(f"run was never opened: {entry.run}")
    if known.finished_at is not None:
        return None
    connection.execute(
        update(schema.run)
        .where(schema.run.c.id == entry.run)
        .values(finished_at=entry.finished_at, outcome=entry.outcome.value, reason=entry.reason)
    )
    # What is closed last is the newest, whatever the clock said: one that was a year ahead for an
    # hour would hide every failure of a year.
    connection.execute(
        update(schema.attempted)
        .filter_by(**attempted_key(known))
        .values(newest_run=entry.run, newest_finished=entry.finished_at)
    )
    return str(known.practice)


@_project.register
def _point_recorded(entry: record.PointRecorded, connection: Connection) -> str | None:
    point = entry.point
    known = _row(connection, schema.point, practice=point.practice, id=point.id)
    if known is None:
        _insert_point(connection, point)
        _keep_manifest(connection, entry)
        return point.practice
    new_copies = [copy for copy in point.copies if not _copy_known(connection, point, copy)]
    for copy in new_copies:
        connection.execute(insert(schema.point_copy).values(copy_row(point, copy)))
        _insert_assets(connection, point, copy.snapshots)
    return point.practice if new_copies else None


def _keep_manifest(connection: Connection, entry: record.PointRecorded) -> None:
    if entry.manifest:
        key = {"practice": entry.point.practice, "point": entry.point.id}
        _replaced(connection, schema.kept_manifest, key | {"manifest": entry.manifest})


@_project.register
def _restore_test_recorded(entry: record.RestoreTestRecorded, connection: Connection) -> str | None:
    known = _row(connection, schema.restore_test, id=entry.test.id)
    if known is None:
        connection.execute(insert(schema.restore_test).values(restore_test_row(entry.test)))
        return entry.test.practice
    if restore_test_from(known) != entry.test:
        raise ValueError(f"another result is recorded for this test: {entry.test.id}")
    return None


@_project.register
def _repository_seen(entry: record.RepositorySeen, connection: Connection) -> str | None:
    known = _row(connection, schema.repository, practice=entry.practice, name=entry.repository)
    if known is None:
        connection.execute(
            insert(schema.repository).values(
                practice=entry.practice,
                name=entry.repository,
                restic_id=entry.restic_id,
                first_seen=entry.at,
            )
        )
        return entry.practice
    if known.restic_id != entry.restic_id:
        raise RepositoryChanged(
            f"repository {entry.repository} of {entry.practice} is not the one we know: "
            f"it says {entry.restic_id[:8]}, known is {str(known.restic_id)[:8]}",
            hint="if it was replaced on purpose, give the new one another name in the plan",
        )
    return None


@_project.register
def _occurrence_due(entry: record.OccurrenceDue, connection: Connection) -> str | None:
    occurrence = entry.occurrence
    key = {"schedule_id": occurrence.schedule_id, "due_at": occurrence.due_at}
    if _row(connection, schema.occurrence, **key) is not None:
        return None
    settled_at = occurrence.due_at if occurrence.skipped else None
    connection.execute(
        insert(schema.occurrence).values(occurrence_row(occurrence) | {"settled_at": settled_at})
    )
    return occurrence.practice


@_project.register
def _occurrence_settled(entry: record.OccurrenceSettled, connection: Connection) -> str | None:
    known = _row(connection, schema.occurrence, id=entry.occurrence)
    if known is None:
        raise ValueError(f"this never came due: {entry.occurrence}")
    if known.settled_at is not None:
        return None
    connection.execute(
        update(schema.occurrence)
        .where(schema.occurrence.c.id == entry.occurrence)
        .values(
            settled_at=entry.at,
            outcome=entry.outcome and entry.outcome.value,
            reason=entry.reason,
            skipped=entry.reason if entry.outcome is None else "",
        )
    )
    return str(known.practice)


@_project.register
def _schedule_set_back(entry: record.ScheduleSetBack, connection: Connection) -> str | None:
    due, run = schema.occurrence, schema.run
    aside = f"~{entry.at:%Y%m%dT%H%M%S}"
    moved = connection.execute(
        update(due)
        .where(
            due.c.schedule_id == entry.schedule_id,
            due.c.due_at > entry.at,
            due.c.settled_at.is_not(None),
        )
        .values(id=due.c.id + aside, schedule_id=due.c.schedule_id + aside)
    )
    connection.execute(
        update(run)
        .where(
            run.c.schedule_id == entry.schedule_id,
            run.c.due_at > entry.at,
            run.c.finished_at.is_not(None),
        )
        .values(schedule_id=run.c.schedule_id + aside)
    )
    return entry.practice if moved.rowcount else None


@_project.register
def _point_forgotten(entry: record.PointForgotten, connection: Connection) -> str | None:
    copies = schema.point_copy.c
    gone = connection.execute(
        delete(schema.point_copy).where(
            copies.practice == entry.practice,
            copies.point == entry.point,
            copies.repository == entry.repository,
        )
    )
    return entry.practice if gone.rowcount else None


@_project.register
def _hold_placed(entry: record.HoldPlaced, connection: Connection) -> str | None:
    return _replaced(connection, schema.hold, vars(entry) | {"released": False})


@_project.register
def _hold_released(entry: record.HoldReleased, connection: Connection) -> str | None:
    return _replaced(connection, schema.hold, vars(entry) | {"released": True, "until": None})


@_project.register
def _repository_checked(entry: record.RepositoryChecked, connection: Connection) -> str | None:
    return _replaced(connection, schema.repository_check, vars(entry))


@_project.register
def _locks_extended(entry: LocksExtended, connection: Connection) -> str | None:
    return _replaced(connection, schema.lock_extension, vars(entry))


@_project.register
def _immutability_tested(entry: ImmutabilityTested, connection: Connection) -> str | None:
    """Keep the newest that came to a result: what could not be tried takes nothing away from it."""
    table = schema.immutability_test
    known = _row(connection, table, practice=entry.practice, repository=entry.repository)
    came_to_one = known is not None and immutability_test_from(known).result is not Result.UNPROVEN
    if came_to_one and entry.result is Result.UNPROVEN:
        return entry.practice
    return _replaced(connection, table, immutability_test_row(entry))


@_project.register
def _retention_frozen(entry: record.RetentionFrozen, connection: Connection) -> str | None:
    key = {"practice": entry.practice, "repository": entry.repository}
    known = _row(connection, schema.freeze, **key)
    if known is not None and known.why == entry.why:
        return None
    since = entry.at if known is None else known.at
    return _replaced(connection, schema.freeze, vars(entry) | {"at": since})


@_project.register
def _retention_released(entry: record.RetentionReleased, connection: Connection) -> str | None:
    key = {"practice": entry.practice, "repository": entry.repository}
    if _removed(connection, schema.freeze, **key) is None:
        return None
    # What a clock that was ahead dated later than this was there to be looked into all the same.
    connection.execute(
        update(schema.point_copy)
        .filter_by(**key)
        .where(schema.point_copy.c.recorded_at > entry.at)
        .values(recorded_at=entry.at)
    )
    for snapshot in entry.accepted:
        _replaced(connection, schema.accepted_snapshot, key | {"snapshot": snapshot})
    return _replaced(connection, schema.retention_release, key | {"at": entry.at})


@_project.register
def _system_paused(entry: record.SystemPaused, connection: Connection) -> str | None:
    return _replaced(connection, schema.pause, vars(entry))


@_project.register
def _pause_ended(entry: record.PauseEnded, connection: Connection) -> str | None:
    return _removed(connection, schema.pause, practice=entry.practice, system=entry.system)


@_project.register
def _problem_seen(entry: record.ProblemSeen, connection: Connection) -> str | None:
    seen = vars(entry.problem) | {"kind": entry.problem.kind.value}
    known = _row(connection, schema.problem, id=entry.id)
    if known is None:
        opened = {"id": entry.id, "opened_at": entry.at, "acknowledged_by": ""}
        connection.execute(insert(schema.problem).values(seen | opened))
        return entry.problem.practice
    seen |= {"closed_at": None}
    if all(getattr(known, name) == value for name, value in seen.items()):
        return None
    connection.execute(update(schema.problem).where(schema.problem.c.id == entry.id).values(seen))
    return entry.problem.practice


@_project.register
def _problem_acknowledged(entry: record.ProblemAcknowledged, connection: Connection) -> str | None:
    changes = {"acknowledged_at": entry.at, "acknowledged_by": entry.by}
    return _changed_problem(connection, entry.id, unless="acknowledged_at", values=changes)


@_project.register
def _problem_over(entry: record.ProblemOver, connection: Connection) -> str | None:
    return _changed_problem(
        connection, entry.id, unless="closed_at", values={"closed_at": entry.at}
    )


@_project.register
def _told(entry: record.Told, connection: Connection) -> str | None:
    telling = entry.telling
    key = {name: getattr(telling, name) for name in ("problem", "channel", "at")}
    if _row(connection, schema.telling, **key) is not None:
        return None
    connection.execute(
        insert(schema.telling).values(vars(telling) | {"occasion": telling.occasion.value})
    )
    return telling.practice


@_project.register
def _runbook_opened(entry: record.RunbookOpened, connection: Connection) -> str | None:
    known = _row(connection, schema.runbook_run, id=entry.run.id)
    if known is None:
        connection.execute(insert(schema.runbook_run).values(runbook_run_row(entry.run)))
        return entry.run.practice
    if runbook_run_from(known) != entry.run:
        raise ValueError(f"another runbook run is recorded under this id: {entry.run.id}")
    return None


@_project.register
def _runbook_moved(entry: record.RunbookMoved, connection: Connection) -> str | None:
    move, row = entry.move, move_row(entry.move)
    of_run = _row(connection, schema.runbook_run, id=move.run)
    if of_run is None:
        raise ValueError(f"this runbook run was never opened: {move.run}")
    newest = _newest_move(move.run, connection)
    if newest is not None and move.number <= newest.number:
        known = _row(connection, schema.runbook_move, run=move.run, number=move.number)
        if known is not None and known.move == row["move"]:
            return None
        raise _went_on(newest)
    if move.number != (newest.number if newest is not None else 0) + 1:
        raise ValueError(f"a move is missing before number {move.number} of {move.run}")
    connection.execute(insert(schema.runbook_move).values(row))
    if move.event is Event.CLOSED:
        connection.execute(
            update(schema.runbook_run)
            .where(schema.runbook_run.c.id == move.run)
            .values(closed=True)
        )
    if move.event is Event.ENDED and move.result is StepResult.DONE and move.fingerprint:
        _exercised(connection, runbook_run_from(of_run), move)
    return move.practice


def _newest_move(run: str, connection: Connection) -> Move | None:
    wanted = select(schema.runbook_move).filter_by(run=run)
    newest = wanted.order_by(schema.runbook_move.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else move_from(row)


def _went_on(last: Move) -> Busy:
    who, step = printable(f"{last.by} on {last.host}"), f" at {last.step}" if last.step else ""
    what = " ".join(each for each in (last.event, last.result) if each)
    return Busy(
        f"somebody else has gone on in this runbook meanwhile: {who} ({what}{step})",
        hint=f"nothing was written down of yours; go on from there: dro runbook resume {last.run}",
    )


def _exercised(connection: Connection, run: RunbookRun, move: Move) -> None:
    """Remember when a step was really done; what is handed over may be older than what is known."""
    key = {
        "practice": run.practice,
        "runbook": run.runbook,
        "system": run.system,
        "step": move.step,
    }
    known = _row(connection, schema.step_exercised, **key)
    if known is None or known.at <= move.at:
        row = key | {
            "at": move.at,
            "fingerprint": move.fingerprint,
            "seconds": move.seconds or 0.0,
            "mode": run.mode.value,
            "run": run.id,
        }
        _replaced(connection, schema.step_exercised, row)


@_project.register
def _drill_recorded(entry: record.DrillRecorded, connection: Connection) -> str | None:
    row = drill_row(entry.drill)
    known = _row(connection, schema.drill, id=entry.drill.id)
    if known is None:
        connection.execute(insert(schema.drill).values(row))
        return entry.drill.practice
    if known.drill != row["drill"]:
        raise ValueError(f"another result is recorded for this drill: {entry.drill.id}")
    return None


@_project.register
def _kit_made(entry: record.KitMade, connection: Connection) -> str | None:
    return _replaced(connection, schema.kit, kit_row(entry))


@_project.register
def _promise_recorded(entry: record.PromiseRecorded, connection: Connection) -> str | None:
    promise, table = entry.promise, schema.promise
    known = _row(connection, table, id=promise.id)
    if known is not None:
        _require_same(promise_from(known), promise, "version of the promise")
        return None
    of_practice = select(table).filter_by(practice=promise.practice)
    newest = connection.execute(of_practice.order_by(table.c.number.desc()).limit(1)).one_or_none()
    if newest is not None and newest.sha256 == promise.sha256:
        return None
    number = 1 if newest is None else newest.number + 1
    connection.execute(insert(table).values(promise_row(promise, number)))
    return promise.practice


@_project.register
def _finding_changed(entry: record.FindingChanged, connection: Connection) -> str | None:
    key = {name: getattr(entry, name) for name in ("practice", "system", "repository")}
    key["objective"] = entry.objective.value
    if entry.verdict is None:
        return _removed(connection, schema.verdict, **key)
    known = _row(connection, schema.verdict, **key)
    if known is not None and known.verdict == entry.verdict.value:
        return None
    return _replaced(connection, schema.verdict, key | {"verdict": entry.verdict.value})


@_project.register(record.Restored)
@_project.register(record.Anchored)
@_project.register(record.ReportDelivered)
def _only_recorded(
    entry: record.Restored | record.Anchored | record.ReportDelivered,
    connection: Connection,  # noqa: ARG001 - whoever asks reads the evidence
) -> str | None:
    return entry.practice


@_project.register
def _signed_off(entry: record.SignedOff, connection: Connection) -> str | None:
    sign_off = entry.sign_off
    known = _row(connection, schema.sign_off, id=sign_off.id)
    if known is not None:
        _require_same(sign_off_from(known), sign_off, "sign-off")
        return None
    connection.execute(insert(schema.sign_off).values(sign_off_row(sign_off)))
    return sign_off.practice


@_project.register
def _action_opened(entry: record.ActionOpened, connection: Connection) -> str | None:
    action, table = entry.action, schema.corrective_action
    if not action.is_open:
        raise ValueError(f"a corrective action that is opened is not closed: {action.id}")
    known = _row(connection, table, id=action.id)
    if known is not None:
        as_opened = replace(action_from(known), closed_at=None, closed_by="", done="")
        _require_same(as_opened, action, "corrective action")
        return None
    cause = {name: getattr(action, name) for name in ("practice", "system", "repository", "cause")}
    if _row(connection, table, **cause, closed_at=None) is not None:
        return None
    connection.execute(insert(table).values(vars(action)))
    return action.practice


@_project.register
def _action_closed(entry: record.ActionClosed, connection: Connection) -> str | None:
    table = schema.corrective_action
    known = _row(connection, table, practice=entry.practice, id=entry.id)
    if known is None:
        raise ValueError(f"this corrective action was never opened: {entry.id}")
    if known.closed_at is not None:
        return None
    closed = {"closed_at": entry.at, "closed_by": entry.by, "done": entry.done}
    connection.execute(update(table).where(table.c.id == entry.id).values(closed))
    return entry.practice


@_project.register
def _key_made(entry: record.KeyMade, connection: Connection) -> str | None:
    key, table = entry.key, schema.held_key
    if key.is_revoked:
        raise ValueError(f"a key that is made is not revoked: {key.key}")
    named = {name: getattr(key, name) for name in ("practice", "repository", "key")}
    if _row(connection, table, **named) is not None:
        return None
    connection.execute(insert(table).values(vars(key)))
    return key.practice


@_project.register
def _key_tried(entry: record.KeyTried, connection: Connection) -> str | None:
    return _replaced(connection, schema.key_proof, vars(entry.proof))


@_project.register
def _key_revoked(entry: record.KeyRevoked, connection: Connection) -> str | None:
    table = schema.held_key
    key = {name: getattr(entry, name) for name in ("practice", "repository", "key")}
    known = _row(connection, table, **key)
    revoked = {"revoked_at": entry.at, "revoked_by": entry.by}
    if known is None:  # made elsewhere: no proof by it counts any more either
        unknown = {"holder": "", "form": "", "made_at": entry.at, "made_by": ""}
        connection.execute(insert(table).values(**key, **unknown, **revoked))
        return entry.practice
    if known.revoked_at is not None:
        return None
    connection.execute(update(table).filter_by(**key).values(revoked))
    return entry.practice


@_project.register
def _repository_retired(entry: record.RepositoryRetired, connection: Connection) -> str | None:
    return _replaced(connection, schema.retired_repository, vars(entry))


@_project.register
def _handed_over(entry: record.HandedOver, connection: Connection) -> str | None:
    return _replaced(connection, schema.handed_over, vars(entry))


@_project.register
def _taken_over(entry: record.TakenOver, connection: Connection) -> str | None:
    _removed(connection, schema.handed_over, practice=entry.practice)
    return entry.practice


def _require_same(
    known: PromiseMade | SignOff | CorrectiveAction,
    told: PromiseMade | SignOff | CorrectiveAction,
    what: str,
) -> None:
    if known != told:
        raise ValueError(f"another {what} is recorded under this id: {told.id}")


def _changed_problem(
    connection: Connection, problem: str, *, unless: str, values: dict[str, Any]
) -> str | None:
    known = _row(connection, schema.problem, id=problem)
    if known is None:
        raise ValueError(f"this problem was never seen: {problem}")
    if known.closed_at is not None or getattr(known, unless) is not None:
        return None
    connection.execute(update(schema.problem).where(schema.problem.c.id == problem).values(values))
    return str(known.practice)


def _replaced(connection: Connection, table: Table, values: dict[str, Any]) -> str | None:
    """Write a row in the place of the one of the same key."""
    key = {column.name: values[column.name] for column in table.primary_key}
    _removed(connection, table, **key)
    connection.execute(insert(table).values(values))
    return str(values["practice"])


def _removed(connection: Connection, table: Table, **key: Any) -> str | None:
    gone = connection.execute(delete(table).filter_by(**key))
    return str(key["practice"]) if gone.rowcount else None


def _insert_point(connection: Connection, point: RecoveryPoint) -> None:
    connection.execute(
        insert(schema.point).values(
            practice=point.practice,
            id=point.id,
            system=point.system,
            run=point.run,
            label=point.label,
            as_of=point.as_of,
            finished=point.finished,
            data_as_of=point.data_as_of,
            skew_seconds=point.skew_seconds,
        )
    )
    if point.assets:
        assets = [_asset_row(point, name) for name in point.assets]
        connection.execute(insert(schema.point_asset), assets)
    if point.copies:
        copies = [copy_row(point, copy) for copy in point.copies]
        connection.execute(insert(schema.point_copy), copies)


def _insert_assets(connection: Connection, point: RecoveryPoint, names: Iterable[str]) -> None:
    """Record those of the point's assets that are not yet: where its copies are found one by one,
    the first of them may lack an asset that the next one holds.
    """
    for name in names:
        key = {"practice": point.practice, "point": point.id, "asset": name}
        if name in point.assets and _row(connection, schema.point_asset, **key) is None:
            connection.execute(insert(schema.point_asset).values(_asset_row(point, name)))


def _asset_row(point: RecoveryPoint, name: str) -> dict[str, Any]:
    asset = point.assets[name]
    return vars(asset) | {
        "practice": point.practice,
        "point": point.id,
        "asset": name,
        "kind": asset.kind.value,
        "method": asset.method.value,
        "much_new": _has_much_new(asset),
    }


def _has_much_new(asset: AssetSummary) -> bool:
    changed, added = asset.changed_files or 0, asset.added_bytes or 0
    return changed * MUCH_NEW > (asset.files or 0) or added * MUCH_NEW > asset.bytes


def _copy_known(connection: Connection, point: RecoveryPoint, copy: PointCopy) -> bool:
    key = {"practice": point.practice, "point": point.id, "repository": copy.repository}
    return _row(connection, schema.point_copy, **key) is not None


def _row(connection: Connection, table: Table, **key: Any) -> Any:
    by = frozenset((name, value is None) for name, value in key.items())
    return connection.execute(_by_key(table, by), key).one_or_none()


@cache
def _by_key(table: Table, by: frozenset[tuple[str, bool]]) -> Select[Any]:
    """Select the row of a key. Built once: building takes longer than the database does."""
    return select(table).where(
        *(
            table.c[name].is_(None) if is_null else table.c[name] == bindparam(name)
            for name, is_null in by
        )
    )
