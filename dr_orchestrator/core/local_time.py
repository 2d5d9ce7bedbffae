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
_HOW = "as 14:00, or 2026-11-21 14:00"


def typed_instant(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the past instant, in UTC, that somebody typed as `02:14` or `2026-11-21 02:14`.

    A time of day alone is the last one that was. Of an hour that a clock shows twice, the first is
    meant: whoever wants what was before loses an hour by that, and never gets what came after.

    Raises:
        UsageMistake: it cannot be read, or has not come yet.
    """
    for form in (_TIME, _DAY):
        with contextlib.suppress(ValueError, OverflowError):
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


def exact_instant(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the one past instant, in UTC, that somebody typed: `14:00` (the last one that was),
    `2026-11-21 14:00`, with seconds or a `T` too. An offset (`-06:00`, `Z`) says which zone.

    Nothing is assumed of an hour that clocks show twice, or not at all: what was before it and what
    was after are both given back, for whoever typed it to choose.

    Raises:
        UsageMistake: it cannot be read, means no instant or two, or has not come yet.
    """
    typed = text.strip()
    day = now.astimezone(zone).date()
    with contextlib.suppress(ValueError):
        at = _one_instant(datetime.strptime(f"{day} {typed}", _DAY), zone)  # noqa: DTZ007
        return at if at <= now else _one_instant(_day_before(at, zone), zone)
    try:
        read = datetime.fromisoformat(typed)
    except ValueError:
        read = None
    if read is None or len(typed) <= len("2026-11-21"):  # a day alone is all of its instants
        raise UsageMistake(f"no time: {text}", hint=_HOW)
    try:
        at = _one_instant(read, zone) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError:  # at one of the two ends of the calendar
        raise UsageMistake(f"no time: {text}", hint=_HOW) from None
    if at > now:
        raise UsageMistake(
            f"that is later than now: {text}",
            hint=f"it is {moment_words(now, zone)} at the practice",
        )
    return at


def _one_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the one instant at which a clock in `zone` shows `wall`."""
    either = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    showing = [at for at in either if at.astimezone(zone).replace(tzinfo=None) == wall]
    if len(showing) == 1:
        return showing[0]
    first, second = (at.astimezone(zone).isoformat(" ", "minutes") for at in sorted(either))
    often = "twice" if showing else "not at all"
    raise UsageMistake(
        f"clocks at the practice show {wall:%Y-%m-%d %H:%M} {often}: they were put "
        f"{'back' if showing else 'forward'}",
        hint=f"say which is meant: {first} or {second}",
    )


def _day_before(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)


def _last_time(read: datetime, now: datetime, zone: ZoneInfo) -> datetime:
    day = now.astimezone(zone).date()
    at = datetime.combine(day, read.time(), zone).astimezone(UTC)
    before = datetime.combine(day - timedelta(days=1), read.time(), zone).astimezone(UTC)
    return at if at <= now else before
