"""The lines of `dro status`: of this machine's practices, and of many sites.

What needs a person comes first, and what is merely not due yet alarms nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from dr_orchestrator.cli.output import STYLES, TITLE, Span
from dr_orchestrator.compliance.retired import retired_words
from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.wording import (
    count_words,
    instant_words,
    printable,
    verdict_words,
)
from dr_orchestrator.fleet.need import (
    Need,
    practice_need,
    practices_in_order,
    site_need,
    sites_in_order,
)
from dr_orchestrator.fleet.read import Fleet, SiteSeen, Standing
from dr_orchestrator.fleet.status import PracticeStatus, SiteStatus
from dr_orchestrator.fleet.words import (
    QUIET_WORDS,
    explanation,
    finding_words,
    is_quiet,
    measured,
    pause_words,
    practice_words,
    promise,
    protected_words,
    site_words,
    systems_in_order,
    totals,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, tzinfo

    from dr_orchestrator.core.record import HandedOver, RepositoryRetired, SystemPaused

_QUIET_STYLE = "cyan"
_RED = STYLES[Verdict.BREACHED]
_YELLOW = STYLES[Verdict.UNPROVEN]
_VERDICT_WIDTH = max(len(QUIET_WORDS), *(len(verdict_words(verdict)) for verdict in Verdict)) + 2

Line = tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class PracticeShown:
    """A practice of this machine, with what only this machine knows."""

    status: PracticeStatus
    zone: tzinfo
    pauses: tuple[SystemPaused, ...]
    retired: tuple[RepositoryRetired, ...] = ()
    """Repositories that another one stands for, and that the plan still saves to."""


def machine_lines(
    practices: Sequence[PracticeShown],
    site: SiteStatus,
    now: datetime,
    handed_over: Sequence[HandedOver] = (),
) -> Iterator[Line]:
    """Return one block of lines a practice, then what another machine has now, and what is to be
    said of this one.
    """
    for number, each in enumerate(practices):
        if number:
            yield ()
        yield _heading(each.status, now)
        yield from _practice_lines(each.status, now, each.zone)
        for pause in each.pauses:
            until = instant_words(pause.until, each.zone)
            who = printable(f"until {until}, by {pause.by}: {pause.why}")
            yield _paused_line(each.status, pause.system, who)
        for told in protected_words(each.status, now, each.zone):
            yield (Span(f"  locked: {printable(told)}"),)
        for retired in each.retired:
            yield (Span("  retired: ", _YELLOW), Span(retired_words(retired, each.zone)))
        yield from _forecast_lines(each.status)
    if practices and handed_over:
        yield ()
    for away in handed_over:
        yield (
            Span(f"{printable(away.practice)}: ", TITLE),
            Span(
                f"handed over to {printable(away.to)} on {away.at:%Y-%m-%d}; nothing is done here"
            ),
        )
    machine = tuple(_machine_lines(site))
    if machine:
        yield ()
        yield from machine


def _machine_lines(site: SiteStatus) -> Iterator[Line]:
    if site.problems:
        count = count_words(len(site.problems), "open problem")
        seen = len(site.problems) - len(site.unattended)
        looked = f", {seen} of them looked after" if seen else ""
        style = _YELLOW if site.unattended else ""
        yield (Span(f"{count}{looked}: ", style), Span("dro ack"))
    yield from _scheduler_lines(site)
    if site.scheduler_seen_at is not None and not site.scheduler_stopped:
        yield (Span("the scheduler runs"),)


def _scheduler_lines(site: SiteStatus) -> Iterator[Line]:
    if site.scheduler_seen_at is not None and site.scheduler_stopped:
        seen = instant_words(site.scheduler_seen_at, UTC)
        yield (
            Span("no scheduler runs: ", _RED),
            Span(f"the last one was seen {seen}; nothing is started"),
        )


def fleet_lines(fleet: Fleet, now: datetime) -> Iterator[Line]:
    """Return what could not be read, how the sites stand in one line, then each of them."""
    for error in fleet.unread:
        yield (Span("cannot be read: ", _RED), Span(printable(error.message)))
        if error.hint:
            yield (Span(f"  hint: {printable(error.hint)}"),)
    yield (Span(totals(fleet.sites, now), TITLE),)
    for seen in sites_in_order(fleet.sites, now):
        yield from _site_lines(seen, now)


_NEED_STYLES = {
    Need.NOT_BELIEVED: _RED,
    Need.UNHEARD: _RED,
    Need.BREACHED: _RED,
    Need.OVERDUE: _YELLOW,
    Need.TROUBLE: _YELLOW,
    Need.LATER: _QUIET_STYLE,
    Need.NOTHING: STYLES[Verdict.MET],
}


def _site_lines(seen: SiteSeen, now: datetime) -> Iterator[Line]:
    status = seen.status
    heard = f"  (heard {instant_words(status.made_at, UTC)})" if status else ""
    yield ()
    yield (
        Span(f"{printable(seen.site)}: ", TITLE),
        Span(site_words(seen, now), _NEED_STYLES[site_need(seen, now)]),
        Span(heard),
    )
    if seen.why:
        yield (Span(f"  {printable(seen.why)}"),)
    if status is None:
        return
    said = _said_lines(status, now)
    if seen.standing is Standing.HEARD:
        yield from said
        return
    yield (Span("  what it last said:"),)
    yield from (tuple(Span(span.text) for span in line) for line in said)  # nothing of it is green


def _said_lines(status: SiteStatus, now: datetime) -> Iterator[Line]:
    for practice in practices_in_order(status.practices, now):
        yield (Span("  "), *_heading(practice, now))
        yield from _practice_lines(practice, now, UTC, kept_too=False)
        for system, until in practice.paused.items():
            yield _paused_line(practice, system, f"until {instant_words(until, UTC)}")
        yield from _forecast_lines(practice)
    for problem in status.unattended:
        yield (Span("  problem: ", _YELLOW), Span(printable(problem.what)))
        yield (Span(f"    {printable(problem.next)}"),)
    yield from ((Span("  "), *line) for line in _scheduler_lines(status))


def _heading(status: PracticeStatus, now: datetime) -> Line:
    quiet = practice_need(status, now) is Need.LATER
    return (
        Span(f"{printable(status.name)} ({printable(status.practice)}): ", TITLE),
        Span(
            practice_words(status, now),
            _QUIET_STYLE if quiet else STYLES[status.verdict],
        ),
    )


def _practice_lines(
    status: PracticeStatus, now: datetime, zone: tzinfo, *, kept_too: bool = True
) -> Iterator[Line]:
    if not status.findings:
        yield (Span("  this plan promises nothing"),)
    shown = [each for each in status.findings if kept_too or each.verdict is not Verdict.MET]
    width = max((len(_objective(each)) for each in shown), default=0) + 2
    for system in systems_in_order(shown):
        yield (Span(f"  {printable(status.titles.get(system) or system)}"),)
        for each in shown:
            if each.system == system:
                yield from _finding_lines(each, now, zone, width)


def _finding_lines(finding: Finding, now: datetime, zone: tzinfo, width: int) -> Iterator[Line]:
    style = _QUIET_STYLE if is_quiet(finding, now) else STYLES[finding.verdict]
    yield (
        Span(f"    {finding_words(finding, now):{_VERDICT_WIDTH}}", style),
        Span(f"{_objective(finding):{width}}"),
        Span(printable(measured(finding))),
    )
    if why := explanation(finding, zone):
        yield (Span(f"    {'':{_VERDICT_WIDTH}}{printable(why)}"),)


def _objective(finding: Finding) -> str:
    return printable(promise(finding))


def _paused_line(status: PracticeStatus, system: str, said: str) -> Line:
    return (Span("  paused: ", _YELLOW), Span(printable(pause_words(status, system, said))))


def _forecast_lines(status: PracticeStatus) -> Iterator[Line]:
    for sentence in status.forecasts:
        yield (Span("  ahead: "), Span(printable(sentence)))
