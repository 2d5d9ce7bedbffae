"""The end of our chain of evidence, where the next line goes.

Runs inside a transaction that holds the write lock, so that nobody else adds a line meanwhile.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, insert, select, true, update

from dr_orchestrator.evidence.line import (
    CHAIN_STARTED,
    CHECKPOINT,
    KEY_SUCCEEDED,
    NOTHING_BEFORE,
    EvidenceLine,
    hash_of,
    read_line,
    text_of,
)
from dr_orchestrator.store.base import ChainHead
from dr_orchestrator.store.codec import instant_text
from dr_orchestrator.store.schema import evidence, evidence_chain, journal

if TYPE_CHECKING:
    from dr_orchestrator.evidence.canonical import Facts

# Built once: this is run with every entry, and building takes longer than the database does.
_LAST = (
    select(evidence.c.number, evidence.c.line)
    .where(evidence.c.practice == bindparam("practice"), evidence.c.chain == bindparam("chain"))
    .order_by(evidence.c.number.desc())
    .limit(1)
)
_OURS = select(evidence_chain.c.chain).where(
    evidence_chain.c.practice == bindparam("practice"), evidence_chain.c.ours == true()
)
_ADD = insert(evidence)


@dataclass(frozen=True, kw_only=True)
class ChainEnd:
    """The last line of a chain; number 0 where there is none yet."""

    practice: str
    chain: str
    number: int
    head: str
    """Hash of that line."""


def our_chain(connection: Connection, practice: str) -> str | None:
    """Return the id of our chain of a practice; `None` where it has none yet."""
    return connection.scalar(_OURS, {"practice": practice})


def give_up(connection: Connection, practice: str) -> None:
    """Count our chain of a practice as taken in from now on: another one follows it."""
    ours = update(evidence_chain).where(evidence_chain.c.ours == true())
    connection.execute(ours.filter_by(practice=practice).values(ours=False))


def end_of(connection: Connection, practice: str, chain: str) -> ChainEnd:
    """Return where a chain ends."""
    last = connection.execute(_LAST, {"practice": practice, "chain": chain}).one_or_none()
    number, head = (0, NOTHING_BEFORE) if last is None else (last.number, hash_of(last.line))
    return ChainEnd(practice=practice, chain=chain, number=number, head=head)


def begin_chain(
    connection: Connection, practice: str, at: datetime, key: str, *, after: ChainHead | None = None
) -> ChainEnd:
    """Begin our chain of a practice with its first line, and return where it ends.

    `recorded_before` in it: so many lines of the practice's journal were there before, which no
    evidence speaks of. `after` is the chain that it follows: one of ours that could not be gone on
    with, or that of the machine that handed the practice over.
    """
    chain = secrets.token_hex(16)
    before = select(func.count()).select_from(journal).where(journal.c.practice == practice)
    about: Facts = {
        "host": os.uname().nodename,
        "key": key,
        "recorded_before": connection.scalar(before),
    }
    if after is not None:
        about = {
            **about,
            "after": {"chain": after.chain, "head": after.head, "number": after.number},
        }
    connection.execute(insert(evidence_chain).values(practice=practice, chain=chain, ours=True))
    nothing = ChainEnd(practice=practice, chain=chain, number=0, head=NOTHING_BEFORE)
    return add_line(connection, nothing, at=at, kind=CHAIN_STARTED, about=about)


def add_line(
    connection: Connection,
    end: ChainEnd,
    *,
    at: datetime,
    kind: str,
    about: Facts,
    record: str = "",
) -> ChainEnd:
    """Add the next line to a chain, and return where it ends now."""
    line = EvidenceLine(
        practice=end.practice,
        chain=end.chain,
        number=end.number + 1,
        at=instant_text(at),
        kind=kind,
        about=about,
        record=record,
        previous=end.head,
    )
    text = text_of(line)
    connection.execute(_ADD, line_row(line, at, text))
    return ChainEnd(practice=end.practice, chain=end.chain, number=line.number, head=hash_of(text))


def line_row(line: EvidenceLine, at: datetime, text: str) -> dict[str, Any]:
    """Return the row of a line."""
    return {
        "practice": line.practice,
        "chain": line.chain,
        "number": line.number,
        "at": at,
        "kind": line.kind,
        "line": text,
    }


def head_of(connection: Connection, practice: str, chain: str, *, ours: bool) -> ChainHead:
    """Return how far a chain has come."""
    newest = _newest(connection, practice, chain)
    signed = _newest(connection, practice, chain, CHECKPOINT)
    return ChainHead(
        practice=practice,
        chain=chain,
        ours=ours,
        number=newest.number,
        head=hash_of(newest.line),
        at=newest.at,
        key=_key_of(connection, practice, chain),
        unsigned=newest.number - (0 if signed is None else signed.number),
    )


def _key_of(connection: Connection, practice: str, chain: str) -> str:
    """Return the public key (hex) that signs at the end of a chain; empty where the line that says
    it was altered.
    """
    for kind, name in ((KEY_SUCCEEDED, "next"), (CHAIN_STARTED, "key")):
        row = _newest(connection, practice, chain, kind)
        if row is not None:
            try:
                return bytes.fromhex(str(read_line(row.line).about[name])).hex()
            except (ValueError, TypeError, LookupError):
                break
    return ""


def _newest(connection: Connection, practice: str, chain: str, kind: str | None = None) -> Any:
    wanted = select(evidence).filter_by(practice=practice, chain=chain)
    if kind is not None:
        wanted = wanted.where(evidence.c.kind == kind)
    return connection.execute(wanted.order_by(evidence.c.number.desc()).limit(1)).one_or_none()
