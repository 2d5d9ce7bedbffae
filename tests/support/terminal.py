"""A person before a terminal of 80 by 24: keys go in through tmux, and what is seen comes out."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import require_tool

WIDTH, HEIGHT = 80, 24
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_KEY_SECONDS = 0.12


_WITH_PID = 'echo $$ >"$1"; shift; exec "$@"'
_WITH_STATUS = 'trap : INT; status=$1; shift; "$@"; echo $? >"$status"'


@dataclass(frozen=True)
class Terminal:
    """One terminal with one program in it."""

    socket: Path

    def press(self, *keys: str) -> None:
        """Press keys, by the names that tmux has for them, as fast as a person does: what comes
        sooner is taken for a key that is held down.
        """
        time.sleep(_KEY_SECONDS)
        self._tmux("send-keys", "-t", "it", *keys)

    def type(self, text: str) -> None:
        """Type text and Enter."""
        self._tmux("send-keys", "-t", "it", "-l", text)
        self.press("Enter")

    def screen(self) -> str:
        """Return what is seen just now."""
        return self._tmux("capture-pane", "-p", "-t", "it")

    def see(self, *words: str, seconds: float = _PATIENCE_SECONDS) -> str:
        """Wait until all of these words are seen, wherever lines are broken; return the screen."""
        last = time.monotonic() + seconds
        while True:
            screen = self.screen()
            flat = " ".join(screen.split())
            if all(each in flat for each in words):
                return screen
            if time.monotonic() > last:
                raise AssertionError(f"never seen: {words}\n{screen}")
            time.sleep(_LOOK_SECONDS)

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return int(self._read(self._pid))

    def kill(self) -> None:
        """End the program as a power failure would: it gets to know nothing of it."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for the end of the program; return its exit code, as a shell has it."""
        return int(self._read(self._status))

    @property
    def _pid(self) -> Path:
        return self.socket.with_suffix(".pid")

    @property
    def _status(self) -> Path:
        return self.socket.with_suffix(".status")

    def _read(self, file: Path) -> str:
        """Return what the shell around the program wrote; tmux 3.3 misses the end of some."""
        last = time.monotonic() + _PATIENCE_SECONDS
        while not file.exists() or not (content := file.read_text().strip()):
            if time.monotonic() > last:
                raise AssertionError(f"it did not end\n{self.screen()}")
            time.sleep(_LOOK_SECONDS)
        return content

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ("tmux", "-S", self.socket, *words),
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE_SECONDS,
        )
        return done.stdout.rstrip("\n")


@contextlib.contextmanager
def terminal(
    socket: Path, argv: tuple[str, ...], environment: Mapping[str, str], folder: Path
) -> Iterator[Terminal]:
    """Start a program in a terminal of its own, and end whatever is left of both."""
    require_tool("tmux")
    start = ("env", "-i", *(f"{key}={value}" for key, value in environment.items()))
    it = Terminal(socket)
    for file in (it._pid, it._status):
        file.unlink(missing_ok=True)
    told = ("sh", "-c", _WITH_PID, "-", str(it._pid), *start, "TERM=screen-256color", *argv)
    words = shlex.join(("sh", "-c", _WITH_STATUS, "-", str(it._status), *told))
    new = ("new-session", "-d", "-s", "it", "-x", str(WIDTH), "-y", str(HEIGHT), "-c", str(folder))
    keep = ("start-server", ";", "set", "-g", "remain-on-exit", "on", ";")
    it._tmux("-f", "/dev/null", *keep, *new, f"exec {words}")
    try:
        yield it
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            it._tmux("kill-server")
