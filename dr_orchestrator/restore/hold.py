"""Hold what is read, so that nobody takes it away meanwhile.

A point is not forgotten while it is held, and its repository is not pruned: restic's `prune` moves
data into new packs and removes the old ones, which a `restore` that began before still looks for.
Neither keeps a backup from anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.store.base import point_key, reading_key

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.store.base import Store


@contextlib.contextmanager
def held(point: RecoveryPoint, repository: str, store: Store, *, wait: timedelta) -> Iterator[None]:
    """Hold a point in a repository for a block, together with others who read it.

    Raises:
        Busy: retention has the point, or the repository is being pruned.
    """
    restic_id = store.repository_id(point.practice, repository)
    with contextlib.ExitStack() as holds:
        for key, what in (
            (restic_id and reading_key(restic_id), f"the repository {repository}"),
            (point_key(point.practice, point.id), f"recovery point {point.id}"),
        ):
            if key:
                holds.enter_context(store.locks.hold({key}, exclusive=False, wait=wait, what=what))
        yield
