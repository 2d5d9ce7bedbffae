"""Which recovery point: the newest, any, or the one that was named; and out of which repository."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.core.wording import count_words, instant_words
from dr_orchestrator.errors import PointNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, tzinfo

    from dr_orchestrator.core.point import PointCopy, RecoveryPoint

LATEST = "latest"
RANDOM = "random"


def choose_point(
    points: Sequence[RecoveryPoint],
    *,
    system: str,
    repository: str | None,
    wanted: str,
    now: datetime,
    vouched: Callable[[PointCopy], bool] = lambda _copy: True,
    before: datetime | None = None,
) -> RecoveryPoint:
    """Return one of `points` (any order) of `system` that `repository` holds; any repository
    where that is `None`. `wanted` is `latest`, `random`, or the beginning of an id. It has the
    copies that somebody vouches for (`PracticeRecord.vouches_for`), or where there is none of
    these, all.

    A point that a wrong clock dated ahead of `now` is the latest only where there is no other: it
    would stand before all that is newer, until that date. One that nobody but a repository tells of
    is the latest, or any, only where there is no other: whoever can write there could have it
    restored in place of what we made.

    With `before`, only those count that were complete by then: what was captured while somebody
    was at the data holds some of what they did. Messages tell it in the time zone it has.

    Raises:
        PointNotFound: there is none, or the beginning fits several.
    """
    of_system = made_before([point for point in points if point.system == system], before)
    certain = _held([_of_vouched_copies(point, vouched) for point in of_system], repository)
    held = _held(of_system, repository)
    where = f" in {repository}" if repository else ""
    if not held:
        then = f" from before {instant_words(before, before.tzinfo or UTC)}" if before else ""
        raise PointNotFound(
            f"{system}: no recovery point is known{where}{then}",
            hint="`dro backup` makes one, or looks for those of another tool; `dro points rebuild` "
            "finds those that this program made",
        )
    if wanted == LATEST:
        among = certain or held
        believed = [point for point in among if point.as_of <= now + CLOCK_TOLERANCE]
        return (believed or among)[-1]
    if wanted == RANDOM:
        return secrets.choice(certain or held)
    matching = [point for point in held if point.id.startswith(wanted)]
    if len(matching) != 1:
        problem = "no recovery point" if not matching else f"{len(matching)} recovery points"
        raise PointNotFound(
            f"{system}: {problem}{where} with an id that begins with {wanted}",
            hint="`dro points` lists them",
        )
    return next((point for point in certain if point.id == matching[0].id), matching[0])


def point_at(
    points: Sequence[RecoveryPoint],
    at: datetime,
    *,
    system: str,
    repository: str | None,
    now: datetime,
    zone: tzinfo,
    vouched: Callable[[PointCopy], bool] = lambda _copy: True,
) -> RecoveryPoint:
    """Return the newest of `points` (any order) whose capture began at `at` or before; among those
    as `choose_point` does. Messages tell times in `zone`.

    Raises:
        PointNotFound: all are younger, or there is none.
    """
    until = [point for point in points if point.as_of <= at]
    of_system = _held([point for point in points if point.system == system], repository)
    if of_system and not _held([each for each in until if each.system == system], repository):
        raise PointNotFound(
            f"{system}: no recovery point is as old as {instant_words(at, zone)}",
            hint=f"the oldest is of {instant_words(of_system[0].as_of, zone)}: {of_system[0].id}",
        )
    return choose_point(
        until, system=system, repository=repository, wanted=LATEST, now=now, vouched=vouched
    )


def point_after(
    points: Sequence[RecoveryPoint], point: RecoveryPoint, repository: str | None
) -> RecoveryPoint | None:
    """Return the oldest point of the same system there (or anywhere) that is newer than `point`."""
    newer = [
        each
        for each in _held(points, repository)
        if each.system == point.system and each.as_of > point.as_of
    ]
    return newer[0] if newer else None


def made_before(points: Iterable[RecoveryPoint], before: datetime | None) -> list[RecoveryPoint]:
    """Return the points that were complete before an instant; all where it is `None`."""
    return [point for point in points if before is None or point.finished < before]


def holders(
    repositories: Iterable[str], point: RecoveryPoint, assets: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return those of the repositories that hold a point, with at least one: first the one with
    most of what is wanted (all of it where nothing is named), of several the first.

    A point can be whole in one repository and lack an asset in another.

    Raises:
        PointNotFound: none of them holds it.
    """
    held: dict[str, int] = {}
    for repository in repositories:
        copy = point.copy_in(repository)
        if copy is not None:
            held[repository] = len(set(assets or copy.snapshots) & set(copy.snapshots))
    if not held:
        raise PointNotFound(
            f"point {point.id} is in no repository of the plan",
            hint=f"it was saved to: {', '.join(copy.repository for copy in point.copies)}",
        )
    return tuple(sorted(held, key=lambda repository: -held[repository]))


def doubts_about(
    chosen: RecoveryPoint,
    points: Sequence[RecoveryPoint],
    vouched: Callable[[PointCopy], bool],
) -> str:
    """Return what a person should know of a choice, as a sentence: that only a repository tells of
    this point, or of newer ones that were passed over. Empty where there is nothing.
    """
    look = f"see `dro retention show {chosen.practice}`"
    if not any(vouched(copy) for copy in chosen.copies):
        return f"only a repository tells of this point, and nobody looked into it: {look}"
    newer = [
        point
        for point in points
        if point.system == chosen.system
        and point.as_of > chosen.as_of
        and not any(vouched(copy) for copy in point.copies)
    ]
    if not newer:
        return ""
    return (
        f"{count_words(len(newer), 'newer recovery point')} passed over: only a repository tells "
        f"of {'it' if len(newer) == 1 else 'them'}, and nobody looked into it: {look}"
    )


def _of_vouched_copies(point: RecoveryPoint, vouched: Callable[[PointCopy], bool]) -> RecoveryPoint:
    if all(vouched(copy) for copy in point.copies):
        return point
    return replace(point, copies=tuple(copy for copy in point.copies if vouched(copy)))


def _held(points: Sequence[RecoveryPoint], repository: str | None) -> list[RecoveryPoint]:
    """Return the points that are held there, or anywhere, oldest first."""
    return sorted(
        (
            point
            for point in points
            if (point.copies if repository is None else point.copy_in(repository))
        ),
        key=lambda point: (point.as_of, point.id),
    )


def point_before(
    points: Sequence[RecoveryPoint], point: RecoveryPoint, repository: str
) -> RecoveryPoint | None:
    """Return the newest point of the same system in `repository` that is older than `point`."""
    older = [
        each
        for each in points
        if each.system == point.system and each.copy_in(repository) and each.as_of < point.as_of
    ]
    return max(older, key=lambda each: each.as_of, default=None)
