"""Signatures over evidence: Ed25519 (RFC 8032), by the library `cryptography`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.evidence.line import (
    CHECKPOINT,
    KEY_SUCCEEDED,
    SIGNATURE,
    EvidenceLine,
    signed_part,
)

if TYPE_CHECKING:
    from dr_orchestrator.evidence.canonical import Facts


@dataclass(frozen=True)
class Signer:
    """A private key that signs evidence. Never shown, recorded or saved with it."""

    seed: bytes
    """32 bytes: any are an Ed25519 private key."""

    def __repr__(self) -> str:
        return "Signer()"

    @property
    def public(self) -> str:
        """The public key, as hex."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return key.public_key().public_bytes_raw().hex()

    def sign(self, content: bytes) -> str:
        """Return the signature of `content`, as hex."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(content).hex()


def fingerprint(public: str) -> str:
    """Return the fingerprint of a public key (hex): the SHA-256 of its 32 bytes, 64 hex digits."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


def fits(public: str, signature: str, content: bytes) -> bool:
    """Return whether `signature` (hex) over `content` was made with the key of `public` (hex)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def checkpoint(
    signer: Signer, *, practice: str, chain: str, number: int, at: str, previous: str
) -> Facts:
    """Return what a checkpoint says as line `number`, over all that is before it and itself.

    `at` as the line has it; its `record` is empty.
    """
    line = EvidenceLine(
        practice=practice,
        chain=chain,
        number=number,
        at=at,
        kind=CHECKPOINT,
        about={"key": signer.public},
        record="",
        previous=previous,
    )
    return _signed(line, signer)


def succession(
    signer: Signer,
    following: str,
    *,
    practice: str,
    chain: str,
    number: int,
    at: str,
    previous: str,
) -> Facts:
    """Return what line `number` says when another key (public, hex) signs from there on."""
    line = EvidenceLine(
        practice=practice,
        chain=chain,
        number=number,
        at=at,
        kind=KEY_SUCCEEDED,
        about={"key": signer.public, "next": following},
        record="",
        previous=previous,
    )
    return _signed(line, signer)


def is_signed(line: EvidenceLine) -> bool:
    """Return whether the signature in a checkpoint or a succession fits it and all before it."""
    public, signature = line.about.get("key"), line.about.get(SIGNATURE)
    return (
        isinstance(public, str)
        and isinstance(signature, str)
        and fits(public, signature, signed_part(line))
    )


def _signed(line: EvidenceLine, signer: Signer) -> Facts:
    return {**line.about, SIGNATURE: signer.sign(signed_part(line))}
