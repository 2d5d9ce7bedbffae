"""What leads to one server: a unix socket in a sandbox that has no network, the only way out of it;
or a port of 127.0.0.1, the only way in, which no other machine reaches.

What is said there is passed on as it is, and nothing but it: whoever speaks to it reaches the
server we dial, and no other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Line(Protocol):
    """A connection, as `socket.socket` is one. One thread may receive while another sends."""

    def recv(self, bufsize: int, /) -> bytes:
        """Return what comes next, nothing at the end."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        ...

    def shutdown(self, how: int, /) -> None:
        """Cut it in this direction."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


Dial = Callable[[], Line]
"""Opens a line to the server. Raises `OSError` where it cannot."""

_LINES = 64
"""At once, so that hostile data cannot use up our memory."""
_BLOCK = 256 * 1024
LOOPBACK = "127.0.0.1"


@contextmanager
def relay(path: Path, dial: Dial, *, owner: tuple[int, int]) -> Iterator[None]:
    """Listen on the new unix socket `path`, which belongs to `owner` (uid, gid), and pass on what
    is said to a line of its own each. All lines are cut when the block is left.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(listening):
        listening.bind(str(path))
        # Programs of the owner may see the folder by now: a link in its place is not followed.
        if os.geteuid() == 0:
            os.chown(path, *owner, follow_symlinks=False)
        listening.listen(_LINES)
        with passing_on(listening, dial):
            yield


def loopback_port(port: int) -> socket.socket:
    """Take a port of 127.0.0.1, a free one where it is 0. Every user of this machine can come to
    it, and waits there until `passing_on`.

    Raises:
        OSError: it is taken, or not for us.
    """
    return socket.create_server((LOOPBACK, port), backlog=_LINES)


@contextmanager
def passing_on(listening: socket.socket, dial: Dial) -> Iterator[None]:
    """Answer who comes to a socket that listens, and pass on what is said to a line of its own
    each. All lines are cut when the block is left.
    """
    exchange = _Exchange(listening, dial)
    thread = threading.Thread(target=exchange.serve, name="relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        exchange.close()
        thread.join()


class _Exchange:
    """The lines that are open, two threads each: one a direction."""

    def __init__(self, listening: socket.socket, dial: Dial) -> None:
        self._listening = listening
        self._dial = dial
        self._open: set[Line] = set()
        self._closed = False
        self._lock = threading.Lock()

    def serve(self) -> None:
        while True:
            try:
                inside, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(inside,), daemon=True).start()

    def close(self) -> None:
        """Accept nothing more, and cut what is open."""
        with self._lock:
            self._closed = True
            for each in (self._listening, *self._open):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _connect(self, inside: socket.socket) -> None:
        with contextlib.closing(inside), self._known(inside):
            try:
                outside = self._dial()
            except OSError:
                return  # the program inside finds its line cut: the lab is gone
            with contextlib.closing(outside), self._known(outside):
                back = threading.Thread(target=_pass_on, args=(outside, inside), daemon=True)
                back.start()
                _pass_on(inside, outside)
                back.join()

    @contextmanager
    def _known(self, line: Line) -> Iterator[None]:
        with self._lock:
            if self._closed or len(self._open) >= 2 * _LINES:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            self._open.add(line)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(line)


def _pass_on(source: Line, sink: Line) -> None:
    """Pass on until `source` has nothing more to say, then say so to `sink`."""
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            sink.sendall(block)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def dial_path(path: Path) -> socket.socket:
    """Open a line to the unix socket at `path`.

    Raises:
        OSError: it cannot be opened.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(path))
    except OSError:
        line.close()
        raise
    return line
