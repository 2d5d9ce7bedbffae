"""A clock that a test owns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
"""A Wednesday noon."""


class FakeClock:
    """Time stands still until the test, or a `sleep`, lets it pass."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))

    def advance(self, duration: timedelta) -> None:
        """Let `duration` pass on both readings."""
        self._now += duration
        self._monotonic += duration.total_seconds()

    def set(self, instant: datetime) -> None:
        """Change the wall clock alone, as somebody with `date -s` would."""
        self._now = instant
