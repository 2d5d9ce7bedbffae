"""The certificate that a TLS server shows, taken without believing it.

It tells when the certificate ends, and nothing of who answers: nothing secret goes over this line.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable

Greeting = Callable[[socket.socket], None]
"""Says what the protocol wants said before both sides begin to encrypt."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's manual, "Message Formats": SSLRequest."""


def greet_nobody(_line: socket.socket) -> None:
    """Begin at once, as HTTPS does."""


def greet_postgres(line: socket.socket) -> None:
    """Ask a PostgreSQL server to encrypt.

    Raises:
        ConnectionError: it does not.
    """
    line.sendall(_SSL_REQUEST)
    if line.recv(1) != b"S":
        raise ConnectionError("the server does not encrypt")


def shown_certificate(
    host: str, port: int, *, seconds: float, greet: Greeting = greet_nobody
) -> bytes | None:
    """Return the certificate (DER) of who answers; `None` where none is shown.

    Raises:
        OSError: nobody answers in time, or not by TLS (`ssl.SSLError` is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), seconds) as line:
        greet(line)
        with context.wrap_socket(line, server_hostname=host) as encrypted:
            return encrypted.getpeercert(binary_form=True)
