"""Sealed files: a MAC tells whether content and key belong together, without opening anything."""

from __future__ import annotations

import hashlib
import hmac
import io
from base64 import b64encode

import pytest

from dr_orchestrator.assets.files_sealed import Seal, Sealed, digest_of, read_keys
from dr_orchestrator.errors import CouldNotVerify

_KEY = b"k" * 32
_SEAL = Seal({"006": "sixb", "005": "fiveb"}, "sha384", {"sixb": _KEY})


def sealed(hidden: bytes, *, key: bytes = _KEY, prefix: bytes = b"006") -> bytes:
    return prefix + b64encode(hmac.digest(key, hidden, "sha384") + hidden)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 200_000, 600_001])
def test_look_finds_that_whole_content_fits_its_key(size: int) -> None:
    assert _SEAL.look(io.BytesIO(sealed(b"x" * size))) is Sealed.FITS
    assert _SEAL.look(io.BytesIO(sealed(b"x" * size) + b"\n")) is Sealed.FITS


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (sealed(b"x" * 99, key=b"another key"), Sealed.BROKEN),
        (sealed(b"x" * 99)[:-4], Sealed.BROKEN),
        (sealed(b"x" * 99)[:-3], Sealed.BROKEN),
        (sealed(b"x" * 99)[:50] + b"\0" + sealed(b"x" * 99)[51:], Sealed.BROKEN),
        (b"006", Sealed.BROKEN),
        (sealed(b"x", prefix=b"005"), Sealed.KEY_MISSING),
        (sealed(b"x", prefix=b"009"), Sealed.UNKNOWN),
        (b"", Sealed.UNKNOWN),
        (b"%PDF", Sealed.UNKNOWN),
    ],
)
def test_look_tells_what_does_not_fit(content: bytes, expected: Sealed) -> None:
    assert _SEAL.look(io.BytesIO(content)) is expected


def test_seal_does_not_show_its_keys() -> None:
    assert "kkkk" not in repr(_SEAL)


def test_read_keys_passes_over_what_is_no_key() -> None:
    value = b64encode(_KEY).decode()
    rows = [("sixb", value), (b"sixa", value.encode()), ("x", "no base64!"), ("y", None), ("z", "")]

    assert read_keys(rows) == {"sixb": _KEY, "sixa": _KEY}
    with pytest.raises(CouldNotVerify, match="two columns"):
        read_keys([("sixb",)])


def test_digest_of_tells_the_algorithm_by_the_length() -> None:
    known = ("sha1", "sha3_512")
    sha1, sha3 = hashlib.sha1(b"x"), hashlib.sha3_512(b"x")  # noqa: S324 - what an EMR stored

    assert digest_of(known, sha1.hexdigest()) == ("sha1", sha1.digest())
    assert digest_of(known, sha3.hexdigest().upper()) == ("sha3_512", sha3.digest())
    assert digest_of(known, hashlib.sha256(b"x").hexdigest()) is None
    assert digest_of(known, "not hex") is None
