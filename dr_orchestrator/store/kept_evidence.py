"""The evidence, as the SQL store keeps it."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, true

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.errors import EvidenceConflict, EvidenceKeyChanged
from dr_orchestrator.evidence.line import (
    CHECKPOINT,
    KEY_SUCCEEDED,
    EvidenceLine,
    hash_of,
    read_line,
)
from dr_orchestrator.evidence.signing import checkpoint, fingerprint, succession
from dr_orchestrator.store.chain_end import (
    ChainEnd,
    add_line,
    begin_chain,
    end_of,
    give_up,
    head_of,
    line_row,
    our_chain,
)
from dr_orchestrator.store.codec import instant_from, instant_text
from dr_orchestrator.store.disagreements import disagreements
from dr_orchestrator.store.schema import evidence, evidence_chain, verdict

if TYPE_CHECKING:
    from dr_orchestrator.evidence.canonical import Facts
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.store.base import ChainHead
    from dr_orchestrator.store.memory import Memory

_PORTION = 2000
"""Lines that are read or written in one transaction: some megabytes, some milliseconds."""


class SqlEvidence:
    """What was written down beside what it is about, and only ever added to; see `EvidenceLog`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def chains(self, practice: str) -> tuple[ChainHead, ...]:
        """Return the chains of a practice: ours first; see `EvidenceLog.chains`."""
        known = select(evidence_chain).filter_by(practice=practice)
        order = (evidence_chain.c.ours.desc(), evidence_chain.c.chain)
        with self._memory.reading() as connection:
            return tuple(
                head_of(connection, practice, row.chain, ours=row.ours)
                for row in connection.execute(known.order_by(*order)).all()
            )

    def lines(
        self,
        practice: str,
        *,
        chain: str | None = None,
        kinds: Collection[str] | None = None,
        since: datetime | None = None,
    ) -> Iterator[str]:
        """Yield lines as they were written; see `EvidenceLog.lines`."""
        for each in self._chain_ids(practice) if chain is None else (chain,):
            if kinds is None:
                walks = [self._walk(practice, each, None, since)]
            else:
                walks = [self._walk(practice, each, kind, since) for kind in sorted(set(kinds))]
            for _, line in heapq.merge(*walks):
                yield line

    def _chain_ids(self, practice: str) -> tuple[str, ...]:
        known = select(evidence_chain.c.chain).filter_by(practice=practice)
        order = (evidence_chain.c.ours.desc(), evidence_chain.c.chain)
        with self._memory.reading() as connection:
            return tuple(connection.execute(known.order_by(*order)).scalars())

    def _walk(
        self, practice: str, chain: str, kind: str | None, since: datetime | None
    ) -> Iterator[tuple[int, str]]:
        """Yield number and text of each line, of one kind where it is given."""
        wanted = select(evidence.c.number, evidence.c.line).order_by(evidence.c.number)
        wanted = wanted.filter_by(practice=practice, chain=chain).limit(_PORTION)
        if kind is not None:
            wanted = wanted.where(evidence.c.kind == kind)
        if since is not None:
            wanted = wanted.where(evidence.c.at >= since)
        last = 0
        while True:
            with self._memory.reading() as connection:
                portion = connection.execute(wanted.where(evidence.c.number > last)).all()
            yield from ((number, line) for number, line in portion)
            if len(portion) < _PORTION:
                return
            last = portion[-1].number

    def checkpoint(self, practice: str, signer: Signer) -> ChainHead | None:
        """Sign what was written since the last checkpoint; see `EvidenceLog.checkpoint`."""
        with self._memory.writing() as connection:
            chain = our_chain(connection, practice)
            if chain is None:
                return None
            head = head_of(connection, practice, chain, ours=True)
            if head.key != signer.public:
                raise _key_changed(head, signer)
            if not head.unsigned:
                return head
            now = self._memory.clock.now()
            about = checkpoint(signer, at=instant_text(now), **_after(head))
            _add(connection, head, now, CHECKPOINT, about)
            return head_of(connection, practice, chain, ours=True)

    def succeed(self, signer: Signer, following: Signer) -> int:
        """Let another key sign all our chains from now on; see `EvidenceLog.succeed`."""
        ours = select(evidence_chain).where(evidence_chain.c.ours == true())
        succeeded = 0
        with self._memory.writing() as connection:
            for row in connection.execute(ours.order_by(evidence_chain.c.practice)).all():
                head = head_of(connection, row.practice, row.chain, ours=True)
                if head.key == following.public:
                    continue
                if head.key != signer.public:
                    raise _key_changed(head, signer)
                now = self._memory.clock.now()
                about = succession(signer, following.public, at=instant_text(now), **_after(head))
                _add(connection, head, now, KEY_SUCCEEDED, about)
                succeeded += 1
        return succeeded

    def begin_anew(self, practice: str, signer: Signer) -> ChainHead | None:
        """Begin another chain of ours; see `EvidenceLog.begin_anew`."""
        with self._memory.writing() as connection:
            chain = our_chain(connection, practice)
            if chain is None:
                return None
            before = head_of(connection, practice, chain, ours=True)
            give_up(connection, practice)
            now = self._memory.clock.now()
            end = begin_chain(connection, practice, now, signer.public, after=before)
            return head_of(connection, practice, end.chain, ours=True)

    def take_in(self, practice: str, lines: Iterable[str]) -> int:
        """Add lines of other memories' chains; see `EvidenceLog.take_in`."""
        new, coming = 0, iter(lines)
        while portion := list(islice(coming, _PORTION)):
            with self._memory.writing() as connection:
                new += take_in_portion(connection, practice, portion)
        return new

    def disagreements(self, practice: str) -> tuple[str, ...]:
        """Return where our own record differs from its evidence; see `EvidenceLog`."""
        with self._memory.reading() as connection:
            return disagreements(connection, practice)

    def verdicts(self, practice: str) -> dict[tuple[str, Objective, str], Verdict]:
        """Return the newest recorded verdicts; see `EvidenceLog.verdicts`."""
        newest = select(verdict).filter_by(practice=practice)
        with self._memory.reading() as connection:
            return {
                (row.system, Objective(row.objective), row.repository): Verdict(row.verdict)
                for row in connection.execute(newest)
            }


def take_in_portion(connection: Connection, practice: str, portion: Iterable[str]) -> int:
    """Add what is new of lines that were verified before; return how many were.

    Raises:
        EvidenceConflict: see `EvidenceLog.take_in`.
    """
    read = [(read_line(text), text) for text in portion]
    of_chains = groupby(read, key=lambda each: each[0].chain)
    return sum(_take_in(connection, practice, chain, list(each)) for chain, each in of_chains)


def _after(head: ChainHead) -> dict[str, Any]:
    """Return the place of the line that follows a head."""
    return {
        "practice": head.practice,
        "chain": head.chain,
        "number": head.number + 1,
        "previous": head.head,
    }


def _add(connection: Connection, head: ChainHead, now: datetime, kind: str, about: Facts) -> None:
    end = ChainEnd(practice=head.practice, chain=head.chain, number=head.number, head=head.head)
    add_line(connection, end, at=now, kind=kind, about=about)


def _take_in(
    connection: Connection, practice: str, chain: str, lines: list[tuple[EvidenceLine, str]]
) -> int:
    """Add what is new of lines of one chain that come one after the other."""
    end = end_of(connection, practice, chain)
    known = select(evidence.c.number, evidence.c.line).filter_by(practice=practice, chain=chain)
    numbers = [line.number for line, _ in lines]
    within = evidence.c.number.between(min(numbers), max(numbers))
    text_known = {row.number: row.line for row in connection.execute(known.where(within))}
    rows = []
    for line, text in lines:
        if line.practice != practice:
            raise _conflict(line, f"it is about another practice, {line.practice}")
        if line.number <= end.number:
            if text_known.get(line.number) != text:
                raise _conflict(line, "another line is known under this number")
            continue
        if line.number != end.number + 1:
            raise _conflict(line, "the line before it is missing")
        if line.previous != end.head:
            raise _conflict(line, "it does not follow the line that is known before it")
        if line.number == 1:
            connection.execute(
                insert(evidence_chain).values(practice=practice, chain=chain, ours=False)
            )
        rows.append(line_row(line, instant_from(line.at), text))
        end = ChainEnd(practice=practice, chain=chain, number=line.number, head=hash_of(text))
    if rows:
        connection.execute(insert(evidence), rows)
    return len(rows)


def _conflict(line: EvidenceLine, why: str) -> EvidenceConflict:
    return EvidenceConflict(
        f"number {line.number} of chain {line.chain[:12]} cannot be taken in: {why}",
        hint="one of the two was altered; keep both, and verify each against a head that was "
        "noted elsewhere: dro evidence verify --expect HEAD",
    )


def _key_changed(head: ChainHead, signer: Signer) -> EvidenceKeyChanged:
    key = f"with the key {fingerprint(head.key)[:16]}" if head.key else "by nobody knows whom"
    return EvidenceKeyChanged(
        f"the evidence of {head.practice} is signed {key}, "
        f"and the one at hand is {fingerprint(signer.public)[:16]}",
        hint="put the key back into the state folder from where it was kept; if it is lost: "
        f"dro evidence begin-anew {head.practice}",
    )
