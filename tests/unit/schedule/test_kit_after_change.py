from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Operation
from dr_orchestrator.schedule.planner import (
    CHANGED_AGAIN,
    kit_after_change,
    paused,
    scheduled_operations,
)
from tests.support.clock import START
from tests.support.kits import plan_of


def test_kit_is_on_a_schedule_where_the_plan_asks_for_one() -> None:
    operations = [each.operation for each in scheduled_operations(plan_of().plan)]
    assert operations.count(Operation.KIT) == 1
    without = plan_of().plan.model_copy(update={"kit": None})
    assert Operation.KIT not in [each.operation for each in scheduled_operations(without)]


def test_kit_after_change_is_due_at_once_and_not_twice_within_the_hour() -> None:
    now = START + timedelta(seconds=41)
    due = kit_after_change("riverside", "0a" * 32, {}, now)
    assert due is not None
    assert (due.operation, due.due_at, due.system) == (Operation.KIT, START, "")
    handed_out = {due.schedule_id: due.due_at}
    assert kit_after_change("riverside", "0a" * 32, handed_out, now + timedelta(minutes=30)) is None
    assert kit_after_change("lakeside", "0a" * 32, handed_out, now) is not None
    assert kit_after_change("riverside", "0b" * 32, handed_out, now) is not None
    again = kit_after_change("riverside", "0a" * 32, handed_out, START + CHANGED_AGAIN)
    assert again is not None
    assert again.id != due.id


def test_kit_after_change_is_due_where_the_clock_was_put_back() -> None:
    handed_out = {"riverside/kit/changed-0a0a0a0a0a0a": START + timedelta(days=1)}
    assert kit_after_change("riverside", "0a" * 32, handed_out, START) is not None


def test_kit_waits_for_no_pause() -> None:
    pause = SystemPaused(
        practice="riverside",
        system="",
        at=START,
        until=START + timedelta(hours=1),
        by="kim",
        why="upgrade",
    )
    zone = plan_of().plan.practice.timezone
    assert paused(Operation.KIT, "", [pause], START, zone) == ""
    assert paused(Operation.BACKUP, "emr", [pause], START, zone)
