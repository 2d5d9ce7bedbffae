"""Who may do what at the same time, in a table that all processes share.

A lock is granted in one transaction: all of its keys, or none. It belongs to one block of one
thread; nobody holds it twice. A living process keeps what it has, however long it says nothing: the
restic that it started may go on writing while it stands still.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.errors import Busy, DroError, Interrupted
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Limits
from dr_orchestrator.store.memory import Memory
from dr_orchestrator.store.schema import lock
from dr_orchestrator.store.silence import Silence

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class _Wish:
    """What one block asks for."""

    keys: frozenset[str]
    exclusive: bool
    holder: str
    asked_at: datetime
    queues: bool
    """Whether it takes its place among those who wait."""


class SqlLocks:
    """`Locks` in the tables of `schema`."""

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._memory = memory
        self._limits = limits
        self._silence = Silence(memory.clock, limits.lock)
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._renewer: threading.Thread | None = None
        self._left: frozenset[str] = frozenset()
        """Holders that are done, and whose rows could not be removed."""

    @contextlib.contextmanager
    def hold(
        self, keys: Collection[str], *, exclusive: bool, wait: timedelta, what: str
    ) -> Iterator[None]:
        """Hold all the keys together for a block; see `Locks.hold`."""
        wish = _Wish(
            keys=frozenset(keys),
            exclusive=exclusive,
            holder=secrets.token_hex(16),
            asked_at=self._memory.clock.now(),
            queues=wait > timedelta(),
        )
        try:
            self._acquire(wish, wait, what)
            self._keep(wish.holder)
            yield
        finally:
            self._release(wish.holder)

    def stop_waiting(self) -> None:
        """Let nobody of this process wait any longer; see `Locks.stop_waiting`."""
        self._stopped.set()

    def _acquire(self, wish: _Wish, wait: timedelta, what: str) -> None:
        clock = self._memory.clock
        waited, pause = Stopwatch(clock), _FIRST_PAUSE
        while in_the_way := self._in_the_way(wish):
            remaining = wait.total_seconds() - waited.elapsed()
            since = min(row.granted_at or row.asked_at for row in in_the_way)
            if remaining <= 0:
                raise Busy(
                    f"{what} has been in use since {instant_words(since, UTC)}",
                    hint="try again when that is done; `dro runs` shows what is at work",
                )
            if self._stopped.is_set():
                raise Interrupted(f"stopped while waiting: {what} is in use")
            clock.sleep(min(pause, remaining))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _in_the_way(self, wish: _Wish) -> list[Any]:
        """Grant the wish and return nothing, or return what stands in its way."""
        with self._memory.writing() as connection:
            self._drop_the_dead(connection)
            rows = connection.execute(select(lock).where(lock.c.key.in_(wish.keys))).all()
            now = self._memory.clock.now()
            in_the_way = [row for row in rows if self._hinders(row, wish, now)]
            ours = [row for row in rows if row.holder == wish.holder]
            if not in_the_way:
                _remove(connection, wish.holder)
                _insert(connection, wish, now, granted_at=now)
            elif not ours and wish.queues:
                _insert(connection, wish, now, granted_at=None)
            elif ours and now - ours[0].heartbeat_at >= self._limits.renew:
                _beat(connection, wish.holder, now)
        return in_the_way

    def _hinders(self, row: Any, wish: _Wish, now: datetime) -> bool:
        if row.holder == wish.holder:
            return False
        if row.granted_at is not None:
            return bool(row.exclusive or wish.exclusive)
        if not row.exclusive or now - row.asked_at < self._limits.patience:
            return False
        return bool((row.asked_at, row.holder) < (wish.asked_at, wish.holder))

    def _drop_the_dead(self, connection: Connection) -> None:
        """Remove what processes of this host that are gone have left, and silent other hosts."""
        rows = connection.execute(select(lock)).all()
        alive = {row.holder: _process(row).alive for row in rows}
        afar = {row.holder: row.heartbeat_at for row in rows if alive[row.holder] is None}
        silent = self._silence.longer_than_limit(afar)
        gone = {holder for holder, lives in alive.items() if lives is False or holder in silent}
        for holder in gone | (self._left & alive.keys()):
            _remove(connection, holder)

    def _keep(self, holder: str) -> None:
        """Have it renewed from now on."""
        with self._changed:
            self._held.add(holder)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, daemon=True)
                self._renewer.start()

    def _renew(self) -> None:
        """Show that all that is held still is. What fails once is tried again in time."""
        while holders := self._held_for_a_while():
            with contextlib.suppress(DroError), self._memory.writing() as connection:
                for holder in holders:
                    _beat(connection, holder, self._memory.clock.now())

    def _held_for_a_while(self) -> frozenset[str]:
        """Return what is to be renewed; the thread that asks ends where nothing is."""
        with self._changed:
            pause = self._limits.renew.total_seconds()
            if self._changed.wait_for(lambda: not self._held, pause):
                self._renewer = None
            return frozenset(self._held)

    def _release(self, holder: str) -> None:
        """Let go. Where that fails, whoever of this process asks for a lock next tries again."""
        with self._changed:
            self._held.discard(holder)
            self._changed.notify()
        try:
            with self._memory.writing() as connection:
                _remove(connection, holder)
        except DroError:
            self._left |= {holder}


def _insert(
    connection: Connection, wish: _Wish, now: datetime, *, granted_at: datetime | None
) -> None:
    ours = ProcessIdentity.ours()
    for key in wish.keys:
        connection.execute(
            insert(lock).values(
                key=key,
                holder=wish.holder,
                exclusive=wish.exclusive,
                host=ours.host,
                pid=ours.pid,
                pid_started=ours.started,
                asked_at=wish.asked_at,
                granted_at=granted_at,
                heartbeat_at=now,
            )
        )


def _remove(connection: Connection, holder: str) -> None:
    connection.execute(delete(lock).where(lock.c.holder == holder))


def _beat(connection: Connection, holder: str, now: datetime) -> None:
    connection.execute(update(lock).where(lock.c.holder == holder).values(heartbeat_at=now))


def _process(row: Any) -> ProcessIdentity:
    return ProcessIdentity(row.host, row.pid, row.pid_started)
