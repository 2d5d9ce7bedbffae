"""A server's own client, fed with a script that is too long for memory and may be hostile.

The client runs inside the sandbox; what it reads is written into its stdin from here, as it comes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.process import Command, Launcher


@dataclass(frozen=True)
class Fed:
    """How a client ended that was fed."""

    returncode: int
    stderr: str
    """The end of what it said. It may hold rows: classify it, never pass it on."""
    error: Exception | None
    """What kept the script from being read or written to its end, though the client may say 0."""


def feed(inside: Launcher, command: Command, script: Iterable[bytes]) -> Fed:
    """Run a client with `script` as its stdin, and return how it ended.

    Raises:
        ProgramMissing, ProgramFailed, ProgramTimedOut, Interrupted: as `Launcher.start` and
            `Child.wait` do.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        child = inside.start(command, stdin=read_end)
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    feeding = _Feeding(script, write_end)
    feeding.start()
    try:
        returncode = child.wait()
    finally:
        child.end()
        feeding.join()
    return Fed(returncode, child.stderr, feeding.error)


class _Feeding(threading.Thread):
    """Writes a script into a pipe, and closes it. What kept it from that is in `error`."""

    def __init__(self, script: Iterable[bytes], pipe: int) -> None:
        super().__init__(name="feed the client", daemon=True)
        self._script = script
        self._pipe = pipe
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with open(self._pipe, "wb", buffering=0) as pipe:  # noqa: PTH123 - no path
                for piece in self._script:
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[pipe.write(rest) :]
        except BrokenPipeError:
            self.error = CouldNotVerify("the client ended before it had read the whole dump")
        except OSError:
            self.error = CouldNotVerify("what came back from the repository could not be read")
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for the client
            self.error = error
