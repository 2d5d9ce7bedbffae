"""The instants that a schedule means in a practice's time zone, as a pure function.

Any number of machines that ask for the same stretch of time get the same instants, whatever they
asked before: nothing is counted from a start of ours. The rules, and why, are in
docs/reference/schedule.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise

from cronsim import CronSim

from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.plan.wall_clock import stretches_of_one_offset, wall_offset, wall_time

_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
_ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001 - a Monday's midnight, in each practice's own zone
_ANY = datetime(2024, 1, 1)  # noqa: DTZ001 - CronSim wants a beginning; none is asked of it


def occurrences(
    schedule: Schedule, zone: tzinfo, start: datetime, end: datetime
) -> Iterator[datetime]:
    """Yield each instant the schedule means after `start` and not after `end`: in UTC, in order.

    Both are aware. Over the parts of a stretch it yields what it yields over the whole.
    """
    first, stop = _following_second(start), _following_second(end)
    if schedule.cron is None:
        yield from _at_intervals(schedule.period, zone, first, stop)
    else:
        yield from _on_the_wall(_wall_times(schedule.cron), zone, first, stop)


@lru_cache(maxsize=16_384)
def quiet_until(schedule: Schedule, zone: tzinfo, since: datetime) -> datetime:
    """Return an instant before which the schedule means none after `since`, mostly the next one.

    It is asked at every tick for every operation, and answered from memory: operations of the same
    schedule that were handed out together share an answer.
    """
    end = since + schedule.period + _DAY
    return next(occurrences(schedule, zone, since, end), end)


@dataclass(frozen=True)
class ClockChange:
    """The clocks of a zone are put forward, or back."""

    at: datetime
    """The first instant of the new time, in UTC."""
    before: timedelta
    """How far the clocks were ahead of UTC."""
    after: timedelta

    @property
    def shown_before(self) -> datetime:
        """What a clock would have shown at `at` without the change; naive."""
        return wall_time(self.at, self.before)

    @property
    def shown_after(self) -> datetime:
        """What a clock shows at `at`; naive."""
        return wall_time(self.at, self.after)


def clock_changes(zone: tzinfo, start: datetime, end: datetime) -> Iterator[ClockChange]:
    """Yield each change of clocks after `start` and not after `end`."""
    parts = stretches_of_one_offset(start.astimezone(UTC), end.astimezone(UTC), zone)
    for (earlier, at), _ in pairwise(parts):
        yield ClockChange(at, wall_offset(earlier, zone), wall_offset(at, zone))


@dataclass(frozen=True)
class Moved:
    """What a change of clocks does to the times of day of a schedule."""

    left_out: tuple[datetime, ...] = ()
    """Times no clock shows that day, naive: they run together, at the first instant after."""
    shown_twice: tuple[datetime, ...] = ()
    """Times a clock shows twice, naive."""
    runs_twice: bool = False
    """Whether `shown_twice` run both times."""
    shifted: bool = False
    """Whether intervals go on at other times of day."""


def moved_by(change: ClockChange, schedule: Schedule) -> Moved:
    """Return what a change of clocks does to a schedule: nothing, often."""
    if schedule.cron is None:
        shift = abs(change.after - change.before)
        return Moved(shifted=bool(shift % schedule.period))
    times = _wall_times(schedule.cron)
    before, after = change.shown_before, change.shown_after
    return Moved(
        left_out=tuple(times.between(before, after)),
        shown_twice=tuple(times.between(after, before)),
        runs_twice=times.run_twice,
    )


class _WallTimes:
    """What a cron expression means on a clock that nobody ever changes."""

    def __init__(self, expression: str) -> None:
        fields = CronSim(expression, _ANY)
        self._months = fields.months
        self._is_day = fields.match_day
        self._minutes = sorted(
            60 * hour + minute for hour in fields.hours for minute in fields.minutes
        )
        minute, hour, *_ = expression.split()
        self.run_twice = minute.startswith("*") or hour.startswith("*")
        """As Debian's cron has it (cron(8)): a time of day runs once, "every" means each time."""

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield each time from `start` on and before `end`; all are naive."""
        day = start.date()
        while datetime.combine(day, time()) < end:
            if day.month in self._months and self._is_day(day):
                yield from self._on(day, start, end)
            day += _DAY

    def _on(self, day: date, start: datetime, end: datetime) -> Iterator[datetime]:
        midnight = datetime.combine(day, time())
        first = bisect_left(self._minutes, (start - midnight) / _MINUTE)
        last = bisect_left(self._minutes, (end - midnight) / _MINUTE)
        for minute in self._minutes[first:last]:
            yield midnight + minute * _MINUTE


@lru_cache(maxsize=4096)
def _wall_times(expression: str) -> _WallTimes:
    return _WallTimes(expression)


def _on_the_wall(
    times: _WallTimes, zone: tzinfo, first: datetime, stop: datetime
) -> Iterator[datetime]:
    """Yield from `first` on and before `stop`."""
    for begin, until in stretches_of_one_offset(first, stop, zone):
        if begin == until:
            continue
        offset = wall_offset(begin, zone)
        shown = wall_time(begin, offset)
        shown_without_change = wall_time(begin, wall_offset(begin - _SECOND, zone))
        left_out = any(times.between(shown_without_change, shown))
        if left_out:
            yield begin
        for each in times.between(shown, wall_time(until, offset)):
            instant = (each - offset).replace(tzinfo=UTC)
            is_repeated = instant.astimezone(zone).fold and not times.run_twice
            if not is_repeated and not (left_out and instant == begin):
                yield instant


def _at_intervals(
    period: timedelta, zone: tzinfo, first: datetime, stop: datetime
) -> Iterator[datetime]:
    """Yield from `first` on and before `stop`, always `period` apart."""
    anchor = _ANCHOR.replace(tzinfo=zone).astimezone(UTC)
    instant = anchor - (anchor - first) // period * period
    while instant < stop:
        yield instant
        instant += period


def _following_second(instant: datetime) -> datetime:
    """Return the first whole second after `instant`: plans and changes of clocks know no less."""
    return instant.astimezone(UTC).replace(microsecond=0) + _SECOND
