"""What needs a person first: one order for everything that shows practices or sites."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum

from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.fleet.read import SiteSeen, Standing
from dr_orchestrator.fleet.status import PracticeStatus, SiteStatus


class Need(IntEnum):
    """How soon somebody has to look, the most urgent first."""

    NOT_BELIEVED = 0
    """A file that may be somebody else's word."""
    UNHEARD = 1
    """Nobody knows how the site stands."""
    BREACHED = 2
    OVERDUE = 3
    """Something should have been proven by now, or nothing is promised at all."""
    TROUBLE = 4
    """Every promise is kept so far, and there is a problem that nobody looks after."""
    LATER = 5
    """Something is not proven, and not due yet."""
    NOTHING = 6


_OF_STANDING = {
    Standing.NOT_BELIEVED: Need.NOT_BELIEVED,
    Standing.SILENT: Need.UNHEARD,
    Standing.AHEAD: Need.UNHEARD,
    Standing.NEVER_HEARD: Need.UNHEARD,
}


def practice_need(status: PracticeStatus, now: datetime) -> Need:
    """Return how soon a practice needs somebody, by its findings."""
    if not status.findings:
        return Need.OVERDUE
    if status.verdict is Verdict.BREACHED:
        return Need.BREACHED
    if any(is_overdue(finding, now) for finding in status.findings):
        return Need.OVERDUE
    return Need.NOTHING if status.verdict is Verdict.MET else Need.LATER


def machine_need(status: SiteStatus, now: datetime) -> Need:
    """Return how soon a machine and its practices need somebody, if its word is fresh."""
    needs = [practice_need(practice, now) for practice in status.practices]
    if status.unattended or status.scheduler_stopped:
        needs.append(Need.TROUBLE)
    return min(needs, default=Need.OVERDUE)


def site_need(seen: SiteSeen, now: datetime) -> Need:
    """Return how soon a site needs somebody."""
    if seen.standing is Standing.HEARD and seen.status is not None:
        return machine_need(seen.status, now)
    return _OF_STANDING.get(seen.standing, Need.NOT_BELIEVED)


def practices_in_order(
    statuses: Iterable[PracticeStatus], now: datetime
) -> tuple[PracticeStatus, ...]:
    """Return practices by what needs a person first, then by id."""
    return tuple(sorted(statuses, key=lambda each: (practice_need(each, now), each.practice)))


def sites_in_order(sites: Iterable[SiteSeen], now: datetime) -> tuple[SiteSeen, ...]:
    """Return sites by what needs a person first, then by name."""
    return tuple(sorted(sites, key=lambda each: (site_need(each, now), each.site, each.why)))
