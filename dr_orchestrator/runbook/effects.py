"""Running the command of a step: without a shell, with a time limit, in an empty folder of its own.

What it prints is shown to the person who runs it and kept nowhere; only its SHA-256 is recorded. It
ends with us, together with whatever it started and left behind in its process group.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ProgramFailed, ProgramMissing
from dr_orchestrator.process import Command, exit_words
from dr_orchestrator.runbook.tools import CommandEnded

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.process import Completed
    from dr_orchestrator.program_plumbing import OnLine

_DRO = "dro"
_SHOWN = 40
"""Lines: what fits a screen, and a little to scroll back to."""
_WIDEST = 500
"""Bytes that are kept of each of these."""


class LineLauncher(Protocol):
    """Runs programs, and hands over what they print line by line."""

    def run(
        self,
        command: Command,
        *,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        """See `SystemLauncher.run`."""
        ...


def run_command(
    argv: tuple[str, ...],
    limit: timedelta,
    *,
    launcher: LineLauncher,
    clock: Clock,
    scratch: Path,
    env: Mapping[str, str],
    own_env: Mapping[str, str],
) -> CommandEnded:
    """Run `argv` to its end, or for `limit`, and return how it ended.

    A runbook may come from elsewhere, so its programs get `env`, in which there is no secret.
    `dro` means this very program, whatever is installed beside it, and gets `own_env`: what a
    person who types it would give it.

    Raises:
        Interrupted: we are to stop; it was ended.
    """
    own = argv[0] == _DRO
    # -P: what lies in the folder we were started in is no part of this program
    words = (sys.executable, "-P", "-m", "dr_orchestrator", *argv[1:]) if own else argv
    printed = _Printed()
    watch = Stopwatch(clock)
    exit_code: int | None = None
    with tempfile.TemporaryDirectory(dir=scratch, prefix="command-") as folder:
        command = Command(
            argv=words,
            timeout=limit,
            env=own_env if own else env,
            cwd=Path(folder),
            label=Path(argv[0]).name,
        )
        try:
            ended = launcher.run(command, on_line=printed.take, on_error_line=printed.take)
        except (ProgramMissing, ProgramFailed) as error:
            reason = error.message
        else:
            exit_code = ended.returncode
            reason = "" if ended.ok else f"{ended.program}: {exit_words(ended.returncode)}"
    return CommandEnded(
        exit_code=exit_code,
        reason=reason,
        output_sha256=printed.sha256,
        seconds=watch.elapsed(),
        output=printed.lines,
    )


class _Printed:
    """What a program prints, as it comes: the hash of it all, and its last lines."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._last: deque[bytes] = deque(maxlen=_SHOWN)

    def take(self, line: bytes) -> None:
        """Take the next line, of stdout or stderr."""
        self._hash.update(line)
        self._last.append(line[:_WIDEST])

    @property
    def sha256(self) -> str:
        """SHA-256 of all lines; of one that is longer than 1 MiB, of its beginning."""
        return self._hash.hexdigest()

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines, without signs that could move a cursor."""
        return tuple(_shown(line) for line in self._last)


def _shown(line: bytes) -> str:
    """Return a line as it is printed, its columns kept."""
    text = line.decode(errors="replace").rstrip().expandtabs()
    return " ".join(printable(word) for word in text.split(" "))
