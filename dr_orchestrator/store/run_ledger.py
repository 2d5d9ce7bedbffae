"""What came due, and who works on it, in the tables that any number of planners and workers share.

What comes due and what is settled goes into the journal, by the same code as all that is recorded;
who works on it just now is of the moment, and does not. Each method is one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from dr_orchestrator.core.occurrence import Occurrence, Skipped
from dr_orchestrator.core.record import (
    OccurrenceDue,
    OccurrenceSettled,
    RunClosed,
    ScheduleSetBack,
)
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import Busy
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store import schema
from dr_orchestrator.store.base import (
    Claim,
    LedgerStats,
    Limits,
    SchedulerSeen,
    Standing,
    Submit,
)
from dr_orchestrator.store.codec import storable
from dr_orchestrator.store.memory import Memory
from dr_orchestrator.store.rows import occurrence_from
from dr_orchestrator.store.silence import Silence

_NOBODY: dict[str, Any] = {
    "token": None,
    "host": None,
    "pid": None,
    "pid_started": None,
    "heartbeat_at": None,
}
_DUE = schema.occurrence.c
_AT_WORK = schema.claim.c
_FAR_AHEAD = timedelta(hours=1)
"""A clock that is put back by less is waited for: nothing comes twice then."""
_RENAMED = {"outcome": "last_outcome", "reason": "waits_for"}
"""What the columns of a claim are called beside those of its occurrence."""


class SqlLedger:
    """A `Ledger` in the tables of `schema`."""

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._memory = memory
        self._limits = limits
        self._silence = Silence(memory.clock, limits.claim)

    # --- what comes due -------------------------------------------------------------------------

    def last_due(self) -> Mapping[str, datetime]:
        """Return the newest instant handed out by schedule; see `Ledger.last_due`."""
        with self._memory.reading() as connection:
            return {row.id: row.last_due for row in connection.execute(select(schema.schedule))}

    def see_schedules(self, ids: Collection[str], at: datetime) -> None:
        """Remember when schedules were first seen; see `Ledger.see_schedules`."""
        known = self.last_due()
        unknown = sorted(set(ids) - known.keys())
        ahead = [each for each in ids if each in known and known[each] > at]
        if not unknown and not ahead:
            return
        with self._memory.writing() as connection:
            for each in ahead:
                if known[each] - at > _FAR_AHEAD:
                    self._set_back(connection, each, at)
            for each in (*unknown, *ahead):
                _remember_due(connection, each, at)

    def _set_back(self, connection: Connection, schedule_id: str, at: datetime) -> None:
        """Free the times to come of what a clock that was ahead handed out for them."""
        ahead = (_DUE.schedule_id == schedule_id, _DUE.due_at > at)
        waiting = _unsettled().where(*ahead, _AT_WORK.token.is_(None))
        for each in connection.execute(waiting).all():
            self._settle(connection, each.id, None, Skipped.CLOCK_AHEAD)
        practice = connection.scalar(select(_DUE.practice).where(*ahead).limit(1))
        if practice is not None:
            entry = ScheduleSetBack(practice=practice, schedule_id=schedule_id, at=at)
            self._memory.write_down(connection, entry)

    def admit(
        self, occurrences: Sequence[Occurrence], submit: Submit | None = None
    ) -> tuple[Occurrence, ...]:
        """Record what came due, and return what was new; see `Ledger.admit`."""
        new = []
        with self._memory.writing() as connection:
            _hand_out(connection, occurrences)
            for each in occurrences:
                if not self._memory.write_down(connection, OccurrenceDue(occurrence=each)):
                    continue
                new.append(each)
                if each.skipped:
                    continue
                if not each.keeps_older:
                    self._overtake(connection, each)
                if submit is not None:
                    submit(connection, each)
        return tuple(new)

    def _overtake(self, connection: Connection, newer: Occurrence) -> None:
        """Settle as skipped what waits of the same schedule, is older, and was never attempted."""
        overtaken = _unsettled().where(
            _DUE.schedule_id == newer.schedule_id,
            _DUE.due_at < newer.due_at,
            _AT_WORK.token.is_(None),
            func.coalesce(_AT_WORK.attempt, 0) == func.coalesce(_AT_WORK.spared, 0),
        )
        for each in connection.execute(overtaken).all():
            self._settle(connection, each.id, None, Skipped.SUPERSEDED)

    def cancel(self, occurrence: str, why: str) -> bool:
        """Ask for an occurrence to be given up; see `Ledger.cancel`."""
        with self._memory.writing() as connection:
            found = connection.execute(_unsettled().where(_DUE.id == occurrence)).one_or_none()
            if found is None:
                return False
            if found.token is not None:
                _change_claim(
                    connection, occurrence, cancel_requested=True, waits_for=storable(why)
                )
                return True
            last = found.last_outcome and Outcome(found.last_outcome)
            self._settle(connection, occurrence, last, why)
        return True

    # --- who works on it ------------------------------------------------------------------------

    def claim(self, owner: ProcessIdentity, *, emergency: bool = False) -> Claim | None:
        """Return the right to the next attempt; see `Ledger.claim`."""
        if emergency:
            return self._claim(owner, _DUE.emergency.is_(True))
        return self._claim(owner)

    def claim_one(self, occurrence: str, owner: ProcessIdentity) -> Claim | None:
        """Return the right to the next attempt at one occurrence; see `Ledger.claim_one`."""
        return self._claim(owner, _DUE.id == occurrence)

    def _claim(self, owner: ProcessIdentity, *asked: ColumnElement[bool]) -> Claim | None:
        with self._memory.writing() as connection:
            now = self._memory.clock.now()
            may_begin = or_(_AT_WORK.not_before.is_(None), _AT_WORK.not_before <= now)
            next_one = (
                _unsettled()
                .where(
                    _AT_WORK.token.is_(None),
                    may_begin,
                    ~_hindered(connection),
                    ~_waits_for_its_backup(now),
                    *asked,
                )
                .order_by(_DUE.emergency.desc(), _DUE.due_at, _DUE.id)
                .limit(1)
            )
            found = connection.execute(next_one).one_or_none()
            if found is None:
                return None
            token, attempt = secrets.token_hex(16), (found.attempt or 0) + 1
            held = _held_by(owner, token, now)
            if found.attempt is None:
                first = {"spared": 0, "cancel_requested": False, "reason": ""}
                values = held | first | {"occurrence": found.id, "attempt": attempt}
                connection.execute(insert(schema.claim).values(values))
            else:
                _change_claim(connection, found.id, **held, attempt=attempt, not_before=None)
            return Claim(
                occurrence=occurrence_from(found),
                attempt=attempt,
                token=token,
                spared=found.spared or 0,
            )

    def hand_over(self, occurrence: str, token: str, owner: ProcessIdentity) -> Claim | None:
        """Put a held claim into the hands of another process; see `Ledger.hand_over`."""
        with self._memory.writing() as connection:
            found = _held(connection, occurrence, token)
            if found is None:
                return None
            taken = Claim(
                occurrence=occurrence_from(found),
                attempt=found.attempt,
                token=secrets.token_hex(16),
                spared=found.spared,
            )
            held = _held_by(owner, taken.token, self._memory.clock.now())
            _change_claim(connection, occurrence, **held)
            return taken

    def renew(self, claim: Claim) -> Standing:
        """Show that an attempt is still under way; see `Ledger.renew`."""
        with self._memory.writing() as connection:
            found = _held(connection, claim.occurrence.id, claim.token)
            if found is None:
                return Standing.LOST
            _change_claim(connection, found.id, heartbeat_at=self._memory.clock.now())
            return Standing.CANCELLED if found.cancel_requested else Standing.HELD

    def requeue(
        self, claim: Claim, *, not_before: datetime, outcome: Outcome, reason: str, counts: bool
    ) -> bool:
        """Give a claim back for another attempt later; see `Ledger.requeue`."""
        with self._memory.writing() as connection:
            found = _held(connection, claim.occurrence.id, claim.token)
            if found is None:
                return False
            self._give_back(
                connection,
                found,
                spared=found.spared + (not counts),
                not_before=not_before,
                outcome=outcome,
                reason=reason,
            )
        return True

    def settle(self, claim: Claim, outcome: Outcome | None, reason: str) -> bool:
        """Record how the last attempt ended; see `Ledger.settle`."""
        with self._memory.writing() as connection:
            found = _held(connection, claim.occurrence.id, claim.token)
            if found is None:
                return False
            self._settle(connection, found.id, outcome, reason)
        return True

    def recover(self) -> tuple[Occurrence, ...]:
        """Take the claims back that are lost; see `Ledger.recover`."""
        at_work = _unsettled().where(_AT_WORK.token.is_not(None)).order_by(_DUE.due_at, _DUE.id)
        with self._memory.reading() as connection:
            held = connection.execute(at_work).all()
        silent = self._silence.longer_than_limit({each.token: each.heartbeat_at for each in held})
        lost = [each for each in held if each.token in silent or _process(each).alive is False]
        return tuple(occurrence_from(each) for each in lost if self._take_back(each))

    def _take_back(self, lost: Any) -> bool:
        """Let it wait again, unless it was renewed after we looked, or all that it lacked of being
        done was that somebody settled it.
        """
        with self._memory.writing() as connection:
            found = _held(connection, lost.id, lost.token)
            if found is None or found.heartbeat_at != lost.heartbeat_at:
                return False
            run = _run_of(connection, found)
            if run is not None and run.outcome == Outcome.DONE:
                self._settle(connection, found.id, Outcome.DONE, "")
                return False
            if _process(found).alive is False:
                reason = "its process was gone before it ended"
            else:
                silent = duration_words(self._limits.claim)
                reason = f"lost: its process showed no sign of life for {silent}"
                if run is not None:
                    self._close_run(connection, run.id, reason)
            self._give_back(
                connection,
                found,
                spared=found.spared,
                not_before=None,
                outcome=Outcome.INTERRUPTED,
                reason=reason,
            )
        return True

    def _close_run(self, connection: Connection, run: str, reason: str) -> None:
        closed = RunClosed(
            run=run,
            finished_at=self._memory.clock.now(),
            outcome=Outcome.INTERRUPTED,
            reason=reason,
        )
        self._memory.write_down(connection, closed)

    def _give_back(
        self,
        connection: Connection,
        held: Any,
        *,
        spared: int,
        not_before: datetime | None,
        outcome: Outcome,
        reason: str,
    ) -> None:
        """Let it wait for another attempt, unless it was the last, or it is to be given up."""
        if held.cancel_requested or held.attempt - spared >= self._limits.attempts:
            self._settle(connection, held.id, outcome, reason)
            return
        _change_claim(
            connection,
            held.id,
            **_NOBODY,
            spared=spared,
            not_before=not_before,
            last_outcome=outcome.value,
            waits_for=storable(reason),
        )

    def _settle(
        self, connection: Connection, occurrence: str, outcome: Outcome | None, reason: str
    ) -> None:
        settled = OccurrenceSettled(
            occurrence=occurrence,
            at=self._memory.clock.now(),
            outcome=outcome,
            reason=storable(reason),
        )
        self._memory.write_down(connection, settled)
        connection.execute(delete(schema.claim).where(_AT_WORK.occurrence == occurrence))

    # --- how things stand -----------------------------------------------------------------------

    def stats(self) -> LedgerStats:
        """Return how much there is to do; see `Ledger.stats`."""
        now = self._memory.clock.now()
        with self._memory.reading() as connection:
            rows = connection.execute(_unsettled()).all()
        idle = [each for each in rows if each.token is None]
        waiting = [
            each.due_at for each in idle if each.not_before is None or each.not_before <= now
        ]
        return LedgerStats(
            waiting=len(waiting),
            delayed=len(idle) - len(waiting),
            running=len(rows) - len(idle),
            oldest_waiting=min(waiting, default=None),
        )

    def beat(self, scheduler: ProcessIdentity) -> None:
        """Show that a scheduler runs; see `Ledger.beat`."""
        table, now = schema.scheduler, self._memory.clock.now()
        same = {"host": scheduler.host, "pid": scheduler.pid, "pid_started": scheduler.started}
        with self._memory.writing() as connection:
            beaten = update(table).filter_by(**same).values(heartbeat_at=now)
            if connection.execute(beaten).rowcount:
                return
            for each in connection.execute(select(table).filter_by(host=scheduler.host)).all():
                if _process(each).alive is False:
                    gone = {"pid": each.pid, "pid_started": each.pid_started}
                    connection.execute(delete(table).filter_by(host=each.host, **gone))
            connection.execute(insert(table).values(**same, started_at=now, heartbeat_at=now))

    def schedulers(self) -> tuple[SchedulerSeen, ...]:
        """Return the schedulers, newest beat first; see `Ledger.schedulers`."""
        newest_first = select(schema.scheduler).order_by(schema.scheduler.c.heartbeat_at.desc())
        with self._memory.reading() as connection:
            rows = connection.execute(newest_first).all()
        return tuple(
            SchedulerSeen(
                process=_process(each), started_at=each.started_at, heartbeat_at=each.heartbeat_at
            )
            for each in rows
        )


def require_claim(connection: Connection, run: Run) -> None:
    """Let a run begin only if its attempt is still the one that may be made.

    An attempt whose process was stopped before it opened its run may have been given to another.

    Raises:
        Busy: it is somebody else's by now.
    """
    served = (
        select(_DUE.id, _DUE.settled_at, _AT_WORK.token, _AT_WORK.attempt)
        .join(schema.claim, _AT_WORK.occurrence == _DUE.id, isouter=True)
        .where(_DUE.schedule_id == run.schedule_id, _DUE.due_at == run.due_at)
    )
    found = connection.execute(served).one_or_none()
    if found is None or (found.settled_at is None and found.attempt is None):
        return
    if found.token is None or found.attempt != run.attempt:
        raise Busy(f"this attempt was lost, and is somebody else's by now: {found.id}")


def _hand_out(connection: Connection, occurrences: Iterable[Occurrence]) -> None:
    newest: dict[str, datetime] = {}
    for each in occurrences:
        newest[each.schedule_id] = max(each.due_at, newest.get(each.schedule_id, each.due_at))
    for schedule_id, due_at in newest.items():
        known = select(schema.schedule.c.last_due).filter_by(id=schedule_id)
        last = connection.execute(known).scalar_one_or_none()
        if last is None or last < due_at:
            _remember_due(connection, schedule_id, due_at)


def _remember_due(connection: Connection, schedule_id: str, at: datetime) -> None:
    connection.execute(delete(schema.schedule).filter_by(id=schedule_id))
    connection.execute(insert(schema.schedule).values(id=schedule_id, last_due=at))


def _unsettled() -> Select[Any]:
    """Select what is not settled, each beside its claim where it has one."""
    return (
        select(
            schema.occurrence,
            *(column for column in _AT_WORK if column.name not in {"occurrence", *_RENAMED}),
            *(_AT_WORK[name].label(label) for name, label in _RENAMED.items()),
        )
        .join(schema.claim, _AT_WORK.occurrence == _DUE.id, isouter=True)
        .where(_DUE.settled_at.is_(None))
    )


def _hindered(connection: Connection) -> ColumnElement[bool]:
    """Say that another of its schedule runs, or the same operation on the same thing does."""
    alike = (_DUE.practice, _DUE.system, _DUE.operation, func.coalesce(_DUE.repository, ""))
    at_work = _unsettled().where(_AT_WORK.token.is_not(None))
    running = connection.execute(at_work.with_only_columns(_DUE.schedule_id, *alike)).all()
    same = (
        and_(*(column == value for column, value in zip(alike, each[1:], strict=True)))
        for each in running
    )
    return or_(_DUE.schedule_id.in_([each.schedule_id for each in running]), *same)


def _waits_for_its_backup(now: datetime) -> ColumnElement[bool]:
    """Say that it is to copy what a backup makes first that came due no later: one that runs, or
    may begin. One that waits for its next attempt is not waited for; nor is any where one ended
    since, or backups that take longer than they are apart would let nothing ever be copied.
    """
    before, at_work = schema.occurrence.alias("before"), schema.claim.alias("before_at_work")
    backups = (
        select(before.c.id)
        .join(at_work, at_work.c.occurrence == before.c.id, isouter=True)
        .where(
            before.c.practice == _DUE.practice,
            before.c.system == _DUE.system,
            before.c.operation == Operation.BACKUP.value,
        )
        .correlate(schema.occurrence)
    )
    coming = backups.where(
        before.c.due_at <= _DUE.due_at,
        before.c.settled_at.is_(None),
        or_(
            at_work.c.token.is_not(None),
            at_work.c.not_before.is_(None),
            at_work.c.not_before <= now,
        ),
    )
    ended = backups.where(before.c.settled_at >= _DUE.due_at, before.c.outcome.is_not(None))
    return and_(_DUE.operation == Operation.COPY.value, coming.exists(), ~ended.exists())


def _held(connection: Connection, occurrence: str, token: str) -> Any:
    """Return what is held by this token; `None` where it is somebody else's by now."""
    mine = _unsettled().where(_DUE.id == occurrence, _AT_WORK.token == token)
    return connection.execute(mine).one_or_none()


def _run_of(connection: Connection, held: Any) -> Any:
    """Return id and outcome of the run that an attempt opened; `None` where it opened none."""
    same = {"schedule_id": held.schedule_id, "due_at": held.due_at, "attempt": held.attempt}
    opened = select(schema.run.c.id, schema.run.c.outcome).filter_by(**same)
    return connection.execute(opened).one_or_none()


def _held_by(owner: ProcessIdentity, token: str, now: datetime) -> dict[str, Any]:
    return {
        "token": token,
        "host": owner.host,
        "pid": owner.pid,
        "pid_started": owner.started,
        "heartbeat_at": now,
    }


def _change_claim(connection: Connection, occurrence: str, **values: Any) -> None:
    columns = {label: name for name, label in _RENAMED.items()}
    changes = {columns.get(name, name): value for name, value in values.items()}
    mine = update(schema.claim).where(_AT_WORK.occurrence == occurrence)
    connection.execute(mine.values(changes))


def _process(row: Any) -> ProcessIdentity:
    return ProcessIdentity(row.host, row.pid, row.pid_started)
