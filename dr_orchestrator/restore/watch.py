"""Somebody who outlives us while restored data lies open, and removes it where we no longer can.

A process of our own (`dro open_watch`), started before anything is restored. It reads a pipe of
which only the opener has the other end: when that is gone without a word, or the time is over and
the opener still there, it sees that the opener is dead, and removes what it left. It knows no
secret and touches nothing else, and an opener that cleaned up by itself has no more use for it.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from dr_orchestrator.errors import CouldNotVerify, SandboxNotRemoved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.process import Child, ProcessIdentity

_OPEN = b"open\n"
_PAUSE_SECONDS = 0.1
_SWEEPS = 10
_SWEEP_PAUSE_SECONDS = 1.0


class Watcher:
    """The other process, as the opener has it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def begin(self) -> None:
        """Say that the time begins.

        Raises:
            CouldNotVerify: nobody is there to hear it.
        """
        try:
            os.write(self._pipe, _OPEN)
        except BrokenPipeError:
            raise CouldNotVerify(
                "the process ended that removes restored data where this one cannot any more"
            ) from None


@contextlib.contextmanager
def watched(start: Callable[[int], Child]) -> Iterator[Watcher]:
    """Have a watcher until the block is left; `start` starts it with a descriptor to read from.

    Where restored data could not be removed by us, it lives on, and tries once we are gone.
    """
    source, sink = os.pipe2(os.O_CLOEXEC)
    try:
        child = start(source)
    except BaseException:
        os.close(sink)
        raise
    finally:
        os.close(source)
    try:
        yield Watcher(sink)
    except SandboxNotRemoved:
        raise  # the pipe stays open as long as we live
    except BaseException:
        _dismiss(child, sink)
        raise
    _dismiss(child, sink)


def _dismiss(child: Child, sink: int) -> None:
    child.end(grace=0)
    os.close(sink)


def watch(
    source: int,
    opener: ProcessIdentity,
    *,
    clock: Clock,
    seconds: float,
    sweep: Callable[[], int],
) -> None:
    """Wait until the opener is gone, or `seconds` after it said that the time begins; then make
    sure that it is dead, and call `sweep` until that removed something.
    """
    if os.read(source, len(_OPEN)):
        select.select([source], [], [], seconds)
    opener.kill()
    while opener.alive:
        clock.sleep(_PAUSE_SECONDS)
    for _ in range(_SWEEPS):
        with contextlib.suppress(SandboxNotRemoved):
            if sweep():
                return
        clock.sleep(_SWEEP_PAUSE_SECONDS)  # somebody else sweeps, or a program is not dead yet
