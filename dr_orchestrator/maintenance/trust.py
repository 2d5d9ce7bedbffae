"""What speaks against forgetting anything in a repository until a person has looked. Pure.

Somebody who can write to a repository, or a clock that is wrong, can make a careful rule let go of
the wrong points: by points of forged dates that push good ones out, by a plan that suddenly keeps
next to nothing. What a person looked into (`looked_into`, when he last released the repository)
speaks against nothing any more; what came since then does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.maintenance.strangers import Stranger

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
        # what we made ourselves may take days to save, and reach a repository much later
        late += copy.read_back and copy.recorded_at - point.as_of > FIRST_SEEN_LATE
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


def read_back(
    points: Iterable[RecoveryPoint], repository: str, looked_into: datetime | None
) -> Iterator[str]:
    """Yield how many points nobody but `repository` itself has told of."""
    count = sum(
        copy.read_back and (looked_into is None or copy.recorded_at > looked_into)
        for point in points
        if (copy := point.copy_in(repository)) is not None
    )
    if count:
        yield f"{count_words(count, 'recovery point')} {_was(count)} read back from the repository"


def strange_snapshots(found: Collection[Stranger]) -> Iterator[str]:
    """Yield whether somebody else saves here."""
    if not found:
        return
    seconds = sum(each.second for each in found)
    also = f", {seconds} of them beside what we saved ourselves" if seconds else ""
    yield (
        f"{count_words(len(found), 'snapshot')} here {_is(len(found))} on no record of this machine"
        f"{also}: somebody else saves here (`dro retention show` lists them), or this machine lost "
        "its memory (`dro points rebuild` reads it back)"
    )


def vanished_points(count: int, newest_proven: str = "") -> Iterator[str]:
    """Yield whether somebody removed what is to be kept; `newest_proven` is the id of the newest
    point that was proven to come back from here, where that is among it.
    """
    if count:
        also = f"; {newest_proven} was the newest one proven from here" if newest_proven else ""
        yield f"{_are(count)} no longer whole here, and we did not remove anything of them{also}"


def _are(count: int) -> str:
    return f"{count_words(count, 'recovery point')} {_is(count)}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
