"""Whoever removes what was restored when its opener no longer can."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import CouldNotVerify, SandboxNotRemoved
from dr_orchestrator.process import Child, Command, ProcessIdentity, SystemLauncher
from dr_orchestrator.restore.watch import watch, watched
from tests.support.clock import FakeClock


@pytest.fixture
def opener() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(("sleep", "600")) as process:
        yield process
        process.kill()


def _identity(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    return identity


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    source, sink = os.pipe()
    try:
        yield source, sink
    finally:
        os.close(source)
        with contextlib.suppress(OSError):
            os.close(sink)


def test_watch_ends_an_opener_that_hangs_when_its_time_is_over(
    opener: subprocess.Popen[bytes],
) -> None:
    opener.send_signal(signal.SIGSTOP)
    swept: list[int | None] = []

    def sweep() -> int:
        swept.append(opener.poll())
        return 1

    with _pipe() as (source, sink):
        os.write(sink, b"open\n")
        begun = time.monotonic()
        watch(source, _identity(opener), clock=SystemClock(), seconds=0.2, sweep=sweep)
        assert time.monotonic() - begun >= 0.2
    assert swept == [-signal.SIGKILL]


def test_watch_sweeps_again_where_somebody_else_sweeps_or_something_is_not_dead_yet(
    opener: subprocess.Popen[bytes],
) -> None:
    gone = _identity(opener)
    opener.kill()
    opener.wait()
    answers: list[int | SandboxNotRemoved] = [0, SandboxNotRemoved("busy"), 1]

    def sweep() -> int:
        answer = answers.pop(0)
        if isinstance(answer, SandboxNotRemoved):
            raise answer
        return answer

    with _pipe() as (source, sink):
        os.close(sink)  # before it was open
        watch(source, gone, clock=FakeClock(), seconds=600, sweep=sweep)
    assert answers == []


def _start(*argv: str) -> Child:
    command = Command(argv=argv, timeout=timedelta(minutes=1))
    return SystemLauncher("/usr/bin:/bin").start_apart(command, stdin=subprocess.DEVNULL)


def test_nothing_is_open_without_a_watcher() -> None:
    def start(_source: int) -> Child:
        child = _start("true")
        child.wait()
        return child

    with (
        watched(start) as watcher,
        pytest.raises(CouldNotVerify, match="removes restored data"),
    ):
        watcher.begin()


def test_a_watcher_goes_when_it_is_not_needed_and_stays_when_it_is() -> None:
    begun: list[Child] = []

    def start(_source: int) -> Child:
        begun.append(_start("sleep", "600"))
        return begun[-1]

    with watched(start):
        meanwhile = begun[0].running
    assert (meanwhile, begun[0].running) == (True, False)
    with pytest.raises(SandboxNotRemoved):
        _fail_to_remove(start)
    assert begun[1].running
    begun[1].end(grace=0)


def _fail_to_remove(start: Callable[[int], Child]) -> None:
    with watched(start):
        raise SandboxNotRemoved("busy")
