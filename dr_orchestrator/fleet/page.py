"""The page of all sites, for whoever looks after them in the morning, as a pure function.

Only the word of a site that is heard is shown as good or bad. What a silent one last said is shown
without a colour, and of one that is not believed nothing is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dr_orchestrator import __version__
from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    count_words,
    duration_words,
    instant_words,
    result_words,
    some_names,
)
from dr_orchestrator.fleet.need import (
    Need,
    practice_need,
    practices_in_order,
    site_need,
    sites_in_order,
)
from dr_orchestrator.fleet.read import Fleet, SiteSeen, Standing
from dr_orchestrator.fleet.status import NewestTest, PracticeStatus, SiteProblem, SiteStatus
from dr_orchestrator.fleet.words import (
    explanation,
    finding_words,
    is_quiet,
    measured,
    pause_words,
    practice_words,
    promise,
    site_words,
    systems_in_order,
    totals,
)
from dr_orchestrator.sheet.html import printable_parts, render


class Tone(StrEnum):
    """How something looks; what it means is said in words beside it."""

    RED = "breached"
    AMBER = "unproven"
    CALM = "calm"
    """Not proven, and not due yet; or no longer known."""
    GREEN = "met"


_TONES = {
    Need.NOT_BELIEVED: Tone.RED,
    Need.UNHEARD: Tone.RED,
    Need.BREACHED: Tone.RED,
    Need.OVERDUE: Tone.AMBER,
    Need.TROUBLE: Tone.AMBER,
    Need.LATER: Tone.CALM,
    Need.NOTHING: Tone.GREEN,
}
_TITLES = {
    Tone.RED: "Red: need somebody now",
    Tone.AMBER: "Amber: need somebody today",
    Tone.CALM: "Not proven yet, and not due yet",
    Tone.GREEN: "Green: every promise is kept",
}
_RESULT_TONES = {
    Result.PASSED: Tone.GREEN,
    Result.FAILED: Tone.RED,
    Result.UNPROVEN: Tone.AMBER,
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line: how it stands, and what about it."""

    tone: Tone
    words: str
    text: str


@dataclass(frozen=True, kw_only=True)
class PracticePart:
    """A practice of a site."""

    name: str
    tone: Tone
    words: str
    wrong: tuple[Item, ...]
    """What is not kept, or not proven in time."""
    rest: str
    """How many promises are kept, and how many are not due yet."""
    tests: tuple[Item, ...]
    pauses: tuple[str, ...]
    forecasts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SitePart:
    """A site."""

    name: str
    tone: Tone
    words: str
    heard: str
    why: str
    """Why it is not heard or not believed."""
    said: str
    """Stands above what it said last; empty where it is heard."""
    practices: tuple[PracticePart, ...]
    troubles: tuple[Item, ...]
    """Open problems, and a scheduler that stopped."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The sites that need somebody equally soon."""

    tone: Tone
    title: str
    sites: tuple[SitePart, ...]


@dataclass(frozen=True, kw_only=True)
class SitesPage:
    """What the page says."""

    made: str
    version: str
    tone: Tone
    words: str
    summary: str
    totals: str
    unread: tuple[str, ...]
    groups: tuple[Group, ...]


def render_sites(fleet: Fleet, now: datetime) -> bytes:
    """Return the page of `fleet` at `now` (aware): one HTML document in UTF-8."""
    page = printable_parts(sites_page(fleet, now))
    return render("dr_orchestrator.fleet", "sites.html", page)


def sites_page(fleet: Fleet, now: datetime) -> SitesPage:
    """Return what the page says of `fleet` at `now`; all times on it are UTC."""
    in_order = sites_in_order(fleet.sites, now)
    tone = _tone(fleet, now)
    return SitesPage(
        made=instant_words(now, UTC),
        version=__version__,
        tone=tone,
        words={Tone.RED: "red", Tone.AMBER: "amber"}.get(tone, "quiet"),
        summary=f"{_missing(fleet)}{_summary(in_order, now)}",
        totals=totals(in_order, now),
        unread=tuple(_unread(fleet)),
        groups=tuple(_groups(in_order, now)),
    )


def _tone(fleet: Fleet, now: datetime) -> Tone:
    """Return the tone of the whole: what could not be read may hide anything."""
    if fleet.unread or not fleet.sites:
        return Tone.RED
    return _TONES[min(site_need(each, now) for each in fleet.sites)]


def _missing(fleet: Fleet) -> str:
    if not fleet.unread:
        return ""
    return f"{count_words(len(fleet.unread), 'place')} could not be read: sites may be missing. "


def _summary(sites: Sequence[SiteSeen], now: datetime) -> str:
    if not sites:
        return "No site was found, and the settings name none."
    named = {tone: [each.site for each in sites if _site_tone(each, now) is tone] for tone in Tone}
    urgent = [
        f"{_need_words(len(names))} {when}: {some_names(names)}"
        for names, when in ((named[Tone.RED], "now"), (named[Tone.AMBER], "today"))
        if names
    ]
    quiet = len(named[Tone.CALM]) + len(named[Tone.GREEN])
    if not urgent:
        return f"No site needs anybody; {count_words(quiet, 'site')} heard."
    others = f"{quiet} of {count_words(len(sites), 'site')} need nobody"
    return f"{'; '.join([*urgent, others])}."


def _need_words(count: int) -> str:
    return f"{count_words(count, 'site')} {'needs' if count == 1 else 'need'} somebody"


def _site_tone(seen: SiteSeen, now: datetime) -> Tone:
    return _TONES[site_need(seen, now)]


def _unread(fleet: Fleet) -> Iterator[str]:
    for error in fleet.unread:
        yield f"{error.message} ({error.hint})" if error.hint else error.message


def _groups(sites: Sequence[SiteSeen], now: datetime) -> Iterator[Group]:
    for tone in Tone:
        parts = tuple(_site(each, now) for each in sites if _site_tone(each, now) is tone)
        if parts:
            yield Group(tone=tone, title=f"{_TITLES[tone]} ({len(parts)})", sites=parts)


def _site(seen: SiteSeen, now: datetime) -> SitePart:
    status = seen.status if seen.standing is not Standing.NOT_BELIEVED else None
    fresh = seen.standing is Standing.HEARD
    heard = _ago(status.made_at, now) if status else ""
    return SitePart(
        name=seen.site,
        tone=_site_tone(seen, now),
        words=site_words(seen, now),
        heard=f"heard {heard}" if heard else "",
        why=seen.why,
        said="" if fresh or status is None else "What it last said:",
        practices=tuple(_practices(status, now, fresh=fresh)) if status else (),
        troubles=tuple(_troubles(status, now, fresh=fresh)) if status else (),
    )


def _practices(status: SiteStatus, now: datetime, *, fresh: bool) -> Iterator[PracticePart]:
    for each in practices_in_order(status.practices, now):
        yield PracticePart(
            name=f"{each.name} ({each.practice})",
            tone=_shown(_TONES[practice_need(each, now)], fresh=fresh),
            words=practice_words(each, now),
            wrong=tuple(_wrong(each, now, fresh=fresh)),
            rest=_rest(each.findings, now),
            tests=tuple(_tests(each, now, fresh=fresh)),
            pauses=tuple(
                pause_words(each, system, f"until {instant_words(until, UTC)}")
                for system, until in sorted(each.paused.items())
            ),
            forecasts=each.forecasts,
        )


def _shown(tone: Tone, *, fresh: bool) -> Tone:
    return tone if fresh else Tone.CALM


def _wrong(status: PracticeStatus, now: datetime, *, fresh: bool) -> Iterator[Item]:
    """Yield what is not kept and what is not proven in time, the worst system first."""
    if not status.findings:
        yield Item(
            tone=_shown(Tone.AMBER, fresh=fresh), words="not proven", text="nothing is promised"
        )
    for system in systems_in_order(status.findings):
        for each in status.findings:
            if each.system == system and _is_wrong(each, now):
                broken = each.verdict is Verdict.BREACHED
                title = status.titles.get(system) or system
                why = "; ".join(part for part in (measured(each), explanation(each, UTC)) if part)
                yield Item(
                    tone=_shown(Tone.RED if broken else Tone.AMBER, fresh=fresh),
                    words=finding_words(each, now),
                    text=f"{title}, {promise(each)}: {why}",
                )


def _is_wrong(finding: Finding, now: datetime) -> bool:
    return finding.verdict is not Verdict.MET and not is_quiet(finding, now)


def _rest(findings: Sequence[Finding], now: datetime) -> str:
    kept = sum(each.verdict is Verdict.MET for each in findings)
    parts = [f"{kept} of {count_words(len(findings), 'promise')} kept"] if findings else []
    waiting = [each for each in findings if is_quiet(each, now)]
    if waiting:
        due = min(each.due for each in waiting if each.due)
        parts.append(f"{len(waiting)} not proven yet, the first due {instant_words(due, UTC)}")
    return "; ".join(parts)


def _tests(status: PracticeStatus, now: datetime, *, fresh: bool) -> Iterator[Item]:
    """Yield the newest restore test of each system, and each repository's that did not pass."""
    newest: dict[tuple[str, str], NewestTest] = {}
    of_system: dict[str, NewestTest] = {}
    for test in sorted(status.tests, key=lambda each: each.started_at):
        newest[test.system, test.repository] = test
        of_system[test.system] = test
    for _, test in sorted(newest.items()):
        if test.result is not Result.PASSED or test is of_system[test.system]:
            title = status.titles.get(test.system) or test.system
            yield Item(
                tone=_shown(_RESULT_TONES[test.result], fresh=fresh),
                words=result_words(test.result),
                text=f"{title} from {test.repository}: {_test_words(test)}; "
                f"{_ago(test.finished_at, now)}",
            )


def _test_words(test: NewestTest) -> str:
    if test.result is not Result.PASSED:
        count = test.passed + test.failed + test.unproven
        return f"{test.failed} failed and {test.unproven} unproven of {count_words(count, 'check')}"
    try:
        took = timedelta(seconds=test.rta_service_seconds or math.nan)
    except (OverflowError, ValueError):  # whatever a site signed: the others are shown all the same
        return "recovery was not timed"
    return f"recovered in {duration_words(took)}"


def _troubles(status: SiteStatus, now: datetime, *, fresh: bool) -> Iterator[Item]:
    if status.scheduler_stopped and status.scheduler_seen_at is not None:
        seen = _ago(status.scheduler_seen_at, now)
        yield Item(
            tone=_shown(Tone.RED, fresh=fresh),
            words="no scheduler runs",
            text=f"the last one was seen {seen}; nothing is started",
        )
    for each in _unattended_first(status.problems):
        tone = Tone.CALM if each.acknowledged else Tone.AMBER
        since = _ago(each.since or each.opened_at, now)
        practice = f"{each.practice}: " if each.practice else ""
        yield Item(
            tone=_shown(tone, fresh=fresh),
            words="problem, looked after" if each.acknowledged else "problem",
            text=f"{practice}{each.what}; since {since}; to do: {each.next}",
        )


def _unattended_first(problems: Iterable[SiteProblem]) -> list[SiteProblem]:
    return sorted(problems, key=lambda each: (each.acknowledged, each.opened_at, each.id))


def _ago(instant: datetime, now: datetime) -> str:
    """Return an instant and how long ago it was, where the clocks leave room for that."""
    words = instant_words(instant, UTC)
    return f"{words} ({duration_words(now - instant)} ago)" if instant <= now else words
