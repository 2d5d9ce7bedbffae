from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.fleet.status import Protected, practice_status
from dr_orchestrator.fleet.words import protected_words
from dr_orchestrator.store.base import SCHEDULER_SILENT
from tests.support import practices
from tests.support.evidence import (
    make_attempts,
    make_locks,
    make_plan,
    make_point,
    make_run,
    make_test,
)
from tests.support.fleet import site
from tests.support.practices import NOW

HOUR = timedelta(hours=1)
PLAN = practices.one_system().plan
EMPTY = replace(practices.record(()), first_seen={})


def test_newest_point_of_each_repository_counts() -> None:
    both = make_point(NOW - 3 * HOUR, repositories=("onsite", "offsite"))
    onsite = make_point(NOW - HOUR, data_as_of=NOW - 2 * HOUR)
    status = practice_status(PLAN, replace(EMPTY, points=(both, onsite)), NOW)
    assert [(each.repository, each.as_of, each.data_as_of) for each in status.points] == [
        ("offsite", both.as_of, None),
        ("onsite", onsite.as_of, NOW - 2 * HOUR),
    ]
    assert status.points[0].bytes == 7_000_520_000


def test_newest_test_counts_and_the_newest_that_passed_before_it() -> None:
    first, passed, failed = (
        make_test(NOW - 3 * HOUR),
        make_test(NOW - 2 * HOUR),
        make_test(NOW - HOUR, Result.FAILED),
    )
    status = practice_status(PLAN, replace(EMPTY, tests=(first, passed, failed)), NOW)
    assert [each.started_at for each in status.tests] == [passed.started_at, failed.started_at]
    assert [each.result for each in status.tests] == [Result.PASSED, Result.FAILED]


def test_failed_test_is_forgotten_once_one_passed() -> None:
    failed, passed = make_test(NOW - 2 * HOUR, Result.FAILED), make_test(NOW - HOUR)
    status = practice_status(PLAN, replace(EMPTY, tests=(failed, passed)), NOW)
    assert [each.result for each in status.tests] == [Result.PASSED]


def test_newest_proven_point_of_each_repository_says_until_when_it_is_locked() -> None:
    plan = make_plan(
        repositories={"offsite": {"object_lock": {"mode": "compliance", "days": 30}}},
        backup={"schedule": "every 30m", "copy_to": ["offsite"]},
    )
    both = make_point(NOW - 3 * HOUR, repositories=("onsite", "offsite"))
    proven: dict[str, Any] = {"point": both.id, "point_as_of": both.as_of}
    known = replace(
        EMPTY,
        points=(both, make_point(NOW - HOUR)),
        tests=tuple(make_test(NOW, repository=each, **proven) for each in ("onsite", "offsite")),
        locks={"offsite": make_locks(NOW - HOUR, NOW + 9 * HOUR)},
    )
    status = practice_status(plan, known, NOW)
    wanted = (Protected(system="emr", repository="offsite", until=NOW + 9 * HOUR),)
    assert status.protected == wanted
    (told,) = protected_words(status, NOW, UTC)
    assert told == "emr in offsite until 2026-11-22 10:15 UTC"
    assert not [*protected_words(status, NOW + 9 * HOUR, UTC)]
    broken = make_attempts(NOW, Answer.DONE)
    said = practice_status(plan, replace(known, immutability={"offsite": broken}), NOW)
    assert not [*protected_words(said, NOW, UTC)]


def test_runs_are_told_without_their_reasons() -> None:
    run = make_run(NOW - HOUR, finished_at=NOW, outcome=Outcome.FAILED, reason="said by a person")
    status = practice_status(PLAN, replace(EMPTY, last_runs=(run,)), NOW)
    assert [each.outcome for each in status.runs] == [Outcome.FAILED]
    assert "said by a person" not in repr(status)


def test_pause_is_told_while_it_lasts_and_without_the_words_of_people() -> None:
    def pause(system: str, until: timedelta) -> SystemPaused:
        return SystemPaused(
            practice="riverside",
            system=system,
            at=NOW - HOUR,
            until=NOW + until,
            by="kim",
            why="canary",
        )

    pauses = {"emr": pause("emr", HOUR), "": pause("", timedelta(0))}
    status = practice_status(PLAN, replace(EMPTY, pauses=pauses), NOW)
    assert status.paused == {"emr": NOW + HOUR}
    assert "canary" not in repr(status)
    assert "kim" not in repr(status)


def test_scheduler_counts_as_stopped_only_where_there_was_one() -> None:
    assert not site().scheduler_stopped
    assert not site(scheduler_seen_at=NOW - SCHEDULER_SILENT).scheduler_stopped
    assert site(scheduler_seen_at=NOW - SCHEDULER_SILENT - timedelta(seconds=1)).scheduler_stopped


def test_scheduler_of_a_clock_that_was_ahead_is_not_seen_for_a_year() -> None:
    assert site(scheduler_seen_at=NOW + timedelta(days=365)).scheduler_stopped


def test_what_is_dated_in_the_future_is_not_the_newest() -> None:
    ahead, now = NOW + timedelta(days=365), NOW - HOUR
    record = replace(
        EMPTY,
        points=(make_point(now), make_point(ahead)),
        tests=(make_test(now), make_test(ahead)),
    )
    status = practice_status(PLAN, record, NOW)
    assert [each.as_of for each in status.points] == [now]
    assert [each.started_at for each in status.tests] == [now]
