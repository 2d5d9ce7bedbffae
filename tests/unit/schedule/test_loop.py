"""The scheduler's loop: nothing that fails stops it, and no clock that is set keeps it silent."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import schedule

from dr_orchestrator.core.record import HandedOver
from dr_orchestrator.errors import StoreUnusable
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.schedule.dispatcher import Dispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.loop import Chore, Planning, Scheduler, Ticker
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.store.sqlite import open_store
from dr_orchestrator.takeover.handover import withdraw
from tests.support.clock import START, FakeClock
from tests.support.site import ROOT


class Desk:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stream = io.StringIO()
        self.log = scheduler_log(self.stream, self.clock)
        self.troubles = Troubles(self.clock, self.log)
        self.done: list[str] = []

    def ticker(self, *chores: tuple[str, float, Callable[[], object]]) -> Ticker:
        made = [
            Chore(name=name, every=timedelta(seconds=every), do=do) for name, every, do in chores
        ]
        return Ticker(made, clock=self.clock, troubles=self.troubles, log=self.log)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Own the wall clock that the `schedule` library reads, and set it forward or back."""
    shown = [datetime(2026, 11, 1, 1, 59, 0)]  # noqa: DTZ001 - as the library has it

    class Shown(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return shown[0]

    def advance(by: timedelta) -> None:
        shown[0] += by

    theirs = SimpleNamespace(**{**vars(dt), "datetime": Shown})
    monkeypatch.setattr(schedule, "datetime", theirs)
    return advance


def begun(ticker: Ticker) -> Ticker:
    ticker.begin()
    return ticker


def test_ticker_does_everything_at_once_and_then_each_at_its_interval(
    desk: Desk, local_time: Callable[[timedelta], None]
) -> None:
    ticker = begun(
        desk.ticker(
            ("often", 15, lambda: desk.done.append("often")),
            ("rarely", 60, lambda: desk.done.append("rarely")),
        )
    )
    assert desk.done == ["often", "rarely"]
    for _ in range(8):
        local_time(timedelta(seconds=15))
        desk.clock.advance(timedelta(seconds=15))
        ticker.turn()
    assert (desk.done.count("often"), desk.done.count("rarely")) == (9, 3)


def test_ticker_is_not_silent_for_an_hour_when_the_clocks_are_put_back(
    desk: Desk, local_time: Callable[[timedelta], None]
) -> None:
    ticker = begun(desk.ticker(("look", 15, lambda: desk.done.append("look"))))
    local_time(timedelta(hours=-1, seconds=15))
    desk.clock.advance(timedelta(seconds=15))
    ticker.turn()
    assert desk.done == ["look", "look"]
    local_time(timedelta(seconds=15))
    ticker.turn()
    assert len(desk.done) == 3


@pytest.mark.parametrize("hours", [-2, 2])
def test_ticker_says_that_the_clock_was_set(desk: Desk, hours: int) -> None:
    ticker = begun(desk.ticker(("look", 15, lambda: None)))
    desk.clock.advance(timedelta(seconds=15))
    ticker.turn()
    assert desk.events() == []
    desk.clock.set(desk.clock.now() + timedelta(hours=hours))
    ticker.turn()
    (event,) = desk.events()
    assert (event["event"], event["by_seconds"]) == ("the clock was set", hours * 3600)


def test_ticker_goes_on_after_what_fails_and_says_so_once(
    desk: Desk, local_time: Callable[[timedelta], None]
) -> None:
    fails = [True]

    def fail() -> None:
        if fails[0]:
            raise StoreUnusable("the disk is gone", hint="mount it")

    ticker = begun(
        desk.ticker(("telling", 15, fail), ("look", 15, lambda: desk.done.append("look")))
    )
    for _ in range(3):
        local_time(timedelta(seconds=15))
        ticker.turn()
    assert len(desk.done) == 4
    (problem,) = desk.troubles.problems()
    assert problem.what == "telling does not work: the disk is gone"
    assert (problem.next, problem.since) == ("mount it", START)
    assert [each["event"] for each in desk.events()] == ["trouble"]
    fails[0] = False
    local_time(timedelta(seconds=15))
    ticker.turn()
    assert desk.troubles.problems() == ()
    assert [each["event"] for each in desk.events()] == ["trouble", "trouble over"]


def test_troubles_never_say_what_an_error_that_is_not_ours_says(desk: Desk) -> None:
    def fail() -> None:
        raise ValueError("a patient's name")

    with desk.troubles.guard("planning"):
        fail()
    (problem,) = desk.troubles.problems()
    assert problem.what == "planning does not work: internal error (ValueError)"
    assert "patient" not in desk.stream.getvalue()


def test_ticker_without_chores_waits(desk: Desk) -> None:
    stop = threading.Event()
    waiting = threading.Thread(target=desk.ticker().run, args=(stop,))
    waiting.start()
    stop.set()
    waiting.join(5)
    assert not waiting.is_alive()


def test_chore_that_hangs_keeps_no_other_from_being_done(desk: Desk, tmp_path: Path) -> None:
    hangs, told, stop = threading.Event(), threading.Event(), threading.Event()
    every = timedelta(hours=1)
    with open_store(tmp_path, desk.clock) as store:
        dispatcher = cast("Dispatcher", SimpleNamespace(stats=store.ledger.stats, close=_nothing))
        scheduler = Scheduler(
            cast("Planning", SimpleNamespace(tick=lambda: None)),
            [
                Chore(name="publishing", every=every, do=hangs.wait),
                Chore(name="telling people", every=every, do=told.set),
            ],
            store=store,
            dispatcher=dispatcher,
            clock=desk.clock,
            troubles=desk.troubles,
            log=desk.log,
        )
        running = threading.Thread(target=scheduler.run, args=(stop, stop))
        running.start()
        try:
            assert told.wait(5)
        finally:
            stop.set()
            hangs.set()
            running.join()


def _nothing(**_how: object) -> None:
    pass


def test_nothing_comes_due_for_a_practice_that_was_handed_over(desk: Desk, tmp_path: Path) -> None:
    with open_store(tmp_path, desk.clock) as store:
        loaded = load_plan(ROOT / "plans" / "least.yaml")
        planning = Planning(
            shelf=cast(
                "Any", SimpleNamespace(plans={"riverside": loaded}, refresh=tuple, problems=tuple)
            ),
            store=store,
            dispatcher=cast("Any", SimpleNamespace(submit=lambda *_: None, wake=lambda: None)),
            clock=desk.clock,
            troubles=desk.troubles,
            log=desk.log,
        )
        planning.tick()
        store.record(HandedOver(practice="riverside", at=START, by="Ada", to="Lakeview IT", why=""))
        desk.clock.advance(timedelta(days=1))
        planning.tick()
        assert store.occurrences(since=START, limit=99) == ()
        assert desk.troubles.problems() == ()

        withdraw("riverside", store, by="Ada", at=desk.clock.now())
        planning.tick()
        assert "backup" in {
            each.occurrence.operation.value for each in store.occurrences(since=START, limit=99)
        }
