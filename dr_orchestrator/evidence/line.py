"""One line of evidence, as it is kept, exported and hashed: canonical JSON, and nothing beside it.

Each line carries the SHA-256 of the line before, so the last one stands for all of them: it is the
head. `sha256sum` computes it; nobody needs this program for that. The format is described in
`docs/reference/evidence.md`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from dr_orchestrator.evidence.canonical import Facts, canonical

SCHEMA = 1
NOTHING_BEFORE = "0" * 64
"""`previous` of the first line of a chain."""

CHAIN_STARTED = "chain_started"
"""The first line: which key signs (`key`, hex of an Ed25519 public key), and on which host."""
CHECKPOINT = "checkpoint"
"""Signs itself and all before it: `key` and `signature`, both hex. An export ends with one."""
KEY_SUCCEEDED = "key_succeeded"
"""Another key signs from here on: `key` (the old one), `next`, and `signature` by the old one."""
SIGNATURE = "signature"


@dataclass(frozen=True, kw_only=True)
class EvidenceLine:
    """What one line says."""

    practice: str
    chain: str
    """Which memory wrote it: 32 hex digits, drawn when the chain began."""
    number: int
    """From 1, without a gap."""
    at: str
    """When it was written: UTC, `2026-11-22T10:00:00.000000Z`."""
    kind: str
    about: Facts
    record: str
    """SHA-256 of the entry in our own journal that it is about; empty where it is about none."""
    previous: str


def text_of(line: EvidenceLine) -> str:
    """Return a line as it is written, without the newline."""
    return canonical(
        {
            "about": line.about,
            "at": line.at,
            "chain": line.chain,
            "kind": line.kind,
            "number": line.number,
            "practice": line.practice,
            "previous": line.previous,
            "record": line.record,
            "schema": SCHEMA,
        }
    )


def hash_of(text: str) -> str:
    """Return the hash of a line as it is written: what the next one carries, and what a head is."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_line(text: str) -> EvidenceLine:
    """Return what a line says.

    Raises:
        ValueError: it is no line of evidence of a schema we know.
    """
    said: Any = json.loads(text)
    if not isinstance(said, dict) or said.pop("schema", None) != SCHEMA:
        raise ValueError("no line of evidence, or one of a newer version")
    try:
        return EvidenceLine(**said)
    except TypeError:
        raise ValueError("no line of evidence") from None


def signed_part(line: EvidenceLine) -> bytes:
    """Return the bytes that the signature in a checkpoint or a succession is over: the line as it
    would be written without its signature.

    It carries the hash of the line before, so all lines before are signed with it.
    """
    about = {name: fact for name, fact in line.about.items() if name != SIGNATURE}
    return text_of(replace(line, about=about)).encode()
