"""Where our own record differs from its evidence.

The evidence is signed and anchored, the journal and the tables are not: whoever edits these is
found by what the evidence says of them. Reads them once, in memory that grows with what is wrong
and with the number of results, not with the number of entries.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Select, Table, select

from dr_orchestrator.core.immutability import ImmutabilityTested
from dr_orchestrator.core.record import (
    ActionClosed,
    ActionOpened,
    DrillRecorded,
    PointForgotten,
    PointRecorded,
    PromiseRecorded,
    RepositoryChecked,
    RestoreTestRecorded,
    SignedOff,
)
from dr_orchestrator.core.verification import Result
from dr_orchestrator.evidence.facts import facts_of
from dr_orchestrator.evidence.line import EvidenceLine, read_line
from dr_orchestrator.store.chain_end import our_chain
from dr_orchestrator.store.codec import decode_entry, encode_entry, instant_text
from dr_orchestrator.store.rows import (
    action_from,
    drill_from,
    immutability_test_from,
    promise_from,
    restore_test_from,
    sign_off_from,
)
from dr_orchestrator.store.schema import (
    corrective_action,
    drill,
    evidence,
    immutability_test,
    journal,
    point,
    point_copy,
    promise,
    repository_check,
    restore_test,
    sign_off,
)

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import Entry
    from dr_orchestrator.core.sign_off import CorrectiveAction

_PORTION = 2000
_TOLD = 20
"""So many are named; where everything was replaced, more says nothing more."""
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
"""What reading raises of what we did not write like that."""


_Place = tuple[int, int]
"""Which of our chains, and the number of a line in it."""
_Line = tuple[_Place, str, str]
"""Place, kind, and `record` of a line."""
_Named = TypeVar("_Named")
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class _Results:
    """A table of results, each of which one entry of the journal recorded."""

    name: str
    table: Table
    entry_from: Callable[[Any], Entry]


_RESULTS = {
    "restore_test_recorded": _Results(
        "restore test",
        restore_test,
        lambda row: RestoreTestRecorded(test=restore_test_from(row)),
    ),
    "drill_recorded": _Results("drill", drill, lambda row: DrillRecorded(drill=drill_from(row))),
    "promise_recorded": _Results(
        "version of the promise", promise, lambda row: PromiseRecorded(promise=promise_from(row))
    ),
    "signed_off": _Results(
        "sign-off", sign_off, lambda row: SignedOff(sign_off=sign_off_from(row))
    ),
}
_FOLDED = frozenset(
    {
        *("action_opened", "action_closed", "point_recorded", "point_forgotten"),
        *("repository_checked", "immutability_tested"),
    }
)
"""Of several entries of these kinds a table holds what they came to."""


def disagreements(connection: Connection, practice: str) -> tuple[str, ...]:
    """Return, a sentence each, where the record of a practice differs from its evidence; see
    `EvidenceLog.disagreements`.
    """
    recorded = _Recorded()
    found = list(_in_journal(connection, practice, recorded))
    for kind, results in _RESULTS.items():
        rows = _in_results(connection, practice, results, recorded.results[kind])
        found += _readable(f"every {results.name}", rows)
    found += _readable("every corrective action", _in_actions(connection, practice, recorded))
    found += _readable("every recovery point", _in_points(connection, practice, recorded))
    found += _readable("every check of a repository", _in_checks(connection, practice, recorded))
    more = len(found) - _TOLD
    return (*found[:_TOLD], f"and {more} more") if more > 0 else tuple(found)


def _readable(what: str, found: Iterator[str]) -> Iterator[str]:
    try:
        yield from found
    except _UNREADABLE:
        yield f"not {what} can be read: one was altered"


class _Recorded:
    """What the journal says that the tables hold."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, tuple[bytes, int]]] = {kind: {} for kind in _RESULTS}
        """Kind -> id -> digest of the entry, and its place in the journal."""
        self.actions: dict[str, CorrectiveAction] = {}
        self.points: dict[str, bytes] = {}
        """Id -> digest of what a verdict takes from it."""
        self.copies: dict[tuple[str, str], str] = {}
        """Point and repository -> snapshot of the manifest."""
        self.checks: dict[tuple[str, int, int], RepositoryChecked] = {}
        self.immutability: dict[str, ImmutabilityTested] = {}

    def note(self, seq: int, kind: str, payload: str, digest: bytes) -> None:
        if kind in self.results:
            (said,) = json.loads(payload).values()
            self.results[kind][said["id"]] = (digest, seq)
        elif kind in _FOLDED:
            self._fold(decode_entry(kind, payload))

    def _fold(self, entry: Entry) -> None:
        """Take in what an entry changes, as `projection.py` does."""
        match entry:
            case ActionOpened(action=action):
                self.actions[action.id] = action
            case ActionClosed():
                self.actions[entry.id] = replace(
                    self.actions[entry.id], closed_at=entry.at, closed_by=entry.by, done=entry.done
                )
            case PointRecorded(point=recorded):
                self.points.setdefault(recorded.id, _digest_of_point(recorded))
                for each in recorded.copies:
                    place = (recorded.id, each.repository)
                    self.copies.setdefault(place, each.manifest_snapshot)
            case PointForgotten():
                self.copies.pop((entry.point, entry.repository), None)
            case RepositoryChecked():
                self.checks[entry.repository, entry.parts, entry.part] = entry
            case ImmutabilityTested():
                known = self.immutability.get(entry.repository)
                came_to_one = known is not None and known.result is not Result.UNPROVEN
                if not came_to_one or entry.result is not Result.UNPROVEN:
                    self.immutability[entry.repository] = entry


def _digest_of_point(each: RecoveryPoint | Any) -> bytes:
    """Return a digest of a point, or of its row: what it is of, and how old its data is."""
    instants = (each.as_of, each.finished, each.data_as_of)
    said = (each.system, each.run, *(at and instant_text(at) for at in instants))
    return sha256(repr(said).encode()).digest()


# --- journal against evidence --------------------------------------------------------------------


def _in_journal(connection: Connection, practice: str, recorded: _Recorded) -> Iterator[str]:
    chains = _our_chains(connection, practice)
    pairs = _Pairs(_bearing_out(connection, chains), [each.chain for each in chains])
    entries = select(journal.c.seq, journal.c.kind, journal.c.payload)
    entries = entries.where(journal.c.practice == practice).order_by(journal.c.seq)
    for at, (seq, kind, payload) in enumerate(_streamed(connection, entries)):
        digest = sha256(payload.encode())
        try:
            recorded.note(seq, kind, payload, digest.digest())
        except _UNREADABLE:
            yield f"line {seq} of the journal ({kind}) cannot be read"
        if chains and at >= chains[0].recorded_before:
            pairs.take(seq, kind, payload, digest.hexdigest())
    yield from pairs.left_over()


@dataclass(frozen=True)
class _OurChain:
    """A chain that this memory wrote, as far as it is about this memory's entries."""

    practice: str
    chain: str
    recorded_before: int
    """So many lines of the journal were there before it."""
    last: int | None
    """Number of its last line when it was given up for another; `None` where it goes on."""


def _our_chains(connection: Connection, practice: str) -> list[_OurChain]:
    """Return the chains that this memory wrote, one after the other."""
    found: list[_OurChain] = []
    chain, last = our_chain(connection, practice), None
    while chain is not None and chain not in {each.chain for each in found}:
        about = _beginning(connection, practice, chain)
        before = about.get("recorded_before")
        # Where that was altered, all there is has to be borne out.
        before = before if isinstance(before, int) else 0
        found.insert(0, _OurChain(practice, chain, before, last))
        match about.get("after"):
            case {"chain": str(given_up), "number": int(number)}:
                chain, last = given_up, number
            case _:
                chain = None
    return found


def _beginning(connection: Connection, practice: str, chain: str) -> Mapping[str, Any]:
    """Return what the first line of a chain says; nothing where it was altered."""
    first = select(evidence.c.line).filter_by(practice=practice, chain=chain, number=1)
    line = _read(connection.scalar(first) or "")
    return line.about if line is not None and isinstance(line.about, dict) else {}


def _read(text: str) -> EvidenceLine | None:
    """Return what a line says; `None` where it was altered so that it says nothing."""
    try:
        return read_line(text)
    except _UNREADABLE:
        return None


def _bearing_out(connection: Connection, chains: list[_OurChain]) -> Iterator[_Line]:
    """Yield what is said of each line that is about an entry, in the order of writing."""
    for at, each in enumerate(chains):
        wanted = select(evidence.c.number, evidence.c.kind, evidence.c.line)
        wanted = wanted.filter_by(practice=each.practice, chain=each.chain)
        if each.last is not None:
            wanted = wanted.where(evidence.c.number <= each.last)
        for number, kind, text in _streamed(connection, wanted.order_by(evidence.c.number)):
            line = _read(text)
            if line is not None and line.record:
                yield (at, number), kind, line.record


class _Pairs:
    """Pairs the entries of the journal with the lines that are about them, both in order.

    Where the two differ, both wait: for their like to come later, or to be left over.
    """

    def __init__(self, lines: Iterator[_Line], chains: list[str]) -> None:
        self._lines = lines
        self._chains = chains
        self._line = next(lines, None)
        self._lines_waiting: dict[str, deque[tuple[_Place, str]]] = defaultdict(deque)
        self._entries_waiting: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
        self._newest: tuple[_Place, int] = ((0, 0), 0)
        self._out_of_order: list[_Place] = []

    def take(self, seq: int, kind: str, payload: str, digest: str) -> None:
        """Pair the next entry of the journal."""
        if self._lines_waiting.get(digest):
            place, _ = self._lines_waiting[digest].popleft()
            self._pair(place, seq)
            return
        self._settle_waiting()
        if self._line is not None and self._line[2] == digest:
            self._pair(self._line[0], seq)
            self._go_on()
        elif _is_evidence(kind, payload):
            self._entries_waiting[digest].append((seq, kind))
            self._let_wait()

    def left_over(self) -> Iterator[str]:
        """Yield what found no like, once all entries were taken."""
        while self._line is not None:
            self._settle_waiting()
            self._let_wait()
        for place, kind in sorted(_flat(self._lines_waiting)):
            yield (
                f"{self._name(place)} ({kind}) is about an entry that the journal does not have: "
                "it was altered or removed there"
            )
        for seq, kind in sorted(_flat(self._entries_waiting)):
            yield f"line {seq} of the journal ({kind}) is in no evidence: it was altered or put in"
        for place in sorted(self._out_of_order):
            yield (
                f"{self._name(place)} is about an entry that stands elsewhere in the journal: its "
                "order was changed"
            )

    def _name(self, place: _Place) -> str:
        chain, number = place
        return f"number {number} of chain {self._chains[chain][:8]}…"

    def _settle_waiting(self) -> None:
        while self._line is not None and self._entries_waiting.get(self._line[2]):
            seq, _ = self._entries_waiting[self._line[2]].popleft()
            self._pair(self._line[0], seq)
            self._go_on()

    def _let_wait(self) -> None:
        if self._line is not None:
            place, kind, record = self._line
            self._lines_waiting[record].append((place, kind))
            self._go_on()

    def _go_on(self) -> None:
        self._line = next(self._lines, None)

    def _pair(self, place: _Place, seq: int) -> None:
        if place > self._newest[0] and seq > self._newest[1]:
            self._newest = (place, seq)
        else:
            self._out_of_order.append(place)


def _flat(waiting: dict[str, deque[_Named]]) -> Iterator[_Named]:
    for each in waiting.values():
        yield from each


def _is_evidence(kind: str, payload: str) -> bool:
    try:
        return facts_of(decode_entry(kind, payload)) is not None
    except _UNREADABLE:
        return True  # we did not write it like that


# --- tables against journal ----------------------------------------------------------------------


def _in_results(
    connection: Connection,
    practice: str,
    results: _Results,
    recorded: dict[str, tuple[bytes, int]],
) -> Iterator[str]:
    rows = select(results.table).filter_by(practice=practice)
    for row in _streamed(connection, rows):
        digest, seq = recorded.pop(row.id, (b"", 0))
        if not seq:
            yield f"the {results.name} {row.id} is in no line of the journal"
        elif not _says(connection, results, row, digest, seq):
            yield f"the {results.name} {row.id} is not the one that line {seq} of the journal has"
    for missing, (_, seq) in recorded.items():
        yield f"the {results.name} {missing} of line {seq} of the journal is gone"


def _says(connection: Connection, results: _Results, row: Any, digest: bytes, seq: int) -> bool:
    """Return whether a row says what an entry recorded."""
    try:
        entry = results.entry_from(row)
    except _UNREADABLE:
        return False
    if sha256(encode_entry(entry).encode()).digest() == digest:
        return True
    # An older version of this program wrote less into an entry, and means the same.
    line = select(journal.c.kind, journal.c.payload).where(journal.c.seq == seq)
    kind, payload = connection.execute(line).one()
    try:
        return decode_entry(kind, payload) == entry
    except _UNREADABLE:
        return False


def _in_actions(connection: Connection, practice: str, recorded: _Recorded) -> Iterator[str]:
    rows = connection.execute(select(corrective_action).filter_by(practice=practice))
    kept = {row.id: action_from(row) for row in rows}
    for each in _differing(kept, recorded.actions):
        yield f"the corrective action {each} is not as the journal has it"


def _in_points(connection: Connection, practice: str, recorded: _Recorded) -> Iterator[str]:
    for row in _streamed(connection, select(point).filter_by(practice=practice)):
        if recorded.points.pop(row.id, None) != _digest_of_point(row):
            yield f"the recovery point {row.id} is not as the journal has it"
    for missing in recorded.points:
        yield f"the recovery point {missing} of the journal is gone"
    for row in _streamed(connection, select(point_copy).filter_by(practice=practice)):
        if recorded.copies.pop((row.point, row.repository), None) != row.manifest_snapshot:
            yield f"the copy of {row.point} in {row.repository} is not as the journal has it"
    for missing, repository in recorded.copies:
        yield f"the copy of {missing} in {repository}, which the journal has, is gone"


def _in_checks(connection: Connection, practice: str, recorded: _Recorded) -> Iterator[str]:
    rows = connection.execute(select(repository_check).filter_by(practice=practice))
    checks = {
        (row.repository, row.parts, row.part): RepositoryChecked(**row._asdict()) for row in rows
    }
    for repository, parts, part in _differing(checks, recorded.checks):
        yield f"the check of part {part} of {parts} of {repository} is not as the journal has it"
    rows = connection.execute(select(immutability_test).filter_by(practice=practice))
    tests = {row.repository: immutability_test_from(row) for row in rows}
    for repository in _differing(tests, recorded.immutability):
        yield f"the test that {repository} cannot be destroyed is not as the journal has it"


def _differing(kept: Mapping[_Key, object], recorded: Mapping[_Key, object]) -> list[_Key]:
    return [each for each in {**kept, **recorded} if kept.get(each) != recorded.get(each)]


def _streamed(connection: Connection, wanted: Select[Any]) -> Iterator[Any]:
    """Yield rows without ever holding many."""
    for portion in connection.execution_options(yield_per=_PORTION).execute(wanted).partitions():
        yield from portion
