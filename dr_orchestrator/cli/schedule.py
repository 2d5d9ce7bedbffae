"""`dro schedule`: what happens when, and which line of a plan says so. Starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from dr_orchestrator.cli.command_group import CommandGroup
from dr_orchestrator.core.occurrence import LATEST
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.wording import count_words, instant_words, printable
from dr_orchestrator.errors import ExitCode
from dr_orchestrator.plan.schedule import WEEKDAYS
from dr_orchestrator.schedule.occurrence import ClockChange, clock_changes, moved_by, occurrences
from dr_orchestrator.schedule.planner import ScheduledOperation, scheduled_operations

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan

_NAMED = 3
"""So many times of day are named; of more, the first and the last."""


@dataclass(frozen=True, kw_only=True)
class _Coming:
    """What one operation does in a stretch of time."""

    operation: ScheduledOperation
    origin: str
    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Calendar:
    """What a practice may expect from `start` on."""

    loaded: LoadedPlan
    start: datetime
    days: int
    coming: tuple[_Coming, ...]
    """The next first."""
    changes: tuple[ClockChange, ...]
    pauses: tuple[SystemPaused, ...]

    @property
    def zone(self) -> ZoneInfo:
        return self.loaded.plan.practice.timezone

    def notes(self, change: ClockChange) -> Iterator[tuple[ScheduledOperation, str]]:
        """Yield what a change of clocks does to each operation that it does something to."""
        for each in self.coming:
            for note in _notes(each.operation, change, self.zone):
                yield each.operation, note


_ELSEWHERE = {
    "run": "run what is due, until stopped",
    "install": "print, or write, what makes the machine run the scheduler",
}
"""Commands with a module of their own, imported only when they run."""
_HIDDEN = frozenset({"work"})


@click.group(
    cls=CommandGroup,
    beginning="dr_orchestrator.cli.schedule_",
    elsewhere=_ELSEWHERE,
    hidden=_HIDDEN,
    epilog="""\b
Examples:
  dro schedule show riverside
  dro schedule run
  dro schedule install
""",
)
def command() -> None:
    """Show what happens when, and have it happen."""


@command.command(
    epilog="""\b
Examples:
  dro schedule show
  dro schedule show riverside --days 1
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--days", type=click.IntRange(1, 366), default=7, help="how far ahead; 7 if left out")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def show(context: Context, practices: tuple[str, ...], days: int, *, _json: bool) -> ExitCode:
    """Show what each PRACTICE's plan puts on a schedule, and what changes of clocks do to it.

    All practices, if none is named. One line an operation, the next first, in the practice's own
    time zone, with the line of the plan that says so. What is paused is said below.
    """
    now, plans = context.clock.now(), context.plans(practices)
    pauses = context.store().pauses([loaded.plan.practice.id for loaded in plans])
    calendars = [_calendar(loaded, pauses, now, days) for loaded in plans]
    for calendar in calendars:
        for line in _lines(calendar):
            context.say(line)
    end = now + timedelta(days=days)
    context.print_json_if_asked(
        {"from": now, "to": end, "practices": [_json_of(each) for each in calendars]}
    )
    return ExitCode.OK


def _calendar(
    loaded: LoadedPlan, pauses: Iterable[SystemPaused], start: datetime, days: int
) -> _Calendar:
    end = start + timedelta(days=days)
    practice, zone = loaded.plan.practice.id, loaded.plan.practice.timezone
    coming = [
        _coming(operation, loaded.origins[operation.field], start, end)
        for operation in scheduled_operations(loaded.plan)
    ]
    return _Calendar(
        loaded=loaded,
        start=start,
        days=days,
        coming=tuple(sorted(coming, key=lambda each: each.first or end)),
        changes=tuple(clock_changes(zone, start, end)),
        pauses=tuple(
            each for each in pauses if each.practice == practice and not each.is_over(start)
        ),
    )


def _coming(operation: ScheduledOperation, origin: str, start: datetime, end: datetime) -> _Coming:
    count, first, last = 0, None, None
    for instant in occurrences(operation.schedule, operation.zone, start, end):
        count, first, last = count + 1, first or instant, instant
    return _Coming(operation=operation, origin=origin, count=count, first=first, last=last)


def _lines(calendar: _Calendar) -> Iterator[str]:
    practice, zone = calendar.loaded.plan.practice, calendar.zone
    ahead = count_words(calendar.days, "day")
    yield f"{practice.id}: {ahead} from {_day_and_time(calendar.start, zone)} ({zone.key})"
    rows = [
        (
            _day_and_time(each.first, zone) if each.first else "later",
            _when(each.operation),
            count_words(each.count, "time"),
            _what(each.operation),
            printable(each.origin),
        )
        for each in calendar.coming
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
    for pause in calendar.pauses:
        until = _day_and_time(pause.until, zone)
        why = printable(f"{pause.why} ({pause.by})")
        yield f"  paused: {pause.system or 'all systems'} until {until}: {why}"
    for change in calendar.changes:
        yield f"  clocks: {_change_words(change, zone)}"
        for operation, note in calendar.notes(change):
            yield f"    {_what(operation)}: {note}"


def _when(operation: ScheduledOperation) -> str:
    blackout = operation.policy.blackout
    if blackout is None:
        return str(operation.schedule)
    hours = ", ".join(f"{days} {times}" for days, times in blackout.hours.written().items())
    return f"{operation.schedule}, not {hours}"


def _what(operation: ScheduledOperation) -> str:
    place = ", ".join(operation.repositories)
    if operation.operation in {Operation.BACKUP, Operation.COPY}:
        return f"{operation.system}: {operation.operation} to {place}"
    if operation.operation is Operation.RESTORE_TEST:
        point = "" if operation.point == LATEST else f", {operation.point} point"
        return f"{operation.system}: {operation.operation} from {place}{point}"
    return f"{place}: {operation.operation}" if place else str(operation.operation)


def _notes(operation: ScheduledOperation, change: ClockChange, zone: ZoneInfo) -> Iterator[str]:
    moved = moved_by(change, operation.schedule)
    if moved.left_out:
        then = f"{change.at.astimezone(zone):%H:%M %Z}"
        yield f"{_times_of_day(moved.left_out)} left out: runs once, at {then}"
    if moved.shown_twice:
        runs = "runs both times" if moved.runs_twice else "runs the first time only"
        yield f"{_times_of_day(moved.shown_twice)} comes twice: {runs}"
    if moved.shifted:
        yield f"still {operation.schedule}, so its times of day move"


def _times_of_day(times: tuple[datetime, ...]) -> str:
    named = [f"{each:%H:%M}" for each in times]
    return ", ".join(named) if len(named) <= _NAMED else f"{named[0]} to {named[-1]}"


def _change_words(change: ClockChange, zone: ZoneInfo) -> str:
    before, after = change.shown_before, change.shown_after
    old = (change.at - timedelta(seconds=1)).astimezone(zone).tzname()
    new = change.at.astimezone(zone).tzname()
    day = "" if before.date() == after.date() else f"{_day(after)} "
    return f"{_day(before)} {before:%H:%M} {old} becomes {day}{after:%H:%M} {new}"


def _day(day: datetime) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day:%Y-%m-%d}"


def _day_and_time(instant: datetime, zone: ZoneInfo) -> str:
    return f"{WEEKDAYS[instant.astimezone(zone).weekday()]} {instant_words(instant, zone)}"


def _json_of(calendar: _Calendar) -> dict[str, Any]:
    plan, zone = calendar.loaded.plan, calendar.zone
    return {
        "practice": plan.practice.id,
        "timezone": zone.key,
        "scheduled": [_operation_json(each) for each in calendar.coming],
        "pauses": [
            {"system": each.system, "until": each.until, "by": each.by, "why": each.why}
            for each in calendar.pauses
        ],
        "clock_changes": [
            {
                "at": change.at,
                "words": _change_words(change, zone),
                "notes": [
                    {"id": operation.id, "note": note} for operation, note in calendar.notes(change)
                ],
            }
            for change in calendar.changes
        ],
    }


def _operation_json(coming: _Coming) -> dict[str, Any]:
    operation = coming.operation
    policy = operation.policy
    return {
        "id": operation.id,
        "system": operation.system,
        "operation": operation.operation.value,
        "repositories": list(operation.repositories),
        "schedule": str(operation.schedule),
        "origin": coming.origin,
        "count": coming.count,
        "first": coming.first,
        "last": coming.last,
        "catch_up": policy.catch_up.value,
        "grace_seconds": policy.grace.total_seconds() if policy.grace else None,
        "blackout": policy.blackout.hours.written() if policy.blackout else None,
    }
