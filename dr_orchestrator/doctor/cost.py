"""What the restore tests of a plan cost a month, by what they took so far. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from statistics import fmean

from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.wording import duration_words, size_words
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.repositories.restic_location import local_path

PACK_BYTES = 16 * 1024 * 1024
"""restic's usual pack since 0.14 (its manual, "Pack size"): at best one request each."""
_TESTS = 10
TimesAMonth = Callable[[Schedule, tzinfo], float]
"""How often a schedule means something in a month, in a time zone."""


@dataclass(frozen=True, kw_only=True)
class MonthOfTests:
    """What one line of a plan's `restore_tests` costs a month."""

    system: str
    repository: str
    times: float
    bytes: int | None
    """Restored; `None` before there is a point."""
    seconds: float | None
    """`None` before there was a test."""
    requests: int | None
    """To somebody's storage, at least; `None` where the repository is on a disk here."""


def cost_of_tests(
    plan: Plan, record: PracticeRecord, times_a_month: TimesAMonth
) -> Iterator[MonthOfTests]:
    """Yield what each line of `restore_tests` costs, in the order of the plan."""
    for system, spec in plan.protected.items():
        for line in spec.restore_tests:
            times = times_a_month(line.schedule, plan.practice.timezone)
            size = _newest_size(record, system, line.from_, line.parts)
            seconds = _usual_seconds(record, system, line.from_, line.parts)
            is_remote = local_path(plan.repositories[line.from_].location) is None
            yield MonthOfTests(
                system=system,
                repository=line.from_,
                times=round(times, 1),
                bytes=None if size is None else round(size * times),
                seconds=None if seconds is None else round(seconds * times),
                requests=round((1 + size // PACK_BYTES) * times) if is_remote and size else None,
            )


def cost_words(cost: MonthOfTests) -> str:
    """Return `emr from onsite: 30 times, 12.4 GiB restored, 3 h 30 min`."""
    parts = [f"{cost.times:.0f} times"]
    parts.append("no size yet" if cost.bytes is None else f"{size_words(cost.bytes)} restored")
    if cost.seconds is None:
        parts.append("never timed")
    else:
        parts.append(duration_words(timedelta(seconds=cost.seconds)))
    if cost.requests is not None:
        parts.append(f"at least {cost.requests:,} requests")
    return f"{cost.system} from {cost.repository}: {', '.join(parts)}"


def _newest_size(record: PracticeRecord, system: str, repository: str, parts: int) -> int | None:
    """Return what a test brings back: of files one of so many `parts`, of all else the whole."""
    points = [each for each in record.points if each.system == system and each.copy_in(repository)]
    assets = points[-1].assets.values() if points else ()
    sizes = [each.bytes // (1 if each.kind.is_database else parts) for each in assets]
    return sum(sizes) if points else None


def _usual_seconds(
    record: PracticeRecord, system: str, repository: str, parts: int
) -> float | None:
    took = [
        (each.finished_at - each.started_at).total_seconds()
        for each in record.tests
        if (each.system, each.repository, each.parts) == (system, repository, parts)
    ]
    return fmean(took[-_TESTS:]) if took else None
