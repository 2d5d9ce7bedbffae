"""Instants as people type them, by the clock on the practice's wall."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import moment_words
from dr_orchestrator.errors import UsageMistake

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TIME, _DAY = "%H:%M", "%Y-%m-%d %H:%M"


def typed_instant(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the past instant, in UTC, that somebody typed as `02:14` or `2026-11-21 02:14`.

    A time of day alone is the last one that was. Of an hour that a clock shows twice, the first is
    meant: whoever wants what was before loses an hour by that, and never gets what came after.

    Raises:
        UsageMistake: it cannot be read, or has not come yet.
    """
    for form in (_TIME, _DAY):
        with contextlib.suppress(ValueError):
            read = datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the zone follows
            if form == _TIME:
                at = _last_time(read, now, zone)
            else:
                at = read.replace(tzinfo=zone).astimezone(UTC)
            if at > now:
                raise UsageMistake(
                    f"that is later than now: {text}",
                    hint=f"it is {moment_words(now, zone)} at the practice",
                )
            return at
    raise UsageMistake(f"no time: {text}", hint="as 02:14 or 2026-11-21 02:14")


def _last_time(read: datetime, now: datetime, zone: ZoneInfo) -> datetime:
    day = now.astimezone(zone).date()
    at = datetime.combine(day, read.time(), zone).astimezone(UTC)
    before = datetime.combine(day - timedelta(days=1), read.time(), zone).astimezone(UTC)
    return at if at <= now else before
