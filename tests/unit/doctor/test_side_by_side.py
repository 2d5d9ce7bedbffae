from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.doctor.complaint import Complaint, Kind
from dr_orchestrator.doctor.side_by_side import Look, look_at_all
from dr_orchestrator.errors import CouldNotVerify, Interrupted

_FOUND = Complaint(kind=Kind.NO_SCHEDULER, what="none", do="start one")


def _finds() -> list[Complaint]:
    return [_FOUND]


def test_look_at_all_returns_what_each_look_complains_of() -> None:
    looks = [Look(at="it", complain=_finds) for _ in range(20)]

    assert look_at_all(looks, SystemClock()) == [_FOUND] * 20


@pytest.mark.parametrize("hanging", [1, 9])
def test_look_at_all_waits_for_no_dead_host_longer_than_the_limit(hanging: int) -> None:
    never = threading.Event()

    def hang() -> Iterator[Complaint]:
        never.wait(60)
        yield from ()

    looks = [Look(at="a host", practice="riverside", complain=hang) for _ in range(hanging)]
    found = look_at_all([*looks, Look(at="it", complain=_finds)], SystemClock(), limit_seconds=0.05)
    never.set()

    assert _FOUND in found
    unknown = [each for each in found if each.kind is Kind.COULD_NOT_LOOK]
    assert len(unknown) == hanging
    assert unknown[0].practice == "riverside"
    assert unknown[0].what == "a host could not be looked at: no answer within 0 seconds"


def test_look_at_all_says_what_could_not_be_looked_at_and_no_foreign_words() -> None:
    def verify() -> Iterator[Complaint]:
        yield _FOUND
        raise CouldNotVerify("the server is starting", hint="wait")

    def broken() -> list[Complaint]:
        raise ValueError("Zebedee Canaryson")

    first, second, third = look_at_all(
        [Look(at="one", complain=verify), Look(at="two", complain=broken)], SystemClock()
    )

    assert {first.what, second.what, third.what} == {
        "none",
        "one could not be looked at: the server is starting",
        "two could not be looked at: internal error (ValueError)",
    }


def test_look_at_all_leaves_a_look_that_was_interrupted_to_itself() -> None:
    def stopped() -> list[Complaint]:
        raise Interrupted

    found = look_at_all([Look(at="it", complain=stopped)], SystemClock(), limit_seconds=0.05)

    assert [each.kind for each in found] == [Kind.COULD_NOT_LOOK]
