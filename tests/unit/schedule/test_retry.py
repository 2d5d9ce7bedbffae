"""Which endings are tried again, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.schedule.retry import Again, Ended, next_attempt
from dr_orchestrator.store.base import MOST_ATTEMPTS, Claim
from tests.support.clock import START


def claim(attempt: int, spared: int = 0) -> Claim:
    occurrence = Occurrence(
        id="riverside/emr@1",
        schedule_id="riverside/emr",
        due_at=START,
        practice="riverside",
        operation=Operation.BACKUP,
    )
    return Claim(occurrence=occurrence, attempt=attempt, token="t", spared=spared)


def minutes(again: Again, attempt: int, spared: int = 0) -> float | None:
    ended = Ended(outcome=Outcome.FAILED, again=again)
    following = next_attempt(ended, claim(attempt, spared), START)
    return (following.not_before - START) / timedelta(minutes=1) if following else None


@pytest.mark.parametrize(
    ("again", "delays"),
    [
        (Again.NO, [None]),
        (Again.ONCE, [5, None]),
        (Again.SOME, [5, 15, None]),
    ],
)
def test_next_attempt_gives_up_after_so_many(again: Again, delays: list[float | None]) -> None:
    assert [minutes(again, attempt) for attempt in range(1, len(delays) + 1)] == delays


def test_next_attempt_waits_longer_each_time_while_somebody_else_is_at_work() -> None:
    busy = [minutes(Again.WHEN_FREE, attempt + 1, spared=attempt) for attempt in range(6)]
    assert busy == [1, 2, 5, 10, 10, 10]


def test_next_attempt_after_a_restart_is_at_once() -> None:
    assert minutes(Again.AT_ONCE, 40, spared=39) == 0


def test_next_attempt_does_not_count_what_was_spared() -> None:
    assert minutes(Again.SOME, 12, spared=11) == 5
    assert minutes(Again.SOME, 13, spared=11) == 15
    assert minutes(Again.SOME, 14, spared=11) is None


@given(st.lists(st.sampled_from(Again), min_size=80, max_size=80))
def test_next_attempt_ends_what_only_fails(endings: list[Again]) -> None:
    spared = counted = 0
    for again in endings:
        ended = Ended(outcome=Outcome.FAILED, again=again)
        following = next_attempt(ended, claim(counted + spared + 1, spared), START)
        if following is None:
            break
        assert following.not_before >= START
        counted += following.counts
        spared += not following.counts
    assert counted < MOST_ATTEMPTS
