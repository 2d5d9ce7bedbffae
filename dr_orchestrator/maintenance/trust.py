"""What speaks against forgetting anything in a repository until a person has looked. Pure.

Somebody who can write to a repository, or a clock that is wrong, can make a careful rule let go of
the wrong points: by points of forged dates that push good ones out, by a plan that suddenly keeps
next to nothing. What a person looked into (`looked_into`, when he last released the repository)
speaks against nothing any more; what came since then does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.run import Run
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.maintenance.holdings import Holdings, Remains

FIRST_SEEN_LATE = timedelta(days=2)
"""A backup is on record within the hours it takes; one that came later was dated by somebody."""
FEW = 3
"""So many points may go whatever share of all they are."""
_SHARE = 4
"""Of the older points a quarter may go because a plan was changed. Thirty days made one, beside
twelve months and the hours of two days, are half of them."""


def wrong_dates(
    points: Iterable[RecoveryPoint], repository: str, now: datetime, looked_into: datetime | None
) -> Iterator[str]:
    """Yield what is wrong with the dates of the points that `repository` holds."""
    ahead = late = 0
    for point in points:
        copy = point.copy_in(repository)
        if copy is None or (looked_into is not None and copy.recorded_at <= looked_into):
            continue
        ahead += point.as_of > min(now, copy.recorded_at) + CLOCK_TOLERANCE
        late += copy.recorded_at - point.as_of > FIRST_SEEN_LATE
    if ahead:
        yield f"{_are(ahead)} dated ahead of the time at which this was noticed: check the clock"
    if late:
        yield f"{_are(late)} dated long before this machine first saw them"


def too_many(
    system: str, going: Collection[str], settled: Collection[str], why: str
) -> Iterator[str]:
    """Yield whether more than a quarter of the older points of a system would go in one go."""
    lost = len(set(going).intersection(settled))
    if lost > max(len(settled) / _SHARE, FEW):
        yield (
            f"{lost} of the {count_words(len(settled), 'older recovery point')} of {system} would "
            f"go at once: {why}"
        )


def unknown_points(
    holdings: Holdings,
    recorded: Mapping[str, PointCopy],
    runs: Mapping[str, Run],
    looked_into: datetime | None,
) -> Iterator[str]:
    """Yield whether somebody else saves here: points that are on no record of ours.

    `recorded` is what our record says is here, `runs` what it knows of the runs that would have
    made the others: a backup of ours that was killed leaves what it had saved.
    """
    unknown = sum(
        point not in runs and _came_since(remains, recorded.get(point), looked_into)
        for point, remains in holdings.points.items()
    )
    if unknown:
        yield (
            f"{count_words(unknown, 'recovery point')} here {'is' if unknown == 1 else 'are'} on "
            "no record of this machine: somebody else saves here under this practice's name, or "
            "this machine lost its memory (`dro points rebuild` reads it back)"
        )


def _came_since(remains: Remains, copy: PointCopy | None, looked_into: datetime | None) -> bool:
    strange = [
        each
        for each in (*remains.manifests, *(() if copy else remains.assets))
        if copy is None or copy.manifest_snapshot not in {each.id, each.original}
    ]
    return any(looked_into is None or each.time > looked_into for each in strange)


def vanished_points(count: int) -> Iterator[str]:
    """Yield whether somebody removed what is to be kept."""
    if count:
        yield f"{_are(count)} no longer whole here, and we did not remove anything of them"


def _are(count: int) -> str:
    return f"{count_words(count, 'recovery point')} {'is' if count == 1 else 'are'}"
