"""Whether lines of evidence are what was once written: all of them, in order, unaltered, signed.

Reads a stream, line by line, in memory that does not grow with it. Whatever the bytes are, what is
wrong with them is a fault, and no error.

That a line is of an earlier time than the one before it is no fault: clocks are put right. What
came first is told by the numbers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NoReturn, TypeGuard

from dr_orchestrator.evidence.canonical import LARGEST, Fact, canonical
from dr_orchestrator.evidence.line import (
    CHAIN_STARTED,
    CHECKPOINT,
    KEY_SUCCEEDED,
    NOTHING_BEFORE,
    SCHEMA,
    SIGNATURE,
    EvidenceLine,
    read_line,
)
from dr_orchestrator.evidence.signing import fingerprint, is_signed

MOST_FAULTS = 20
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes: far beyond any line of ours."""
SHORTEST_HEAD = 12
"""Hex digits from the start of a hash that stand for it on paper."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is not as it was written."""

    where: str
    """For a person: `line 17 (number 17 of chain 3f2a…)`, `lines 16 and 17 (…)`."""
    what: str
    """One sentence."""
    is_altered: bool = True
    """Whether something is not as it was written; else nobody can tell who wrote it."""


@dataclass(frozen=True, kw_only=True)
class VerifiedChain:
    """One chain that was read to its end."""

    practice: str
    chain: str
    lines: int
    head: str
    """Hash of its last line."""
    first_at: str
    last_at: str
    keys: tuple[str, ...]
    """Fingerprints of the keys that signed, in order of succession."""
    unsigned: int
    """Lines after its last checkpoint: chained, and not signed yet."""
    complete_to: int = 0
    """Number of the newest of its lines whose hash was expected: up to there nothing is missing."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What came of verifying."""

    chains: tuple[VerifiedChain, ...]
    faults: tuple[Fault, ...]
    missing: tuple[str, ...] = field(default=())
    """Expected hashes that no line has: the tail was cut, or it is another chain."""

    @property
    def is_sound(self) -> bool:
        """Whether all was found as it was written, and as it was expected."""
        return bool(self.chains) and not self.faults and not self.missing

    @property
    def is_altered(self) -> bool:
        """Whether something was found that is not as it was written, or is missing."""
        return bool(self.missing) or any(each.is_altered for each in self.faults)


def verify(
    lines: Iterable[bytes],
    *,
    fingerprints: Collection[str] = (),
    expect: Collection[str] = (),
    must_be_signed: bool = True,
) -> Verification:
    """Read lines of evidence (with or without newline), of one chain after another, and say what is
    wrong.

    `fingerprints`: SHA-256 of public keys (64 hex digits), known from outside; each chain must
    begin with the key of one of them or be signed by it further on; empty: any, and the caller says
    so. Each later key must have been named by the one before. `expect`: hashes of lines (64 hex
    digits, or at least 12 from their start) that were noted elsewhere; each must be that of a line.
    With `must_be_signed` a chain ends with a checkpoint.

    After 20 faults it reads no further.
    """
    reading = _Reading(fingerprints, expect, must_be_signed=must_be_signed)
    for line in lines:
        reading.take(line)
        if len(reading.faults) >= MOST_FAULTS:
            more = Fault(where="…", what="and more: it was not read any further")
            return Verification(chains=tuple(reading.chains), faults=(*reading.faults, more))
    reading.end()
    return Verification(
        chains=tuple(reading.chains), faults=tuple(reading.faults), missing=reading.missing
    )


@dataclass
class _Chain:
    """A chain that is being read."""

    practice: str
    id: str
    first_at: str
    last_at: str = ""
    lines: int = 0
    last_line: int = 0
    """Which of all lines was read last."""
    number: int = 0
    """Of that line."""
    head: str = NOTHING_BEFORE
    key: str = ""
    """The one in force; empty where the line that says it is not there."""
    keys: list[str] = field(default_factory=list)
    signed_by: set[str] = field(default_factory=set)
    """Fingerprints of the keys whose signature was found to fit."""
    unsigned: int = 0
    complete_to: int = 0

    def follow(self, key: str) -> None:
        """From here on `key` is in force."""
        self.key = key
        self.keys.append(fingerprint(key))


class _Reading:
    """What is known after so many lines."""

    def __init__(
        self, fingerprints: Collection[str], expect: Collection[str], *, must_be_signed: bool
    ) -> None:
        self.chains: list[VerifiedChain] = []
        self.faults: list[Fault] = []
        self._known = {each.lower() for each in fingerprints}
        self._expected = {each: each.lower() for each in expect}
        self._beginnings = {each[:SHORTEST_HEAD] for each in self._expected.values()}
        self._must_be_signed = must_be_signed
        self._read = 0
        self._unreadable = 0
        """Lines since the last one that could be read."""
        self._chain: _Chain | None = None
        self._begun: set[str] = set()

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self._expected)

    def take(self, line: bytes) -> None:
        self._read += 1
        written = line.removesuffix(b"\n")
        try:
            at, chain_id, kind, digits, practice, previous = _parts(written)
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, _NotAsWritten) else "it is not readable"
            self._fault(f"line {self._read}", f"this is no line of evidence: {why}")
            self._unreadable += 1
            return
        chain, number = self._chain, int(digits)
        if chain is None or number == 1 or chain.id != chain_id or chain.practice != practice:
            self._end_chain()
            chain = self._chain = _Chain(practice=practice, id=chain_id, first_at=at)
            self._begin(chain, number, kind, previous)
        elif chain.number + 1 != number or chain.head != previous:
            self._look_at_gap(chain, number)
        self._unreadable = 0
        chain.number = number
        chain.head = hashlib.sha256(written).hexdigest()
        chain.last_at = at
        chain.last_line = self._read
        chain.lines += 1
        chain.unsigned += 1
        if kind in _OF_THE_CHAIN:
            self._look_at_key(chain, read_line(written.decode()))
        if chain.head[:SHORTEST_HEAD] in self._beginnings:
            self._find(chain)

    def end(self) -> None:
        self._end_chain()
        if not self._read:
            self._fault("the beginning", "there is no line of evidence")

    def _begin(self, chain: _Chain, number: int, kind: str, previous: str) -> None:
        here = _where(self._read, number, chain)
        if chain.id in self._begun:
            self._fault(
                here, "this chain was there before: it is there twice, or mixed with others"
            )
        elif self._unreadable:
            pass  # what could not be read is where it begins
        elif kind != CHAIN_STARTED or number != 1:
            self._fault(here, "this chain does not begin with its first line: that was removed")
        elif previous != NOTHING_BEFORE:
            self._fault(here, "the first line of a chain carries the hash of one before it")
        self._begun.add(chain.id)

    def _look_at_gap(self, chain: _Chain, number: int) -> None:
        due = chain.number + 1
        if self._unreadable and number == due + self._unreadable:
            return
        if number == due:
            what = "it does not carry the hash of the line before: one of the two was altered"
        elif number > due:
            what = f"lines were removed: {number} comes where {due} is due"
        else:
            what = f"a line was put in, or moved: {number} comes where {due} is due"
        where = f"lines {chain.last_line} and {self._read}"
        self._fault(f"{where} (numbers {chain.number} and {number} of {_name(chain)})", what)

    def _look_at_key(self, chain: _Chain, line: EvidenceLine) -> None:
        here = _where(self._read, line.number, chain)
        key, following = line.about.get("key"), line.about.get("next")
        if not _is_hex(key, 64):
            self._fault(here, "it names no key")
        elif line.kind == CHAIN_STARTED:
            if line.number != 1:
                self._fault(here, "a chain begins anew in its middle")
            chain.follow(key)
        elif chain.key not in {"", key}:
            self._fault(here, f"signed with a key that nobody named: {fingerprint(key)}")
        elif not _is_whole(line) or not is_signed(line):
            self._fault(here, "its signature does not fit: it was altered, or a line before it")
        else:
            chain.signed_by.add(fingerprint(key))
            if not chain.key:
                chain.follow(key)
            if _is_hex(following, 64):
                chain.follow(following)
        if line.kind == CHECKPOINT:
            chain.unsigned = 0

    def _find(self, chain: _Chain) -> None:
        left = {
            each: wanted
            for each, wanted in self._expected.items()
            if len(wanted) < SHORTEST_HEAD or not chain.head.startswith(wanted)
        }
        if len(left) < len(self._expected):
            chain.complete_to = chain.number
        self._expected = left

    def _end_chain(self) -> None:
        chain, self._chain = self._chain, None
        if chain is None:
            return
        here = _where(chain.last_line, chain.number, chain)
        if self._must_be_signed and chain.unsigned and not self._unreadable:
            self._fault(here, "the chain ends here without a signature: its end was removed")
        if self._known and self._known.isdisjoint({*chain.keys[:1], *chain.signed_by}):
            named = ", ".join(chain.keys) or "none"
            what = f"the chain is not signed with a key that was named, but with: {named}"
            self.faults.append(Fault(where=here, what=what, is_altered=False))
        self.chains.append(
            VerifiedChain(
                practice=chain.practice,
                chain=chain.id,
                lines=chain.lines,
                head=chain.head,
                first_at=chain.first_at,
                last_at=chain.last_at,
                keys=tuple(chain.keys),
                unsigned=chain.unsigned,
                complete_to=chain.complete_to,
            )
        )

    def _fault(self, where: str, what: str) -> None:
        self.faults.append(Fault(where=where, what=what))


class _NotAsWritten(ValueError):
    """A line is none of ours; its text says why."""


def _refuse(_: str) -> NoReturn:
    raise _NotAsWritten("it holds a fraction")


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST:
        raise _NotAsWritten("it holds a number that is too large")
    return number


_OF_THE_CHAIN = frozenset({CHAIN_STARTED, CHECKPOINT, KEY_SUCCEEDED})
_HEX = re.compile(r"[0-9a-f]*")
_BEGINNING = '{"about":'
_ENVELOPE = re.compile(
    r',"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)",'
    r'"chain":"([0-9a-f]{32})",'
    r'"kind":"([a-z_]+)",'
    r'"number":([1-9][0-9]{0,14}),'
    r'"practice":"([A-Za-z0-9._-]+)",'
    r'"previous":"([0-9a-f]{64})",'
    r'"record":"(?:[0-9a-f]{64})?",'
    rf'"schema":{SCHEMA}\}}',
    re.ASCII,
)
"""What comes after `about`, as canonical JSON writes it: no text in it can hold a quote."""
_SCHEMA = re.compile(r'"schema":(\d{1,9})\}\Z', re.ASCII)
_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_whole)
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)


def _parts(written: bytes) -> tuple[str, ...]:
    """Return when a line was written, its chain, kind, number, practice, and the hash that it
    carries. This is done a million times.
    """
    if len(written) > LONGEST_LINE:
        raise _NotAsWritten("it is longer than any")
    text = written.decode()
    end = text.rfind('},"at":') + 1
    envelope = _ENVELOPE.fullmatch(text, end)
    if envelope is None or not text.startswith(_BEGINNING):
        if (newer := _SCHEMA.search(text)) and int(newer[1]) > SCHEMA:
            raise _NotAsWritten(f"it says schema {newer[1]}, which only a newer version reads")
        raise _NotAsWritten("it is not written as they are")
    about = text[len(_BEGINNING) : end]
    said, _ = _DECODER.raw_decode(about)
    # read and written again it is the same text only where it was canonical
    if _ENCODER.encode(said) != about or not (about.isascii() or canonical(said) == about):
        raise _NotAsWritten("what it says is not written as canonical JSON is")
    return envelope.groups()


def _is_whole(line: EvidenceLine) -> bool:
    """Return whether a checkpoint or succession says what it has to, and nothing besides."""
    lengths = {"key": 64, SIGNATURE: 128}
    if line.kind == KEY_SUCCEEDED:
        lengths["next"] = 64
    return (
        not line.record
        and line.about.keys() == lengths.keys()
        and all(_is_hex(line.about[name], length) for name, length in lengths.items())
    )


def _is_hex(value: Fact, length: int) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) == length and _HEX.fullmatch(value) is not None


def _name(chain: _Chain) -> str:
    return f"chain {chain.id[:8]}…"


def _where(line: int, number: int, chain: _Chain) -> str:
    return f"line {line} (number {number} of {_name(chain)})"
