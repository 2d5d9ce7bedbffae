"""Tests on the left, what has to be put right on the right."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dr_orchestrator.compliance.corrective import (
    FAILED_TEST,
    MISSED_TEST,
    corrective_actions,
    newest_advice,
)
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import ActionClosed, ActionOpened, PracticeRecord
from dr_orchestrator.core.restore_test import NOT_READ_BACK, RestoreTest
from dr_orchestrator.core.sign_off import CorrectiveAction
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import ActionSpec, Plan
from tests.support.clock import START as NOW
from tests.support.evidence import make_plan, make_point, make_record, make_test

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAN = make_plan(title="Electronic medical record").model_copy(
    update={"corrective_actions": ActionSpec(owner="it", due=timedelta(days=3))}
)
"""Proven every two days, from `onsite`."""


def _failed(started_at: datetime, **more: Any) -> RestoreTest:
    said = {"reason": "rows are missing", "next": "run a new backup now and test it"}
    return make_test(started_at, Result.FAILED, **(said | more))


def _record(*tests: RestoreTest, actions: tuple[CorrectiveAction, ...] = ()) -> PracticeRecord:
    points = [make_point(NOW - 20 * DAY), make_point(NOW - HOUR)]
    return make_record(first_seen=NOW - 20 * DAY, points=points, tests=tests, actions=actions)


def _asked(
    record: PracticeRecord, now: datetime = NOW, plan: Plan = PLAN
) -> tuple[ActionOpened | ActionClosed, ...]:
    return corrective_actions(plan, record, judge(plan, record, now), now)


def _opened(record: PracticeRecord, now: datetime = NOW) -> CorrectiveAction:
    (entry,) = _asked(record, now)
    assert isinstance(entry, ActionOpened)
    return entry.action


def _closed(action: CorrectiveAction, at: datetime = NOW) -> CorrectiveAction:
    return replace(action, closed_at=at, closed_by="Sam", done="a new disk")


def _finding(*actions: CorrectiveAction, now: datetime = NOW) -> Finding | None:
    found = judge(PLAN, _record(make_test(NOW - HOUR), actions=actions), now)
    return next((each for each in found if each.objective is Objective.CORRECTIVE_ACTIONS), None)


def test_nothing_is_asked_when_tests_pass() -> None:
    assert _asked(_record(make_test(NOW - HOUR))) == ()


def test_a_failed_test_opens_one_with_owner_due_date_and_what_to_do() -> None:
    test = _failed(NOW - HOUR)

    action = _opened(_record(make_test(NOW - DAY), test))

    assert action.cause == FAILED_TEST
    assert (action.system, action.repository, action.test) == ("emr", "onsite", test.id)
    advice = f"point {test.point} in onsite is damaged: run a new backup now and test it"
    assert action.what == f"Electronic medical record: {advice}"
    assert (action.owner, action.opened_by) == ("it", "")
    assert (action.opened_at, action.due) == (test.finished_at, test.finished_at + 3 * DAY)


def test_the_newest_test_says_what_to_do_now_beside_what_was_asked_first() -> None:
    first = _failed(NOW - 2 * DAY, point="p1")
    action = _opened(_record(first))
    unread = {"reason": f"the repository onsite is damaged: {NOT_READ_BACK}", "verifications": ()}
    second = _failed(NOW - HOUR, point="p2", **unread)
    passed = make_test(NOW - timedelta(minutes=5))

    advice = newest_advice(action, _record(first, second, actions=(action,)))

    assert "back up to a new repository" in advice
    assert "dro repository check riverside --repository onsite" in advice
    found = judge(PLAN, _record(first, second, actions=(action,)), NOW)
    assert any("new repository" in each.reason for each in found)
    for tests in ((first,), (first, second, passed)):
        assert newest_advice(action, _record(*tests, actions=(action,))) == ""


def test_asking_twice_gives_the_same() -> None:
    record = _record(_failed(NOW - HOUR))

    assert _opened(record) == _opened(record, NOW + 5 * HOUR)


def test_nothing_more_is_asked_while_one_for_the_same_cause_is_open() -> None:
    action = _opened(_record(_failed(NOW - 5 * HOUR)))

    assert _asked(_record(_failed(NOW - HOUR), actions=(action,))) == ()


def test_one_that_a_person_closed_is_not_opened_again_for_the_same_test() -> None:
    record = _record(_failed(NOW - HOUR))

    assert _asked(replace(record, actions=(_closed(_opened(record)),))) == ()


def test_a_test_that_fails_after_it_was_closed_opens_another() -> None:
    closed = _closed(_opened(_record(_failed(NOW - 5 * HOUR))), NOW - 3 * HOUR)

    again = _opened(_record(_failed(NOW - HOUR), actions=(closed,)))

    assert again.id != closed.id


def test_a_failed_test_stays_to_be_closed_by_a_person_when_the_next_one_passes() -> None:
    action = _opened(_record(_failed(NOW - 5 * HOUR)))

    assert _asked(_record(make_test(NOW - HOUR), actions=(action,))) == ()


def test_tests_that_locate_damage_or_came_to_no_result_ask_for_nothing() -> None:
    first = make_test(NOW - 3 * HOUR)
    follow_up = _failed(NOW - 2 * HOUR, follow_up_of=first.id)
    no_result = make_test(NOW - HOUR, Result.UNPROVEN, reason="the repository is busy")

    assert _asked(_record(first, follow_up, no_result)) == ()


def test_a_missed_test_opens_one_once_it_is_overdue() -> None:
    test = make_test(NOW)
    record = _record(test)

    assert _asked(record, NOW + 2 * DAY - HOUR) == ()
    action = _opened(record, NOW + 2 * DAY + HOUR)
    assert action.cause == MISSED_TEST
    assert action.what == "Electronic medical record: make a restore test from onsite pass"
    assert (action.opened_at, action.due) == (NOW + 2 * DAY, NOW + 5 * DAY)


def test_a_practice_that_nothing_was_done_for_yet_is_asked_nothing() -> None:
    record = make_record()

    assert corrective_actions(PLAN, record, judge(PLAN, record, NOW), NOW) == ()


def test_a_missed_test_that_was_made_up_closes_its_action() -> None:
    action = _opened(_record(make_test(NOW - 4 * DAY)))
    passed = make_test(NOW - HOUR)

    (entry,) = _asked(_record(make_test(NOW - 4 * DAY), passed, actions=(action,)))

    assert isinstance(entry, ActionClosed)
    assert (entry.id, entry.at, entry.by) == (action.id, NOW, "")
    assert entry.done == f"restore test {passed.id} passed"


def test_a_missed_test_is_not_made_up_by_promising_less() -> None:
    missed = _record(make_test(NOW - 4 * DAY))
    record = replace(missed, actions=(_opened(missed),))
    rarely = [{"schedule": "03:30", "from": "onsite", "prove_every": "90d"}]
    plan = make_plan(restore_tests=rarely)

    assert _asked(record, plan=plan) == ()


def test_judge_says_nothing_where_nothing_was_ever_asked() -> None:
    assert _finding() is None


def test_judge_waits_until_it_is_due_and_calls_it_not_kept_then() -> None:
    action = _opened(_record(_failed(NOW - HOUR)))

    waiting = _finding(action)
    late = _finding(action, now=action.due)
    done = _finding(_closed(action), now=action.due)

    assert waiting is not None
    assert late is not None
    assert done is not None
    assert (waiting.verdict, waiting.due) == (Verdict.UNPROVEN, action.due)
    assert action.what in waiting.reason
    assert (late.verdict, late.since) == (Verdict.BREACHED, action.due)
    assert late.reason.startswith("1 action overdue: ")
    assert done.verdict is Verdict.MET


def test_judge_puts_an_action_on_no_system_with_the_most_important_one() -> None:
    action = replace(_opened(_record(_failed(NOW - HOUR))), system="gone")

    finding = _finding(action)

    assert finding is not None
    assert finding.system == "emr"


def test_judge_counts_what_a_person_opened_only_when_it_is_late() -> None:
    asked = _opened(_record(_failed(NOW - HOUR)))
    own = replace(asked, id="own", cause="asked for by Sam", test="", opened_by="Sam")

    late, beside = _finding(own, now=own.due), _finding(_closed(asked), own)

    assert _finding(own) is None
    assert late is not None
    assert late.verdict is Verdict.BREACHED
    assert beside is not None
    assert (beside.verdict, beside.achieved) == (Verdict.MET, "1 of 2 actions done")
