"""Whose lock it is: a table, and the numbers of this machine's own processes."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta

import pytest

from dr_orchestrator.errors import RepositoryUnreachable
from dr_orchestrator.repositories.restic_locks import (
    Occupant,
    Patience,
    is_dead,
    occupant_of,
    restic_would_touch,
)
from dr_orchestrator.repositories.restic_output import Lock
from tests.support.clock import START, FakeClock

_YOUNG, _OLD = timedelta(minutes=29), timedelta(minutes=31)


def lock(age: timedelta, hostname: str = "ours") -> Lock:
    return Lock("0" * 64, START - age, hostname, 4711, exclusive=False)


@pytest.mark.parametrize(
    ("age", "occupant", "sees_all", "expected"),
    [
        (_YOUNG, Occupant.NOBODY, True, True),
        (_YOUNG, Occupant.NOBODY, False, False),  # it may live where we cannot see it
        (_YOUNG, Occupant.OTHER, True, False),  # the number was reused, or restic has another name
        (_YOUNG, Occupant.RESTIC, True, False),
        (_YOUNG, Occupant.UNKNOWN, True, False),
        (_OLD, Occupant.NOBODY, False, True),
        (_OLD, Occupant.OTHER, True, True),
        (_OLD, Occupant.RESTIC, True, False),  # asleep, not dead
        (_OLD, Occupant.UNKNOWN, True, False),
        (timedelta(days=-1), Occupant.NOBODY, True, True),  # clocks differ
        (timedelta(days=-1), Occupant.OTHER, True, False),
    ],
)
def test_lock_of_this_machine_is_dead_when_its_process_certainly_is(
    age: timedelta, occupant: Occupant, sees_all: bool, expected: bool
) -> None:
    judged = is_dead(lock(age), occupant, now=START, host="ours", sees_all=sees_all)

    assert expected == judged


@pytest.mark.parametrize("occupant", list(Occupant))
def test_lock_of_another_machine_is_never_dead(occupant: Occupant) -> None:
    foreign = lock(timedelta(days=30), "theirs")

    assert not is_dead(foreign, occupant, now=START, host="ours", sees_all=True)


@pytest.mark.parametrize(
    ("age", "hostname", "expected"),
    [(_YOUNG, "theirs", False), (_OLD, "theirs", True), (_YOUNG, "ours", True)],
)
def test_restic_would_touch_old_locks_and_those_of_this_machine(
    age: timedelta, hostname: str, expected: bool
) -> None:
    assert expected == restic_would_touch(lock(age, hostname), now=START, host="ours")


def test_occupant_is_found_among_this_machines_processes() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert occupant_of(other.pid) is Occupant.OTHER
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert occupant_of(other.pid) is Occupant.NOBODY  # a zombie
    assert occupant_of(other.pid) is Occupant.NOBODY


def patience(clock: FakeClock, removed: list[int], limit: timedelta) -> Patience:
    return Patience(clock, limit, remove_dead=lambda: removed.pop(0))


def test_patience_tries_again_at_once_when_a_dead_lock_was_removed() -> None:
    clock = FakeClock()

    assert patience(clock, [1], timedelta(0)).outlast()
    assert clock.now() == START


def test_patience_waits_longer_each_time_and_no_longer_than_agreed() -> None:
    clock = FakeClock()
    waiting = patience(clock, [0], timedelta(minutes=2))
    pauses = []

    last = clock.monotonic()
    while waiting.outlast():
        pauses.append(clock.monotonic() - last)
        last = clock.monotonic()

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 29]


def test_patience_ends_at_once_when_none_was_agreed() -> None:
    assert not patience(FakeClock(), [0], timedelta(0)).outlast()


def test_patience_is_not_disturbed_when_locks_cannot_be_listed() -> None:
    def fail() -> int:
        raise RepositoryUnreachable("gone")

    assert not Patience(FakeClock(), timedelta(0), remove_dead=fail).outlast()
