"""A producer that runs before anybody takes its output, and is never held up by who takes it.

A server gives a session up whose client stops reading for a minute (`net_write_timeout`), and a
lock may be held until all is read: so what a slow repository has not taken yet waits in a file
without a name. It is gone with us, whatever happens. The end of the output is passed on only where
the producer's own came; whether the producer succeeded is for others to ask.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from dr_orchestrator.process import Child

_BLOCK = 1024 * 1024
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_JOIN_SECONDS = 5.0


class Relay:
    """What stands between a producer and whoever takes its stream. Leave it by `close`."""

    def __init__(self, folder: Path, on_end: Callable[[], None]) -> None:
        """Take a folder to wait in; `on_end` is called when the producer has ended."""
        self._file = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._room = shutil.disk_usage(folder).free // 2
        self._on_end = on_end
        self._changed = threading.Condition()
        self._written = 0
        self._sent = 0
        self._ended = False
        self._given_up = False
        self._threads: list[threading.Thread] = []

    @property
    def ended(self) -> bool:
        """Whether the producer's output came to its end."""
        return self._ended

    def start(self, launch: Callable[[int], Child]) -> Child:
        """Start the producer, with its output into this relay."""
        source, sink = os.pipe()
        try:
            producer = launch(sink)
        except BaseException:
            os.close(source)
            raise
        finally:
            os.close(sink)
        self._run(self._take, source)
        return producer

    def wait_for_output(self, seconds: float) -> bool:
        """Wait until the producer wrote something; return whether it did in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._written or self._ended, seconds)
            return self._written > 0

    def hand_to(self, stdout: int) -> None:
        """Write all that came and comes to a copy of `stdout`, which is closed at the end."""
        self._run(self._pass_on, os.dup(stdout))

    def close(self) -> None:
        """Stop, once the producer has ended."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self._file)

    def _run(self, work: Callable[[int], None], descriptor: int) -> None:
        thread = threading.Thread(target=work, args=(descriptor,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _take(self, source: int) -> None:
        with open(source, "rb", buffering=0) as pipe, contextlib.suppress(OSError):
            while (block := pipe.read(_BLOCK)) and self._keep(block):
                pass
        # Closed: where we gave up, or the disk did, the producer's next write fails, and it ends.
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._on_end()

    def _keep(self, block: bytes) -> bool:
        """Put `block` at the end of the file, when there is room; return whether to go on."""
        with self._changed:
            rest = memoryview(block)
            while rest and not self._given_up:
                written = self._write(rest)
                rest = rest[written:]
                self._written += written
                self._changed.notify_all()
                if rest:
                    self._changed.wait(1)
            return not self._given_up

    def _write(self, block: memoryview) -> int:
        if self._written and self._written + len(block) > self._room:
            return 0
        try:
            return os.pwrite(self._file, block, self._written)
        except OSError as error:
            if error.errno in _NO_ROOM:
                return 0
            raise

    def _pass_on(self, out: int) -> None:
        try:
            while count := self._wait_for_more():
                sent = os.sendfile(out, self._file, self._sent, count)
                with self._changed:
                    self._sent += sent
        except OSError:  # whoever took it has gone; the producer is to end
            with self._changed:
                self._given_up = True
                self._changed.notify_all()
        finally:
            os.close(out)

    def _wait_for_more(self) -> int:
        """Return how many bytes wait, 0 at the end. What is passed on takes no room any more."""
        with self._changed:
            while True:
                if self._given_up or self._sent < self._written:
                    return 0 if self._given_up else self._written - self._sent
                if self._ended:
                    return 0
                if self._written:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._file, 0)
                    self._written = self._sent = 0
                    self._changed.notify_all()
                self._changed.wait()
