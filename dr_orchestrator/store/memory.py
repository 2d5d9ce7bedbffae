"""Transactions on the one database that the record, the ledger and the locks share.

Every write takes the one write lock of the memory first, so that what is looked up before writing
still holds when it is written. Nothing here knows what the tables mean.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.record import Entry
from dr_orchestrator.errors import DroError, SpaceExhausted, StoreUnusable
from dr_orchestrator.evidence.facts import facts_of
from dr_orchestrator.store.chain_end import ChainEnd, add_line, begin_chain, end_of, our_chain
from dr_orchestrator.store.codec import encode_entry, kind_of
from dr_orchestrator.store.projection import project
from dr_orchestrator.store.schema import journal

if TYPE_CHECKING:
    from dr_orchestrator.store.base import ChainHead

START_OVER = (
    "move the state folder aside, then list what the repositories hold into a fresh one: "
    "`dro points rebuild PRACTICE --repository ID`"
)
_ADD = insert(journal)


class Memory:
    """One database, the clock by which it is written, and the key that its evidence begins with."""

    def __init__(self, engine: Engine, clock: Clock, evidence_key: Callable[[], str]) -> None:
        self.engine = engine
        self.clock = clock
        self._evidence_key = evidence_key
        self._in_turn = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that sees one instant."""
        with in_our_words(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's readers always see one instant
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start.

        Threads of one process queue for it here: SQLite has who waits ask again after a while, and
        whoever comes then may be first.
        """
        with self._in_turn, in_our_words(), self.engine.connect() as connection:
            connection.execution_options(writing=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("LOCK TABLE journal IN EXCLUSIVE MODE"))
                yield connection

    def write_down(self, connection: Connection, entry: Entry) -> bool:
        """Record an entry, and its evidence, within a transaction that writes; whether it changed
        anything.

        Raises:
            RepositoryChanged, ValueError: see `Store.record`.
        """
        payload = encode_entry(entry)
        practice = project(connection, entry)
        if practice is None:
            return False
        now = self.clock.now()
        self._bear_out(connection, entry, practice, payload, now)
        connection.execute(
            _ADD, {"at": now, "kind": kind_of(entry), "practice": practice, "payload": payload}
        )
        return True

    def _bear_out(
        self, connection: Connection, entry: Entry, practice: str, payload: str, now: datetime
    ) -> None:
        """Add the line of evidence that an entry makes; what is about no practice makes none."""
        said = facts_of(entry) if practice else None
        if said is None:
            return
        end = self._chain_end(connection, practice, now)
        kind, about = said
        record = sha256(payload.encode()).hexdigest()
        add_line(connection, end, at=now, kind=kind, about=about, record=record)

    def begin_chain(self, connection: Connection, after: ChainHead) -> None:
        """Begin our chain of a practice, which follows another one."""
        begin_chain(connection, after.practice, self.clock.now(), self._evidence_key(), after=after)

    def _chain_end(self, connection: Connection, practice: str, now: datetime) -> ChainEnd:
        """Return where our chain of a practice ends; it begins where there is none. Asked each
        time: another process may have begun another one.
        """
        chain = our_chain(connection, practice)
        if chain is None:
            return begin_chain(connection, practice, now, self._evidence_key())
        return end_of(connection, practice, chain)


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
