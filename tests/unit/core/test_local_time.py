from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dr_orchestrator.core.local_time import typed_instant


def test_hour_that_a_clock_shows_twice_is_the_first_one() -> None:
    morning = datetime(2026, 11, 1, 14, tzinfo=UTC)  # 08:00 in Chicago, after a night of 25 h
    for typed in ("01:30", "2026-11-01 01:30"):
        at = typed_instant(typed, morning, ZoneInfo("America/Chicago"))
        assert morning - at == timedelta(hours=7, minutes=30)
