"""The store on a SQL database, by SQLAlchemy Core.

Statements are written once for SQLite and PostgreSQL. Every write takes the one write lock of the
store first, so that what is looked up before writing still holds when it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import Entry, PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.errors import DroError, PointNotFound, SpaceExhausted, StoreUnusable
from dr_orchestrator.store.base import JournalLine, RunHistory
from dr_orchestrator.store.codec import encode_entry, kind_of
from dr_orchestrator.store.projection import project
from dr_orchestrator.store.rows import points_from, restore_test_from, run_from
from dr_orchestrator.store.schema import (
    journal,
    point,
    point_asset,
    point_copy,
    repository,
    restore_test,
    run,
)

START_OVER = (
    "move the state folder aside, then list what the repositories hold into a fresh one: "
    "`dro points rebuild PRACTICE --repository ID`"
)


class SqlStore:
    """A `Store` in the tables of `schema`. Takes over the engine, and closes it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(self, *entries: Entry) -> None:
        """Write the entries down, all of them or none; see `Store.record`."""
        with self._writing() as connection:
            for entry in entries:
                payload = encode_entry(entry)
                practice = project(connection, entry)
                if practice is None:
                    continue
                connection.execute(
                    insert(journal).values(
                        at=self._clock.now(),
                        kind=kind_of(entry),
                        practice=practice,
                        payload=payload,
                    )
                )

    def practice_record(self, practice: str) -> PracticeRecord:
        """Return all that is known of a practice; see `Store.practice_record`."""
        with self._reading() as connection:
            return PracticeRecord(
                practice=practice,
                first_seen=_first_seen(connection, practice),
                points=_points(connection, _points_of(practice)),
                tests=_tests(connection, _tests_of(practice)),
                last_runs=_last_runs(connection, practice),
                repositories_seen=_repositories_seen(connection, practice),
            )

    def points(
        self, practice: str, system: str | None = None, *, repository: str | None = None
    ) -> tuple[RecoveryPoint, ...]:
        """Return recovery points by `as_of`; see `Store.points`."""
        wanted = _points_of(practice)
        if system is not None:
            wanted = wanted.where(point.c.system == system)
        if repository is not None:
            held = select(point_copy.c.point).filter_by(practice=practice, repository=repository)
            wanted = wanted.where(point.c.id.in_(held))
        with self._reading() as connection:
            return _points(connection, wanted)

    def find_point(self, practice: str, id_or_prefix: str) -> RecoveryPoint:
        """Return the one point of this id or prefix; see `Store.find_point`."""
        wanted = _points_of(practice).where(point.c.id.startswith(id_or_prefix, autoescape=True))
        with self._reading() as connection:
            found = _points(connection, wanted)
        exact = [each for each in found if each.id == id_or_prefix]
        if len(exact or found) == 1 and id_or_prefix:
            return (exact or found)[0]
        if not found:
            raise PointNotFound(
                f"no recovery point of {practice} has the id {id_or_prefix}",
                hint=f"dro points {practice}",
            )
        raise PointNotFound(
            f"{len(found)} recovery points of {practice} begin with {id_or_prefix or 'nothing'}",
            hint="give more of the id, for example " + found[-1].id,
        )

    def tests(
        self, practice: str, system: str | None = None, *, repository: str | None = None
    ) -> tuple[RestoreTest, ...]:
        """Return restore tests by `started_at`; see `Store.tests`."""
        wanted = _tests_of(practice)
        if system is not None:
            wanted = wanted.where(restore_test.c.system == system)
        if repository is not None:
            wanted = wanted.where(restore_test.c.repository == repository)
        with self._reading() as connection:
            return _tests(connection, wanted)

    def open_runs(self, practice: str | None = None) -> tuple[Run, ...]:
        """Return the runs that were never closed; see `Store.open_runs`."""
        wanted = select(run).where(run.c.finished_at.is_(None))
        if practice is not None:
            wanted = wanted.where(run.c.practice == practice)
        with self._reading() as connection:
            return _runs(connection, wanted.order_by(run.c.started_at, run.c.id))

    def runs(
        self,
        practices: Collection[str] | None = None,
        system: str | None = None,
        *,
        since: datetime,
        until: datetime | None = None,
        outcomes: Collection[Outcome] | None = None,
        limit: int,
    ) -> RunHistory:
        """Return what was attempted within a stretch of time; see `Store.runs`."""
        asked: list[ColumnElement[bool]] = []
        if practices is not None:
            asked.append(run.c.practice.in_(practices))
        if system is not None:
            asked.append(run.c.system == system)
        within = [*asked, run.c.started_at >= since, run.c.finished_at.is_not(None)]
        if until is not None:
            within.append(run.c.started_at < until)
        ended = select(run.c.outcome, func.count()).where(*within).group_by(run.c.outcome)
        closed = _newest_runs().where(*within).limit(limit)
        if outcomes is not None:
            closed = closed.where(run.c.outcome.in_([each.value for each in outcomes]))
        # Few, so sorted out here: asked for by practice, SQLite passes by the index of open runs.
        still_open = _newest_runs().where(run.c.finished_at.is_(None))
        with self._reading() as connection:
            return RunHistory(
                open=tuple(
                    each
                    for each in _runs(connection, still_open)
                    if (practices is None or each.practice in practices)
                    and system in {None, each.system}
                ),
                closed=_runs(connection, closed),
                ended={Outcome(name): count for name, count in connection.execute(ended)},
            )

    def find_runs(self, id_or_prefix: str, *, limit: int) -> tuple[Run, ...]:
        """Return the run of this id, or runs whose id begins so; see `Store.find_runs`."""
        alike = run.c.id.startswith(id_or_prefix, autoescape=True)
        with self._reading() as connection:
            exact = _runs(connection, select(run).where(run.c.id == id_or_prefix))
            return exact or _runs(connection, _newest_runs().where(alike).limit(limit))

    def tests_by(self, run: Run) -> tuple[RestoreTest, ...]:
        """Return the restore test of a run, and its follow-ups; see `Store.tests_by`."""
        test = restore_test.c
        wanted = _tests_of(run.practice).where(
            test.system == run.system,
            (test.id == run.id) | (test.follow_up_of == run.id),
        )
        with self._reading() as connection:
            return _tests(connection, wanted)

    def repository_id(self, practice: str, name: str) -> str | None:
        """Return restic's own id of a repository; see `Store.repository_id`."""
        wanted = select(repository.c.restic_id).filter_by(practice=practice, name=name)
        with self._reading() as connection:
            return connection.execute(wanted).scalar_one_or_none()

    def journal(self, practice: str | None = None) -> tuple[JournalLine, ...]:
        """Return the journal in the order it was written; see `Store.journal`."""
        wanted = select(journal).order_by(journal.c.seq)
        if practice is not None:
            wanted = wanted.where(journal.c.practice == practice)
        with self._reading() as connection:
            return tuple(JournalLine(**row._asdict()) for row in connection.execute(wanted))

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One transaction that sees one instant."""
        with in_our_words(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's readers always see one instant
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start."""
        with in_our_words(), self._engine.connect() as connection:
            connection.execution_options(writing=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("LOCK TABLE journal IN EXCLUSIVE MODE"))
                yield connection


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn a database's error into ours. Its own text holds statements, and stays behind.

    Raises:
        SpaceExhausted: the disk is full.
        StoreUnusable: anything else that the database could not do.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _explained(error) from None


def _explained(error: SQLAlchemyError) -> DroError:
    said = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    if "disk is full" in said or "no space left" in said:
        return SpaceExhausted(
            "the disk that holds the record of runs and tests is full",
            hint="make room on it; nothing that was recorded is lost",
        )
    if "malformed" in said or "not a database" in said:
        return StoreUnusable("the record of runs and tests is damaged", hint=START_OVER)
    if "locked" in said or "busy" in said:
        return StoreUnusable(
            "the record of runs and tests is held by another process", hint="try again"
        )
    if "readonly" in said or "unable to open" in said:
        return StoreUnusable(
            "the record of runs and tests cannot be written",
            hint="run dro as the user who owns the state folder",
        )
    return StoreUnusable(
        f"the record of runs and tests cannot be used ({type(error).__name__})",
        hint="see whether its disk is healthy; if it is: " + START_OVER,
    )


def _points_of(practice: str) -> Select[Any]:
    return select(point).where(point.c.practice == practice).order_by(point.c.as_of, point.c.id)


def _tests_of(practice: str) -> Select[Any]:
    of_practice = select(restore_test).where(restore_test.c.practice == practice)
    return of_practice.order_by(restore_test.c.started_at, restore_test.c.id)


def _newest_runs() -> Select[Any]:
    return select(run).order_by(run.c.started_at.desc(), run.c.id.desc())


def _runs(connection: Connection, wanted: Select[Any]) -> tuple[Run, ...]:
    return tuple(run_from(row) for row in connection.execute(wanted))


def _points(connection: Connection, wanted: Select[Any]) -> tuple[RecoveryPoint, ...]:
    keys = wanted.order_by(None).with_only_columns(point.c.practice, point.c.id).subquery()

    def part(table: Table, *order: str) -> Select[Any]:
        same = (table.c.practice == keys.c.practice) & (table.c.point == keys.c.id)
        return select(table).join(keys, same).order_by(*(table.c[name] for name in order))

    return points_from(
        connection.execute(wanted),
        connection.execute(part(point_asset, "asset")),
        connection.execute(part(point_copy, "recorded_at", "repository")),
    )


def _tests(connection: Connection, wanted: Select[Any]) -> tuple[RestoreTest, ...]:
    return tuple(restore_test_from(row) for row in connection.execute(wanted))


def _first_seen(connection: Connection, practice: str) -> dict[str, Any]:
    earliest = (
        select(run.c.system, func.min(run.c.started_at, type_=run.c.started_at.type).label("first"))
        .where(run.c.practice == practice)
        .group_by(run.c.system)
    )
    return {row.system: row.first for row in connection.execute(earliest)}


def _repositories_seen(connection: Connection, practice: str) -> dict[str, Any]:
    seen = select(repository.c.name, repository.c.first_seen).filter_by(practice=practice)
    return {row.name: row.first_seen for row in connection.execute(seen)}


def _last_runs(connection: Connection, practice: str) -> tuple[Run, ...]:
    newest_first = func.row_number().over(
        partition_by=(run.c.operation, run.c.system, run.c.repository),
        order_by=(run.c.finished_at.desc(), run.c.id.desc()),
    )
    finished = (
        select(run, newest_first.label("age"))
        .where(run.c.practice == practice, run.c.finished_at.is_not(None))
        .subquery()
    )
    columns = [finished.c[column.name] for column in run.c]
    newest = select(*columns).where(finished.c.age == 1)
    return _runs(connection, newest.order_by(finished.c.finished_at, finished.c.id))
