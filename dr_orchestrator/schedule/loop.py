"""The scheduler: looks again and again at what is due, and never stops because one thing fails.

The `schedule` library says when to look. It goes by the wall clock of this machine, so a clock that
is put back, or a change to winter time, would keep it silent for as long; that is noticed here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import schedule
from structlog.typing import FilteringBoundLogger

from dr_orchestrator.clock import Clock, Stopwatch
from dr_orchestrator.core.problem import Problem
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.dispatcher import Dispatcher
from dr_orchestrator.schedule.plan_shelf import PlanShelf
from dr_orchestrator.schedule.planner import ScheduledOperation, due, scheduled_operations
from dr_orchestrator.schedule.trouble import Troubles

if TYPE_CHECKING:
    from dr_orchestrator.core.occurrence import Occurrence
    from dr_orchestrator.core.record import SystemPaused
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.store.base import Store

TICK = timedelta(seconds=15)
BEAT = timedelta(seconds=30)
GRACE = timedelta(seconds=30)
"""After being asked to stop, so long what runs may go on to its end."""
_JUMP = timedelta(seconds=5)
"""Clocks are kept right in smaller steps."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Chore:
    """Something that is done again and again beside the operations: telling, publishing."""

    name: str
    """As in "… does not work"."""
    every: timedelta
    do: Callable[[], object]


class Ticker:
    """Does chores, one after the other: all of them at first, then each at its own interval."""

    def __init__(
        self,
        chores: Iterable[Chore],
        *,
        clock: Clock,
        troubles: Troubles,
        log: FilteringBoundLogger,
    ) -> None:
        self._chores = tuple(chores)
        self._clock = clock
        self._troubles = troubles
        self._log = log
        self._jobs = schedule.Scheduler()
        self._read = (clock.now(), clock.monotonic())

    def begin(self) -> None:
        """Do everything once, and each at its interval from now on."""
        self._jobs.clear()
        for chore in self._chores:
            self._do(chore)
            self._jobs.every(chore.every.total_seconds()).seconds.do(self._do, chore)  # type: ignore[arg-type]

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop`, after `begin`."""
        while not stop.is_set():
            self.turn()
            stop.wait(max(0.0, min(self._idle_seconds(), self._shortest())))

    def turn(self) -> None:
        """Do what it is time for."""
        self._mind_the_clock()
        self._jobs.run_pending()

    def _do(self, chore: Chore) -> None:
        with self._troubles.guard(chore.name):
            chore.do()

    def _mind_the_clock(self) -> None:
        before, monotonic = self._read
        self._read = (self._clock.now(), self._clock.monotonic())
        passed = timedelta(seconds=self._read[1] - monotonic)
        jump = self._read[0] - before - passed
        if abs(jump) > _JUMP:
            self._log.warning("the clock was set", by_seconds=round(jump.total_seconds()))
        if self._idle_seconds() > self._shortest():
            self.begin()

    def _idle_seconds(self) -> float:
        idle = self._jobs.idle_seconds
        return self._shortest() if idle is None else idle

    def _shortest(self) -> float:
        return min((chore.every for chore in self._chores), default=TICK).total_seconds()


class Planning:
    """What the scheduler does at each tick: reads the plans, and has what is due run."""

    def __init__(
        self,
        *,
        shelf: PlanShelf,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        troubles: Troubles,
        log: FilteringBoundLogger,
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self._troubles = troubles
        self._log = log
        self._said: frozenset[str] = frozenset()
        self._operations: dict[str, tuple[LoadedPlan, tuple[ScheduledOperation, ...]]] = {}

    def tick(self) -> None:
        """Take back what is lost, admit what is due by each plan, and have it run. For a practice
        that was handed over nothing comes due here.
        """
        for change in self._shelf.refresh():
            self._log.info("plan", change=change)
        self._say_what_is_wrong_with_plans()
        ledger = self._store.ledger
        with self._troubles.guard("taking back what was lost"):
            for lost in ledger.recover():
                self._log.warning("lost", occurrence=lost.id)
        now, away = self._clock.now(), self._store.handed_over()
        operations = {
            practice: self._operations_of(loaded)
            for practice, loaded in self._shelf.plans.items()
            if practice not in away
        }
        ledger.see_schedules([each.id for those in operations.values() for each in those], now)
        last_due, pauses = ledger.last_due(), self._pauses()
        for practice, those in operations.items():
            with self._troubles.guard(f"planning {practice}"):
                self._admit(those, last_due, now, pauses)
        self._dispatcher.wake()

    def have_done(self, occurrences: Iterable[Occurrence]) -> None:
        """Have something done that no schedule asks for: once for each schedule id and instant."""
        self._record(tuple(occurrences))
        self._dispatcher.wake()

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with this machine's scheduling now."""
        return (*self._shelf.problems(), *self._troubles.problems())

    def _say_what_is_wrong_with_plans(self) -> None:
        wrong = frozenset(each.what for each in self._shelf.problems())
        for what in sorted(wrong - self._said):
            self._log.error("plan", wrong=what)
        self._said = wrong

    def _operations_of(self, loaded: LoadedPlan) -> tuple[ScheduledOperation, ...]:
        practice = loaded.plan.practice.id
        known = self._operations.get(practice)
        if known is None or known[0] is not loaded:
            known = self._operations[practice] = (loaded, scheduled_operations(loaded.plan))
        return known[1]

    def _pauses(self) -> Mapping[str, list[SystemPaused]]:
        pauses: dict[str, list[SystemPaused]] = {}
        for each in self._store.pauses(self._shelf.plans):
            pauses.setdefault(each.practice, []).append(each)
        return pauses

    def _admit(
        self,
        operations: tuple[ScheduledOperation, ...],
        last_due: Mapping[str, datetime],
        now: datetime,
        pauses: Mapping[str, list[SystemPaused]],
    ) -> None:
        self._record(tuple(due(operations, last_due, now, pauses)))

    def _record(self, found: tuple[Occurrence, ...]) -> None:
        if not found:
            return
        for each in self._store.ledger.admit(found, self._dispatcher.submit):
            if each.skipped:
                self._log.info("skipped", occurrence=each.id, reason=each.skipped)
            else:
                self._log.info("due", occurrence=each.id)


class Scheduler:
    """Ticks until it is asked to stop, then sees what runs to an end."""

    def __init__(
        self,
        planning: Planning,
        chores: Iterable[Chore] = (),
        *,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        troubles: Troubles,
        log: FilteringBoundLogger,
        tick: timedelta = TICK,
        grace: timedelta = GRACE,
    ) -> None:
        """Each chore has a thread of its own: a mail server that hangs delays no backup, and a
        folder on a server that is gone keeps nobody from being told.
        """
        self._dispatcher = dispatcher
        self._clock = clock
        self._log = log
        self._grace = grace.total_seconds()
        ours = ProcessIdentity.ours()
        ticking = (
            Chore(name="showing that we run", every=BEAT, do=lambda: store.ledger.beat(ours)),
            Chore(name="planning", every=tick, do=planning.tick),
        )
        self._ticks = Ticker(ticking, clock=clock, troubles=troubles, log=log)
        self._aside = tuple(
            Ticker((each,), clock=clock, troubles=troubles, log=log) for each in chores
        )

    def run(self, stop: threading.Event, hurry: threading.Event) -> None:
        """Go on until `stop`; then what runs has its grace, or what is left of it at `hurry`.

        What did not end by then is ended in order, and attempted again by the next scheduler.
        """
        self._log.info("running")
        self._ticks.begin()
        for each in self._aside:
            aside = threading.Thread(target=_do_aside, args=(each, stop), daemon=True)
            aside.start()
        self._ticks.run(stop)
        self._log.info("stopping", running=self._dispatcher.stats().running)
        self._close(hurry)
        self._log.info("stopped")

    def _close(self, hurry: threading.Event) -> None:
        closing = threading.Thread(target=self._dispatcher.close, kwargs={"stop": False})
        closing.start()
        waited = Stopwatch(self._clock)
        while closing.is_alive() and not hurry.is_set() and waited.elapsed() < self._grace:
            closing.join(_LOOK_SECONDS)
        if closing.is_alive():
            self._dispatcher.close(stop=True)
            closing.join()


def _do_aside(chore: Ticker, stop: threading.Event) -> None:
    chore.begin()
    chore.run(stop)
