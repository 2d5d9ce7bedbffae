"""Forecast: the day on which what is kept today will not be kept any more, if it goes on like this.

Only from a trend that is clear, only for a day to come, and never far ahead of what was watched:
a forecast nobody can believe is noise. It is no verdict, and changes none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import combinations
from statistics import median

from dr_orchestrator.compliance.case import Case, open_case
from dr_orchestrator.core.point import AssetSummary, Method, RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import day_words, duration_words, printable
from dr_orchestrator.plan.model import Plan

STAGING = "the staging folder"
SANDBOX = "the sandbox"
"""Names of disks beside those of repositories; no repository can be called so."""

SHORTEST = timedelta(days=14)
FEWEST_DAYS = 5
FARTHEST = timedelta(days=365)
TIMES_WATCHED = 10
LEAST_SURPLUS = 0.5
DEVIATIONS = 3.0
HALF_AS_STEEP = 0.5
ABOVE_SCATTER = 2.0
_NINETEEN_OF_TWENTY = 1.96
_FRESH = timedelta(days=45)
_MOST_DAYS = 60
_DAY = timedelta(days=1)
_LOADED = 3
"""A dump in a sandbox, and the database loaded from it: about twice its size again."""


class Limit(StrEnum):
    """What will be missed."""

    RTO = "rto"
    DISK = "disk"
    BACKUP_WINDOW = "backup window"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What will be missed, and about when."""

    practice: str
    system: str
    """Empty where it is a disk that several systems share."""
    what: Limit
    on: date
    """In the practice's time zone."""
    sentence: str


Series = Sequence[tuple[datetime, float]]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A clear rise: three lines over the days since `start`, each by its level there and its slope.

    The first and the last are Sen's limits (Journal of the American Statistical Association 63,
    1968): between them the true slope lies in 19 of 20 cases.
    """

    start: datetime
    days: float
    """How long it was watched."""
    lines: tuple[tuple[float, float], ...]

    def at(self, instant: datetime) -> tuple[float, float, float]:
        """Return the least, the likeliest and the most that it comes to at an aware instant."""
        day = (instant - self.start) / _DAY
        low, middle, high = (level + slope * day for level, slope in self.lines)
        return min(low, middle), middle, max(high, middle)


def size_trend(points: Iterable[RecoveryPoint], now: datetime) -> Trend | None:
    """Return how the data of a system grows; `None` without a clear trend."""
    return _trend(_by_day(_sizes(points, lambda asset: asset.bytes)), now)


def forecasts(
    plan: Plan, record: PracticeRecord, disks: Mapping[str, tuple[int, int]], now: datetime
) -> tuple[Forecast, ...]:
    """Return what will be missed within a year, soonest first.

    Pure. `disks` is what there is room for: the name of a repository on a disk of this machine,
    `STAGING` or `SANDBOX` -> bytes that are free, and bytes in all. How long backups took is in
    the record: from the instant of capture until the manifest was saved.
    """
    cases = [open_case(plan, name, record, now) for name in plan.protected]
    found = [each for case in cases for each in _of_system(case)]
    for name, (free, _total) in disks.items():
        found.extend(_of_disk(name, free, cases, record))
    return tuple(sorted(found, key=lambda each: each.on))


def _of_system(case: Case) -> Iterator[Forecast]:
    title = printable(case.system.title or case.name)
    allowed = sum((step.allow for step in case.system.recovery), timedelta(0))
    rto, period = case.system.rto, case.system.backup.schedule.period
    for repository in case.prove_every:
        proven = [
            (test.started_at, test.rta_service_seconds)
            for test in case.tests
            if test.repository == repository
            and test.result is Result.PASSED
            and test.rta_service_seconds is not None
        ]
        on = _reaches(case, proven, (rto - allowed).total_seconds())
        if on is not None:
            promised = duration_words(rto)
            yield _forecast(
                case,
                Limit.RTO,
                on,
                f"recovery of {title} from {repository} takes longer than the promised {promised} "
                f"from about {day_words(on)} on",
            )
    took = [(p.as_of, (p.finished - p.as_of).total_seconds()) for p in case.points]
    on = _reaches(case, took, period.total_seconds())
    if on is not None:
        yield _forecast(
            case,
            Limit.BACKUP_WINDOW,
            on,
            f"a backup of {title} takes longer than the {duration_words(period)} until the next "
            f"one from about {day_words(on)} on",
        )


def _of_disk(
    name: str, free: int, cases: Sequence[Case], record: PracticeRecord
) -> Iterator[Forecast]:
    if name in {STAGING, SANDBOX}:
        size = _staged if name == STAGING else _in_sandbox
        for case in cases:
            on = _reaches(case, _sizes(case.points, size), float(free))
            if on is not None:
                title = printable(case.system.title or case.name)
                doing = "backup" if name == STAGING else "restore test"
                yield _forecast(
                    case,
                    Limit.DISK,
                    on,
                    f"{name} has no room for a {doing} of {title} from about {day_words(on)} on",
                )
        return
    saved = [case for case in cases if name in case.repositories]
    if not saved:
        return
    lets_go = any(
        run.operation is Operation.FORGET and run.repository == name for run in record.last_runs
    )
    growth = _growth([case.points for case in saved], lets_go=lets_go)
    on = _reaches(saved[0], growth, growth[-1][1] + free if growth else 0.0)
    if on is not None:
        sentence = f"the disk of the repository {name} is full about {day_words(on)}"
        yield _forecast(saved[0], Limit.DISK, on, sentence, system="")


def _forecast(
    case: Case, what: Limit, on: date, sentence: str, *, system: str | None = None
) -> Forecast:
    return Forecast(
        practice=case.plan.practice.id,
        system=case.name if system is None else system,
        what=what,
        on=on,
        sentence=f"at this pace {sentence}",
    )


def _sizes(points: Iterable[RecoveryPoint], size: Callable[[AssetSummary], int]) -> Series:
    return [
        (point.as_of, float(sum(size(asset) for asset in point.assets.values())))
        for point in points
    ]


def _staged(asset: AssetSummary) -> int:
    """Return what of an asset waits on disk before it is saved (assets/: `staging_bytes`)."""
    return asset.bytes if asset.method in {Method.COPY, Method.PHYSICAL} else 0


def _in_sandbox(asset: AssetSummary) -> int:
    is_loaded = asset.method in {Method.LOGICAL, Method.DUMP}
    return asset.bytes * (_LOADED if is_loaded else 1)


def _growth(systems: Sequence[Sequence[RecoveryPoint]], *, lets_go: bool) -> Series:
    """Return what a repository held more, point by point, from wherever it began.

    As long as nothing was ever forgotten in it, all that was added is still there. After that, what
    retention lets go of makes room for what is added, and only the data itself grows.
    """
    grown: list[tuple[datetime, float]] = []
    for points in systems:
        before = 0.0
        for number, point in enumerate(points):
            assets = point.assets.values()
            size = float(sum(asset.bytes for asset in assets))
            added = float(sum(asset.added_bytes or 0 for asset in assets))
            step = size - before if lets_go else added
            before = size
            if number:  # the first is all that was there already
                grown.append((point.as_of, step))
    total, series = 0.0, []
    for instant, step in sorted(grown):
        total += step
        series.append((instant, total))
    return series


def _reaches(case: Case, series: Series, limit: float) -> date | None:
    """Return the day on which a clear trend gets past `limit`; `None` where there is none, where
    it already is, and where that is too far ahead.
    """
    days = _by_day(series)
    trend = _trend(days, case.now)
    if trend is None or days[-1][1] >= limit:
        return None
    level, slope = trend.lines[1]
    reached = (limit - level) / slope
    ahead = reached - (case.now - trend.start) / _DAY
    if not 0 < ahead <= min(FARTHEST / _DAY, TIMES_WATCHED * trend.days):
        return None
    return (trend.start + reached * _DAY).astimezone(case.plan.practice.timezone).date()


def _trend(days: Series, now: datetime) -> Trend | None:
    if not days or now - days[-1][0] > _FRESH:
        return None
    start = days[0][0]
    pairs = [((at - start) / _DAY, value) for at, value in days]
    watched = pairs[-1][0]
    if len(pairs) < FEWEST_DAYS or watched < SHORTEST / _DAY:
        return None
    slope = _clear_slope(pairs)
    if slope is None:
        return None
    low, high = _limits(pairs)
    return Trend(
        start=start,
        days=watched,
        lines=tuple(
            (median(value - each * day for day, value in pairs), each)
            for each in (low, slope, high)
        ),
    )


def _limits(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    slopes = sorted(_slopes(pairs))
    n = len(pairs)
    apart = _NINETEEN_OF_TWENTY * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = max(0, round((len(slopes) - apart) / 2))
    return slopes[first], slopes[-1 - first]


def _by_day(series: Series) -> list[tuple[datetime, float]]:
    """Return the median of each of the last days on which there is anything."""
    days: dict[date, list[tuple[datetime, float]]] = {}
    for at, value in series:
        days.setdefault(at.date(), []).append((at, value))
    return [
        (days[day][-1][0], median(value for _, value in days[day]))
        for day in sorted(days)[-_MOST_DAYS:]
    ]


def _clear_slope(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rise a day, by Theil and Sen: the median of the slopes between all pairs of days.

    A few days unlike the others do not move it. Clear is a trend that most pairs share, that is in
    both halves (one import, one slower server is a step and no trend), and that rises by more than
    the days scatter about it.
    """
    slope = _slope(pairs)
    middle = len(pairs) // 2
    halves = _slope(pairs[: middle + 1]), _slope(pairs[middle:])
    if slope <= 0 or min(halves) < HALF_AS_STEEP * slope or not _rises(pairs):
        return None
    level = median(value - slope * day for day, value in pairs)
    scatter = median(abs(value - level - slope * day) for day, value in pairs)
    rise = slope * (pairs[-1][0] - pairs[0][0])
    return slope if rise > ABOVE_SCATTER * scatter else None


def _slope(pairs: Sequence[tuple[float, float]]) -> float:
    return median(_slopes(pairs))


def _slopes(pairs: Sequence[tuple[float, float]]) -> Iterator[float]:
    return ((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(pairs, 2))


def _rises(pairs: Sequence[tuple[float, float]]) -> bool:
    """Return whether more pairs of days rise than would by chance (the test of Mann and Kendall).

    Of n days in any order the surplus of rising pairs has this deviation; few days, where that says
    little, must all rise.
    """
    surplus = [1 if b[1] > a[1] else -1 for a, b in combinations(pairs, 2)]
    n = len(pairs)
    deviation = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    needed = min(1.0, max(LEAST_SURPLUS, DEVIATIONS * deviation))
    return sum(surplus) >= needed * len(surplus)
