"""How long somebody has shown no sign of life, in a world where clocks are set.

A sign of life is an instant that its owner wrote by his clock. Where ours is set forward, everybody
would seem silent at once; so an age counts only as far as the time has passed for us, too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from dr_orchestrator.clock import Clock


class Silence:
    """Remembers the last signs of life that were seen, from one look at all of them to the next."""

    def __init__(self, clock: Clock, limit: timedelta) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._signs: dict[str, tuple[datetime, float]] = {}

    def longer_than_limit(self, signs: Mapping[str, datetime]) -> frozenset[str]:
        """Return whose last sign is too old, of all that there are.

        Our first look believes what is written: there is nothing yet to hold it against.
        """
        with self._lock:
            now, passed = self._clock.now(), self._clock.monotonic()
            known, before = self._signs, self._looked
            self._signs = {
                who: known[who] if who in known and known[who][0] == at else (at, before)
                for who, at in signs.items()
            }
            self._looked = passed
            return frozenset(
                who
                for who, (at, not_before) in self._signs.items()
                if now - at > self._limit and passed - not_before >= self._limit.total_seconds()
            )
