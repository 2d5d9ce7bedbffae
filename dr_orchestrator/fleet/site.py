"""This machine's status, out of its own record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from dr_orchestrator import __version__
from dr_orchestrator.compliance.forecast import forecasts
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.fleet.room import room
from dr_orchestrator.fleet.status import (
    JournalHead,
    PracticeStatus,
    SiteStatus,
    practice_status,
    published_problem,
)
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.settings import Settings
from dr_orchestrator.store.base import JournalLine, Store


def look_at(
    plan: Plan, record: PracticeRecord, settings: Settings, now: datetime
) -> PracticeStatus:
    """Return how a practice of this machine stands at `now`, and what will be missed."""
    ahead = forecasts(plan, record, room(plan, settings), now)
    return practice_status(plan, record, now, [forecast.sentence for forecast in ahead])


def site_status(
    site: str, practices: Iterable[PracticeStatus], store: Store, now: datetime
) -> SiteStatus:
    """Return how this machine stands: its practices, and what the record says of itself.

    Raises:
        StoreUnusable: the record cannot be read.
    """
    practices = tuple(practices)
    shown = {"", *(each.practice for each in practices)}
    newest = store.journal_head()
    beats = (each.heartbeat_at for each in store.ledger.schedulers())
    return SiteStatus(
        site=site,
        version=__version__,
        made_at=now,
        practices=practices,
        problems=tuple(
            published_problem(found)
            for found in store.problems()
            if found.problem.practice in shown
        ),
        scheduler_seen_at=max(beats, default=None),
        journal=None if newest is None else _head(newest),
    )


def _head(newest: JournalLine) -> JournalHead:
    sha256 = hashlib.sha256(newest.payload.encode()).hexdigest()
    return JournalHead(seq=newest.seq, sha256=sha256)
