"""The store on a SQL database, by SQLAlchemy Core.

Statements are written once for SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    cast,
    func,
    select,
    union,
)

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.core.immutability import ImmutabilityTested, LocksExtended
from dr_orchestrator.core.occurrence import OccurrenceState, TestsDue
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.problem import OpenProblem, Telling
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import (
    FORGOTTEN_SHOWN,
    TESTS_SHOWN,
    Entry,
    HandedOver,
    HoldPlaced,
    PracticeRecord,
    RepositoryChecked,
    RepositoryRetired,
    RetentionFrozen,
    RunOpened,
    SystemPaused,
    TakenOver,
)
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import PointNotFound
from dr_orchestrator.store.attempted import first_seen, maintained_since, newest_runs
from dr_orchestrator.store.base import (
    DEFAULT_LIMITS,
    Attempts,
    HandedRecord,
    JournalLine,
    Limits,
    MonthOfTests,
    RunHistory,
)
from dr_orchestrator.store.followed import SqlFollowed
from dr_orchestrator.store.kept_evidence import SqlEvidence
from dr_orchestrator.store.memory import Memory
from dr_orchestrator.store.rows import (
    action_from,
    immutability_test_from,
    occurrence_state_from,
    points_from,
    problem_from,
    promise_from,
    restore_test_from,
    run_from,
    sign_off_from,
    telling_from,
)
from dr_orchestrator.store.run_ledger import SqlLedger, require_claim
from dr_orchestrator.store.schema import (
    accepted_snapshot,
    claim,
    corrective_action,
    freeze,
    handed_over,
    held_key,
    hold,
    immutability_test,
    journal,
    kept_manifest,
    key_proof,
    lock_extension,
    occurrence,
    pause,
    point,
    point_asset,
    point_copy,
    problem,
    promise,
    repository,
    repository_check,
    restore_test,
    retention_release,
    retired_repository,
    run,
    sign_off,
    telling,
)
from dr_orchestrator.store.sql_locks import SqlLocks
from dr_orchestrator.store.taking_over import take_over
from dr_orchestrator.store.tallies import (
    OF_RESTORE_TESTS,
    by_hand,
    months_of_tests,
    newest_finished,
    without_test,
)


class SqlStore:
    """A `Store` in the tables of `schema`. Takes over the engine, and closes it."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        limits: Limits = DEFAULT_LIMITS,
        *,
        evidence_key: Callable[[], str],
    ) -> None:
        """Take `evidence_key` for what tells the public key (hex) that chains begin with."""
        self._engine = engine
        self._memory = Memory(engine, clock, evidence_key)
        self._ledger = SqlLedger(self._memory, limits)
        self._locks = SqlLocks(self._memory, limits)
        self._followed = SqlFollowed(self._memory)
        self._evidence = SqlEvidence(self._memory)

    def record(self, *entries: Entry) -> None:
        """Write the entries down, all of them or none; see `Store.record`."""
        with self._memory.writing() as connection:
            for entry in entries:
                self._memory.write_down(connection, entry)
                if isinstance(entry, RunOpened):
                    require_claim(connection, entry.run)

    def take_over(self, handed: HandedRecord, entry: TakenOver) -> bool:
        """Take in what another memory knew of a practice; see `Store.take_over`."""
        return take_over(self._memory, handed, entry)

    def handed_over(self) -> dict[str, HandedOver]:
        """Return the practices that another machine has now; see `Store.handed_over`."""
        with self._memory.reading() as connection:
            rows = connection.execute(select(handed_over))
            return {row.practice: HandedOver(**row._asdict()) for row in rows}

    def practice_record(self, practice: str) -> PracticeRecord:
        """Return all that is known of a practice; see `Store.practice_record`."""
        with self._memory.reading() as connection:
            points, forgotten = self._shown_points(connection, practice)
            return PracticeRecord(
                practice=practice,
                first_seen=first_seen(connection, practice),
                points=points,
                tests=_tests(connection, self._telling_tests(practice)),
                last_runs=_runs(connection, newest_runs(practice)),
                repositories_seen=_repositories_seen(connection, practice),
                maintained_since=maintained_since(connection, practice),
                checks=_checks(connection, practice),
                frozen=_frozen(connection, practice),
                retention_released=_retention_released(connection, practice),
                accepted=_accepted(connection, practice),
                locks=_locks(connection, practice),
                immutability=_immutability(connection, practice),
                holds=_holds(connection, practice),
                released=_released(connection, practice),
                pauses=_pauses(connection, practice),
                forgotten=forgotten,
                promises=_promises(connection, practice),
                sign_offs=_sign_offs(connection, practice),
                actions=_actions(connection, practice),
                keys=_keys(connection, practice),
                key_proofs=_key_proofs(connection, practice),
                retired=_retired(connection, practice),
                handed_over=_handed_over(connection, practice),
            )

    def _shown_points(
        self, connection: Connection, practice: str
    ) -> tuple[tuple[RecoveryPoint, ...], tuple[RecoveryPoint, ...]]:
        """Return `PracticeRecord.points` and `PracticeRecord.forgotten`."""
        much_new = select(point_asset.c.point).filter_by(practice=practice, much_new=True)
        shown = union(_held_points(practice), much_new)
        found = _points(connection, _known_points_of(practice).where(point.c.id.in_(shown)))
        lately = self._memory.clock.now() - FORGOTTEN_SHOWN
        forgotten = (each for each in found if not each.copies and each.as_of >= lately)
        return tuple(each for each in found if each.copies), tuple(forgotten)

    def _telling_tests(self, practice: str) -> Select[Any]:
        """Select the restore tests of `PracticeRecord.tests`: each of these has its index."""
        test = restore_test.c
        lately = self._memory.clock.now() - TESTS_SHOWN
        ids = select(test.id).where(test.practice == practice)
        older_passed = ids.where(test.result == Result.PASSED.value, test.started_at < lately)
        month = func.substr(cast(test.started_at, Text), 1, len("2026-11"))
        first = older_passed.with_only_columns(func.min(test.id))
        others = tuple(each.value for each in Result if each is not Result.PASSED)
        wanted = union(
            ids.where(test.result == Result.PASSED.value, test.started_at >= lately),
            ids.where(test.result.in_(others)),
            ids.where(test.point.in_(_held_points(practice))),
            first.group_by(test.system, test.repository, month, test.part, test.parts),
        )
        return _tests_of(practice).where(test.id.in_(wanted))

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
        with self._memory.reading() as connection:
            return _points(connection, wanted)

    def find_point(self, practice: str, id_or_prefix: str) -> RecoveryPoint:
        """Return the one point of this id or prefix; see `Store.find_point`."""
        alike = point.c.id.startswith(id_or_prefix, autoescape=True)
        wanted = _known_points_of(practice).where(alike)
        with self._memory.reading() as connection:
            known = _points(connection, wanted)
        exact = [each for each in known if each.id == id_or_prefix]
        found = [each for each in exact or known if each.copies]
        if len(found) == 1 and id_or_prefix:
            return found[0]
        if known and not found:
            raise PointNotFound(
                f"the recovery point {known[-1].id} of {practice} was forgotten: no repository "
                "holds it any more",
                hint=f"dro points {practice}",
            )
        if not found:
            raise PointNotFound(
                f"no recovery point of {practice} has the id {id_or_prefix}",
                hint=f"dro points {practice}",
            )
        raise PointNotFound(
            f"{len(found)} recovery points of {practice} begin with {id_or_prefix or 'nothing'}",
            hint="give more of the id, for example " + found[-1].id,
        )

    def kept_manifest(self, practice: str, point_id: str) -> str | None:
        """Return the manifest that is kept here; see `Store.kept_manifest`."""
        wanted = select(kept_manifest.c.manifest).filter_by(practice=practice, point=point_id)
        with self._memory.reading() as connection:
            return connection.execute(wanted).scalar_one_or_none()

    def tests(
        self,
        practice: str,
        system: str | None = None,
        *,
        repository: str | None = None,
        since: datetime | None = None,
    ) -> tuple[RestoreTest, ...]:
        """Return restore tests by `started_at`; see `Store.tests`."""
        wanted = _tests_of(practice)
        if system is not None:
            wanted = wanted.where(restore_test.c.system == system)
        if repository is not None:
            wanted = wanted.where(restore_test.c.repository == repository)
        if since is not None:
            wanted = wanted.where(restore_test.c.started_at >= since)
        with self._memory.reading() as connection:
            return _tests(connection, wanted)

    def months_of_tests(
        self, practices: Collection[str], *, since: datetime
    ) -> tuple[MonthOfTests, ...]:
        """Return what became of restore tests; see `Store.months_of_tests`."""
        with self._memory.reading() as connection:
            return months_of_tests(connection, practices, since)

    def newest_finished(self, operation: Operation) -> Mapping[str, Run]:
        """Return what finished last; see `Store.newest_finished`."""
        with self._memory.reading() as connection:
            return newest_finished(connection, operation)

    def open_runs(self, practice: str | None = None) -> tuple[Run, ...]:
        """Return the runs that were never closed; see `Store.open_runs`."""
        wanted = select(run).where(run.c.finished_at.is_(None))
        if practice is not None:
            wanted = wanted.where(run.c.practice == practice)
        with self._memory.reading() as connection:
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
        with self._memory.reading() as connection:
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
        with self._memory.reading() as connection:
            exact = _runs(connection, select(run).where(run.c.id == id_or_prefix))
            return exact or _runs(connection, _newest_runs().where(alike).limit(limit))

    def tests_by(self, run: Run) -> tuple[RestoreTest, ...]:
        """Return the restore test of a run, and its follow-ups; see `Store.tests_by`."""
        test = restore_test.c
        wanted = _tests_of(run.practice).where(
            test.system == run.system,
            (test.id == run.id) | (test.follow_up_of == run.id),
        )
        with self._memory.reading() as connection:
            return _tests(connection, wanted)

    def pauses(self, practices: Collection[str] | None = None) -> tuple[SystemPaused, ...]:
        """Return what was paused; see `Store.pauses`."""
        wanted = select(pause).order_by(pause.c.practice, pause.c.system)
        if practices is not None:
            wanted = wanted.where(pause.c.practice.in_(practices))
        with self._memory.reading() as connection:
            return tuple(SystemPaused(**row._asdict()) for row in connection.execute(wanted))

    def problems(
        self, practice: str | None = None, *, over_since: datetime | None = None
    ) -> tuple[OpenProblem, ...]:
        """Return the problems that are not over; see `Store.problems`."""
        is_open = problem.c.closed_at.is_(None)
        late = is_open if over_since is None else is_open | (problem.c.closed_at >= over_since)
        wanted = select(problem).where(late)
        if practice is None:
            wanted = wanted.where(problem.c.practice.not_in(select(handed_over.c.practice)))
        else:
            wanted = wanted.where(problem.c.practice == practice)
        with self._memory.reading() as connection:
            rows = connection.execute(wanted.order_by(problem.c.opened_at, problem.c.id))
            return tuple(problem_from(row) for row in rows)

    def tellings(self, problem: str) -> tuple[Telling, ...]:
        """Return whom a problem was told; see `Store.tellings`."""
        told = select(telling).where(telling.c.problem == problem)
        with self._memory.reading() as connection:
            rows = connection.execute(told.order_by(telling.c.at, telling.c.channel))
            return tuple(telling_from(row) for row in rows)

    def occurrences(
        self, practices: Collection[str] | None = None, *, since: datetime, limit: int
    ) -> tuple[OccurrenceState, ...]:
        """Return what came due; see `Store.occurrences`."""
        asked = [] if practices is None else [occurrence.c.practice.in_(practices)]
        # Two questions, each with its index: as one, SQLite would walk through all of them.
        recent = select(occurrence.c.id).where(occurrence.c.due_at >= since, *asked)
        unsettled = select(occurrence.c.id).where(occurrence.c.settled_at.is_(None), *asked)
        newest = (occurrence.c.due_at.desc(), occurrence.c.id.desc())
        wanted = _occurrence_states().where(occurrence.c.id.in_(recent.union(unsettled)))
        with self._memory.reading() as connection:
            rows = connection.execute(wanted.order_by(*newest).limit(limit))
            return tuple(occurrence_state_from(row) for row in rows)

    def tests_due(self, practice: str, *, since: datetime) -> TestsDue:
        """Return the restore tests that came due; see `Store.tests_due`."""
        due = occurrence.c
        within = (due.practice == practice, due.due_at >= since)
        wanted = _occurrence_states().where(OF_RESTORE_TESTS, *within).order_by(due.due_at, due.id)
        without = select(due.id).where(*within, *without_test())
        made = select(run.c.id).where(
            run.c.practice == practice, restore_test.c.started_at >= since, *by_hand()
        )
        with self._memory.reading() as connection:
            return TestsDue(
                states=tuple(occurrence_state_from(row) for row in connection.execute(wanted)),
                without_test=frozenset(connection.scalars(without)),
                by_hand=frozenset(connection.scalars(made)),
            )

    def attempts_beside(self, one: Run) -> Attempts:
        """Return what a run serves, and every attempt at it; see `Store.attempts_beside`."""
        if one.schedule_id is None or one.due_at is None:
            return Attempts(occurrence=None, runs=(one,))
        key = {"schedule_id": one.schedule_id, "due_at": one.due_at}
        same = [occurrence.c[name] == value for name, value in key.items()]
        with self._memory.reading() as connection:
            came_due = connection.execute(_occurrence_states().where(*same)).one_or_none()
            runs = select(run).filter_by(**key).order_by(run.c.attempt)
            return Attempts(
                occurrence=occurrence_state_from(came_due) if came_due else None,
                runs=_runs(connection, runs),
            )

    @property
    def ledger(self) -> SqlLedger:
        """What is due, and who works on it."""
        return self._ledger

    @property
    def locks(self) -> SqlLocks:
        """Who may write where."""
        return self._locks

    @property
    def followed(self) -> SqlFollowed:
        """What was followed, drilled and packed."""
        return self._followed

    @property
    def evidence(self) -> SqlEvidence:
        """What cannot be edited."""
        return self._evidence

    def newest_promise(self, practice: str) -> PromiseMade | None:
        """Return the newest version of a promise; see `Store.newest_promise`."""
        seen = select(promise).filter_by(practice=practice).order_by(promise.c.number.desc())
        with self._memory.reading() as connection:
            row = connection.execute(seen.limit(1)).one_or_none()
        return promise_from(row) if row else None

    def repository_id(self, practice: str, name: str) -> str | None:
        """Return restic's own id of a repository; see `Store.repository_id`."""
        wanted = select(repository.c.restic_id).filter_by(practice=practice, name=name)
        with self._memory.reading() as connection:
            return connection.execute(wanted).scalar_one_or_none()

    def names_of_repository(self, restic_id: str) -> tuple[tuple[str, str], ...]:
        """Return who knows a repository, and as what; see `Store.names_of_repository`."""
        names = select(repository.c.practice, repository.c.name).filter_by(restic_id=restic_id)
        with self._memory.reading() as connection:
            return tuple((row.practice, row.name) for row in connection.execute(names))

    def journal(self, practice: str | None = None) -> tuple[JournalLine, ...]:
        """Return the journal in the order it was written; see `Store.journal`."""
        wanted = select(journal).order_by(journal.c.seq)
        if practice is not None:
            wanted = wanted.where(journal.c.practice == practice)
        with self._memory.reading() as connection:
            return tuple(JournalLine(**row._asdict()) for row in connection.execute(wanted))

    def journal_head(self) -> JournalLine | None:
        """Return the newest line of the journal; see `Store.journal_head`."""
        newest = select(journal).order_by(journal.c.seq.desc()).limit(1)
        with self._memory.reading() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else JournalLine(**row._asdict())

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


def _known_points_of(practice: str) -> Select[Any]:
    return select(point).where(point.c.practice == practice).order_by(point.c.as_of, point.c.id)


def _points_of(practice: str) -> Select[Any]:
    """Select the points that a repository still holds."""
    return _known_points_of(practice).where(point.c.id.in_(_held_points(practice)))


def _held_points(practice: str) -> Select[Any]:
    return select(point_copy.c.point).where(point_copy.c.practice == practice)


def _occurrence_states() -> Select[Any]:
    due = occurrence.c
    began = (
        select(func.max(run.c.attempt))
        .where(run.c.schedule_id == due.schedule_id, run.c.due_at == due.due_at)
        .scalar_subquery()
    )
    return select(
        occurrence,
        func.coalesce(claim.c.attempt, began, 0).label("attempts"),
        claim.c.token,
        claim.c.not_before,
        claim.c.outcome.label("last_outcome"),
        claim.c.reason.label("waits_for"),
    ).join(claim, claim.c.occurrence == due.id, isouter=True)


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


def _repositories_seen(connection: Connection, practice: str) -> dict[str, Any]:
    seen = select(repository.c.name, repository.c.first_seen).filter_by(practice=practice)
    return {row.name: row.first_seen for row in connection.execute(seen)}


def _checks(connection: Connection, practice: str) -> tuple[RepositoryChecked, ...]:
    newest = select(repository_check).filter_by(practice=practice)
    order = (repository_check.c.at, repository_check.c.repository, repository_check.c.part)
    rows = connection.execute(newest.order_by(*order))
    return tuple(RepositoryChecked(**row._asdict()) for row in rows)


def _frozen(connection: Connection, practice: str) -> dict[str, RetentionFrozen]:
    rows = connection.execute(select(freeze).filter_by(practice=practice))
    return {row.repository: RetentionFrozen(**row._asdict()) for row in rows}


def _retention_released(connection: Connection, practice: str) -> dict[str, datetime]:
    rows = connection.execute(select(retention_release).filter_by(practice=practice))
    return {row.repository: row.at for row in rows}


def _accepted(connection: Connection, practice: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in connection.execute(select(accepted_snapshot).filter_by(practice=practice)):
        found.setdefault(row.repository, set()).add(row.snapshot)
    return {name: frozenset(snapshots) for name, snapshots in found.items()}


def _locks(connection: Connection, practice: str) -> dict[str, LocksExtended]:
    rows = connection.execute(select(lock_extension).filter_by(practice=practice))
    return {row.repository: LocksExtended(**row._asdict()) for row in rows}


def _immutability(connection: Connection, practice: str) -> dict[str, ImmutabilityTested]:
    rows = connection.execute(select(immutability_test).filter_by(practice=practice))
    return {row.repository: immutability_test_from(row) for row in rows}


def _holds(connection: Connection, practice: str) -> dict[str, HoldPlaced]:
    columns = [column for column in hold.c if column.name != "released"]
    placed = select(*columns).filter_by(practice=practice, released=False)
    return {row.point: HoldPlaced(**row._asdict()) for row in connection.execute(placed)}


def _released(connection: Connection, practice: str) -> frozenset[str]:
    let_go = select(hold.c.point).filter_by(practice=practice, released=True)
    return frozenset(connection.execute(let_go).scalars())


def _pauses(connection: Connection, practice: str) -> dict[str, SystemPaused]:
    rows = connection.execute(select(pause).filter_by(practice=practice))
    return {row.system: SystemPaused(**row._asdict()) for row in rows}


def _promises(connection: Connection, practice: str) -> tuple[PromiseMade, ...]:
    seen = select(promise).filter_by(practice=practice).order_by(promise.c.number)
    return tuple(promise_from(row) for row in connection.execute(seen))


def _sign_offs(connection: Connection, practice: str) -> tuple[SignOff, ...]:
    given = select(sign_off).filter_by(practice=practice)
    rows = connection.execute(given.order_by(sign_off.c.at, sign_off.c.id))
    return tuple(sign_off_from(row) for row in rows)


def _actions(connection: Connection, practice: str) -> tuple[CorrectiveAction, ...]:
    opened = select(corrective_action).filter_by(practice=practice)
    order = (corrective_action.c.opened_at, corrective_action.c.id)
    return tuple(action_from(row) for row in connection.execute(opened.order_by(*order)))


def _keys(connection: Connection, practice: str) -> tuple[HeldKey, ...]:
    made = select(held_key).filter_by(practice=practice)
    order = (held_key.c.made_at, held_key.c.repository, held_key.c.key)
    return tuple(HeldKey(**row._asdict()) for row in connection.execute(made.order_by(*order)))


def _key_proofs(connection: Connection, practice: str) -> tuple[KeyProof, ...]:
    newest = select(key_proof).filter_by(practice=practice)
    order = (key_proof.c.holder, key_proof.c.repository)
    return tuple(KeyProof(**row._asdict()) for row in connection.execute(newest.order_by(*order)))


def _retired(connection: Connection, practice: str) -> dict[str, RepositoryRetired]:
    rows = connection.execute(select(retired_repository).filter_by(practice=practice))
    return {row.repository: RepositoryRetired(**row._asdict()) for row in rows}


def _handed_over(connection: Connection, practice: str) -> HandedOver | None:
    row = connection.execute(select(handed_over).filter_by(practice=practice)).one_or_none()
    return None if row is None else HandedOver(**row._asdict())
