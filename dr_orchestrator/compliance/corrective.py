"""Which corrective actions tests call for, which are settled by themselves, and whether those that
are open are late. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.compliance.acceptance import most_important
from dr_orchestrator.compliance.case import Case, open_case
from dr_orchestrator.compliance.proof import proofs, unasked_failures
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import ActionClosed, ActionOpened
from dr_orchestrator.core.sign_off import CorrectiveAction
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.plan.model import Plan

FAILED_TEST, MISSED_TEST = "failed test", "missed test"
"""`CorrectiveAction.cause` of those that open by themselves."""


def corrective_actions(
    plan: Plan, record: PracticeRecord, findings: tuple[Finding, ...], now: datetime
) -> tuple[ActionOpened | ActionClosed, ...]:
    """Return what is to be recorded now.

    The newest test of a system from a repository failed: one is opened. No test was made in time
    (the finding on restore tests is overdue): one is opened. A missed test that was made up and
    passed closes its action; one for a failed test is closed by a person who says what was done.
    Ids follow from what they are about, so that asking twice gives the same.
    """
    called_for = [
        *(
            action
            for name in plan.protected
            for action in _of_failures(open_case(plan, name, record, now))
        ),
        *_of_missed(plan, findings, now),
    ]
    known = {action.id for action in record.actions}
    same = {_cause(action) for action in record.actions if action.is_open}
    opened = (
        ActionOpened(action=action)
        for action in called_for
        if action.id not in known and _cause(action) not in same
    )
    return (*opened, *_made_up(record, findings, now))


def judge_corrective_actions(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge whether what a system's tests asked for is done in time; nothing where they never
    asked for anything. What is about no system of the plan stands with the most important one.
    """
    actions = [each for each in record.actions if _stands_with(each, case) == case.name]
    still_open = sorted(
        (each for each in actions if each.is_open), key=lambda each: (each.due, each.id)
    )
    late = [each for each in still_open if each.due <= case.now]
    if not actions:
        return
    done = f"{len(actions) - len(still_open)} of {count_words(len(actions), 'action')} done"
    if late:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.BREACHED,
            promised="done in time",
            achieved=done,
            reason=f"{count_words(len(late), 'action')} overdue: {_words(late)}",
            since=late[0].due,
        )
    elif still_open:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.UNPROVEN,
            promised="done in time",
            achieved=done,
            reason=f"{count_words(len(still_open), 'action')} open: {_words(still_open)}",
            since=min(each.opened_at for each in still_open),
            due=still_open[0].due,
        )
    else:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.MET,
            promised="done in time",
            achieved=done,
            reason="what tests asked for is done",
        )


def _words(actions: list[CorrectiveAction]) -> str:
    first, *others = actions
    more = f", and {len(others)} more" if others else ""
    return f"{printable(first.what)} (by {first.owner}, {first.id}){more}"


def _stands_with(action: CorrectiveAction, case: Case) -> str:
    return action.system if action.system in case.plan.protected else most_important(case)


def _cause(action: CorrectiveAction) -> tuple[str, str, str]:
    return action.system, action.repository, action.cause


def _of_failures(case: Case) -> Iterator[CorrectiveAction]:
    for proof in (*proofs(case), *unasked_failures(case)):
        test = proof.failed
        if test is not None:
            yield CorrectiveAction(
                id=f"failed-{test.id}",
                practice=case.plan.practice.id,
                system=case.name,
                repository=test.repository,
                cause=FAILED_TEST,
                test=test.id,
                what=f"{case.system.title}: {_what(test)}",
                owner=case.plan.corrective_actions.owner,
                opened_at=test.finished_at,
                due=test.finished_at + case.plan.corrective_actions.due,
                opened_by="",
            )


def _what(test: RestoreTest) -> str:
    return test.next or f"the restore test from {test.repository} failed: {test.reason}"


def _of_missed(
    plan: Plan, findings: Iterable[Finding], now: datetime
) -> Iterator[CorrectiveAction]:
    for finding in findings:
        due, repository = finding.due, finding.repository
        is_about_tests = finding.objective is Objective.RESTORE_TEST and repository is not None
        if is_about_tests and due is not None and is_overdue(finding, now):
            title = plan.protected[finding.system].title
            yield CorrectiveAction(
                id=f"missed-{finding.system}-{repository}-{due:%Y%m%d-%H%M}",
                practice=plan.practice.id,
                system=finding.system,
                repository=repository or "",
                cause=MISSED_TEST,
                test="",
                what=f"{title}: make a restore test from {repository} pass",
                owner=plan.corrective_actions.owner,
                opened_at=due,
                due=due + plan.corrective_actions.due,
                opened_by="",
            )


def _made_up(
    record: PracticeRecord, findings: Iterable[Finding], now: datetime
) -> Iterator[ActionClosed]:
    """Yield what closes: all is proven again, and by a test, not by a promise that was loosened."""
    proven = {
        (finding.system, finding.repository)
        for finding in findings
        if finding.objective is Objective.RESTORE_TEST and finding.verdict is Verdict.MET
    }
    for action in record.actions:
        key = (action.system, action.repository)
        if not action.is_open or action.cause != MISSED_TEST or key not in proven:
            continue
        passed = next(
            (
                test
                for test in reversed(record.tests)
                if (test.system, test.repository) == key
                and test.result is Result.PASSED
                and test.follow_up_of is None
                and test.finished_at > action.opened_at
            ),
            None,
        )
        if passed is not None:
            yield ActionClosed(
                practice=action.practice,
                id=action.id,
                at=now,
                by="",
                done=f"restore test {passed.id} passed",
            )
