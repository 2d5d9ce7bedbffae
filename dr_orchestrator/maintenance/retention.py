"""Which recovery points of one system are kept in one repository, and why. Pure.

Everything is decided on `as_of`, by id. What a repository says of its own times decides nothing, or
whoever can write there could date the good points out of their places.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.compliance.shares import last_word
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import HoldPlaced
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words, instant_words, printable
from dr_orchestrator.plan.model import Retention

PROVEN_HERE = "the newest proven from here"
"""The reason why the newest point stays that passed a restore test from this repository."""
EXAMINED_FOR = timedelta(days=30)
"""How long a point that failed its restore test is kept: for whoever finds out why."""

_Bucket = Callable[[datetime], object]


def kept(
    points: Iterable[RecoveryPoint],
    policy: Retention,
    *,
    zone: tzinfo,
    now: datetime,
    repository: str,
    window: timedelta,
    assets: Collection[str],
    tests: Iterable[RestoreTest],
    holds: Mapping[str, HoldPlaced],
    released: Collection[str],
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the points that stay in `repository`, each with all its reasons, in words.

    `points` and `tests` are of one system, in any order; those of other repositories say nothing
    of the data here, and matter only for which point was proven anywhere. `assets` are what the
    plan protects now, `window` is how far back from the newest point the RPO looks.

    - Always kept: what the RPO is judged on, which is each point of the window and the one before
      it, and the same for each asset alone; the newest point; the newest that was proven, from here
      (and the newest of which all files came back) and from anywhere; what is held; what is
      labelled and not `released`, unless a hold has the label as its reason: then that says how
      long; what is dated in the future, which no rule can place.
    - By the policy: the newest point of each of the newest so many hours, days … of the practice's
      `zone` that have any. One that holds every asset goes before one that does not.
    - A point whose last conclusive restore test from here failed stands for nothing, so it pushes
      no good one out. It is kept for `EXAMINED_FOR` after that test.
    - A point that was read back from the repository is kept like any other, and pushes none out
      that this memory saw being made: all that would stay without it stays.
    """
    held = sorted(
        ((point, copy) for point in points if (copy := point.copy_in(repository)) is not None),
        key=lambda each: (each[0].as_of, each[0].id),
    )
    of_all = [point for point, _ in held]
    of_ours = [point for point, copy in held if not copy.read_back]
    tests = tuple(tests)
    reasons: dict[str, list[str]] = {}
    for group in (of_all, of_ours) if of_all != of_ours else (of_all,):
        for point, reason in _reasons(
            group,
            policy,
            zone=zone,
            now=now,
            repository=repository,
            window=window,
            assets=assets,
            tests=tests,
            holds=holds,
            released=released,
        ):
            reasons.setdefault(point.id, []).append(reason)
    return {point: tuple(dict.fromkeys(each)) for point, each in reasons.items()}


def _reasons(
    held: list[RecoveryPoint],
    policy: Retention,
    *,
    zone: tzinfo,
    now: datetime,
    repository: str,
    window: timedelta,
    assets: Collection[str],
    tests: Iterable[RestoreTest],
    holds: Mapping[str, HoldPlaced],
    released: Collection[str],
) -> Iterator[tuple[RecoveryPoint, str]]:
    """Yield each point that stays with each reason; `held` are those in the repository, by age."""
    believed = [point for point in held if point.as_of <= now + CLOCK_TOLERANCE]
    tests = [test for test in tests if test.started_at <= now + CLOCK_TOLERANCE]
    conclusive = last_word(tests)
    failed = {
        point: test
        for (point, place), test in conclusive.items()
        if place == repository and test.result is Result.FAILED
    }
    sound = [point for point in believed if point.id not in failed]
    yield from _named(held, holds, released, now, zone)
    yield from (
        (point, "dated in the future") for point in held if point.as_of > now + CLOCK_TOLERANCE
    )
    yield from ((point, "the newest") for point in believed[-1:])
    yield from _proven(sound, conclusive, tests, repository)
    yield from _in_window(sound, window, repository, assets)
    yield from _by_policy(sound, policy, zone, repository, assets)
    yield from (
        (point, "failed its restore test: kept to be examined")
        for point in believed
        if point.id in failed and now - failed[point.id].finished_at <= EXAMINED_FOR
    )


def _named(
    points: list[RecoveryPoint],
    holds: Mapping[str, HoldPlaced],
    released: Collection[str],
    now: datetime,
    zone: tzinfo,
) -> Iterator[tuple[RecoveryPoint, str]]:
    """Yield the points that a person asked to keep."""
    for point in points:
        hold = holds.get(point.id)
        if point.label and point.id not in released and not _is_of_label(hold, point.label):
            yield point, f"labelled: {point.label}"
        if hold is not None and (hold.until is None or hold.until > now):
            until = (
                "until it is released" if hold.until is None else instant_words(hold.until, zone)
            )
            yield point, f"held ({until}): {hold.why}"


def _is_of_label(hold: HoldPlaced | None, label: str) -> bool:
    """Whether it says how long the label keeps its point, which is for ever otherwise."""
    return hold is not None and hold.why == printable(label)


def _proven(
    points: list[RecoveryPoint],
    conclusive: Mapping[tuple[str, str], RestoreTest],
    tests: Iterable[RestoreTest],
    repository: str,
) -> Iterator[tuple[RecoveryPoint, str]]:
    """Yield the newest points that came back: from here, if only a share of its files, and with all
    of them; and from anywhere.
    """
    passed = {key for key, test in conclusive.items() if test.result is Result.PASSED}
    anywhere = {point for point, _ in passed}
    from_here = [point for point in points if (point.id, repository) in passed]
    yield from ((point, PROVEN_HERE) for point in from_here[-1:])
    whole = {test.point for test in tests if _is_whole_proof(test, repository)}
    wholly = [point for point in from_here if point.id in whole]
    if wholly and wholly[-1] is not from_here[-1]:
        yield wholly[-1], "the newest of which all files came back from here"
    proven = [point for point in points if point.id in anywhere]
    yield from ((point, "the newest proven") for point in proven[-1:])


def _is_whole_proof(test: RestoreTest, repository: str) -> bool:
    return test.result is Result.PASSED and test.share.is_whole and test.repository == repository


def _in_window(
    points: list[RecoveryPoint], window: timedelta, repository: str, assets: Collection[str]
) -> Iterator[tuple[RecoveryPoint, str]]:
    """Yield the points that the RPO is judged on: of the whole, and of each asset alone.

    The stretch that ends with the first point of the window begins with the one before it.
    """
    reason = f"among the last {duration_words(window)} before the newest"
    alone = ([p for p in points if _holds(p, asset, repository)] for asset in assets)
    for group in (points, *alone):
        if group:
            start = group[-1].as_of - window
            yield from ((p, reason) for p in group if p.as_of > start)
            before = [p for p in group if p.as_of <= start]
            yield from ((p, "the last one before those") for p in before[-1:])


def _by_policy(
    points: list[RecoveryPoint],
    policy: Retention,
    zone: tzinfo,
    repository: str,
    assets: Collection[str],
) -> Iterator[tuple[RecoveryPoint, str]]:
    newest_first = points[::-1]
    yield from ((point, "among the newest") for point in newest_first[: policy.keep_last])
    for count, name, bucket_of in (
        (policy.keep_hourly, "hour", _hour),
        (policy.keep_daily, "day", lambda at: at.date()),
        (policy.keep_weekly, "week", lambda at: at.isocalendar()[:2]),
        (policy.keep_monthly, "month", lambda at: (at.year, at.month)),
        (policy.keep_yearly, "year", lambda at: at.year),
    ):
        for members in _buckets(newest_first, bucket_of, zone)[:count]:
            whole = [p for p in members if all(_holds(p, each, repository) for each in assets)]
            yield (whole or members)[0], f"the newest of its {name}"


def _buckets(
    newest_first: list[RecoveryPoint], bucket_of: _Bucket, zone: tzinfo
) -> list[list[RecoveryPoint]]:
    """Return the points by bucket, the newest bucket and in each the newest point first."""
    buckets: dict[object, list[RecoveryPoint]] = {}
    for point in newest_first:
        buckets.setdefault(bucket_of(point.as_of.astimezone(zone)), []).append(point)
    return list(buckets.values())


def _hour(at: datetime) -> object:
    """Return the hour of a wall clock; the one that is shown twice when it is put back is two."""
    return at.date(), at.hour, at.utcoffset()


def _holds(point: RecoveryPoint, asset: str, repository: str) -> bool:
    copy = point.copy_in(repository)
    return copy is not None and asset in copy.snapshots
