"""What the practice is asked to do: at most three things, each with a date.

Derived from the findings, worst first, one for each cause: a failed test is one request, however
many promises it broke. Then what only she can do: accept what was changed, see to what is overdue,
sign.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.acceptance import TIME_TO_SIGN
from dr_orchestrator.compliance.advice import Extent, extent, follow_ups_of
from dr_orchestrator.compliance.corrective import MISSED_TEST
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import sentence
from dr_orchestrator.plan.model import MANAGER
from dr_orchestrator.report.model import Need
from dr_orchestrator.report.rehearsed import asked_words, open_actions
from dr_orchestrator.report.say import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.report.view import View

MOST = 3
_LACKS = frozenset({Objective.COVERAGE, Objective.RPO, Objective.COPIES})
_CAUSES = (
    frozenset({Objective.RESTORE_TEST, Objective.RTO}),
    frozenset({Objective.DUMP_AGE}),
    _LACKS,
    frozenset({Objective.DATA_AGE}),
    frozenset({Objective.SKEW}),
    frozenset({Objective.IMMUTABILITY}),
    frozenset({Objective.REPOSITORY_CHECK}),
    frozenset({Objective.RETENTION}),
    frozenset({Objective.CUSTODY}),
)
"""Objectives that fall together, and are put right together."""

_SOON = timedelta(days=30)
"""How long before it is due a proof that was given before is asked for again."""
_SIGNED_FOR = timedelta(days=365)
"""How long a signature speaks for the practice: a plan is to be reviewed once a year."""


def needs(view: View) -> tuple[Need, ...]:
    """Return the most important requests, at most three."""
    every = (
        *_of_findings(view, Verdict.BREACHED),
        *_of_changes(view),
        *_of_findings(view, Verdict.UNPROVEN),
        *_of_actions(view),
        *_of_tests(view),
        *_of_signature(view),
        *_of_custody(view),
    )
    return every[:MOST]


def _of_changes(view: View) -> Iterator[Need]:
    if view.loosened:
        due = min(each.since for each in view.loosened) + TIME_TO_SIGN
        yield Need(text=say("manager.need.changed"), by=_by(view, due))


def _of_actions(view: View) -> Iterator[Need]:
    """Ask about what is overdue: of the practice's own people to do it, of others why."""
    for action in open_actions(view):
        if action.due > view.now:
            break
        if action.cause == MISSED_TEST:
            continue  # the finding on the test that is overdue asks for it
        what, yours, about = asked_words(view, action), view.yours(action.system), ""
        if action.system:
            about = say("manager.need.about", yours=yours)
        if action.owner == MANAGER:
            text = say("manager.need.yours_to_do", about=about, what=what)
        else:
            who = view.person(action.owner)
            text = say("manager.need.chase", who=who, about=about, what=what)
        yield Need(text=text, by=_today(view))


def _of_signature(view: View) -> Iterator[Need]:
    """Ask for a signature where none is on record of the last year, and the page can be signed."""
    newest = next(reversed(view.sign_offs), None)
    signed = newest is not None and view.now - newest.at < _SIGNED_FOR
    if not signed and not view.loosened and view.subject.evidence.head:
        yield Need(text=say("manager.need.sign"), by=_today(view))


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
            text = say("manager.need.no_result", yours=view.yours(system))
            yield Need(text=text, by=_today(view))


def _causes(view: View, system: str) -> Iterator[Finding]:
    """Yield the findings on a system, without those that an old dump of somebody else's breaks, or
    that only follow from its failed test.
    """
    findings = view.findings_of(system)
    died = [each.since for each in findings if each.objective is Objective.DUMP_AGE and each.since]
    none_came_back = view.none_came_back(system)
    for finding in findings:
        if none_came_back and finding.objective in _LACKS:
            continue
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
        return _of_failure(view, test)
    if finding.objective is Objective.RTO and finding.verdict is Verdict.BREACHED:
        return say("manager.need.faster", yours=yours, limit=finding.promised)
    if finding.objective is Objective.DUMP_AGE:
        return sentence(say("manager.need.dump_age", yours=yours, why=view.plain(finding.reason)))
    where = say("manager.need.where", repository=finding.repository) if finding.repository else ""
    return say(f"manager.need.of.{finding.objective}", yours=yours, where=where)


def _of_failure(view: View, test: RestoreTest) -> str:
    follow_ups = follow_ups_of(test, view.all_tests)
    how_far = extent(test, follow_ups)
    known = {"yours": view.yours(test.system), "repository": test.repository}
    if how_far is Extent.ELSEWHERE_GOOD and (rescue := view.rescue(test)):
        known["other"] = rescue.repository
    return say(f"manager.need.failed.{how_far.value}", **known)


def _by(view: View, due: datetime) -> str:
    return view.day(due) if due > view.now else _today(view)


def _today(view: View) -> str:
    return say("manager.need.today", day=view.day(view.now))


def _of_custody(view: View) -> Iterator[Need]:
    """Ask for the proof of a key that was never given, or is due soon; what is overdue, or failed,
    the findings ask for.
    """
    for each in view.custody:
        if each.due is None or each.failed or each.due <= view.now:
            continue
        if view.record.first_seen and (each.proven is None or each.due - view.now <= _SOON):
            what = "no_key" if each.keyless else "key"
            yield Need(
                text=say(f"manager.need.{what}", holder=view.person(each.holder), form=each.form),
                by=_by(view, each.due),
            )
