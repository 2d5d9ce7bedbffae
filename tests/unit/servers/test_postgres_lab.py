"""What a program inside is not told of the encryption outside."""

from __future__ import annotations

import struct
from typing import cast

import pytest

from dr_orchestrator.servers.postgres_lab import _WithoutBinding
from dr_orchestrator.servers.tls_line import TlsLine


def _offered(*mechanisms: bytes) -> bytes:
    body = struct.pack("!i", 10) + b"".join(each + b"\0" for each in mechanisms) + b"\0"
    return b"R" + struct.pack("!i", 4 + len(body)) + body


OFFER = _offered(b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256")
PLAIN = _offered(b"SCRAM-SHA-256")


class Said:
    """A line on which all was said, in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces]

    def recv(self, bufsize: int, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


def _heard(*pieces: bytes) -> bytes:
    line = _WithoutBinding(cast("TlsLine", Said(*pieces)))
    heard = b""
    while block := line.recv(65536):
        heard += block
    return heard


@pytest.mark.parametrize("cut", [1, 3, 5, 9, 20, len(OFFER)])
def test_the_offer_to_bind_is_left_out_however_it_arrives(cut: int) -> None:
    assert _heard(OFFER[:cut], OFFER[cut:] + b"more") == PLAIN + b"more"


@pytest.mark.parametrize(
    "said", [PLAIN, b"R\x00\x00\x00\x08\x00\x00\x00\x00", b"E\x00\x00\x00\x09SFATAL", b"R\x00", b""]
)
def test_anything_else_is_passed_on_as_it_is(said: bytes) -> None:
    assert _heard(said) == said


def test_rows_that_look_like_an_offer_are_left_alone() -> None:
    assert _heard(PLAIN, OFFER) == PLAIN + OFFER
