"""Reading what many sites published: who is believed, who is silent, who was never heard.

No key of any repository and no plan is needed. Whatever is not the word of a site that the settings
know, or is older than the site itself promised, is never shown as in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.errors import DroError, StorageUnusable
from dr_orchestrator.fleet.place import Place
from dr_orchestrator.fleet.publication import NotBelieved, Publication, believe
from dr_orchestrator.fleet.status import SiteStatus

CLOCKS_APART = timedelta(minutes=5)
"""By so much the clock of a site may be wrong against ours without anybody being told."""
_INTERVALS = 2
"""After so many of its own intervals a site is silent."""


class Standing(StrEnum):
    """What the word of a site is worth."""

    HEARD = "heard"
    SILENT = "silent"
    """Its newest word is too old, by the interval it promised."""
    AHEAD = "ahead"
    """Its word is of a time to come: nobody knows how old it is."""
    NEVER_HEARD = "never heard"
    NOT_BELIEVED = "not believed"


@dataclass(frozen=True, kw_only=True)
class SiteSeen:
    """A site, as its file shows it."""

    site: str
    """By the settings, or by what its file is called."""
    standing: Standing
    why: str
    """One sentence for a person, where it is not `heard`."""
    status: SiteStatus | None
    """Its newest word that is believed, however old."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What was read of many sites."""

    sites: tuple[SiteSeen, ...]
    unread: tuple[DroError, ...]
    """Why places, or plans, could not be read."""


def read_fleet(places: Iterable[Place], fingerprints: Mapping[str, str], now: datetime) -> Fleet:
    """Return every site that has a file in a place, and every one of `fingerprints` that has none.

    Of a site that is believed in several places the newest word counts. A file that is not believed
    is there beside it: somebody put it there.
    """
    newest: dict[str, Publication] = {}
    seen: list[SiteSeen] = []
    unread: list[StorageUnusable] = []
    for place in places:
        try:
            sites = place.sites()
        except StorageUnusable as error:
            unread.append(error)
            continue
        for site in sites:
            try:
                said = believe(place.read(site), site, fingerprints.get(site))
            except (NotBelieved, StorageUnusable) as error:
                seen.append(_not_believed(site, place, error))
                continue
            if site not in newest or newest[site].status.made_at < said.status.made_at:
                newest[site] = said
    heard = (_judged(site, publication, now) for site, publication in newest.items())
    named = {*newest, *(each.site for each in seen)}
    missing = _never_heard(site for site in fingerprints if site not in named)
    return Fleet(sites=(*heard, *seen, *missing), unread=tuple(unread))


def _not_believed(site: str, place: Place, error: NotBelieved | StorageUnusable) -> SiteSeen:
    why = error.message if isinstance(error, StorageUnusable) else str(error)
    return SiteSeen(
        site=site, standing=Standing.NOT_BELIEVED, why=f"{why} ({place.name})", status=None
    )


def _judged(site: str, publication: Publication, now: datetime) -> SiteSeen:
    status = publication.status
    age, interval = now - status.made_at, timedelta(seconds=publication.interval_seconds)
    standing, why = Standing.HEARD, ""
    if age > _INTERVALS * interval + CLOCKS_APART:
        standing = Standing.SILENT
        why = (
            f"silent since {instant_words(status.made_at, UTC)}; "
            f"it should be heard every {duration_words(interval)}"
        )
    elif age < -CLOCKS_APART:
        standing = Standing.AHEAD
        why = f"its clock is {duration_words(-age)} ahead of ours: nobody knows how old its word is"
    return SiteSeen(site=site, standing=standing, why=why, status=status)


def _never_heard(sites: Iterable[str]) -> Iterator[SiteSeen]:
    for site in sites:
        yield SiteSeen(
            site=site,
            standing=Standing.NEVER_HEARD,
            why="the settings name it, and it has no file in any place that was read",
            status=None,
        )
