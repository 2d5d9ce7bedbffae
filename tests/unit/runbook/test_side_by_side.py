"""Several at a time, each after what it waits for; told by events, never by sleeping."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.side_by_side import side_by_side

DIAMOND = {
    "directory": (),
    "emr": ("directory",),
    "shares": ("directory",),
    "portal": ("emr", "shares"),
}
_LONG = 20.0
"""Seconds after which a test that hangs fails."""


class Watch:
    """Notes what began and ended, and how many were at it at once."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, system: str) -> str:
        with self._lock:
            self.events.append(("begun", system))
            self._now += 1
            self.most = max(self.most, self._now)
        with self._lock:
            self.events.append(("ended", system))
            self._now -= 1
        return system.upper()


@st.composite
def waiting(draw: st.DrawFn) -> Mapping[str, tuple[str, ...]]:
    """Draw who waits for whom, as `waits_for` has it: nobody for somebody behind."""
    count = draw(st.integers(0, 6))
    names = [f"s{number}" for number in range(count)]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True))) if place else ()
        for place, name in enumerate(names)
    }


@given(waiting(), st.integers(1, 4))
def test_side_by_side_begins_each_after_what_it_waits_for(
    waits: Mapping[str, tuple[str, ...]], at_once: int
) -> None:
    watch, told = Watch(), []

    ended = side_by_side(waits, watch, at_once=at_once, on_end=lambda s, e: told.append((s, e)))

    assert ended == {system: system.upper() for system in waits}
    assert list(ended) == list(waits)
    assert sorted(told) == sorted(ended.items())
    assert watch.most <= at_once
    for system, others in waits.items():
        begun = watch.events.index(("begun", system))
        assert all(watch.events.index(("ended", other)) < begun for other in others)


@given(waiting())
def test_side_by_side_goes_one_after_another_in_order_where_one_may_run(
    waits: Mapping[str, tuple[str, ...]],
) -> None:
    watch = Watch()
    side_by_side(waits, watch, at_once=1)
    assert [system for what, system in watch.events if what == "begun"] == list(waits)


def test_side_by_side_does_at_the_same_time_what_may_be() -> None:
    both = threading.Barrier(2)

    def work(system: str) -> None:
        if system in {"emr", "shares"}:
            both.wait(_LONG)  # broken unless the other one is at it too

    side_by_side(DIAMOND, work, at_once=2)


def test_side_by_side_goes_on_beside_one_that_takes_long() -> None:
    later_ended = threading.Event()

    def work(system: str) -> None:
        if system == "slow":
            assert later_ended.wait(_LONG)

    def on_end(system: str, _ended: None) -> None:
        if system == "third":
            later_ended.set()

    waits = {"slow": (), "first": (), "second": ("first",), "third": ("second",)}
    side_by_side(waits, work, at_once=2, on_end=on_end)


def test_side_by_side_tells_of_ends_in_the_thread_that_called() -> None:
    threads = set()
    side_by_side(
        DIAMOND,
        lambda _system: None,
        at_once=3,
        on_end=lambda _system, _ended: threads.add(threading.current_thread()),
    )
    assert threads == {threading.current_thread()}


def test_side_by_side_works_in_threads_that_are_waited_for_when_the_program_ends() -> None:
    names = side_by_side(DIAMOND, lambda _: threading.current_thread().name, at_once=2)
    assert all(name.startswith("restore_") for name in names.values())


@pytest.mark.parametrize("error", [Interrupted(), ValueError("a mistake")])
def test_side_by_side_begins_nothing_more_and_waits_for_what_runs_when_one_raises(
    error: BaseException,
) -> None:
    raised, waited = threading.Event(), threading.Event()
    begun = []

    def work(system: str) -> None:
        begun.append(system)
        if system == "first":
            raised.set()
            raise error
        assert raised.wait(_LONG)
        waited.set()

    with pytest.raises(type(error)):
        side_by_side({"first": (), "beside": (), "after": ("beside",), "last": ()}, work, at_once=2)

    assert waited.is_set()
    assert sorted(begun) == ["beside", "first"]


@pytest.mark.parametrize("waits", [{"a": ("b",), "b": ("a",)}, {"a": ("elsewhere",)}])
def test_side_by_side_refuses_to_wait_for_ever(waits: Mapping[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="never ends"):
        side_by_side(waits, lambda _system: None, at_once=2)
