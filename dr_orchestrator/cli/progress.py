"""How far a save or a restore is: one line that moves on a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self

from dr_orchestrator.core.wording import size_words

if TYPE_CHECKING:
    from types import TracebackType

    from dr_orchestrator.repositories.base import Progress


class ProgressLine:
    """A line on stderr that says how many bytes of each asset are done; gone when it is left."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._done: dict[str, Progress] = {}
        self._lock = threading.Lock()
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        self._write(self._doing)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take it off the screen, for other text to come there."""
        self._write("")

    def update(self, asset: str, progress: Progress) -> None:
        """Show the progress of one asset beside the others'. May be called from any thread."""
        with self._lock:
            self._done[asset] = progress
            parts = [f"{name} {_words(each)}" for name, each in sorted(self._done.items())]
            self._write(f"{self._doing} {', '.join(parts)}")

    def count(self, done: int, of: int) -> None:
        """Show that the one after `done` is worked on."""
        self._write(f"{self._doing} {done + 1} of {of}")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()


def _words(progress: Progress) -> str:
    done = size_words(progress.done_bytes)
    return done if progress.total_bytes is None else f"{done} of {size_words(progress.total_bytes)}"
