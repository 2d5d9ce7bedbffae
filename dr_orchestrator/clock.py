"""The only reader of time, so that a test (and a simulated year) can own it.

Two readings, never mixed: `now` for *when* something happened (aware, UTC), `monotonic` for *how
long* it took (seconds, unaffected by clock changes).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Return the current instant, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin that never go backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current instant, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the kernel's monotonic clock in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        time.sleep(seconds)


class Stopwatch:
    """Tells how long something takes, from the moment it is made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin = clock.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self._clock.monotonic() - self._origin
