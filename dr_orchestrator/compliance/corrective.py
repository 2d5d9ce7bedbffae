"""Which corrective actions tests call for, which are settled by themselves, and whether those that
are open are late. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.compliance.acceptance import most_important
from dr_orchestrator.compliance.advice import advise, follow_ups_of
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
            for action in _of_failures(open_case(plan, name, record, now), record)
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


def newest_advice(action: CorrectiveAction, record: PracticeRecord) -> str:
    """Return what the newest test asks for, where it failed as the one did that opened an action,
    and asks for something else; else an empty text. What the record says of an action stays.
    """
    if action.cause != FAILED_TEST or not action.is_open:
        return ""
    same = [
        test
        for test in record.tests
        if (test.system, test.repository) == (action.system, action.repository)
        and test.result is not Result.UNPROVEN
        and test.follow_up_of is None
    ]
    newest = max(same, key=lambda test: (test.started_at, test.id), default=None)
    if newest is None or newest.result is not Result.FAILED:
        return ""
    advice = advise(newest, follow_ups_of(newest, record.tests), record.points)
    return "" if action.what.endswith(advice) else advice


def judge_corrective_actions(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge whether what a system's tests asked for is done in time; nothing where they never
    asked for anything. What a person opened counts when it is late: to write down what could be
    better proves nothing worse. What is about no system of the plan stands with the most important
    one.
    """
    actions = [each for each in record.actions if _stands_with(each, case) == case.name]
    actions.sort(key=lambda each: (each.due, each.id))
    still_open = [each for each in actions if each.is_open]
    late = [each for each in still_open if each.due <= case.now]
    asked = [each for each in actions if not each.opened_by]
    waiting = [each for each in asked if each.is_open]
    if not asked and not late:
        return
    done = f"{len(actions) - len(still_open)} of {count_words(len(actions), 'action')} done"
    if late:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.BREACHED,
            promised="done in time",
            achieved=done,
            reason=f"{count_words(len(late), 'action')} overdue: {_words(late, record)}",
            since=late[0].due,
        )
    elif waiting:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.UNPROVEN,
            promised="done in time",
            achieved=done,
            reason=f"{count_words(len(waiting), 'action')} open: {_words(waiting, record)}",
            since=min(each.opened_at for each in waiting),
            due=waiting[0].due,
        )
    else:
        yield case.finding(
            Objective.CORRECTIVE_ACTIONS,
            Verdict.MET,
            promised="done in time",
            achieved=done,
            reason="what tests asked for is done",
        )


def _words(actions: list[CorrectiveAction], record: PracticeRecord) -> str:
    first, *others = actions
    what = newest_advice(first, record) or first.what
    more = f", and {len(others)} more" if others else ""
    return f"{printable(what)} (by {first.owner}, {first.id}){more}"


def _stands_with(action: CorrectiveAction, case: Case) -> str:
    return action.system if action.system in case.plan.protected else most_important(case.plan)


def _cause(action: CorrectiveAction) -> tuple[str, str, str]:
    return action.system, action.repository, action.cause


def _of_failures(case: Case, record: PracticeRecord) -> Iterator[CorrectiveAction]:
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
                what=f"{case.system.title}: "
                f"{advise(test, follow_ups_of(test, record.tests), record.points)}",
                owner=case.plan.corrective_actions.owner,
                opened_at=test.finished_at,
                due=test.finished_at + case.plan.corrective_actions.due,
                opened_by="",
            )


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
