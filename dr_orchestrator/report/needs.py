"""What the practice is asked to do: at most three things, each with a date.

Derived from the findings, worst first, one for each cause: a failed test is one request, however
many promises it broke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import sentence
from dr_orchestrator.report.model import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.report.view import View

MOST = 3
_CAUSES = (
    frozenset({Objective.RESTORE_TEST, Objective.RTO}),
    frozenset({Objective.DUMP_AGE}),
    frozenset({Objective.COVERAGE, Objective.RPO, Objective.COPIES}),
    frozenset({Objective.DATA_AGE}),
    frozenset({Objective.SKEW}),
    frozenset({Objective.IMMUTABILITY}),
)
"""Objectives that fall together, and are put right together."""

_OVERDUE_TEST = "Ask your IT provider to rebuild {yours} from backup now: the test is overdue."
_REQUESTS = {
    Objective.RTO: _OVERDUE_TEST,
    Objective.RESTORE_TEST: _OVERDUE_TEST,
    Objective.COVERAGE: "Ask your IT provider to back up all parts of {yours}: some are missing.",
    Objective.RPO: "Ask your IT provider why backups of {yours} were late or missing.",
    Objective.COPIES: "Ask your IT provider to renew the copy of {yours}{where}.",
    Objective.SKEW: "Ask your IT provider to have all parts of {yours} backed up at one moment.",
    Objective.IMMUTABILITY: "Ask your IT provider to show that nobody can destroy the backups of "
    "{yours}{where}.",
    Objective.DATA_AGE: "Ask your IT provider why the backup of {yours} holds no newer work; "
    "tell them if nobody worked in it.",
}


def needs(view: View) -> tuple[Need, ...]:
    """Return the most important requests, at most three."""
    broken = _of_findings(view, Verdict.BREACHED)
    overdue = _of_findings(view, Verdict.UNPROVEN)
    return (*broken, *overdue, *_of_tests(view), *_of_custody(view))[:MOST]


def _of_findings(view: View, verdict: Verdict) -> Iterator[Need]:
    for system in view.systems:
        for cause in _CAUSES:
            group = [f for f in _causes(view, system) if f.objective in cause]
            worst_here = Verdict.BREACHED if _any(group, Verdict.BREACHED) else Verdict.UNPROVEN
            open_now = [f for f in group if f.verdict is verdict and _is_open(view, f)]
            if open_now and worst_here is verdict:
                yield Need(text=_request(view, open_now[0]), by=_today(view))


def _of_tests(view: View) -> Iterator[Need]:
    """Ask about newest tests that came to no result, although another is not due yet."""
    for system in view.systems:
        newest = next(reversed(view.tests(system)), None)
        overdue = any(
            _is_open(view, finding) and finding.objective is Objective.RESTORE_TEST
            for finding in view.findings_of(system)
        )
        if newest is not None and newest.result is Result.UNPROVEN and not overdue:
            yours = view.yours(system)
            text = f"Ask your IT provider why the last restore test of {yours} came to no result."
            yield Need(text=text, by=_today(view))


def _causes(view: View, system: str) -> Iterator[Finding]:
    """Yield the findings on a system, without those that an old dump of somebody else's breaks."""
    findings = view.findings_of(system)
    died = [each.since for each in findings if each.objective is Objective.DUMP_AGE and each.since]
    for finding in findings:
        late = finding.objective is Objective.RPO and finding.since in died
        apart = finding.objective is Objective.SKEW and bool(died)
        if not late and not apart:
            yield finding


def _any(findings: list[Finding], verdict: Verdict) -> bool:
    return any(finding.verdict is verdict for finding in findings)


def _is_open(view: View, finding: Finding) -> bool:
    """Whether somebody has to act: what is only not due yet asks nothing of anybody."""
    return finding.verdict is Verdict.BREACHED or is_overdue(finding, view.now)


def _request(view: View, finding: Finding) -> str:
    yours = view.yours(finding.system)
    test = view.headline_test(finding.system)
    if (
        finding.objective in {Objective.RESTORE_TEST, Objective.RTO}
        and test is not None
        and test.result is Result.FAILED
    ):
        todo = test.next.replace("`", "") or "find the cause, make a new backup and test it"
        return sentence(f"Ask your IT provider to put right the failed backup of {yours}: {todo}")
    broken = finding.verdict is Verdict.BREACHED
    where = f" in “{finding.repository}”" if finding.repository else ""
    if finding.objective is Objective.RTO and broken:
        return (
            f"Decide how recovery of {yours} can become faster than "
            f"{finding.promised}, or agree on a longer limit."
        )
    if finding.objective is Objective.DUMP_AGE:
        return sentence(f"Have this put right for {yours}: {view.plain(finding.reason)}")
    return _REQUESTS[finding.objective].format(yours=yours, where=where)


def _today(view: View) -> str:
    return f"today, {view.day(view.now)}"


def _of_custody(view: View) -> Iterator[Need]:
    """Ask for the proof of a key, counted from the first day the practice was looked after."""
    first_day = min(view.record.first_seen.values(), default=None)
    if first_day is None:
        return
    for custody in view.plan.custody:
        if custody.prove_every is not None:
            due = first_day + custody.prove_every
            yield Need(
                text="Prove that the key opens the backups: "
                f"{view.person(custody.holder)}, {custody.form}.",
                by=view.day(due) if due > view.now else _today(view),
            )
