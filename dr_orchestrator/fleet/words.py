"""How a site, a practice and a finding are put into words, the same on a terminal and on a page.

Nothing is made safe to show here: whoever shows it does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo

from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict, worst
from dr_orchestrator.core.wording import (
    count_words,
    instant_words,
    objective_words,
    verdict_words,
)
from dr_orchestrator.fleet.need import Need, practice_need, site_need
from dr_orchestrator.fleet.read import SiteSeen, Standing
from dr_orchestrator.fleet.status import PracticeStatus

QUIET_WORDS = "not proven yet"
"""Of what is not due before a day to come: it alarms nobody."""
_NEEDS = {
    Need.NOT_BELIEVED: "not believed",
    Need.UNHEARD: "unheard",
    Need.BREACHED: "not kept",
    Need.OVERDUE: "not proven in time",
    Need.TROUBLE: "with problems",
    Need.LATER: QUIET_WORDS,
    Need.NOTHING: "kept",
}
_WORST_FIRST = (Verdict.BREACHED, Verdict.UNPROVEN, Verdict.MET)


def totals(sites: Sequence[SiteSeen], now: datetime) -> str:
    """Return how many sites there are, and how many need a person how soon."""
    needs = [site_need(each, now) for each in sites]
    parts = [f"{needs.count(need)} {_NEEDS[need]}" for need in Need if need in needs]
    return f"{count_words(len(sites), 'site')}: {', '.join(parts)}" if parts else "no site at all"


def site_words(seen: SiteSeen, now: datetime) -> str:
    """Return how a site stands; in capitals where nothing is known of it."""
    if seen.standing is not Standing.HEARD:
        return seen.standing.value.upper()
    return _NEEDS[site_need(seen, now)]


def practice_words(status: PracticeStatus, now: datetime) -> str:
    """Return how a practice stands."""
    quiet = practice_need(status, now) is Need.LATER
    return QUIET_WORDS if quiet else verdict_words(status.verdict)


def is_quiet(finding: Finding, now: datetime) -> bool:
    """Return whether something is not proven, and not due before a day to come."""
    return finding.verdict is Verdict.UNPROVEN and not is_overdue(finding, now)


def finding_words(finding: Finding, now: datetime) -> str:
    """Return the verdict of a finding."""
    return QUIET_WORDS if is_quiet(finding, now) else verdict_words(finding.verdict)


def promise(finding: Finding) -> str:
    """Return what was promised, and of which repository where it is about one."""
    words = objective_words(finding.objective)
    return f"{words}, {finding.repository}" if finding.repository else words


def measured(finding: Finding) -> str:
    """Return what was achieved against what was promised."""
    if not finding.achieved:
        return f"promised: {finding.promised}"
    return f"{finding.achieved} (promised: {finding.promised})"


def explanation(finding: Finding, zone: tzinfo) -> str:
    """Return why, since when and until when; nothing for a promise that is kept."""
    if finding.verdict is Verdict.MET:
        return ""
    parts = [finding.reason]
    if finding.since:
        parts.append(f"since {instant_words(finding.since, zone)}")
    if finding.due and finding.verdict is Verdict.UNPROVEN:
        parts.append(f"due {instant_words(finding.due, zone)}")
    return "; ".join(part for part in parts if part)


def systems_in_order(findings: Iterable[Finding]) -> list[str]:
    """Return systems, the worst first."""
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for finding in findings:
        verdicts[finding.system] = (*verdicts.get(finding.system, ()), finding.verdict)
    return sorted(verdicts, key=lambda system: _WORST_FIRST.index(worst(verdicts[system])))


def protected_words(status: PracticeStatus, now: datetime, zone: tzinfo) -> Iterator[str]:
    """Yield until when the newest proven points are locked, where no kept promise says so already,
    and no broken one that they are not.
    """
    said = {
        (each.system, each.repository)
        for each in status.findings
        if each.objective is Objective.IMMUTABILITY and each.verdict is not Verdict.UNPROVEN
    }
    for each in status.protected:
        if (each.system, each.repository) not in said and each.until > now:
            title = status.titles.get(each.system) or each.system
            yield f"{title} in {each.repository} until {instant_words(each.until, zone)}"


def pause_words(status: PracticeStatus, system: str, said: str) -> str:
    """Return that a system (empty: all of them) is paused; `said` tells until when."""
    title = status.titles.get(system) or system or "everything"
    return f"{title}, {said}; the RPO clock keeps running"
