"""From a producer to the repositories, without ever letting an incomplete stream look complete.

restic takes the end of its stdin for success, so we own every pipe into restic and close it only
after the producer exited 0 and its stream passed its own check. Otherwise restic is told to give up
*before* its stdin is closed, and leaves no snapshot (engine facts: 15 of 15 with SIGINT).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from typing import TYPE_CHECKING, Self

from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import CaptureFailed, DroError
from dr_orchestrator.process import exit_words, known_cause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from dr_orchestrator.assets.base import Stream
    from dr_orchestrator.process import Child
    from dr_orchestrator.repositories.base import Saved, StreamSave

_BLOCK = 1024 * 1024
_EDGE = 4096
"""Bytes kept of the beginning and the end of a stream, for its check."""


def save_stream(
    stream: Stream,
    sinks: Mapping[str, Callable[[int], StreamSave]],
    *,
    timeout: timedelta,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> dict[str, Saved | DroError]:
    """Run the producer once and save its stream in every sink.

    `sinks` maps a repository's name to a function that starts a save from the read end of a pipe.
    Returns for each what was saved, or why not; one repository's failure does not stop another.

    Raises:
        CaptureFailed: the producer failed, or its stream is not complete. No sink has a snapshot.
    """
    with _Sinks(sinks) as open_sinks:
        size = _produce(stream, open_sinks, timeout, on_bytes)
        if size == 0:
            raise CaptureFailed(f"{stream.name}: the producer's stream was empty")
        saved = open_sinks.complete()
    return {name: _whole(stream, each, size) for name, each in saved.items()}


def _produce(
    stream: Stream, sinks: _Sinks, timeout: timedelta, on_bytes: Callable[[int], None]
) -> int:
    """Move the stream into the sinks; return its size once the producer has succeeded."""
    read_end, write_end = _pipe()
    with open(read_end, "rb", buffering=0) as source:  # noqa: PTH123 - a descriptor
        try:
            producer = stream.start(write_end)
        finally:
            os.close(write_end)
        watch = _Watch(producer, sinks, timeout)
        try:
            first, last, size = b"", b"", 0
            while block := source.read(_BLOCK):
                sinks.write(block)
                stream.watch(block)
                size += len(block)
                first = (first + block[:_EDGE])[:_EDGE]
                last = (last + block[-_EDGE:])[-_EDGE:]
                on_bytes(size)
            code = producer.wait()
        except BaseException:
            producer.end()
            watch.raise_if_expired(stream)
            raise
        finally:
            watch.stop()
    watch.raise_if_expired(stream)
    if code != 0:
        cause = f"{exit_words(code)}{known_cause(producer.stderr)}"
        generic = CaptureFailed(f"{stream.name}: the producer failed ({cause})")
        raise stream.failure() if stream.failure else generic
    stream.check(first, last, size)
    return size


def _whole(stream: Stream, saved: Saved | DroError, size: int) -> Saved | DroError:
    """Hold restic's own count against ours: part of a stream must not pass for all of it."""
    if isinstance(saved, DroError) or saved.bytes == size:
        return saved
    return CaptureFailed(
        f"{stream.name}: restic saved {saved.bytes:,} bytes of a stream of {size:,}"
    )


class _Sinks:
    """The saves that are under way. Leaving the block without `complete` aborts them all."""

    def __init__(self, sinks: Mapping[str, Callable[[int], StreamSave]]) -> None:
        self._start = sinks
        self._saves: dict[str, tuple[StreamSave, int]] = {}
        self._results: dict[str, Saved | DroError] = {}

    def __enter__(self) -> Self:
        for name, start in self._start.items():
            read_end, write_end = _pipe()
            try:
                self._saves[name] = (start(read_end), write_end)
            except DroError as error:
                os.close(write_end)
                self._results[name] = error
            except BaseException:
                os.close(write_end)
                self.abort()
                raise
            finally:
                os.close(read_end)
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, block: bytes) -> None:
        for name, (save, write_end) in list(self._saves.items()):
            try:
                _write_all(write_end, block)
            except BrokenPipeError:
                self._give_up(name, save, write_end)
        if not self._saves:
            raise _no_sink_left(self._results)

    def _give_up(self, name: str, save: StreamSave, write_end: int) -> None:
        """Restic ended by itself: learn why."""
        del self._saves[name]
        os.close(write_end)
        try:
            save.finish()
        except DroError as error:
            self._results[name] = error
        else:
            self._results[name] = CaptureFailed("restic ended before the stream did")

    def complete(self) -> dict[str, Saved | DroError]:
        """Let every save see the end of the stream, and wait for it."""
        saves, self._saves = self._saves, {}
        for _, write_end in saves.values():
            os.close(write_end)
        for name, (save, _) in saves.items():
            try:
                self._results[name] = save.finish()
            except DroError as error:
                self._results[name] = error
        return self._results

    def stop_all(self) -> None:
        """Make every save give up; may be called from another thread, closes nothing."""
        for save, _ in tuple(self._saves.values()):
            save.abort()

    def abort(self) -> None:
        """Make every save give up first, and only then close its pipe."""
        saves, self._saves = self._saves, {}
        for save, write_end in saves.values():
            try:
                save.abort()
            finally:
                os.close(write_end)


def _no_sink_left(results: Mapping[str, Saved | DroError]) -> DroError:
    reasons = "; ".join(
        f"{name}: {result.message}"
        for name, result in results.items()
        if isinstance(result, DroError)
    )
    errors = [result for result in results.values() if isinstance(result, DroError)]
    if len(errors) == 1:
        return errors[0]
    return CaptureFailed(f"no repository took the stream: {reasons}")


class _Watch:
    """Makes blocked reads and writes return when the time is up: ends the producer and makes the
    saves give up. Closing the pipes stays with the thread that owns them.
    """

    def __init__(self, producer: Child, sinks: _Sinks, timeout: timedelta) -> None:
        self._expired = False
        self._producer = producer
        self._sinks = sinks
        self._timeout = timeout
        self._timer = threading.Timer(timeout.total_seconds(), self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        self._expired = True
        self._producer.end()
        self._sinks.stop_all()

    def stop(self) -> None:
        self._timer.cancel()

    def raise_if_expired(self, stream: Stream) -> None:
        if self._expired:
            raise CaptureFailed(
                f"{stream.name}: not finished within {duration_words(self._timeout)}, given up",
                hint="raise the asset's `timeout`, or find out what slows the server down",
            ) from None


def _pipe() -> tuple[int, int]:
    read_end, write_end = os.pipe()
    with contextlib.suppress(
        OSError
    ):  # the unprivileged limit may be lower; smaller only costs time
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _BLOCK)
    return read_end, write_end


def _write_all(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
