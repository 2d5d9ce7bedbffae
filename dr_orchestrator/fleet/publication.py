"""A site's status as a signed file: how it is written, and when it is believed.

What is signed is the file itself, as canonical JSON without its `signature`; so whoever can read
JSON can check it. A file is believed by the fingerprint its reader was told by another way, never
by anything that stands in it. The format is described in `docs/reference/published-status.md`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from dr_orchestrator.fleet.status import SiteStatus
from dr_orchestrator.store.codec import canonical_json, encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = 1
_PURPOSE = b"dr-orchestrator published status\n"
"""Stands before what is signed, so that no signature serves for anything else."""
_LONGEST = timedelta(days=366).total_seconds()


class NotBelieved(ValueError):
    """A file that is no word of the site it names. The text says why, for a person."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a site signs."""

    schema: int
    interval_seconds: Annotated[float, Field(gt=0, le=_LONGEST)]
    """How long until it is published again."""
    key: str
    """The public key (Ed25519, 64 hex digits) that fits the signature."""
    status: SiteStatus


def fingerprint(seed: bytes) -> str:
    """Return the fingerprint of the public key that belongs to a private one (32 bytes)."""
    return _fingerprint_of(_private(seed).public_key().public_bytes_raw())


def sign(status: SiteStatus, interval: timedelta, seed: bytes) -> bytes:
    """Return the file that a site publishes, signed with its private key (32 bytes)."""
    private = _private(seed)
    publication = Publication(
        schema=SCHEMA,
        interval_seconds=interval.total_seconds(),
        key=private.public_key().public_bytes_raw().hex(),
        status=status,
    )
    text = encode(publication, Publication)
    signature = private.sign(_PURPOSE + text.encode()).hex()
    return canonical_json({**json.loads(text), "signature": signature}).encode() + b"\n"


def believe(content: bytes, site: str, expected: str | None) -> Publication:
    """Return what a file says, if it is the word of `site`.

    `expected` is the fingerprint of the site's key, `None` where nobody told us one.

    Raises:
        NotBelieved: it is not, or nobody can say whether it is.
    """
    signed, text, signature = _parts(content)
    public = _hex(signed.get("key"))
    if not _fits(public, signature, _PURPOSE + text.encode(errors="replace")):
        raise NotBelieved("its signature does not fit: the file is damaged, or was changed")
    found = _fingerprint_of(public)
    if expected is None:
        raise NotBelieved(f"the settings name no such site; it is signed with the key {found}")
    if found != expected:
        raise NotBelieved(f"it is signed with the key {found}, which is not that of the site")
    publication = _read(signed, text)
    if publication.status.site != site:
        raise NotBelieved("it speaks of another site")
    return publication


def _parts(content: bytes) -> tuple[dict[str, Any], str, bytes]:
    """Return what a file says, the text of it that is signed, and the signature."""
    try:
        signed = json.loads(content)
        if not isinstance(signed, dict):
            raise NotBelieved("it holds no status: the file is damaged, or was changed")
        signature = _hex(signed.pop("signature", None))
        return signed, canonical_json(signed), signature
    except NotBelieved:
        raise
    except (ValueError, RecursionError):
        raise NotBelieved("it is no JSON: the file is damaged, or was changed") from None


def _hex(value: object) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


def _fits(public: bytes, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(signed: dict[str, Any], text: str) -> Publication:
    """Read what the site's own key has signed; a site that is not in its right mind may sign a lot.

    Writing it again finds times without a zone.
    """
    schema = signed.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise NotBelieved(f"a newer version of dro wrote it (schema {schema}): update this one")
    try:
        publication = _adapter().validate_json(text)
        encode(publication, Publication)
    except (ValueError, OverflowError):
        raise NotBelieved("it is signed by the site, but does not hold what it should") from None
    return publication


@cache
def _adapter() -> TypeAdapter[Publication]:
    return TypeAdapter(Publication)


def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _fingerprint_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()
