"""What a clock on a practice's wall does that time itself does not: it is put forward and back.

Only the clock; what is to happen by it is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

_STEP = timedelta(days=7)
_SECOND = timedelta(seconds=1)


def wall_offset(instant: datetime, zone: tzinfo) -> timedelta:
    """Return how far the clocks in `zone` are ahead of UTC at an aware instant."""
    return instant.astimezone(zone).utcoffset() or timedelta()


def wall_time(instant: datetime, offset: timedelta) -> datetime:
    """Return what a clock shows that is `offset` ahead of UTC: naive. `instant` is in UTC."""
    return (instant + offset).replace(tzinfo=None)


def stretches_of_one_offset(
    start: datetime, end: datetime, zone: tzinfo
) -> Iterator[tuple[datetime, datetime]]:
    """Cut a stretch of UTC where the zone's clocks change, to the second.

    Each part begins with the first instant of its offset. A change at `end` makes an empty last
    part. No zone changes its clocks twice within a week (tzdata 2015 to 2030: 28 days apart).
    """
    cuts = [start]
    step, offset = start, wall_offset(start, zone)
    while step < end:
        following = min(step + _STEP, end)
        following_offset = wall_offset(following, zone)
        if offset != following_offset:
            cuts.append(_change_of_clocks(step, following, zone))
        step, offset = following, following_offset
    yield from pairwise([*cuts, end] if start < end else [])


def _change_of_clocks(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    old = wall_offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if wall_offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
