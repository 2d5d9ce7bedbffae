from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.core.occurrence import AFTER_TEST
from dr_orchestrator.core.run import Operation
from dr_orchestrator.schedule.planner import report_after_test
from tests.support.clock import START

TESTED = START + timedelta(microseconds=41)
NOW = START + timedelta(seconds=15)


def test_report_after_test_is_due_once() -> None:
    due = report_after_test("riverside", TESTED, {}, NOW)
    assert due is not None
    assert (due.operation, due.due_at, due.system) == (Operation.REPORT, TESTED, "")
    assert due.schedule_id.endswith(f"/{AFTER_TEST}")
    handed_out = {due.schedule_id: TESTED}
    assert report_after_test("riverside", TESTED, handed_out, NOW) is None
    assert report_after_test("riverside", START, handed_out, NOW) is None
    assert report_after_test("lakeside", TESTED, handed_out, NOW) is not None
    later = TESTED + timedelta(microseconds=1)
    again = report_after_test("riverside", later, handed_out, NOW)
    assert again is not None
    assert again.id != due.id


def test_report_after_test_waits_for_no_test_of_the_future() -> None:
    assert report_after_test("riverside", NOW + timedelta(seconds=1), {}, NOW) is None


def test_report_after_test_is_due_where_the_clock_was_put_back() -> None:
    handed_out = {f"riverside/report/{AFTER_TEST}": START + timedelta(days=1)}
    assert report_after_test("riverside", TESTED, handed_out, NOW) is not None
