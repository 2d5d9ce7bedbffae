"""Drills keep their own time, and what is to be put right is told with who and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dr_orchestrator.core.runbook import DrillKind
from dr_orchestrator.core.sign_off import CorrectiveAction
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import Page
from tests.support import practices
from tests.support.evidence import make_drill
from tests.support.practices import NOW
from tests.support.promises import make_action

DAY = timedelta(days=1)
BY_HAND = {"system": "", "cause": "said by Sam"}


def _with_actions(*actions: CorrectiveAction) -> Page:
    kept = practices.one_system()
    return build_page(replace(kept, record=replace(kept.record, actions=actions)).subject())


def test_no_drill_is_said_plainly() -> None:
    notes = build_page(practices.healthy().subject()).rehearsals
    assert [note.text for note in notes] == ["The whole practice was never rehearsed."]


def test_the_last_drill_stands_apart_from_the_times_of_tests() -> None:
    drills = (make_drill(NOW - 50 * DAY), make_drill(NOW - 90 * DAY, seconds=9.0))
    page = build_page(practices.healthy().subject(drills=drills))
    assert [note.text for note in page.rehearsals] == [
        (
            "On 2 October: rebuilt within 41 min, from the outage being declared, led by Ada. "
            "Work done by hand was not timed."
        )
    ]
    assert "All at once" not in [note.label for note in page.not_covered]
    without = build_page(practices.healthy().subject())
    assert [each.recovery for each in page.systems] == [each.recovery for each in without.systems]


def test_a_drill_that_failed_says_so_and_covers_nothing() -> None:
    failed = make_drill(NOW - DAY, result=Result.FAILED, reason="imaging did not come back")
    cold = make_drill(NOW - DAY, kind=DrillKind.COLD_START, result=Result.UNPROVEN)
    page = build_page(practices.healthy().subject(drills=(failed, cold)))
    assert [note.text for note in page.rehearsals] == [
        "On 20 November: FAILED after 41 min, led by Ada: imaging did not come back.",
        "On 20 November: came to no result after 41 min, led by Ada: no reason is on record.",
    ]


def test_open_actions_are_told_overdue_first_and_closed_ones_are_not() -> None:
    late = make_action(NOW - 9 * DAY)
    open_ = make_action(NOW - DAY, what="order a second disk", owner="manager", **BY_HAND)
    closed = make_action(NOW - 40 * DAY, closed_at=NOW - 39 * DAY)
    page = _with_actions(closed, open_, late)
    assert [note.text for note in page.actions] == [
        (
            "Find out why the restore test from “onsite” failed, and put it right. "
            "To be done by your IT provider: OVERDUE since 19 November."
        ),
        "Order a second disk. To be done by practice manager until 27 November.",
    ]
    assert page.needs[0].text == (
        "Ask your IT provider why this is overdue for your electronic medical record: "
        "Find out why the restore test from “onsite” failed, and put it right."
    )


def test_what_is_hers_to_do_is_asked_of_her_once_it_is_overdue() -> None:
    hers = make_action(NOW - 9 * DAY, what="order a second disk", owner="manager", **BY_HAND)
    assert _with_actions(hers).needs[0].text == "Do what is overdue: Order a second disk."
    assert _with_actions(replace(hers, due=NOW + DAY)).needs == ()


def test_nothing_open_is_an_empty_list() -> None:
    assert _with_actions().actions == ()
