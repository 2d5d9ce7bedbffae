"""Suspicion: a backup unlike those before it, by how much it holds and how much of that is new.

What was encrypted, emptied or cut short is backed up, restored and compared without a fault, since
it is what was there at capture. Only its own history tells. Each limit has its reason in
docs/reference/suspicion.md; none is judged before there is a history, and what stays so becomes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from statistics import median

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case, open_case
from dr_orchestrator.core.point import AssetSummary, RecoveryPoint
from dr_orchestrator.core.record import FORGOTTEN_SHOWN, PracticeRecord
from dr_orchestrator.core.wording import count_words, size_words
from dr_orchestrator.plan.model import Plan

SHRUNK = 0.5
GROWN = 3.0
MOST_CHANGED = 0.3
TIMES_USUAL = 5.0
FEWEST_BYTES = 10 * 1024**2
FEWEST_LOST = 1024**2
FEWEST_FILES = 50
FEWEST_POINTS = 5
SHORTEST_HISTORY = timedelta(days=1)
STANDS = timedelta(days=7)
STANDS_POINTS = 5
_COMPARED_POINTS = 10
_COMPARED_DAYS = 30
_MOST_POINTS = 60
"""Beside those of the last `FORGOTTEN_SHOWN`: for schedules of a week or a month."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A backup of one asset that is unlike those before it."""

    practice: str
    system: str
    asset: str
    what: str
    """One sentence, the same as long as it stands."""
    since: datetime
    point: str
    """The id of the first recovery point that is so; the one before it was like the others."""


def suspicions(plan: Plan, record: PracticeRecord, now: datetime) -> tuple[Suspicion, ...]:
    """Return what a person should look into, at most one for each asset, in the plan's order.

    Pure. A suspicion stands until the asset is as it was (a size), or for `STANDS` and
    `STANDS_POINTS` further points: then it is what is usual.
    """
    return tuple(
        found
        for name in plan.protected
        for found in _of_system(open_case(plan, name, record, now), record)
    )


def _of_system(case: Case, record: PracticeRecord) -> Iterator[Suspicion]:
    latest = case.now + CLOCK_TOLERANCE
    gone = (p for p in record.forgotten if p.system == case.name and p.as_of <= latest)
    points = sorted((*case.points, *gone), key=lambda point: (point.as_of, point.id))
    recent = sum(point.as_of >= case.now - FORGOTTEN_SHOWN for point in points)
    points = points[-max(recent, _MOST_POINTS) :]
    for asset in case.system.assets:
        found = sorted(_of_asset(case, asset, points), key=attrgetter("since"))
        if found:
            yield Suspicion(
                practice=case.plan.practice.id,
                system=case.name,
                asset=asset,
                what="; ".join(each.what for each in found),
                since=found[0].since,
                point=found[0].point,
            )


@dataclass(frozen=True)
class _Sign:
    """One thing that stands out."""

    since: datetime
    point: str
    what: str


def _of_asset(case: Case, asset: str, points: Sequence[RecoveryPoint]) -> Iterator[_Sign]:
    kind = case.system.assets[asset].kind
    known = [p for p in points if asset in p.assets and p.assets[asset].kind is kind]
    comparable = _saved_to_the_same(known, asset, case.repositories[0])
    for measure, found in (
        (_BYTES, known),
        (_FILES, known),
        (_CHANGED, comparable),
        (_ADDED, comparable),
    ):
        sign = _stands_out(measure, asset, found)
        if sign is not None:
            yield sign


def _saved_to_the_same(
    points: Sequence[RecoveryPoint], asset: str, repository: str
) -> Sequence[RecoveryPoint]:
    """Return the points whose counts of what is new mean the same: what a repository is given for
    the first time is all new to it, whatever became of the asset.
    """
    kept = [point for point in points if point.copies]
    held = [
        point
        for point in kept
        if (copy := point.copy_in(repository)) is not None and asset in copy.snapshots
    ]
    if not held:
        return ()
    if held[0] is kept[0]:
        return points[1:]
    return [point for point in points if point.as_of > held[0].as_of]


class _Usual:
    """What a measure of an asset usually is."""

    def __init__(self) -> None:
        self._first: datetime | None = None
        self._values: list[float] = []
        self._days: dict[date, tuple[float, float]] = {}

    def take(self, values: Iterable[tuple[datetime, float]]) -> None:
        """Let what was measured be usual."""
        for at, value in values:
            self._first = self._first or at
            self._values.append(value)
            low, high = self._days.get(at.date(), (value, value))
            self._days[at.date()] = (min(low, value), max(high, value))

    def is_known(self, at: datetime) -> bool:
        """Whether there is history enough to call anything unlike it."""
        enough = len(self._values) >= FEWEST_POINTS
        return enough and self._first is not None and at - self._first >= SHORTEST_HISTORY

    @property
    def middle(self) -> float:
        """The median of the last few points."""
        return median(self._values[-_COMPARED_POINTS:])

    @property
    def low(self) -> float:
        """What one day in ten falls below at some time of it."""
        lows = sorted(low for low, _ in self._last_days())
        return lows[len(lows) // 10]

    @property
    def high(self) -> float:
        """What one day in ten rises above at some time of it."""
        highs = sorted(high for _, high in self._last_days())
        return highs[math.ceil(0.9 * len(highs)) - 1]

    def _last_days(self) -> list[tuple[float, float]]:
        return [self._days[day] for day in sorted(self._days)[-_COMPARED_DAYS:]]


@dataclass(frozen=True, kw_only=True)
class _Measure:
    """Something that is counted of an asset at each point."""

    value: Callable[[AssetSummary], float | None]
    lasts: bool
    """Whether it tells how the asset is, so that it is over when the next point is as before; if
    not, it tells what happened to it, and that is not undone by nothing happening after."""
    stands_out: Callable[[AssetSummary, float, _Usual], str]
    """Says how, as a sentence; empty where it does not."""

    def judge(self, point: RecoveryPoint, asset: str, usual: _Usual) -> str:
        """Say how this point stands out; nothing without a history."""
        summary = point.assets[asset]
        value = self.value(summary)
        if value is None or not usual.is_known(point.as_of):
            return ""
        return self.stands_out(summary, value, usual)


def _stands_out(measure: _Measure, asset: str, points: Sequence[RecoveryPoint]) -> _Sign | None:
    """Return what stands out at the newest point, with all that came before as its history."""
    usual, sign = _Usual(), None
    odd: list[tuple[datetime, float]] = []
    further = 0
    for point in points:
        at, value = point.as_of, measure.value(point.assets[asset])
        if value is None:
            continue
        how = measure.judge(point, asset, usual)
        if sign is not None:
            further += 1
            over = measure.lasts and not how
            settled = further >= STANDS_POINTS and at - sign.since >= STANDS
            if settled and measure.lasts and not over:
                usual = _Usual()  # what it was before is no measure any more
            if settled or over:
                usual.take(odd)
                sign, odd, further = None, [], 0
                how = measure.judge(point, asset, usual)
        if how:
            sign = sign or _Sign(at, point.id, f"{asset} {how}")
            odd.append((at, value))
        else:
            usual.take([(at, value)])
    return sign


def _size_stands_out(summary: AssetSummary, value: float, usual: _Usual) -> str:
    middle = usual.middle
    shrunk = middle - value >= FEWEST_LOST and value < SHRUNK * min(middle, usual.low)
    grown = value - middle >= FEWEST_BYTES and value > GROWN * max(middle, usual.high)
    if not shrunk and not grown:
        return ""
    word = "shrank" if shrunk else "grew"
    return f"{word} to {size_words(summary.bytes)} from the usual {size_words(round(middle))}"


def _files_stand_out(_summary: AssetSummary, value: float, usual: _Usual) -> str:
    middle = usual.middle
    if middle - value < FEWEST_FILES or value >= SHRUNK * min(middle, usual.low):
        return ""
    return f"has only {count_words(round(value), 'file')} left of the usual {round(middle):,}"


def _changes_stand_out(summary: AssetSummary, value: float, usual: _Usual) -> str:
    changed, files = summary.changed_files or 0, summary.files or 0
    if changed < FEWEST_FILES or value <= MOST_CHANGED or value <= TIMES_USUAL * usual.high:
        return ""
    return (
        f"has {changed:,} of {count_words(files, 'file')} new or changed since the backup before, "
        f"usually {_share(usual.high)}"
    )


def _additions_stand_out(summary: AssetSummary, value: float, usual: _Usual) -> str:
    added = summary.added_bytes or 0
    if added < FEWEST_BYTES or value <= MOST_CHANGED or value <= TIMES_USUAL * usual.high:
        return ""
    return (
        f"has {size_words(added)} in its {size_words(summary.bytes)} that no backup before had, "
        f"usually {_share(usual.high)}: as if it had been encrypted"
    )


def _share(value: float) -> str:
    return "less than 1 %" if value < 0.01 else f"at most {math.ceil(value * 100)} %"  # noqa: PLR2004


def _ratio(part: int | None, whole: int | None) -> float | None:
    return None if part is None or whole is None else part / max(whole, 1)


_BYTES = _Measure(value=lambda a: float(a.bytes), lasts=True, stands_out=_size_stands_out)
_FILES = _Measure(
    value=lambda a: None if a.files is None else float(a.files),
    lasts=True,
    stands_out=_files_stand_out,
)
_CHANGED = _Measure(
    value=lambda a: _ratio(a.changed_files, a.files), lasts=False, stands_out=_changes_stand_out
)
_ADDED = _Measure(
    value=lambda a: _ratio(a.added_bytes, a.bytes), lasts=False, stands_out=_additions_stand_out
)
