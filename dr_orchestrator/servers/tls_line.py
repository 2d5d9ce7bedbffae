"""An encrypted line on which one thread may receive while another sends.

`ssl.SSLSocket` must not be used so before Python 3.13 (cpython gh-124984), hence memory buffers
under a lock of our own.
"""

from __future__ import annotations

import socket
import ssl
import threading

_BLOCK = 64 * 1024


class TlsLine:
    """TLS over a connected socket. Encrypts, and proves nothing of who answers."""

    def __init__(self, line: socket.socket) -> None:
        """Shake hands.

        Raises:
            OSError: the other side does not (`ssl.SSLError` is one).
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._line = line
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send)
        self._state = threading.Lock()
        self._sending = threading.Lock()
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
        self._flush()

    def recv(self, bufsize: int, /) -> bytes:
        """Return what the other side says next; nothing once it has ended."""
        while True:
            with self._state:
                try:
                    return self._tls.read(bufsize)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            self._receive()

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`."""
        with self._sending:
            with self._state:
                self._tls.write(data)
            self._flush()

    def shutdown(self, how: int, /) -> None:
        """Cut the line in this direction, or in both."""
        self._line.shutdown(how)

    def close(self) -> None:
        """Give up the socket."""
        self._line.close()

    def _receive(self) -> None:
        block = self._line.recv(_BLOCK)
        with self._state:
            if block:
                self._received.write(block)
            else:
                self._received.write_eof()

    def _flush(self) -> None:
        with self._state:
            waiting = self._to_send.read()
        self._line.sendall(waiting)
