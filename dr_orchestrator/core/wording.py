"""Durations, sizes, instants and verdicts as people read them, so that all outputs agree.

Pure, and the same on every machine: nothing here asks for a locale or for the time. It must not
abbreviate what a practice manager would have to look up.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Depth, Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, tzinfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SUBSECOND_LIMIT = 10
"""Below this many seconds a tenth is worth saying."""
_SHOWN = 3
"""Names in a sentence before the rest is only counted."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""Not from `strftime`: that depends on the machine's locale."""

_UNIT_NAMES = {"s": "second", "min": "minute", "h": "hour", "d": "day"}

_OBJECTIVES = {
    Objective.COVERAGE: "backups complete",
    Objective.DUMP_AGE: "backups made by others",
    Objective.RPO: "backups in time",
    Objective.RTO: "recovery time",
    Objective.RESTORE_TEST: "restore test",
    Objective.DATA_AGE: "age of the data",
    Objective.SKEW: "all parts of one moment",
    Objective.COPIES: "copies",
    Objective.REPOSITORY_CHECK: "storage read back",
    Objective.IMMUTABILITY: "backups nobody can destroy",
    Objective.RETENTION: "old backups cleared",
    Objective.ACCEPTANCE: "promise as accepted",
    Objective.CORRECTIVE_ACTIONS: "failures put right",
    Objective.CUSTODY: "keys tried by who holds them",
    Objective.EVIDENCE: "record as it was written",
}
_VERDICTS = {
    Verdict.MET: "kept",
    Verdict.BREACHED: "not kept",
    Verdict.UNPROVEN: "not proven",
}
_RESULTS = {
    Result.PASSED: "passed",
    Result.FAILED: "FAILED",
    Result.UNPROVEN: "could not be checked",
}
_DEPTHS = {
    Depth.L0: "the backup ran without error, and nothing was restored",
    Depth.L1: "the backup storage was checked, and nothing was restored",
    Depth.L2: "files were restored and compared",
    Depth.L3: "the database was restored and opens",
    Depth.L4: "the database was restored and checks on its content passed",
    Depth.L5: "people confirmed that they can work with what was restored",
}
_OPPOSITE_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Signs that make a reader see text in another order than it is written."""


def duration_words(duration: timedelta) -> str:
    """Return at most two units, rounded: `41 min`, `3 h 30 min`, `2 d 4 h`, `0.8 s`."""
    if duration < timedelta(0):
        return f"-{duration_words(-duration)}"
    return " ".join(f"{amount} {unit}" for amount, unit in _parts(duration))


def duration_phrase(duration: timedelta) -> str:
    """Return what `duration_words` does, with units in full: `3 hours 30 minutes`."""
    if duration < timedelta(0):
        return f"-{duration_phrase(-duration)}"
    return " ".join(
        f"{amount} {_UNIT_NAMES[unit]}{'' if amount == '1' else 's'}"
        for amount, unit in _parts(duration)
    )


def _parts(duration: timedelta) -> tuple[tuple[str, str], ...]:
    """Split into one or two (amount, unit), rounding first, so that 59.7 s is `1 min`."""
    seconds = duration.total_seconds()
    tenths = round(seconds, 1)
    if 0 < tenths < _SUBSECOND_LIMIT and tenths != int(tenths):
        return ((f"{tenths:.1f}", "s"),)
    if round(seconds) < _MINUTE:
        return ((str(round(seconds)), "s"),)
    for size, unit, small_size, small_unit, limit in (
        (_MINUTE, "min", 1, "s", _HOUR),
        (_HOUR, "h", _MINUTE, "min", 2 * _DAY),
        (_DAY, "d", _HOUR, "h", None),
    ):
        rounded = round(seconds / small_size) * small_size
        if limit is None or rounded < limit:
            whole, rest = divmod(rounded, size)
            lesser = ((str(rest // small_size), small_unit),) if rest else ()
            return ((str(whole), unit), *lesser)
    raise AssertionError


def size_words(count: int) -> str:
    """Return bytes in binary units: `0 B`, `731 KiB`, `12.4 GiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        text = f"{value:.0f}" if unit == "B" or abs(value) >= 99.95 else f"{value:.1f}"  # noqa: PLR2004
        if abs(float(text)) < 1024:  # noqa: PLR2004
            return f"{text} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def instant_words(instant: datetime, zone: tzinfo) -> str:
    """Return an instant in the practice's own time zone: `2026-11-21 19:15 CST`."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def date_words(instant: datetime, zone: tzinfo, *, beside: datetime | None = None) -> str:
    """Return a day in the practice's time zone: `21 November 2026`.

    The year is left out where it is the year of `beside`, which the reader sees elsewhere.
    """
    year_of = beside.astimezone(zone).date() if beside else None
    return day_words(instant.astimezone(zone).date(), beside=year_of)


def day_words(day: date, *, beside: date | None = None) -> str:
    """Return a calendar day: `21 November 2026`, without the year where it is that of `beside`."""
    text = f"{day.day} {_MONTHS[day.month - 1]}"
    return text if beside and beside.year == day.year else f"{text} {day.year}"


def moment_words(instant: datetime, zone: tzinfo, *, beside: datetime | None = None) -> str:
    """Return day and time of day: `21 November 2026, 19:15`."""
    return f"{date_words(instant, zone, beside=beside)}, {instant.astimezone(zone):%H:%M}"


def count_words(count: int, singular: str, plural: str = "") -> str:
    """Return `1 table`, `3 tables`, `12,400 rows`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict as a manager reads it: kept, not kept, not proven."""
    return _VERDICTS[verdict]


def objective_words(objective: Objective) -> str:
    """Return what is promised, without an abbreviation: `recovery time`."""
    return _OBJECTIVES[objective]


def result_words(result: Result) -> str:
    """Return the result of a test or check: passed, FAILED, could not be checked."""
    return _RESULTS[result]


def depth_words(depth: Depth) -> str:
    """Return how far a restore test got, as a clause: `the database was restored and opens`."""
    return _DEPTHS[depth]


def printable(text: str) -> str:
    """Return `text` on one line, without signs that move a cursor or reverse the reading order.

    Names come from files that others wrote; a terminal or a page must show them and nothing else.
    """
    one_line = " ".join(text.split())
    visible = _OPPOSITE_DIRECTION.sub("\N{REPLACEMENT CHARACTER}", one_line)
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign) in {"Cc", "Cs", "Co"} else sign
        for sign in visible
    )


def sentence(text: str) -> str:
    """Return `text` as one or more whole sentences: a capital first, a full stop at the end.

    A first word that is a name (`patient_data`, `eCW`) keeps its spelling.
    """
    text = text.strip()
    if not text:
        return ""
    first = re.split(r"[\s,.:;]", text, maxsplit=1)[0]
    if first.isalpha() and first.islower():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def some_names(names: Sequence[str]) -> str:
    """Return the first few of `names`, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
