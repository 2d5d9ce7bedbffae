"""Which copies of the evidence in a repository are no longer needed. Pure.

Each copy holds all that the ones before it held. All of the last 35 days stay, and the newest of
each month for ever. The record decides which are ours, and of when: what a snapshot says of itself
pushes nothing out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.plan.anchoring import repository_words

if TYPE_CHECKING:
    from dr_orchestrator.core.record import Anchored
    from dr_orchestrator.repositories.base import Snapshot
    from dr_orchestrator.repositories.evidence import EvidenceCopy

KEPT_FOR = timedelta(days=35)


def copies_to_forget(
    copies: Iterable[EvidenceCopy],
    anchored: Iterable[Anchored],
    repository: str,
    now: datetime,
) -> tuple[Snapshot, ...]:
    """Return the copies that may go. Two that claim to be of one head both stay: one is forged."""
    listed = tuple(copies)
    place = repository_words(repository)
    saved = {
        (each.chain, each.number, each.head): each.at
        for each in anchored
        if each.place == place and not each.reason
    }
    claimed = Counter((each.chain, each.number, each.head) for each in listed)
    ours = {
        key: copy.snapshot
        for copy in listed
        if claimed[key := (copy.chain, copy.number, copy.head)] == 1 and key in saved
    }
    newest: dict[tuple[str, int, int], int] = {}
    for chain, number, head in ours:
        month = _month(chain, saved[chain, number, head])
        newest[month] = max(number, newest.get(month, 0))
    return tuple(
        snapshot
        for key, snapshot in ours.items()
        if now - saved[key] > KEPT_FOR and newest[_month(key[0], saved[key])] != key[1]
    )


def _month(chain: str, at: datetime) -> tuple[str, int, int]:
    in_utc = at.astimezone(UTC)
    return chain, in_utc.year, in_utc.month
