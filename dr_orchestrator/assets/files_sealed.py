"""Files that an application sealed: whether a key opens them, without opening them.

A sealed file is a prefix, then in base64 an HMAC and all that it is of (an initialisation vector
and what AES made). The HMAC fits only the key it was made with and only whole, untouched content;
so it proves both without decrypting anything. No key is in any result, error or representation.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

from dr_orchestrator.errors import CouldNotVerify

_BLOCK = 4 * 65_536
"""Bytes; base64 is decoded in fours."""


class Sealed(Enum):
    """What became of one sealed file."""

    FITS = "fits"
    BROKEN = "broken"
    """Damaged, or sealed with another key than the one of that name."""
    KEY_MISSING = "key missing"
    UNKNOWN = "unknown"
    """It begins with none of the prefixes."""


@dataclass(frozen=True)
class Seal:
    """How files are sealed, and the keys."""

    by: Mapping[str, str]
    """Prefix -> name of the key."""
    algorithm: str
    keys: Mapping[str, bytes] = field(repr=False)

    def look(self, file: BinaryIO) -> Sealed:
        """Say whether the file is whole and sealed with the key its prefix names."""
        longest = max(map(len, self.by))
        start = file.read(longest)
        prefix = next((each for each in self.by if start.startswith(each.encode())), None)
        if prefix is None:
            return Sealed.UNKNOWN
        key = self.keys.get(self.by[prefix])
        if key is None:
            return Sealed.KEY_MISSING
        file.seek(len(prefix))
        try:
            return Sealed.FITS if self._fits(file, key) else Sealed.BROKEN
        except binascii.Error:
            return Sealed.BROKEN

    def _fits(self, file: BinaryIO, key: bytes) -> bool:
        mac = hmac.new(key, digestmod=self.algorithm)
        stated = b""
        while block := file.read(_BLOCK):
            content = b64decode(block.rstrip(b"\r\n"), validate=True)
            if not stated:
                stated, content = content[: mac.digest_size], content[mac.digest_size :]
            mac.update(content)
        return hmac.compare_digest(stated, mac.digest())


def read_keys(rows: Iterable[tuple[object, ...]]) -> dict[str, bytes]:
    """Return the keys that rows of a name and a key in base64 hold; others are passed over.

    Raises:
        CouldNotVerify: a row is not of two columns.
    """
    keys = {}
    for row in rows:
        if len(row) != 2:  # noqa: PLR2004 - name and key
            raise CouldNotVerify("the query for keys must answer two columns: name, and key")
        name, key = (
            each.decode("ascii", "replace") if isinstance(each, bytes) else each for each in row
        )
        if isinstance(name, str) and isinstance(key, str):
            try:
                keys[name] = b64decode(key, validate=True)
            except ValueError:
                continue
    return {name: key for name, key in keys.items() if key}


def digest_of(algorithms: Iterable[str], expected: object) -> tuple[str, bytes] | None:
    """Return a digest as bytes with its algorithm, which its length tells, however a row has it;
    `None` where it is of none of them.
    """
    if isinstance(expected, memoryview):
        expected = bytes(expected)
    if isinstance(expected, str):
        try:
            expected = bytes.fromhex(expected.strip().removeprefix("\\x"))
        except ValueError:
            return None
    if not isinstance(expected, bytes):
        return None
    for algorithm in algorithms:
        if hashlib.new(algorithm).digest_size == len(expected):
            return algorithm, expected
    return None
