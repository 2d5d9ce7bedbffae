"""Drawings, as pure functions: how long recovery takes, how data grows, what tests were made.

What is drawn is also said in a sentence and laid out in a table, for whoever cannot see it. A mark
is told by its shape, and its colour says it once more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.forecast import size_trend
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import date_words, duration_words, size_words
from dr_orchestrator.report.calendar import Became, CalendarEntry
from dr_orchestrator.report.document import Cell, Column, Picture, Table, Tone
from dr_orchestrator.report.drawing import (
    SMALL,
    WIDTH,
    Axis,
    box,
    drawing,
    filled,
    lined,
    month_names,
    month_words,
    months,
    number,
    point,
    round_steps,
    text,
)
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, tzinfo

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.restore_test import RestoreTest

_LEFT, _RIGHT = 54, 352
_TOP, _BOTTOM = 26, 146
_MINUTE, _HOUR = 60, 3600
_DURATIONS = tuple(_MINUTE * each for each in (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440))
_SIZES = tuple(
    each * 1024**power for power in range(2, 5) for each in (1, 2, 5, 10, 20, 50, 100, 200, 500)
)
_MOST_STEPS = 4
_HEADROOM = 1.12
_FEWEST_DAYS = 2
_DASHED = ' stroke-dasharray="5 3"'
_ROUND = ' stroke-linecap="round"'
"""Of a line without length it makes a dot."""
_WITHOUT_TIME = ((Result.FAILED, Became.FAILED), (Result.UNPROVEN, Became.NO_RESULT))
_YEAR = 12
"""Months of a calendar."""
_MOST_MONTHS = 14
"""There is room for the names of so many."""
_AHEAD = timedelta(days=180)
"""How far ahead growth is drawn at most; never farther than half as long as it was watched."""
_TONES = {
    Became.PASSED: Tone.GOOD,
    Became.FAILED: Tone.BAD,
    Became.NO_RESULT: Tone.OPEN,
    Became.MISSED: Tone.OPEN,
    Became.SKIPPED: Tone.PLAIN,
}
_WORST_FIRST = (Became.FAILED, Became.MISSED, Became.NO_RESULT, Became.SKIPPED, Became.PASSED)


# --- recovery time ------------------------------------------------------------------------------


def recovery_times(
    name: str,
    tests: Sequence[RestoreTest],
    *,
    limit: timedelta,
    allowed: timedelta,
    now: datetime,
    zone: tzinfo,
) -> Picture:
    """Return how long each recovery of a system took in all, proven + allowed, against its limit.

    `tests` by time, of that system alone; a test without a time (of a share of the files) is no
    dot. `now` is aware.
    """
    seen = tuple(test for test in tests if test.started_at <= now)
    return _Recoveries(
        name=name, tests=seen, limit=limit, allowed=allowed, now=now, zone=zone
    ).picture()


@dataclass(frozen=True, kw_only=True)
class _Recoveries:
    name: str
    tests: tuple[RestoreTest, ...]
    limit: timedelta
    allowed: timedelta
    now: datetime
    zone: tzinfo

    def picture(self) -> Picture:
        alt = self._alt()
        return Picture(
            title=say("pictures.recovery.title", name=self.name),
            alt=alt,
            svg=self._svg(alt) if self.tests else _nothing(alt),
            data=self._data(),
        )

    def _times(self, tests: Iterable[RestoreTest]) -> list[tuple[datetime, float]]:
        """Return when a test proved a recovery, and how many seconds that takes in all."""
        return [
            (test.started_at, seconds + self.allowed.total_seconds())
            for test in tests
            if (seconds := _proven_seconds(test)) is not None
        ]

    def _alt(self) -> str:
        if not self.tests:
            return say("pictures.recovery.none", name=self.name)
        times = [took for _, took in self._times(self.tests)]
        values = {
            "start": date_words(self.tests[0].started_at, self.zone),
            "limit": duration_words(self.limit),
            "slowest": duration_words(timedelta(seconds=max(times, default=0))),
        }
        over = sum(took > self.limit.total_seconds() for took in times)
        if not times:
            parts = [say("pictures.recovery.none_proven", **values)]
        elif over:
            parts = [count("pictures.recovery.over", len(times), over=over, **values)]
        else:
            parts = [count("pictures.recovery.within", len(times), **values)]
        results = Counter(test.result for test in self.tests)
        parts += [
            count(f"pictures.recovery.{became}", results[result])
            for result, became in _WITHOUT_TIME
            if results[result]
        ]
        return " ".join(parts)

    def _svg(self, alt: str) -> str:
        times = self._times(self.tests)
        first, limit = self.tests[0].started_at, self.limit.total_seconds()
        across = _across(first, self.now)
        highest = max([limit, *(took for _, took in times)]) * _HEADROOM
        up = Axis(0, highest, _BOTTOM, _TOP)
        allowed = up(self.allowed.total_seconds())
        dots = "".join(f"M{point(across(at.timestamp()), up(took))}h.1" for at, took in times)
        parts = (
            _scale(up, round_steps(highest, _DURATIONS, _MOST_STEPS), _duration),
            month_names(_month_places(across, first, self.now, self.zone), _BOTTOM + 13),
            filled("tint", box(_LEFT, allowed, _RIGHT - _LEFT, _BOTTOM - allowed)),
            lined("soft", f"M{point(_LEFT, up(limit))}H{_RIGHT}", more=_DASHED),
            lined("good", dots, width=4.5, more=_ROUND),
            *(
                _mark(
                    became, [across(t.started_at.timestamp()) for t in self.tests if t.result is of]
                )
                for of, became in _WITHOUT_TIME
            ),
            *self._legend(_BOTTOM + 41),
        )
        return drawing(alt, _BOTTOM + 64, parts)

    def _legend(self, y: float) -> Iterator[str]:
        yield lined("good", f"M{point(_LEFT + 3, y - 4)}h.1", width=5, more=_ROUND)
        yield filled("soft", text(_LEFT + 12, y, say("pictures.recovery.in_all")))
        x = _LEFT + 128
        for result, became in _WITHOUT_TIME:
            if any(test.result is result for test in self.tests):
                yield _mark(became, [x], y - 4)
                yield filled("soft", text(x + 9, y, say(f"pictures.became.{became}")))
                x += 60
        y += 16
        yield lined("soft", f"M{point(_LEFT - 4, y - 4)}h13", more=_DASHED)
        limit = say("pictures.recovery.limit", limit=duration_words(self.limit))
        yield filled("soft", text(_LEFT + 12, y, limit))
        if self.allowed:
            words = say("pictures.recovery.allowed", allowed=duration_words(self.allowed))
            yield filled("tint", box(_LEFT + 122, y - 9, 12, 10))
            yield filled("soft", text(_LEFT + 137, y, words))

    def _data(self) -> Table:
        rows = []
        for month, tests in _by_month(self.tests, self.now, self.zone):
            results = Counter(test.result for test in tests)
            times = [took for _, took in self._times(tests)]
            slowest = duration_words(timedelta(seconds=max(times))) if times else "–"
            counts = (results[each] for each in (Result.PASSED, Result.FAILED, Result.UNPROVEN))
            texts = (month_words(month), *map(str, counts), slowest)
            rows.append(tuple(Cell(text=each) for each in texts))
        return Table(
            caption=say("pictures.recovery.title", name=self.name),
            columns=_columns("recovery", "month", "passed", "failed", "no_result", "slowest"),
            rows=tuple(rows),
            empty=say("pictures.recovery.none", name=self.name),
        )


def _proven_seconds(test: RestoreTest) -> float | None:
    if test.result is not Result.PASSED:
        return None
    return test.rta_data_seconds if test.rta_service_seconds is None else test.rta_service_seconds


def _mark(became: Became, places: Sequence[float], y: float = 10) -> str:
    """Return a cross for what failed, an empty square for what came to no result."""
    if not places:
        return ""
    if became is Became.FAILED:
        crosses = "".join(f"M{point(x - 3.5, y - 3.5)}l7 7m0 -7l-7 7" for x in places)
        return lined("bad", crosses, width=2)
    squares = "".join(f"M{point(x - 3, y - 3)}h6v6h-6z" for x in places)
    return lined("open", squares, width=1.5)


# --- growth -------------------------------------------------------------------------------------


def growth(name: str, points: Sequence[RecoveryPoint], *, now: datetime, zone: tzinfo) -> Picture:
    """Return how much a system held over time, and how much it will if it goes on like this, with
    the range that is most likely.

    `points` by time, of that system alone. `now` is aware.
    """
    seen = [each for each in points if each.as_of <= now]
    trend = size_trend(seen, now)
    until = now + min(_AHEAD, timedelta(days=trend.days / 2)) if trend else now
    return _Grown(
        name=name,
        days=_days(seen, zone),
        ahead=trend.at(until) if trend else None,
        until=until,
        zone=zone,
    ).picture()


def _days(points: Iterable[RecoveryPoint], zone: tzinfo) -> tuple[tuple[datetime, float], ...]:
    """Return what was held on each day on which a point was made: the median."""
    days: dict[date, list[tuple[datetime, float]]] = {}
    for each in points:
        held = float(sum(asset.bytes for asset in each.assets.values()))
        days.setdefault(each.as_of.astimezone(zone).date(), []).append((each.as_of, held))
    return tuple((day[-1][0], median(held for _, held in day)) for day in days.values())


@dataclass(frozen=True, kw_only=True)
class _Grown:
    name: str
    days: tuple[tuple[datetime, float], ...]
    ahead: tuple[float, float, float] | None
    """At `until`: the least, the likeliest, the most."""
    until: datetime
    zone: tzinfo

    def picture(self) -> Picture:
        is_enough = len(self.days) >= _FEWEST_DAYS
        alt = self._alt() if is_enough else say("pictures.growth.none", name=self.name)
        return Picture(
            title=say("pictures.growth.title", name=self.name),
            alt=alt,
            svg=self._svg(alt) if is_enough else _nothing(alt),
            data=self._data(),
        )

    def _alt(self) -> str:
        (first_at, first), (last_at, last) = self.days[0], self.days[-1]
        grew = say(
            "pictures.growth.grew",
            first=_size(first),
            first_day=date_words(first_at, self.zone),
            last=_size(last),
            last_day=date_words(last_at, self.zone),
        )
        return f"{grew} {self._pace()}"

    def _pace(self) -> str:
        if self.ahead is None:
            return say("pictures.growth.no_trend")
        low, middle, high = map(_size, self.ahead)
        day = date_words(self.until, self.zone)
        return say("pictures.growth.pace", day=day, low=low, middle=middle, high=high)

    def _svg(self, alt: str) -> str:
        first = self.days[0][0]
        across = _across(first, self.until)
        highest = max([*(held for _, held in self.days), *(self.ahead or ()), 1.0]) * _HEADROOM
        up = Axis(0, highest, _BOTTOM, _TOP - 18)
        measured = [point(across(at.timestamp()), up(held)) for at, held in self.days]
        parts = (
            _scale(up, round_steps(highest, _SIZES, _MOST_STEPS), _size),
            month_names(_month_places(across, first, self.until, self.zone), _BOTTOM + 13),
            self._fan(measured[-1], across(self.until.timestamp()), up),
            lined("good", f"M{'L'.join(measured)}", width=2, more=' stroke-linejoin="round"'),
            *self._legend(_BOTTOM + 41),
        )
        return drawing(alt, _BOTTOM + 48, parts)

    def _fan(self, begins: str, right: float, up: Axis) -> str:
        if self.ahead is None:
            return ""
        low, middle, high = map(up, self.ahead)
        path = f"M{begins}L{point(right, low)}V{number(high)}z"
        tint = filled("tint", f'<path d="{path}"/>')
        return tint + lined("soft", f"M{begins}L{point(right, middle)}", width=1.5, more=_DASHED)

    def _legend(self, y: float) -> Iterator[str]:
        yield lined("good", f"M{_LEFT - 4} {y - 4}h13", width=2)
        yield filled("soft", text(_LEFT + 12, y, say("pictures.growth.measured")))
        if self.ahead is not None:
            x = _LEFT + 80
            yield filled("tint", box(x, y - 9, 15, 10))
            yield lined("soft", f"M{point(x, y - 4)}h15", width=1.5, more=_DASHED)
            yield filled("soft", text(x + 19, y, say("pictures.growth.forecast")))

    def _data(self) -> Table:
        last_of: dict[str, float] = {}
        for at, held in self.days:
            last_of[month_words(at.astimezone(self.zone))] = held
        measured = say("pictures.growth.measured")
        rows = [(month, _size(held), measured) for month, held in last_of.items()]
        if self.ahead:
            low, middle, high = map(_size, self.ahead)
            note = say("pictures.growth.between", low=low, high=high)
            rows.append((month_words(self.until.astimezone(self.zone)), middle, note))
        return Table(
            caption=say("pictures.growth.title", name=self.name),
            columns=_columns("growth", "month", "size", "note"),
            rows=tuple(tuple(Cell(text=each) for each in row) for row in rows),
            empty=say("pictures.growth.none", name=self.name),
        )


# --- calendar -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CalendarLine:
    """What was tested: a system from a repository."""

    title: str
    entries: tuple[CalendarEntry, ...]


def calendar(lines: Sequence[CalendarLine], *, now: datetime, zone: tzinfo) -> Picture:
    """Return what became of the restore tests of the last twelve months, a row of months a line."""
    last = months(now - timedelta(days=366), now, zone)[-_YEAR:]
    counts = [[_counted(line, month, zone) for month in last] for line in lines]
    by_hand = all(each.by_hand for line in lines for each in line.entries)
    alt = _calendar_alt(counts, last[0], zone, by_hand=by_hand)
    return Picture(
        title=say("pictures.calendar.title"),
        alt=alt,
        svg=_calendar_svg(alt, lines, counts, last),
        data=_calendar_data(lines, counts, last),
    )


def _short(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"


def _counted(line: CalendarLine, month: datetime, zone: tzinfo) -> Counter[Became]:
    return Counter(
        entry.became
        for entry in line.entries
        if (local := entry.at.astimezone(zone)).year == month.year and local.month == month.month
    )


def _calendar_alt(
    counts: Sequence[Sequence[Counter[Became]]], start: datetime, zone: tzinfo, *, by_hand: bool
) -> str:
    total: Counter[Became] = Counter()
    for line in counts:
        for each in line:
            total.update(each)
    day = date_words(start, zone)
    if not total:
        return say("pictures.calendar.none")
    if set(total) == {Became.PASSED}:
        return say(f"pictures.calendar.{'by_hand' if by_hand else 'passed_all'}", start=day)
    return say("pictures.calendar.counted", start=day, counts=_counts_words(total))


def _counts_words(counts: Counter[Became]) -> str:
    return ", ".join(
        f"{counts[each]} {say(f'pictures.became.{each}')}" for each in Became if counts[each]
    )


_CELL = WIDTH / _YEAR
_CALENDAR_TOP = 30
_ROW, _ROW_TITLE = 50, 15
_TITLE = 54
"""Letters for which there is room; in the table below the drawing all of them are."""
_SIGNS = (9, 79, 142, 222, 292)


def _calendar_svg(
    alt: str,
    lines: Sequence[CalendarLine],
    counts: Sequence[Sequence[Counter[Became]]],
    last: Sequence[datetime],
) -> str:
    middles = [_CELL * (place + 0.5) for place in range(len(last))]
    parts = [month_names([*zip(middles, last, strict=True)], 10, at="middle")]
    for number_of, (line, of_line) in enumerate(zip(lines, counts, strict=True)):
        y = _CALENDAR_TOP + number_of * _ROW
        parts.append(filled("soft", text(0, y + 10, _short(line.title))))
        for x, each in zip(middles, of_line, strict=True):
            parts.append(_month_cell(x, y + _ROW_TITLE, each))
    y = _CALENDAR_TOP + len(lines) * _ROW + 14
    for became, x in zip(Became, _SIGNS, strict=True):
        parts += [
            _sign(became, x, y - 4),
            filled("soft", text(x + 12, y, say(f"pictures.became.{became}"))),
        ]
    parts.append(filled("soft", text(0, y + 22, say("pictures.calendar.explained"), size=SMALL)))
    return drawing(alt, y + 30, parts)


def _month_cell(x: float, y: float, counts: Counter[Became]) -> str:
    due = sum(counts.values())
    if not due:
        return filled("line", box(x - 2, y + 8, 4, 2))
    worst = next(each for each in _WORST_FIRST if counts[each])
    said = str(due) if worst is Became.PASSED else f"{counts[worst]}/{due}"
    return _sign(worst, x, y + 9) + filled("soft", text(x, y + 29, said, size=SMALL, at="middle"))


def _sign(became: Became, x: float, y: float) -> str:
    """Return the shape with its letter that stands for what became of a test."""
    letter = text(x, y + 4, say(f"pictures.letter.{became}"), at="middle")
    square = f"M{point(x - 8, y - 8)}h16v16h-16z"
    match became:
        case Became.PASSED:
            circle = f'<circle cx="{number(x)}" cy="{number(y)}" r="8"/>'
            return filled("good", circle) + filled("paper", letter)
        case Became.FAILED:
            return filled("bad", box(x - 8, y - 8, 16, 16)) + filled("paper", letter)
        case Became.NO_RESULT:
            diamond = f"M{point(x, y - 9)}l9 9l-9 9l-9 -9z"
            return lined("open", diamond, width=1.5) + filled("open", letter)
        case Became.MISSED:
            dashes = ' stroke-dasharray="3 2"'
            return lined("open", square, width=1.5, more=dashes) + filled("open", letter)
        case Became.SKIPPED:
            ends = f"M{point(x - 8, y + 8)}h16M{point(x - 8, y - 8)}h16"
            return lined("soft", ends) + filled("soft", letter)


def _calendar_data(
    lines: Sequence[CalendarLine],
    counts: Sequence[Sequence[Counter[Became]]],
    last: Sequence[datetime],
) -> Table:
    rows = tuple(
        (
            Cell(text=month_words(month)),
            *(_calendar_field(of_line[place]) for of_line in counts),
        )
        for place, month in enumerate(last)
    )
    return Table(
        caption=say("pictures.calendar.title"),
        columns=(
            Column(title=say("pictures.calendar.month")),
            *(Column(title=line.title, share=2) for line in lines),
        ),
        rows=rows if lines else (),
        empty=say("pictures.calendar.none"),
    )


def _calendar_field(counts: Counter[Became]) -> Cell:
    if not counts:
        return Cell(text=say("pictures.calendar.nothing"))
    worst = next(each for each in _WORST_FIRST if counts[each])
    return Cell(text=_counts_words(counts), tone=_TONES[worst])


# --- what they share ----------------------------------------------------------------------------


def _nothing(alt: str) -> str:
    return drawing(alt, 12, [lined("line", f"M0 6H{WIDTH}")])


def _across(start: datetime, end: datetime) -> Axis:
    return Axis(start.timestamp(), end.timestamp(), _LEFT + 4, _RIGHT - 4)


def _month_places(
    across: Axis, start: datetime, end: datetime, zone: tzinfo
) -> list[tuple[float, datetime]]:
    """Return where months begin, as many as there is room for."""
    places = [
        (across(month.timestamp()), month)
        for month in months(start, end, zone)
        if month.timestamp() >= across.first
    ]
    places = places or [(across(start.timestamp()), start.astimezone(zone))]
    room = _RIGHT - 20
    every = -(-len(places) // _MOST_MONTHS)
    return [(x, month) for x, month in places[::every] if x <= room]


def _scale(up: Axis, values: Sequence[float], words: Callable[[float], str]) -> str:
    lines = "".join(f"M{point(_LEFT, up(each))}H{_RIGHT}" for each in values)
    names = [text(_LEFT - 5, up(each) + 3.5, words(each), size=SMALL, at="end") for each in values]
    return lined("line", lines, width=0.7) + filled("soft", *names)


def _duration(seconds: float) -> str:
    return duration_words(timedelta(seconds=seconds)) if seconds else "0"


def _size(held: float) -> str:
    return size_words(round(held)).replace(".0 ", " ") if held else "0"


def _columns(picture: str, *names: str) -> tuple[Column, ...]:
    return tuple(
        Column(
            title=say(f"pictures.{picture}.column.{name}"),
            is_number=name not in {"month", "note"},
            share=2 if name in {"slowest", "note"} else 1,
        )
        for name in names
    )


def _by_month(
    tests: Sequence[RestoreTest], now: datetime, zone: tzinfo
) -> list[tuple[datetime, list[RestoreTest]]]:
    if not tests:
        return []
    found: dict[tuple[int, int], tuple[datetime, list[RestoreTest]]] = {
        (month.year, month.month): (month, []) for month in months(tests[0].started_at, now, zone)
    }
    for test in tests:
        local = test.started_at.astimezone(zone)
        found[local.year, local.month][1].append(test)
    return list(found.values())
