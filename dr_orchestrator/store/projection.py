"""What one entry changes in the tables that answer questions.

Pure of any memory of its own: the tables are a function of the journal, so replaying it into an
empty store gives the same tables. Runs inside the transaction, and under the write lock, of
`Store.record`, so that what is looked up here cannot change before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.record import (
    Entry,
    PointRecorded,
    RepositorySeen,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.errors import RepositoryChanged
from dr_orchestrator.store import schema
from dr_orchestrator.store.rows import copy_row, restore_test_from, restore_test_row, run_row


def project(connection: Connection, entry: Entry) -> str | None:
    """Carry `entry` into the tables; return its practice, or `None` where it changed nothing.

    Raises:
        RepositoryChanged: another repository is known under this name.
        ValueError: the entry contradicts what is recorded.
    """
    return _project(entry, connection)


@singledispatch
def _project(entry: object, connection: Connection) -> str | None:  # noqa: ARG001
    raise TypeError(f"not an entry of the record: {type(entry).__name__}")


@_project.register
def _run_opened(entry: RunOpened, connection: Connection) -> str | None:
    run = entry.run
    if run.finished_at is not None or run.outcome is not None:
        raise ValueError(f"a run that is opened has not ended: {run.id}")
    if _row(connection, schema.run, id=run.id) is not None:
        raise ValueError(f"run is opened already: {run.id}")
    if run.schedule_id is not None and run.due_at is not None:
        occurrence = {"schedule_id": run.schedule_id, "due_at": run.due_at}
        if _row(connection, schema.run, **occurrence) is not None:
            raise ValueError(f"this occurrence has its run already: {run.schedule_id}")
    connection.execute(insert(schema.run).values(run_row(run)))
    return run.practice


@_project.register
def _run_closed(entry: RunClosed, connection: Connection) -> str | None:
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
    return str(known.practice)


@_project.register
def _point_recorded(entry: PointRecorded, connection: Connection) -> str | None:
    point = entry.point
    known = _row(connection, schema.point, practice=point.practice, id=point.id)
    if known is None:
        _insert_point(connection, point)
    new_copies = [copy for copy in point.copies if not _copy_known(connection, point, copy)]
    for copy in new_copies:
        connection.execute(insert(schema.point_copy).values(copy_row(point, copy)))
        _insert_assets(connection, point, copy.snapshots)
    return point.practice if known is None or new_copies else None


@_project.register
def _restore_test_recorded(entry: RestoreTestRecorded, connection: Connection) -> str | None:
    known = _row(connection, schema.restore_test, id=entry.test.id)
    if known is None:
        connection.execute(insert(schema.restore_test).values(restore_test_row(entry.test)))
        return entry.test.practice
    if restore_test_from(known) != entry.test:
        raise ValueError(f"another result is recorded for this test: {entry.test.id}")
    return None


@_project.register
def _repository_seen(entry: RepositorySeen, connection: Connection) -> str | None:
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
    _insert_assets(connection, point, point.assets)


def _insert_assets(connection: Connection, point: RecoveryPoint, names: Iterable[str]) -> None:
    """Record those of the point's assets that are not yet: where its copies are found one by one,
    the first of them may lack an asset that the next one holds.
    """
    for name in names:
        key = {"practice": point.practice, "point": point.id, "asset": name}
        asset = point.assets.get(name)
        if asset is None or _row(connection, schema.point_asset, **key) is not None:
            continue
        connection.execute(
            insert(schema.point_asset).values(
                practice=point.practice,
                point=point.id,
                asset=name,
                kind=asset.kind.value,
                method=asset.method.value,
                bytes=asset.bytes,
                level=asset.level,
                data_as_of=asset.data_as_of,
            )
        )


def _copy_known(connection: Connection, point: RecoveryPoint, copy: PointCopy) -> bool:
    key = {"practice": point.practice, "point": point.id, "repository": copy.repository}
    return _row(connection, schema.point_copy, **key) is not None


def _row(connection: Connection, table: Table, **key: Any) -> Any:
    return connection.execute(select(table).filter_by(**key)).one_or_none()
