"""Signatures that a person makes with her own SSH key: `ssh-keygen -Y sign`.

The format is OpenSSH's `PROTOCOL.sshsig`; only Ed25519 keys are taken. Nothing but a person's own
machine ever sees the private key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import TYPE_CHECKING

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.evidence.signing import fits

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "dr-orchestrator"
"""`ssh-keygen -Y sign -n dr-orchestrator`: a signature given for something else is none for us."""
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC, _VERSION, _TYPE = b"SSHSIG", 1, b"ssh-ed25519"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_HINT = f"ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE"


def signature_in(armored: bytes, message: bytes, public_key: str) -> str:
    """Return the signature (hex) in what `ssh-keygen -Y sign` wrote, if it is one over `message` by
    `public_key` (a line as in `id_ed25519.pub`).

    Raises:
        UsageMistake: it is none, or it was made with another key, over another text, or for another
            purpose.
    """
    signed_by, namespace, reserved, hash_name, signature = _parts(armored)
    if namespace != NAMESPACE.encode():
        raise UsageMistake("the signature was made for another purpose", hint=_HINT)
    if signed_by != key_in(public_key):
        raise UsageMistake(
            "the signature was made with another key than the plan names",
            hint="see `signing_key` of the contact",
        )
    if hash_name not in _HASHES:
        raise UsageMistake("the signature uses an unknown hash", hint=_HINT)
    digest = _HASHES[hash_name](message).digest()
    content = _MAGIC + b"".join(map(_string, (namespace, reserved, hash_name, digest)))
    if not fits(signed_by.hex(), signature.hex(), content):
        raise UsageMistake(
            "the signature does not fit: the statement is not the one that was signed",
            hint="sign and hand in the very same file",
        )
    return signature.hex()


def key_in(public_key: str) -> bytes:
    """Return the 32 bytes of a public key as in `id_ed25519.pub`.

    Raises:
        UsageMistake: it is no such line.
    """
    try:
        return _key_of(base64.b64decode(public_key.split()[1], validate=True))
    except (IndexError, ValueError, struct.error, binascii.Error):
        raise UsageMistake("`signing_key` is no Ed25519 public key of SSH") from None


def _parts(armored: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return key, namespace, reserved, name of the hash, and signature."""
    try:
        text = armored.decode("ascii").strip()
        if not (text.startswith(_BEGIN) and text.endswith(_END)):
            raise ValueError(text)
        blob = base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
        head, version = len(_MAGIC), struct.unpack_from(">I", blob, len(_MAGIC))[0]
        if blob[:head] != _MAGIC or version != _VERSION:
            raise ValueError(text)
        key, namespace, reserved, hash_name, signature = _strings(blob[head + 4 :])
        kind, raw = _strings(signature)
        if kind != _TYPE:
            raise ValueError(text)
        return _key_of(key), namespace, reserved, hash_name, raw
    except (ValueError, struct.error, binascii.Error):
        raise UsageMistake("this is no Ed25519 signature of `ssh-keygen`", hint=_HINT) from None


def _key_of(blob: bytes) -> bytes:
    kind, raw = _strings(blob)
    if kind != _TYPE:
        raise ValueError(kind)
    return raw


def _strings(blob: bytes) -> Iterator[bytes]:
    """Yield the strings of a blob: each four bytes of length, then so many (RFC 4251, 5)."""
    at = 0
    while at < len(blob):
        (length,) = struct.unpack_from(">I", blob, at)
        at += 4
        if at + length > len(blob):
            raise ValueError("cut off")
        yield blob[at : at + length]
        at += length


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content
