"""Which recovery point: the newest, any, or the one that was named."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.errors import PointNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dr_orchestrator.core.point import RecoveryPoint

LATEST = "latest"
RANDOM = "random"


def choose_point(
    points: Sequence[RecoveryPoint],
    *,
    system: str,
    repository: str | None,
    wanted: str,
    now: datetime,
) -> RecoveryPoint:
    """Return one of `points` (any order) of `system` that `repository` holds; any repository
    where that is `None`. `wanted` is `latest`, `random`, or the beginning of an id.

    A point that a wrong clock dated ahead of `now` is the latest only where there is no other: it
    would stand before all that is newer, until that date.

    Raises:
        PointNotFound: there is none, or the beginning fits several.
    """
    held = sorted(
        (
            point
            for point in points
            if point.system == system
            and (point.copies if repository is None else point.copy_in(repository))
        ),
        key=lambda point: (point.as_of, point.id),
    )
    where = f" in {repository}" if repository else ""
    if not held:
        raise PointNotFound(
            f"{system}: no recovery point is known{where}",
            hint="`dro backup` makes one; `dro points rebuild` finds those that a repository holds",
        )
    if wanted == LATEST:
        believed = [point for point in held if point.as_of <= now + CLOCK_TOLERANCE]
        return (believed or held)[-1]
    if wanted == RANDOM:
        return secrets.choice(held)
    matching = [point for point in held if point.id.startswith(wanted)]
    if len(matching) != 1:
        problem = "no recovery point" if not matching else f"{len(matching)} recovery points"
        raise PointNotFound(
            f"{system}: {problem}{where} with an id that begins with {wanted}",
            hint="`dro points` lists them",
        )
    return matching[0]


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
