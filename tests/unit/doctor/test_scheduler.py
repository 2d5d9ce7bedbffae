from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress
from dr_orchestrator.core.run import Operation
from dr_orchestrator.doctor.scheduler import is_late, look_at_scheduler
from tests.support.clock import FakeClock
from tests.support.kits import PLAN, plan_of

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("progress", "due_hours_ago", "again_in_hours", "late"),
    [
        (Progress.WAITING, 2, None, True),
        (Progress.WAITING, 0.5, None, False),
        (Progress.WAITING, 5, -0.5, False),
        (Progress.WAITING, 5, 1, False),
        (Progress.WAITING, 5, -2, True),
        (Progress.RUNNING, 5, None, False),
        (Progress.SKIPPED, 5, None, False),
    ],
)
def test_is_late_what_waits_though_it_could_have_begun_an_hour_ago(
    progress: Progress, due_hours_ago: float, again_in_hours: float | None, late: bool
) -> None:
    occurrence = Occurrence(
        id="o",
        schedule_id="s",
        due_at=_NOW - due_hours_ago * _HOUR,
        practice="riverside",
        operation=Operation.BACKUP,
    )
    again = None if again_in_hours is None else _NOW + again_in_hours * _HOUR
    state = OccurrenceState(
        occurrence=occurrence,
        progress=progress,
        attempt=0,
        not_before=again,
        outcome=None,
        reason="",
    )

    assert is_late(state, _NOW) is late


def test_no_scheduler_is_missed_only_where_there_is_a_practice_to_look_after() -> None:
    tools = cast("Any", SimpleNamespace(store=lambda: None, clock=FakeClock()))

    assert [each.what for each in look_at_scheduler(tools, [plan_of(PLAN)])] == [
        "no scheduler ever ran here"
    ]
    assert not list(look_at_scheduler(tools, []))  # what it had was handed over
