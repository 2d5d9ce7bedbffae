"""Copies of the evidence in a repository: found by tag, and told apart by what their tags say.

A copy is a small folder that a person can read with nothing but restic: `evidence.jsonl` has the
lines of all chains that a memory knew, `head.json` is the last line of its own, whose SHA-256 is
the head. Number and head stand in the tags too: what was once saved here can be held against a
chain without reading any of it. Whoever can write here can write any of that: a copy proves what it
says by the signature in its last line, never by being here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dr_orchestrator.errors import EvidenceConflict
from dr_orchestrator.repositories.base import Repository, Saved, Snapshot
from dr_orchestrator.repositories.manifests import tag_value

EVIDENCE = "evidence"
"""What the tag `dro` says of such a snapshot."""
LINES_FILE, HEAD_FILE = "evidence.jsonl", "head.json"
_SAVE_TIMEOUT = timedelta(hours=1)
_MOST_BYTES = 1024**3
_HEAD_LIMIT = 64 * 1024
_CHAIN, _HEAD = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, kw_only=True)
class EvidenceCopy:
    """A copy of the evidence as a repository lists it."""

    chain: str
    """Whose memory saved it."""
    number: int
    """Of the last line of that chain in it."""
    head: str
    """Hash of that line."""
    snapshot: Snapshot


def save_evidence(
    repository: Repository,
    practice: str,
    folder: Path,
    *,
    chain: str,
    number: int,
    head: str,
    at: datetime,
) -> Saved:
    """Save a folder that holds a copy.

    Raises:
        CaptureFailed, RepositoryError: by its class; then there is no copy.
    """
    tags = {
        "dro": EVIDENCE,
        "practice": practice,
        "chain": chain,
        "number": str(number),
        "head": head,
    }
    return repository.save_tree(folder, tags=tags, time=at, timeout=_SAVE_TIMEOUT)


def evidence_among(snapshots: Iterable[Snapshot], practice: str) -> tuple[EvidenceCopy, ...]:
    """Return the copies among `snapshots`; what says it is one and not of what is none."""
    found = []
    for each in snapshots:
        chain, number, head = (tag_value(each, key) for key in ("chain", "number", "head"))
        if (
            (tag_value(each, "dro"), tag_value(each, "practice")) == (EVIDENCE, practice)
            and _CHAIN.fullmatch(chain)
            and _NUMBER.fullmatch(number)
            and _HEAD.fullmatch(head)
        ):
            found.append(EvidenceCopy(chain=chain, number=int(number), head=head, snapshot=each))
    return tuple(found)


def evidence_in(repository: Repository, practice: str) -> tuple[EvidenceCopy, ...]:
    """Return all copies that a repository lists, oldest first.

    Raises:
        RepositoryError: by its class.
    """
    return evidence_among(repository.snapshots({"dro": EVIDENCE, "practice": practice}), practice)


def read_evidence(repository: Repository, practice: str) -> Mapping[str, tuple[bytes, ...]]:
    """Return the lines of every chain that a repository holds, as the longest copy has them. They
    are data, whoever saved them: nothing is verified here.

    Raises:
        EvidenceConflict: what says it is a copy holds something else.
        RepositoryError: by its class.
    """
    newest: dict[str, EvidenceCopy] = {}
    for copy in evidence_in(repository, practice):
        before = newest.get(copy.chain)
        if before is None or copy.number >= before.number:
            newest[copy.chain] = copy
    chains: dict[str, tuple[bytes, ...]] = {}
    for copy in newest.values():
        for chain, lines in _by_chain(_read(repository, copy, LINES_FILE, _MOST_BYTES), copy):
            if len(lines) > len(chains.get(chain, ())):
                chains[chain] = lines
    return chains


def last_line(repository: Repository, copy: EvidenceCopy) -> str:
    """Return the last line of the chain that a copy is of.

    Raises:
        RepositoryError: by its class.
    """
    return _read(repository, copy, HEAD_FILE, _HEAD_LIMIT).decode(errors="replace")


def _read(repository: Repository, copy: EvidenceCopy, name: str, limit_bytes: int) -> bytes:
    folder = copy.snapshot.paths[0].rstrip("/") if copy.snapshot.paths else ""
    return repository.read_file(copy.snapshot.id, f"{folder}/{name}", limit_bytes=limit_bytes)


def _by_chain(content: bytes, copy: EvidenceCopy) -> Iterable[tuple[str, tuple[bytes, ...]]]:
    chains: dict[str, list[bytes]] = {}
    try:
        for line in content.splitlines():
            chains.setdefault(str(json.loads(line)["chain"]), []).append(line)
    except (ValueError, KeyError, TypeError):
        raise EvidenceConflict(
            f"the copy of the evidence in snapshot {copy.snapshot.id[:8]} is none",
            hint="somebody else saved it, or it is damaged: another repository may hold a good one",
        ) from None
    return [(chain, tuple(lines)) for chain, lines in chains.items()]
