"""The status as one line for Nagios, Icinga and all that speaks their plugin API.

`DRO STATE - text | performance data`, and an exit code of that API, which is not ours: 0 OK,
1 WARNING, 2 CRITICAL, 3 UNKNOWN (Nagios Plugins Development Guidelines, "Plugin Return Codes").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.wording import count_words, printable, some_names
from dr_orchestrator.errors import DroError
from dr_orchestrator.fleet.metrics import rpo_ages, rtas
from dr_orchestrator.fleet.need import Need, site_need
from dr_orchestrator.fleet.read import Fleet, SiteSeen, Standing
from dr_orchestrator.fleet.status import PracticeStatus, SiteStatus


class State(IntEnum):
    """How the monitoring system takes it, and the exit code that says so."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_STATES = {
    Need.NOT_BELIEVED: State.CRITICAL,
    Need.UNHEARD: State.CRITICAL,
    Need.BREACHED: State.CRITICAL,
    Need.OVERDUE: State.WARNING,
    Need.TROUBLE: State.WARNING,
    Need.LATER: State.OK,
    Need.NOTHING: State.OK,
}
_WORST_FIRST = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a plugin prints, and the code it ends with."""

    state: State
    line: str


def unknown(error: DroError) -> Answer:
    """Return the answer where the status could not be found out."""
    return _answer(State.UNKNOWN, error.message, ())


def nothing_left() -> Answer:
    """Return the answer of a machine that handed over all its practices."""
    return _answer(State.OK, "every practice was handed over", ())


def answer_for_machine(
    status: SiteStatus, now: datetime, mistakes: Sequence[DroError] = ()
) -> Answer:
    """Return the answer for one machine, with the age of each system's data and its RTA.

    `mistakes` are of plans that could not be used: what they promise is unknown.
    """
    seen = SiteSeen(site=status.site, standing=Standing.HEARD, why="", status=status)
    fleet = Fleet(sites=(seen,), unread=tuple(mistakes))
    measured = (*_counts(fleet, now), *_measured(status, now))
    return _answer(_state(fleet, now), _text(fleet, now), measured)


def answer_for_fleet(fleet: Fleet, now: datetime) -> Answer:
    """Return the answer for many sites."""
    unheard = sum(each.standing is not Standing.HEARD for each in fleet.sites)
    measured = (
        _datum("sites", len(fleet.sites)),
        _datum("unheard", unheard, critical="0"),
        *_counts(fleet, now),
    )
    return _answer(_state(fleet, now), _text(fleet, now), measured)


def _answer(state: State, text: str, measured: Sequence[str]) -> Answer:
    shown = printable(text).replace("|", "/")
    line = f"DRO {state.name} - {shown}"
    return Answer(state=state, line=f"{line} | {' '.join(measured)}" if measured else line)


def _state(fleet: Fleet, now: datetime) -> State:
    states = {_STATES[site_need(each, now)] for each in fleet.sites}
    if fleet.unread or not fleet.sites:
        states.add(State.UNKNOWN)
    return next(state for state in _WORST_FIRST if state in states)


def _text(fleet: Fleet, now: datetime) -> str:
    return "; ".join(_parts(fleet, now)) or _calm(fleet)


def _parts(fleet: Fleet, now: datetime) -> Iterator[str]:
    """Yield what is wrong, the worst first."""
    for standing in Standing:
        names = [each.site for each in fleet.sites if each.standing is standing]
        if names and standing is not Standing.HEARD:
            yield f"{standing.value}: {some_names(names)}"
    if broken := _systems(fleet, now, overdue=False):
        yield f"not kept: {some_names(broken)}"
    for error in fleet.unread:
        yield error.message.partition("\n")[0]
    if late := _systems(fleet, now, overdue=True):
        yield f"not proven in time: {some_names(late)}"
    if empty := [each.practice for each in _practices(fleet) if not each.findings]:
        yield f"nothing is promised: {some_names(empty)}"
    if stopped := [each.site for each in _heard(fleet) if each.scheduler_stopped]:
        yield f"no scheduler runs: {some_names(stopped)}"
    if count := sum(len(each.unattended) for each in _heard(fleet)):
        yield count_words(count, "problem") + " that nobody looks after"


def _calm(fleet: Fleet) -> str:
    practices = _practices(fleet)
    if not practices:
        return "there is nothing to look after"
    told = count_words(len(practices), "practice")
    if any(each.verdict is Verdict.UNPROVEN for each in practices):
        return f"{told}: every promise is kept, or its proof is not due yet"
    return f"{told}: every promise is kept"


def _heard(fleet: Fleet) -> tuple[SiteStatus, ...]:
    return tuple(
        each.status for each in fleet.sites if each.standing is Standing.HEARD and each.status
    )


def _practices(fleet: Fleet) -> tuple[PracticeStatus, ...]:
    return tuple(practice for site in _heard(fleet) for practice in site.practices)


def _systems(fleet: Fleet, now: datetime, *, overdue: bool) -> list[str]:
    found = (
        f"{practice.practice}/{finding.system}"
        for practice in _practices(fleet)
        for finding in practice.findings
        if (is_overdue(finding, now) if overdue else finding.verdict is Verdict.BREACHED)
    )
    return list(dict.fromkeys(found))


def _counts(fleet: Fleet, now: datetime) -> Iterator[str]:
    findings = [finding for each in _practices(fleet) for finding in each.findings]
    broken = sum(finding.verdict is Verdict.BREACHED for finding in findings)
    yield _datum("breached", broken, critical="0")
    yield _datum("overdue", sum(is_overdue(each, now) for each in findings), warning="0")
    unattended = sum(len(each.unattended) for each in _heard(fleet))
    yield _datum("problems", unattended, warning="0")


def _measured(status: SiteStatus, now: datetime) -> Iterator[str]:
    for practice in status.practices:
        of = practice.practice
        for system, seconds in rpo_ages(practice, now).items():
            yield _datum(f"{of}/{system} rpo_age", f"{seconds:.0f}s")
        for (system, repository), seconds in rtas(practice).items():
            yield _datum(f"{of}/{system}/{repository} rta", f"{seconds:.0f}s")


def _datum(label: str, value: int | str, *, warning: str = "", critical: str = "") -> str:
    return f"'{label}'={value};{warning};{critical};0"
