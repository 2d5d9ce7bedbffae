"""What another memory knew of a practice, taken into this one: in one transaction, so that whoever
is killed has taken over nothing, or all.

The entries come with the lines of evidence that bear them out, and are held against these before
anything counts: what was altered on the way is found here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from dr_orchestrator.core.occurrence import Skipped
from dr_orchestrator.core.record import OccurrenceSettled, RunClosed, TakenOver
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import DroError, EvidenceConflict, UsageMistake
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.store import schema
from dr_orchestrator.store.chain_end import end_of, give_up, head_of, our_chain
from dr_orchestrator.store.codec import decode_entry, kind_of
from dr_orchestrator.store.disagreements import disagreements
from dr_orchestrator.store.kept_evidence import take_in_portion
from dr_orchestrator.store.projection import project

if TYPE_CHECKING:
    from dr_orchestrator.core.record import Entry
    from dr_orchestrator.store.base import HandedRecord, JournalLine
    from dr_orchestrator.store.memory import Memory

_PORTION = 2000
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
"""What reading and carrying out raise of what no memory of ours wrote."""


def take_over(memory: Memory, handed: HandedRecord, entry: TakenOver) -> bool:
    """Take in what another memory knew, and record `entry`; see `Store.take_over`."""
    with memory.writing() as connection:
        ours = our_chain(connection, entry.practice)
        if ours == entry.chain:
            return _take_back(memory, connection, entry)
        if _is_taken_over(connection, entry):
            return False
        if ours is not None or _is_known(connection, entry.practice):
            _require_handed_over(connection, entry.practice)
        ends = _take_in(connection, entry.practice, handed.evidence)
        if ends.get(entry.chain) != entry.number:
            raise _conflict(entry, "its own chain does not end where it was handed over")
        new: Iterable[JournalLine] = handed.journal
        if ours is not None:
            _require_nothing_since(connection, entry, ours, ends.get(ours, 0))
            new = _since_we_had_it(handed.journal, entry, ours)
            give_up(connection, entry.practice)
        _carry_out(connection, entry, new)
        before = head_of(connection, entry.practice, entry.chain, ours=False)
        memory.begin_chain(connection, before)
        memory.write_down(connection, entry)
        _end_what_was_begun(memory, connection, entry)
        if found := disagreements(connection, entry.practice):
            raise _conflict(entry, found[0])
        return True


def _take_back(memory: Memory, connection: Connection, entry: TakenOver) -> bool:
    """Go on with a practice that nobody else did anything for: it is as we left it."""
    if not _is_handed_over(connection, entry.practice):
        return False
    end = end_of(connection, entry.practice, entry.chain)
    if end.number < entry.number:
        raise _conflict(entry, "this machine has less of its own chain: it was set back")
    memory.write_down(connection, entry)
    return True


def _is_handed_over(connection: Connection, practice: str) -> bool:
    table = schema.handed_over
    return connection.execute(select(table).filter_by(practice=practice)).first() is not None


def _is_known(connection: Connection, practice: str) -> bool:
    known = select(schema.journal.c.seq).filter_by(practice=practice).limit(1)
    return connection.execute(known).first() is not None


def _require_handed_over(connection: Connection, practice: str) -> None:
    if not _is_handed_over(connection, practice):
        raise UsageMistake(
            f"{practice} is known here already, and was not handed over from here",
            hint="name a state folder that never saw it, in the machine's settings",
        )


def _is_taken_over(connection: Connection, entry: TakenOver) -> bool:
    """Return whether we go on from there already."""
    if _is_handed_over(connection, entry.practice):
        return False
    wanted = select(schema.journal.c.payload).filter_by(
        practice=entry.practice, kind=kind_of(entry)
    )
    taken = (decode_entry(kind_of(entry), each) for each in connection.scalars(wanted))
    return any(
        isinstance(each, TakenOver) and (each.chain, each.number) == (entry.chain, entry.number)
        for each in taken
    )


def _take_in(connection: Connection, practice: str, lines: Iterable[str]) -> dict[str, int]:
    """Add all lines, and return by chain the number of its last one."""
    ends, coming = dict[str, int](), iter(lines)
    while portion := list(islice(coming, _PORTION)):
        take_in_portion(connection, practice, portion)
        for text in portion:
            line = read_line(text)
            ends[line.chain] = line.number
    return ends


def _require_nothing_since(
    connection: Connection, entry: TakenOver, ours: str, known_there: int
) -> None:
    if end_of(connection, entry.practice, ours).number != known_there:
        why = "it does not know all that this machine recorded before it handed the practice over"
        raise _conflict(entry, why if known_there else "it never had our chain")


def _since_we_had_it(
    journal: Iterable[JournalLine], entry: TakenOver, ours: str
) -> list[JournalLine]:
    """Return what was recorded elsewhere since somebody last took the practice over from us."""
    since: list[JournalLine] = []
    for each in journal:
        taken = _read(each, entry) if each.kind == kind_of(entry) else None
        if isinstance(taken, TakenOver) and taken.chain == ours:
            since = [each]
        elif since:
            since.append(each)
    if not since:
        raise _conflict(entry, "nobody took it over from this machine")
    return since


def _carry_out(connection: Connection, entry: TakenOver, journal: Iterable[JournalLine]) -> None:
    coming = iter(journal)
    while portion := list(islice(coming, _PORTION)):
        for each in portion:
            decoded = _read(each, entry)
            try:
                practice = project(connection, decoded)
            except (*_UNREADABLE, DroError):
                raise _conflict(entry, f"line {each.seq} ({each.kind}) does not fit") from None
            if practice not in {None, entry.practice}:
                raise _conflict(entry, f"line {each.seq} ({each.kind}) is of another practice")
        rows = [
            {"at": each.at, "kind": each.kind, "practice": entry.practice, "payload": each.payload}
            for each in portion
        ]
        connection.execute(insert(schema.journal), rows)


def _read(line: JournalLine, entry: TakenOver) -> Entry:
    try:
        return decode_entry(line.kind, line.payload)
    except _UNREADABLE:
        raise _conflict(entry, f"line {line.seq} ({line.kind}) cannot be read") from None


def _end_what_was_begun(memory: Memory, connection: Connection, entry: TakenOver) -> None:
    """Close what nobody here will: what still ran there, and what came due there and waits. A
    schedule begins anew, so that nothing which came due in between comes at once.
    """
    runs, due = schema.run, schema.occurrence
    still_open = select(runs.c.id).where(
        runs.c.practice == entry.practice, runs.c.finished_at.is_(None)
    )
    for each in connection.scalars(still_open).all():
        closed = RunClosed(
            run=each, finished_at=entry.at, outcome=Outcome.INTERRUPTED, reason=Skipped.HANDED_OVER
        )
        memory.write_down(connection, closed)
    waiting = select(due.c.id).where(due.c.practice == entry.practice, due.c.settled_at.is_(None))
    for each in connection.scalars(waiting).all():
        settled = OccurrenceSettled(
            occurrence=each, at=entry.at, outcome=None, reason=Skipped.HANDED_OVER
        )
        memory.write_down(connection, settled)
        connection.execute(delete(schema.claim).filter_by(occurrence=each))
    begun = schema.schedule.c.id.startswith(f"{entry.practice}/", autoescape=True)
    connection.execute(delete(schema.schedule).where(begun))


def _conflict(entry: TakenOver, why: str) -> EvidenceConflict:
    return EvidenceConflict(
        f"what {entry.giver} handed over of {entry.practice} cannot be taken in: {why}",
        hint="nothing was taken over; ask for it once more",
    )
