"""A clock that runs fast, so that a night of real backups passes in minutes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class FastClock:
    """Shows `factor` seconds for each that passes. How long something takes is measured as it is:
    a program gets the time that a plan gives it.
    """

    def __init__(self, start: datetime, factor: float) -> None:
        self._start = start
        self._factor = factor
        self._origin = time.monotonic()
        self._jumped = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            passed = timedelta(seconds=(time.monotonic() - self._origin) * self._factor)
            return (self._start + passed + self._jumped).astimezone(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._factor)

    def jump(self, by: timedelta) -> None:
        """Set the clock forward or back, as somebody with `date -s` would."""
        with self._lock:
            self._jumped += by
