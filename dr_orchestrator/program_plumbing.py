"""The plumbing of process.py: the thread that forks, and what flows through a program's pipes.

Nobody else imports it, and it starts nothing by itself.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ProgramFailed, ProgramPrintedTooMuch

_T = TypeVar("_T")
OnLine = Callable[[bytes], None]
BLOCK = 65536
"""Bytes read at once; also what a pipe takes without a reader, so the most a secret may have."""
_KEPT_OUTPUT = 64 * 1024
"""Bytes that are kept of stderr, from its end: enough to classify a failure."""
_LONGEST_LINE = 1024 * 1024


class Spawner:
    """The one thread that forks. It never ends, so children live exactly as long as we do."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._pid = 0

    def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` in the spawner thread; return its value or raise its error."""
        with self._lock:
            if self._pid != os.getpid():  # first use, or we are a fork and the thread is gone
                self._calls = queue.SimpleQueue()
                threading.Thread(target=self._serve, name="spawner", daemon=True).start()
                self._pid = os.getpid()
        done = threading.Event()
        values: list[_T] = []
        errors: list[BaseException] = []

        def task() -> None:
            try:
                values.append(function())
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)
            done.set()

        self._calls.put(task)
        done.wait()
        if errors:
            raise errors[0]
        return values[0]

    def _serve(self) -> None:
        calls = self._calls
        while True:
            calls.get()()


class Sink(Protocol):
    """What becomes of the bytes that a program prints."""

    def take(self, block: bytes) -> None:
        """Take some more of it. What this raises ends the program."""
        ...

    def close(self) -> None:
        """Know that there is no more."""
        ...


class Tail:
    """Keeps the last 64 KiB."""

    def __init__(self) -> None:
        self._kept = b""

    def take(self, block: bytes) -> None:
        """Forget the oldest bytes for the newest."""
        self._kept = (self._kept + block)[-_KEPT_OUTPUT:]

    def close(self) -> None:
        """Keep what there is."""

    def text(self) -> str:
        """Return what is kept, undecodable bytes replaced."""
        return self._kept.decode(errors="replace")


class Whole:
    """Keeps everything, up to a limit."""

    def __init__(self, program: str, limit_bytes: int) -> None:
        self._program = program
        self._limit = limit_bytes
        self._buffer = bytearray()

    @property
    def content(self) -> bytes:
        """All of it so far."""
        return bytes(self._buffer)

    def take(self, block: bytes) -> None:
        """Keep it, unless it is too much."""
        self._buffer += block
        if len(self._buffer) > self._limit:
            raise ProgramPrintedTooMuch(f"{self._program} printed more than {self._limit:,} bytes")

    def close(self) -> None:
        """Keep what there is."""


class Lines:
    """Hands over line by line. Of a longer line only the first 1 MiB: memory stays bounded."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._rest = b""

    def take(self, block: bytes) -> None:
        """Hand over the lines that are complete."""
        *lines, rest = (self._rest + block).split(b"\n")
        self._rest = rest[:_LONGEST_LINE]
        for line in lines:
            self._on_line((line + b"\n")[:_LONGEST_LINE])

    def close(self) -> None:
        """Hand over a last line that has no newline."""
        if self._rest:
            self._on_line(self._rest)


@contextlib.contextmanager
def readable(stdin: int | bytes | None) -> Iterator[int | None]:
    """Lend a descriptor to read `stdin` from. Bytes lie in memory: no thread has to feed them."""
    if not isinstance(stdin, bytes):
        yield stdin
        return
    with open(os.memfd_create("stdin"), "w+b", buffering=0) as memory:  # noqa: PTH123 - no path
        rest = memoryview(stdin)
        while rest:
            rest = rest[memory.write(rest) :]
        memory.seek(0)
        yield memory.fileno()


def secret_pipe(secret: Secret) -> int:
    """Return the read end of a pipe that holds `secret` and then ends."""
    content = secret.reveal().encode()
    if not content or len(content) > BLOCK:
        raise ValueError("a secret must have 1 to 65,536 bytes")
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        written = os.write(write_end, content)
        os.set_blocking(read_end, True)
    finally:
        os.close(write_end)
    if written < len(content):  # an unprivileged user who has too many pipes gets small ones
        os.close(read_end)
        raise ProgramFailed("too many pipes are open to hand over a secret")
    return read_end


def secret_memory(secret: Secret) -> int:
    """Return a file that holds `secret`, on no disk: each time it is opened it is read anew."""
    descriptor = os.memfd_create("secret")
    with open(descriptor, "wb", buffering=0, closefd=False) as memory:
        memory.write(secret.reveal().encode())
    return descriptor
