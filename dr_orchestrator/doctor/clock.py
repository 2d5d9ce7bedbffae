"""The clock of this machine, and what it knows of time zones."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH

from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.doctor.complaint import Complaint, Kind

_TIMEX_BYTES = 512
"""More than any `struct timex` (adjtimex(2), 208 bytes on 64 bits)."""
_STATE_ERROR = 5
"""`TIME_ERROR`: the clock is not synchronised."""
_BACK = timedelta(minutes=2)
_YEARS = 2


def look_at_clock(now: datetime, records: Iterable[PracticeRecord]) -> Iterator[Complaint]:
    """Complain of a clock that is behind what was recorded, or that nobody keeps right."""
    newest = max((each for record in records for each in _instants(record)), default=None)
    if newest is not None and newest - now > _BACK:
        yield Complaint(
            kind=Kind.CLOCK_BEHIND,
            what=f"this machine's clock is {duration_words(newest - now)} behind what was recorded",
            do="set the clock, then look at what was recorded meanwhile: `dro runs`",
        )
    if is_synchronised() is False:
        yield Complaint(
            kind=Kind.CLOCK_ALONE,
            what="nothing keeps this machine's clock right",
            do="apt-get install chrony, or systemd-timesyncd",
        )


def look_at_time_zones(now: datetime) -> Iterator[Complaint]:
    """Complain of rules for time zones that are years old."""
    year = time_zones_of()
    if year is not None and now.year - year >= _YEARS:
        yield Complaint(
            kind=Kind.TIME_ZONES_OLD,
            what=f"this machine's data on time zones is of {year}",
            do="apt-get install --only-upgrade tzdata",
        )


def is_synchronised() -> bool | None:
    """Return whether the kernel's clock is kept right by a time server; `None`: it does not say."""
    # adjtimex(2) with `modes` 0 only reads
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _STATE_ERROR


def time_zones_of(places: Iterable[str] = TZPATH) -> int | None:
    """Return the year of the data on time zones, `None` where it does not say."""
    for place in places:
        data = Path(place) / "tzdata.zi"
        if data.exists():
            with data.open() as file:
                found = re.match(r"# version (\d{4})", file.readline())
            return int(found[1]) if found else None
    return None


def _instants(record: PracticeRecord) -> Iterator[datetime]:
    yield from (point.finished for point in record.points)
    yield from (test.finished_at for test in record.tests)
    yield from (run.finished_at for run in record.last_runs if run.finished_at)
