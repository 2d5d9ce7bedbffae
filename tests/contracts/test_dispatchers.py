"""What every dispatcher promises, whoever does the work and wherever.

One for many machines joins in by an entry in `MAKERS`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import RepositoryUnreachable
from dr_orchestrator.schedule.dispatcher import Dispatcher, Worker
from dr_orchestrator.schedule.embedded import EmbeddedDispatcher
from dr_orchestrator.schedule.inline import InlineDispatcher
from dr_orchestrator.schedule.retry import Again, Ended
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.schedule.worker import InProcessWorker
from dr_orchestrator.store.base import Claim, Ledger, Store
from dr_orchestrator.store.sqlite import open_store

SLOTS = 2
DUE = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
DONE = Ended(outcome=Outcome.DONE)
PATIENCE_SECONDS = 10.0

Make = Callable[[Ledger, Worker], Dispatcher]


def embedded(ledger: Ledger, worker: Worker) -> Dispatcher:
    troubles = Troubles(SystemClock(), structlog.get_logger())
    return EmbeddedDispatcher(ledger, worker, slots=SLOTS, troubles=troubles)


def inline(ledger: Ledger, worker: Worker) -> Dispatcher:
    return InlineDispatcher(ledger, worker, slots=SLOTS)


MAKERS: dict[str, Make] = {"embedded": embedded, "inline": inline}


@dataclass
class Hands:
    """Work that notes what it was given, and ends as a test says."""

    ends: Callable[[Claim], Ended] = field(default=lambda _claim: DONE)
    done: list[str] = field(default_factory=list)
    given_up: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def work(self, claim: Claim) -> Ended:
        self.done.append(claim.occurrence.id)
        return self.ends(claim)

    def hold(self, _claim: Claim) -> Ended:
        """Go on until the test lets go, or somebody wants it to end."""
        self.holding.set()
        last = time.monotonic() + PATIENCE_SECONDS
        while not self.let_go.is_set() and time.monotonic() < last:
            if self.given_up.wait(0.01):
                return Ended(outcome=Outcome.INTERRUPTED, reason="ended", again=Again.AT_ONCE)
        return DONE


@dataclass
class Desk:
    """A dispatcher over a real ledger, and the hands that do its work."""

    store: Store
    hands: Hands
    dispatcher: Dispatcher

    def admit(self, *names: str, emergency: bool = False) -> tuple[str, ...]:
        occurrences = [due(name, emergency=emergency) for name in names]
        admitted = self.store.ledger.admit(occurrences, self.dispatcher.submit)
        return tuple(each.id for each in admitted)

    def state(self, occurrence: str) -> OccurrenceState:
        everything = self.store.occurrences(since=DUE - timedelta(days=1), limit=1000)
        return next(each for each in everything if each.occurrence.id == occurrence)

    def wait_for(self, *occurrences: str, progress: Progress) -> None:
        last = time.monotonic() + PATIENCE_SECONDS
        while any(self.state(each).progress is not progress for each in occurrences):
            assert time.monotonic() < last, [self.state(each) for each in occurrences]
            self.dispatcher.wake()
            time.sleep(0.01)

    @contextmanager
    def at_work(self, threads: int = 1) -> Iterator[None]:
        """Have it look for work meanwhile, also where it does that in the thread that asks."""
        waking = [threading.Thread(target=self.dispatcher.wake) for _ in range(threads)]
        for each in waking:
            each.start()
        try:
            yield
        finally:
            self.hands.let_go.set()
            for each in waking:
                each.join()


def due(name: str, *, emergency: bool = False) -> Occurrence:
    return Occurrence(
        id=f"riverside/{name}@1",
        schedule_id=f"riverside/{name}",
        due_at=DUE,
        practice="riverside",
        operation=Operation.BACKUP,
        system=name,
        emergency=emergency,
    )


@pytest.fixture(params=sorted(MAKERS))
def make(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


@pytest.fixture
def desk(make: Make, tmp_path: Path) -> Iterator[Desk]:
    hands = Hands()
    with open_store(tmp_path, SystemClock()) as store:
        worker = InProcessWorker(
            store.ledger,
            hands.work,
            clock=SystemClock(),
            give_up=lambda _occurrence: hands.given_up.set(),
            renew_every=timedelta(seconds=0.05),
        )
        dispatcher = make(store.ledger, worker)
        yield Desk(store, hands, dispatcher)
        hands.let_go.set()
        dispatcher.close(stop=True)


def test_dispatcher_has_each_admitted_occurrence_worked_on_once(desk: Desk) -> None:
    admitted = desk.admit(*(f"system{number}" for number in range(12)))
    assert desk.admit(*(f"system{number}" for number in range(12))) == ()
    desk.wait_for(*admitted, progress=Progress.SETTLED)
    assert sorted(desk.hands.done) == sorted(admitted)
    assert desk.dispatcher.stats().waiting == 0


def test_dispatcher_never_runs_what_was_rolled_back(desk: Desk) -> None:
    def fail_after_submit(transaction: object, occurrence: Occurrence) -> None:
        desk.dispatcher.submit(transaction, occurrence)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        desk.store.ledger.admit([due("emr")], fail_after_submit)
    other = desk.admit("files")
    desk.wait_for(*other, progress=Progress.SETTLED)
    assert desk.hands.done == list(other)


def test_dispatcher_tries_again_what_may_pass(desk: Desk) -> None:
    first = Ended(outcome=Outcome.FAILED, reason="the server is down", again=Again.AT_ONCE)
    desk.hands.ends = lambda claim: first if claim.attempt == 1 else DONE
    (emr,) = desk.admit("emr")
    desk.wait_for(emr, progress=Progress.SETTLED)
    assert desk.hands.done == [emr, emr]
    assert desk.state(emr).outcome is Outcome.DONE


def test_dispatcher_lets_a_failure_wait_for_its_next_attempt(desk: Desk) -> None:
    def fail(_claim: Claim) -> Ended:
        raise RepositoryUnreachable("onsite does not answer")

    desk.hands.ends = fail
    (emr,) = desk.admit("emr")
    with desk.at_work():
        pass
    wait_until(lambda: desk.dispatcher.stats().delayed == 1)
    state = desk.state(emr)
    assert (state.progress, state.reason) == (Progress.WAITING, "onsite does not answer")
    assert state.not_before is not None
    assert state.not_before > SystemClock().now() + timedelta(minutes=4)


def test_dispatcher_settles_a_mistake_of_ours_without_its_words(desk: Desk) -> None:
    def fail(_claim: Claim) -> Ended:
        raise ValueError("a patient's name")

    desk.hands.ends = fail
    (emr,) = desk.admit("emr")
    with desk.at_work():
        pass
    wait_until(lambda: desk.dispatcher.stats().delayed == 1)
    assert desk.state(emr).reason == "internal error (ValueError)"


def test_dispatcher_cancel_gives_up_what_runs(desk: Desk) -> None:
    desk.hands.ends = desk.hands.hold
    (emr,) = desk.admit("emr")
    with desk.at_work():
        assert desk.hands.holding.wait(PATIENCE_SECONDS)
        assert desk.dispatcher.cancel(emr, "not now")
        wait_until(lambda: desk.state(emr).progress is Progress.SETTLED)
    assert desk.state(emr).outcome is Outcome.INTERRUPTED
    assert desk.hands.done == [emr]


def test_dispatcher_cancel_gives_up_what_runs_elsewhere(desk: Desk) -> None:
    desk.hands.ends = desk.hands.hold
    (emr,) = desk.admit("emr")
    with desk.at_work():
        assert desk.hands.holding.wait(PATIENCE_SECONDS)
        assert desk.store.ledger.cancel(emr, "somebody else's wish")
        wait_until(lambda: desk.state(emr).progress is Progress.SETTLED)
    assert desk.hands.given_up.is_set()


def test_dispatcher_cancel_gives_up_what_waits(desk: Desk) -> None:
    (emr,) = desk.admit("emr")
    assert desk.dispatcher.cancel(emr, "not now")
    (files,) = desk.admit("files")
    desk.wait_for(files, progress=Progress.SETTLED)
    assert desk.hands.done == [files]
    assert not desk.dispatcher.cancel(emr, "not now")


def test_dispatcher_runs_an_emergency_when_all_slots_are_busy(desk: Desk) -> None:
    hands = desk.hands
    hands.ends = lambda claim: DONE if claim.occurrence.emergency else hands.hold(claim)
    desk.admit(*(f"system{number}" for number in range(SLOTS * 4)))
    with desk.at_work(SLOTS):
        wait_until(lambda: desk.dispatcher.stats().running == SLOTS)
        (emergency,) = desk.admit("emr", emergency=True)
        desk.dispatcher.wake()
        wait_until(lambda: desk.state(emergency).progress is Progress.SETTLED)
        assert desk.dispatcher.stats().running == SLOTS
    assert hands.done[SLOTS] == emergency


def test_dispatcher_close_waits_for_what_runs(desk: Desk) -> None:
    desk.hands.ends = desk.hands.hold
    (emr,) = desk.admit("emr")
    with desk.at_work():
        assert desk.hands.holding.wait(PATIENCE_SECONDS)
        closing = threading.Thread(target=desk.dispatcher.close, kwargs={"stop": False})
        closing.start()
        time.sleep(0.1)
        assert desk.state(emr).progress is Progress.RUNNING
        desk.hands.let_go.set()
        closing.join()
    wait_until(lambda: desk.state(emr).progress is Progress.SETTLED)
    assert desk.state(emr).outcome is Outcome.DONE


def test_dispatcher_close_with_stop_ends_what_runs_to_be_attempted_again(desk: Desk) -> None:
    desk.hands.ends = desk.hands.hold
    (emr,) = desk.admit("emr")
    with desk.at_work():
        assert desk.hands.holding.wait(PATIENCE_SECONDS)
        desk.dispatcher.close(stop=True)
    wait_until(lambda: desk.state(emr).progress is Progress.WAITING)
    assert desk.hands.done == [emr]


def test_dispatcher_starts_nothing_once_it_is_closed(desk: Desk) -> None:
    desk.dispatcher.close(stop=False)
    (emr,) = desk.admit("emr")
    desk.dispatcher.wake()
    time.sleep(0.05)
    assert desk.state(emr).progress is Progress.WAITING
    assert desk.hands.done == []


def wait_until(is_so: Callable[[], bool]) -> None:
    last = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < last
        time.sleep(0.01)
