"""A scheduler of its own process, whose operations only take their locks and a few milliseconds.

All but the work itself is real: plans, planner, ledger, locks, loop and embedded dispatcher. Each
operation notes in a log when it held its locks, from the first instant to the last.

    python -m tests.support.small_scheduler STATE PLANS LOG
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Occurrence, Serves
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.schedule.embedded import EmbeddedDispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.loop import Planning, Scheduler
from dr_orchestrator.schedule.plan_shelf import PlanShelf
from dr_orchestrator.schedule.retry import Ended
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.schedule.worker import InProcessWorker
from dr_orchestrator.store.base import Claim, Limits, Store, repository_key, system_key
from dr_orchestrator.store.ledger import run_in_ledger
from dr_orchestrator.store.sqlite import open_store

LIMITS = Limits(
    claim=timedelta(seconds=3),
    renew=timedelta(seconds=0.5),
    patience=timedelta(seconds=2),
    attempts=10,
)
EXCLUSIVE = frozenset({Operation.FORGET, Operation.PRUNE})
_WAIT = timedelta(seconds=40)
_SLOTS = 6


class _Work:
    """What every operation does: takes its locks, and notes how long it held them."""

    def __init__(self, store: Store, log: Path) -> None:
        self._store = store
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, claim: Claim) -> Ended:
        occurrence = claim.occurrence
        repository = self._store.repository_id(occurrence.practice, _repository_of(occurrence))
        assert repository is not None
        serves = Serves(
            schedule_id=occurrence.schedule_id, due_at=occurrence.due_at, attempt=claim.attempt
        )
        exclusive = occurrence.operation in EXCLUSIVE
        with (
            run_in_ledger(
                self._store,
                SystemClock(),
                occurrence.operation,
                practice=occurrence.practice,
                system=occurrence.system,
                repository=occurrence.repository,
                serves=serves,
            ),
            ExitStack() as locks,
        ):
            if occurrence.operation is Operation.BACKUP:
                system = system_key(occurrence.practice, occurrence.system)
                locks.enter_context(self._hold(system, exclusive=True))
            locks.enter_context(self._hold(repository_key(repository), exclusive=exclusive))
            self._note("start", claim, repository, exclusive=exclusive)
            time.sleep(random.choice((0.002, 0.005, 0.01, 0.15)))
            self._note("end", claim, repository, exclusive=exclusive)
        return Ended(outcome=Outcome.DONE)

    def _hold(self, key: str, *, exclusive: bool) -> ExitStack:
        held = ExitStack()
        held.enter_context(
            self._store.locks.hold([key], exclusive=exclusive, wait=_WAIT, what="the repository")
        )
        return held

    def _note(self, what: str, claim: Claim, repository: str, *, exclusive: bool) -> None:
        words = (
            time.monotonic_ns(),
            what,
            os.getpid(),
            claim.occurrence.id,
            claim.attempt,
            repository,
            int(exclusive),
        )
        os.write(self._log, (" ".join(map(str, words)) + "\n").encode())


def _repository_of(occurrence: Occurrence) -> str:
    """Return the one that is looked after; system 12 is backed up to repository 2."""
    return occurrence.repository or f"r{occurrence.system[-1]}"


def main(state: Path, plans: Path, work_log: Path) -> None:
    """Run until SIGTERM."""
    clock = SystemClock()
    log = scheduler_log(sys.stderr, clock)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    with open_store(state, clock, LIMITS) as store:
        troubles = Troubles(clock, log)
        worker = InProcessWorker(
            store.ledger,
            _Work(store, work_log),
            clock=clock,
            give_up=lambda _occurrence: None,
            renew_every=LIMITS.renew,
        )
        dispatcher = EmbeddedDispatcher(store.ledger, worker, slots=_SLOTS, troubles=troubles)
        planning = Planning(
            shelf=PlanShelf(plans, state / "plans", clock),
            store=store,
            dispatcher=dispatcher,
            clock=clock,
            troubles=troubles,
            log=log,
        )
        scheduler = Scheduler(
            planning,
            store=store,
            dispatcher=dispatcher,
            clock=clock,
            troubles=troubles,
            log=log,
            tick=timedelta(seconds=1),
        )
        scheduler.run(stop, threading.Event())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
