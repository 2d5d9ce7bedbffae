"""The folder by which a practice goes to another machine: what is in it, by which hash, and whose
key signed that.

It says of itself only that it is whole. Who signed it a person has to know from elsewhere: from the
page that both sides put their names to.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dr_orchestrator import __version__
from dr_orchestrator.errors import EvidenceConflict, PlanInvalid, UsageMistake
from dr_orchestrator.evidence.bundle import lines_in
from dr_orchestrator.evidence.canonical import canonical
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.signing import fingerprint, fits
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.store.base import HandedRecord, JournalLine
from dr_orchestrator.store.codec import instant_from, instant_text
from dr_orchestrator.store.schema import STORE_VERSION

if TYPE_CHECKING:
    from dr_orchestrator.evidence.canonical import Facts
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.plan.load import LoadedPlan

SCHEMA = 1
WHAT = "a practice that is handed over"
"""Stands in what is signed, so that no signature over anything else is one over this."""

HANDOVER = "handover.json"
PLAN = "plan.yaml"
"""As it stands in the file; of one with templates, what they come to together."""
EFFECTIVE_PLAN = "effective-plan.yaml"
RUNBOOKS, PACKS = "runbooks", "packs"
RECORD = "record.jsonl"
EVIDENCE = "evidence.zip"
FILES_KEY = "files.key"

ANOTHER_MAY_HAVE_IT = (
    "if another machine went on with it meanwhile, both do now: stop that one, and hand it "
    "over from there instead"
)
"""What whoever takes a practice back is to know: no folder tells."""

_SIGNATURE = "signature"
_LARGEST = 4 * 1024 * 1024
"""Bytes of a file that is read at once; far more than any plan has."""
_HEX64 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Giver:
    """Who hands what over, and how far its chain had come: what `handover.json` says."""

    practice: str
    at: datetime
    by: str
    to: str
    why: str
    host: str
    """The machine that had it."""
    chain: str
    number: int
    head: str
    key: str
    """The public key (hex) that signs at the end of that chain, and signs this."""

    @property
    def fingerprint(self) -> str:
        """Of that key: what stands on the page."""
        return fingerprint(self.key)


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A folder that was found whole, and read."""

    folder: Path
    giver: Giver
    loaded: LoadedPlan
    """None of its commands runs."""
    runbooks: Mapping[str, bytes]
    """File name -> content; those that are the practice's own."""
    packs: Mapping[str, bytes]
    files_key: bytes
    is_vouched: bool
    """Whether somebody said whose key it is."""

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.giver.practice

    def record(self) -> HandedRecord:
        """Return what its memory knew, read as it is asked for."""
        return HandedRecord(
            journal=_journal_in(self.folder / RECORD),
            evidence=(line.rstrip(b"\n").decode() for line in lines_in(self.folder / EVIDENCE)),
        )


# --- written -------------------------------------------------------------------------------------


def journal_text(lines: Iterable[JournalLine]) -> Iterator[bytes]:
    """Yield the lines of `record.jsonl`: each entry as the text that its evidence is a hash of."""
    for each in lines:
        said = {
            "seq": each.seq,
            "at": instant_text(each.at),
            "kind": each.kind,
            "payload": each.payload,
        }
        yield f"{json.dumps(said, ensure_ascii=False)}\n".encode()


def handover_json(folder: Path, giver: Giver, signer: Signer) -> bytes:
    """Return what says what the folder holds, signed."""
    said: dict[str, Any] = {
        "schema": SCHEMA,
        "what": WHAT,
        "practice": giver.practice,
        "at": instant_text(giver.at),
        "by": giver.by,
        "to": giver.to,
        "why": giver.why,
        "host": giver.host,
        "version": __version__,
        "store": STORE_VERSION,
        "evidence": {
            "chain": giver.chain,
            "number": giver.number,
            "head": giver.head,
            "key": giver.key,
        },
        # a list, since the names of files may be any text
        "files": [
            {"name": name, "sha256": _sha256(folder / name)} for name in sorted(_files(folder))
        ],
    }
    said[_SIGNATURE] = signer.sign(canonical(said).encode())
    return f"{json.dumps(said, ensure_ascii=False, indent=1)}\n".encode()


# --- read ----------------------------------------------------------------------------------------


def read_handed(folder: Path, *, keys: Collection[str] = ()) -> Handed:
    """Verify a folder and read it. `keys` are fingerprints (64 hex digits) that a person has from
    elsewhere: the giver's chain has to be signed with one of them; with none, nobody vouches.

    Raises:
        UsageMistake: there is no such folder, or a newer version wrote it.
        EvidenceConflict: something in it is not as it was written, or another key signed it.
        PlanInvalid: its plan cannot be used by this version.
    """
    said = _said_in(folder)
    giver = _giver(folder, said)
    _require_signed(folder, said, giver)
    _require_whole(folder, said)
    signed_with = _require_evidence(folder, giver)
    if keys and signed_with.isdisjoint(each.lower() for each in keys):
        raise EvidenceConflict(
            f"{folder} is signed with the key {giver.fingerprint}, and not with one that was named",
            hint="compare it with the page that the other side signed: somebody else may have "
            "made this folder",
        )
    loaded = _plan(folder, giver)
    return Handed(
        folder=folder,
        giver=giver,
        loaded=loaded,
        runbooks=_below(folder, RUNBOOKS),
        packs=_below(folder, PACKS),
        files_key=_small(folder / FILES_KEY),
        is_vouched=bool(keys),
    )


def _said_in(folder: Path) -> dict[str, Any]:
    try:
        said = json.loads(_small(folder / HANDOVER))
    except ValueError:
        raise _altered(folder, f"{HANDOVER} cannot be read") from None
    if not isinstance(said, dict) or said.get("what") != WHAT:
        raise UsageMistake(f"{folder} holds no practice that was handed over")
    newer = said.get("schema") != SCHEMA or str(said.get("store")) > STORE_VERSION
    if newer:
        raise UsageMistake(
            f"{folder} was written by a newer version of dro ({said.get('version')})",
            hint="update dr-orchestrator on this machine",
        )
    return said


def _giver(folder: Path, said: Mapping[str, Any]) -> Giver:
    try:
        chain = said["evidence"]
        giver = Giver(
            at=instant_from(said["at"]),
            number=int(chain["number"]),
            **{name: str(said[name]) for name in ("practice", "by", "to", "why", "host")},
            **{name: str(chain[name]) for name in ("chain", "head", "key")},
        )
    except _UNREADABLE:
        raise _altered(folder, f"{HANDOVER} does not say who hands it over") from None
    if not (_HEX64.fullmatch(giver.head) and _HEX64.fullmatch(giver.key)):
        raise _altered(folder, f"{HANDOVER} names no key")
    return giver


def _require_signed(folder: Path, said: Mapping[str, Any], giver: Giver) -> None:
    signed: Facts = {name: fact for name, fact in said.items() if name != _SIGNATURE}
    try:
        content = canonical(signed).encode()
    except _UNREADABLE:
        content = b""
    if not (content and fits(giver.key, str(said.get(_SIGNATURE)), content)):
        raise _altered(folder, f"the signature of {HANDOVER} does not fit it")


def _require_whole(folder: Path, said: Mapping[str, Any]) -> None:
    try:
        listed = {each["name"]: each["sha256"] for each in said["files"]}
    except _UNREADABLE:
        raise _altered(folder, f"{HANDOVER} lists no files") from None
    found = set(_files(folder)) - {HANDOVER}
    for name in sorted(found ^ listed.keys()):
        how = "is in it, and in no list" if name in found else "is missing"
        raise _altered(folder, f"{name} {how}")
    for name, sha256 in listed.items():
        if _sha256(folder / name) != sha256:
            raise _altered(folder, f"{name} is not the file that was handed over")


def _require_evidence(folder: Path, giver: Giver) -> frozenset[str]:
    """Return the fingerprints of the keys that signed the giver's chain, one after the other."""
    found = verify(lines_in(folder / EVIDENCE), expect=[giver.head])
    if found.faults:
        raise _altered(folder, f"{EVIDENCE}: {found.faults[0].where}: {found.faults[0].what}")
    for each in found.chains:
        if each.practice != giver.practice:
            raise _altered(folder, f"{EVIDENCE} is of another practice, {each.practice}")
        end = (each.chain, each.lines, each.head, each.keys[-1])
        if end == (giver.chain, giver.number, giver.head, giver.fingerprint):
            return frozenset(each.keys)
    raise _altered(folder, f"{EVIDENCE} does not end where {HANDOVER} says")


def _plan(folder: Path, giver: Giver) -> LoadedPlan:
    try:
        loaded = read_plan(_small(folder / PLAN), f"the plan in {folder}")
    except PlanInvalid as error:
        error.hint = error.hint or "the version of dro that wrote it takes it for valid: update"
        raise
    if loaded.plan.practice.id != giver.practice:
        raise _altered(folder, f"{PLAN} is of another practice")
    return loaded


def _below(folder: Path, name: str) -> dict[str, bytes]:
    below = folder / name
    found = sorted(below.iterdir()) if below.is_dir() else []
    for each in found:
        if not _NAME.fullmatch(each.name) or not each.is_file():
            raise _altered(folder, f"{name} holds what is no file of ours")
    return {each.name: _small(each) for each in found}


def _journal_in(file: Path) -> Iterator[JournalLine]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                said = json.loads(line)
                yield JournalLine(
                    seq=number,
                    at=instant_from(said["at"]),
                    kind=str(said["kind"]),
                    practice="",
                    payload=str(said["payload"]),
                )
            except _UNREADABLE:
                raise _altered(file.parent, f"line {number} of {RECORD} cannot be read") from None


def _files(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder.

    Raises:
        EvidenceConflict: something else lies there: a link, a pipe.
    """
    for each in folder.rglob("*"):
        name = str(PurePosixPath(each.relative_to(folder)))
        if each.is_symlink() or not (each.is_dir() or each.is_file()):
            raise _altered(folder, f"{name} is no file")
        if each.is_file():
            yield name


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _small(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            read = content.read(_LARGEST + 1)
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise UsageMistake(
            f"{file} cannot be read: {why}",
            hint="name the folder that `dro handover` wrote",
        ) from None
    if len(read) > _LARGEST:
        raise _altered(file.parent, f"{file.name} is larger than any")
    return read


def _altered(folder: Path, what: str) -> EvidenceConflict:
    return EvidenceConflict(
        f"{folder} is not as it was handed over: {what}",
        hint="nothing was taken over; ask for it once more",
    )
