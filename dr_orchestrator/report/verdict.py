"""The verdict on each system, in sentences a practice manager can repeat.

It never says that a system was rebuilt without naming the day, and never softens a failure.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.immutability import protected_until
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    duration_phrase,
    duration_words,
    objective_words,
    sentence,
    verdict_words,
)
from dr_orchestrator.report.model import Shortfall, SystemVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.report.view import View


def system_verdict(view: View, system: str) -> SystemVerdict:
    """Return the answer for one system."""
    verdict = view.verdict(system)
    told = _told_first(view, system)
    first, *more = _sentences(view, system, told)
    findings = view.findings_of(system)
    return SystemVerdict(
        system=system,
        title=view.title(system),
        importance=view.importance(system),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        sentence=first,
        more=tuple(more),
        recovery=_recovery(view, findings),
        protection=tuple(_protection(view, system)),
        shortfalls=_shortfalls(view, findings, told),
        kept=_kept(findings),
    )


def _kept(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the objectives that were met; with the repository where another one was not."""
    partly = {finding.objective for finding in findings if finding.verdict is not Verdict.MET}
    met = (finding for finding in findings if finding.verdict is Verdict.MET)
    words = (
        objective_words(finding.objective)
        + (f" from “{finding.repository}”" if finding.objective in partly else "")
        for finding in met
    )
    return tuple(dict.fromkeys(words))


def summary(view: View) -> str:
    """Return the answer for the whole practice in one sentence."""
    total = len(view.systems)
    if total == 1:
        only = view.systems[0]
        return _sentences(view, only, _told_first(view, only))[0]
    verdicts = [view.verdict(system) for system in view.systems]
    broken, open_ = verdicts.count(Verdict.BREACHED), verdicts.count(Verdict.UNPROVEN)
    if not total:
        return "This plan protects no system."
    if not broken and not open_:
        return f"Every promise was kept, for all {total} systems."
    parts = [
        f"not kept for {broken}" if broken else "",
        f"not proven for {open_}" if open_ else "",
    ]
    what = " and ".join(part for part in parts if part)
    return f"What was promised is {what} of {total} systems."


def _told_first(view: View, system: str) -> Finding | None:
    """Return the finding that the first sentence tells, so that it is not told twice."""
    open_findings = [f for f in view.findings_of(system) if f.verdict is not Verdict.MET]
    about_tests = [f for f in open_findings if f.objective is Objective.RESTORE_TEST]
    if failed := view.failures(system):
        here = [f for f in about_tests if f.repository in {None, failed[0].repository}]
        return next(iter(here), None)
    open_findings.sort(key=lambda finding: _urgency(view, finding))
    first = next(iter(open_findings), None)
    if first and first.verdict is Verdict.UNPROVEN and view.headline_test(system) is None:
        return min(about_tests, key=lambda finding: finding.due or view.now, default=first)
    return first


def _urgency(view: View, finding: Finding) -> int:
    if finding.verdict is Verdict.BREACHED:
        return 0
    return 1 if is_overdue(finding, view.now) else 2


def _sentences(view: View, system: str, told: Finding | None) -> list[str]:
    test = view.headline_test(system)
    if test is not None and test.result is Result.FAILED:
        return _could_not(view, test)
    rebuilt = _rebuilt(view, test) if test else []
    if told is None:
        if rebuilt and view.verdict(system) is Verdict.MET:
            return rebuilt
        return [f"Not proven: not every promise about {view.yours(system)} was judged.", *rebuilt]
    if not rebuilt and told.objective is Objective.RESTORE_TEST:
        return [_never_rebuilt(view, told), *_inconclusive(view, system)]
    return [_judged(view, told), *rebuilt, *_inconclusive(view, system)]


def _judged(view: View, finding: Finding) -> str:
    words = verdict_words(finding.verdict).capitalize()
    if finding.verdict is Verdict.UNPROVEN and not is_overdue(finding, view.now):
        words += " yet"
    if finding.repository and view.several_repositories:
        words += f" for “{finding.repository}”"
    why = finding.reason or objective_words(finding.objective)
    return f"{words}: {view.plain(why).rstrip('.')}."


def _rebuilt(view: View, test: RestoreTest) -> list[str]:
    spec = view.plan.protected.get(test.system)
    seconds = test.rta_service_seconds
    took = "" if seconds is None else f" in {duration_phrase(timedelta(seconds=seconds))}"
    comparable = spec and not spec.recovery and test.share.is_whole
    limit = f" (your limit: {duration_phrase(spec.rto)})" if spec and comparable else ""
    yours = view.yours(test.system)
    what = yours if test.share.is_whole else f"{yours} with {test.share}"
    rebuilt = f"On {view.day(test.started_at)} we rebuilt {what} from backup"
    return [f"{rebuilt}{took}{limit}. {_all_passed(test)}"]


def _all_passed(test: RestoreTest) -> str:
    total = len(test.verifications)
    return "Its one check passed." if total == 1 else f"All {total} checks passed."


def _could_not(view: View, test: RestoreTest) -> list[str]:
    where = f" kept in “{test.repository}”" if view.several_repositories else ""
    failed = sum(1 for check in test.verifications if check.result is Result.FAILED)
    checks = f"; {failed} of {len(test.verifications)} checks failed" if failed else ""
    what = f"{view.yours(test.system)} from the backup{where}"
    sentences = [f"We could NOT rebuild {what} on {view.day(test.started_at)}{checks}."]
    if test.reason:
        sentences.append(sentence(view.plain(test.reason)))
    if rescue := view.rescue(test):
        place = (
            f" in “{rescue.repository}”"
            if view.several_repositories and rescue.repository != test.repository
            else ""
        )
        sentences.append(
            f"The backup{place} of {view.moment(rescue.point_as_of)} could be rebuilt"
            f"{_in_time(rescue)}."
        )
    return sentences


def _in_time(test: RestoreTest) -> str:
    seconds = test.rta_service_seconds
    return "" if seconds is None else f" in {duration_words(timedelta(seconds=seconds))}"


def _never_rebuilt(view: View, told: Finding) -> str:
    yours = view.yours(told.system)
    newest = next(reversed(view.tests(told.system)), None)
    if newest is not None and newest.result is Result.UNPROVEN:
        return f"Not proven: no restore test of {yours} has come to a result."
    if told.due is None:
        return f"Not proven: {yours} has never been rebuilt from backup."
    day = view.moment(told.due)
    if is_overdue(told, view.now):
        return (
            f"Not proven: {yours} has never been rebuilt from backup. "
            f"The first test was due by {day}."
        )
    return (
        f"Not proven yet: {yours} has not been rebuilt from backup. The first test is due by {day}."
    )


def _inconclusive(view: View, system: str) -> list[str]:
    """Tell of the newest test where it came to nothing: it must not hide behind an older one."""
    newest = next(reversed(view.tests(system)), None)
    if newest is None or newest.result is not Result.UNPROVEN:
        return []
    why = f": {newest.reason}" if newest.reason else ""
    return [sentence(f"The last test, on {view.day(newest.started_at)}, came to no result{why}")]


def _recovery(view: View, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    timed = [f for f in findings if f.objective is Objective.RTO and f.achieved]
    return tuple(
        "Whole recovery"
        + (f" from “{f.repository}”" if f.repository and view.several_repositories else "")
        + f": {f.achieved}{_against_limit(f)}"
        for f in timed
    )


def _protection(view: View, system: str) -> Iterator[str]:
    """Say it only of locks that stand, and of a repository in which nothing could be destroyed."""
    broken = {
        finding.repository
        for finding in view.findings_of(system)
        if finding.objective is Objective.IMMUTABILITY and finding.verdict is Verdict.BREACHED
    }
    places = view.plan.repositories_of(system) if system in view.plan.protected else ()
    for place in (each for each in places if each not in broken):
        until = protected_until(view.record, view.plan, system, place)
        if until is not None and until > view.now:
            yield f"Its newest tested backup in “{place}” is locked until {view.moment(until)}"


def _against_limit(rto: Finding) -> str:
    match rto.verdict:
        case Verdict.MET:
            return f": within your {rto.promised}"
        case Verdict.BREACHED:
            return f": over your {rto.promised}"
        case _:
            return f": not proven (your limit: {rto.promised})"


def _shortfalls(
    view: View, findings: tuple[Finding, ...], told: Finding | None
) -> tuple[Shortfall, ...]:
    """Return what is not kept or not proven; a recovery time that only lacks its test joins it."""
    open_findings = [finding for finding in findings if finding.verdict is not Verdict.MET]
    tests = [finding for finding in open_findings if finding.objective is Objective.RESTORE_TEST]
    joined = {
        (finding.repository, finding.verdict)
        for finding in open_findings
        if finding.objective is Objective.RTO and not finding.achieved
    } & {(finding.repository, finding.verdict) for finding in tests}
    return tuple(
        _shortfall(
            view,
            finding,
            told=finding is told,
            joined=finding in tests and (finding.repository, finding.verdict) in joined,
        )
        for finding in open_findings
        if finding.objective is not Objective.RTO
        or finding.achieved
        or (finding.repository, finding.verdict) not in joined
    )


def _shortfall(view: View, finding: Finding, *, told: bool, joined: bool) -> Shortfall:
    objective = objective_words(finding.objective)
    if joined:
        objective = f"{objective_words(Objective.RTO)} and {objective}"
    if finding.repository and view.several_repositories:
        objective += f", “{finding.repository}”"
    parts = ["" if told else view.plain(finding.reason), _when(view, finding)]
    return Shortfall(
        objective=objective,
        verdict=finding.verdict,
        verdict_words=verdict_words(finding.verdict),
        text="; ".join(part for part in parts if part) or "see above",
    )


def _when(view: View, finding: Finding) -> str:
    if finding.due is not None and finding.verdict is Verdict.UNPROVEN:
        tense = "due by" if finding.due > view.now else "was due by"
        return f"{tense} {view.moment(finding.due)}"
    return f"since {view.moment(finding.since)}" if finding.since else ""
