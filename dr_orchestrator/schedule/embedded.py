"""A dispatcher within the scheduler's own process: a few slots, and one more for emergencies.

The ledger is its only queue. Several of them, in several schedulers on one memory, share the work.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.dispatcher import Worker
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.store.base import Ledger, LedgerStats

_LOOK_EVERY = timedelta(seconds=15)


class EmbeddedDispatcher:
    """Threads over the ledger, each of which has one attempt made at a time."""

    def __init__(
        self,
        ledger: Ledger,
        worker: Worker,
        *,
        slots: int,
        troubles: Troubles,
        look_every: timedelta = _LOOK_EVERY,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._troubles = troubles
        self._look_every = look_every.total_seconds()
        self._owner = ProcessIdentity.ours()
        self._started = False
        self._closing = False
        self._looks = 0
        self._changed = threading.Condition()
        self._slots = [
            threading.Thread(target=self._fill, args=(number == 0,), name=f"slot_{number}")
            for number in range(slots + 1)
        ]

    def submit(self, transaction: object, occurrence: Occurrence) -> None:
        """See `Dispatcher.submit`: the ledger's own record of it is all that is needed."""

    def wake(self) -> None:
        """See `Dispatcher.wake`; the slots begin with the first."""
        with self._changed:
            self._looks += 1
            if not self._started and not self._closing:
                self._started = True
                for slot in self._slots:
                    slot.start()
            self._changed.notify_all()

    def cancel(self, occurrence: str, why: str) -> bool:
        """See `Dispatcher.cancel`."""
        known = self._ledger.cancel(occurrence, why)
        self._worker.stop(occurrence)
        return known

    def stats(self) -> LedgerStats:
        """See `Dispatcher.stats`."""
        return self._ledger.stats()

    def close(self, *, stop: bool) -> None:
        """See `Dispatcher.close`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if stop:
            self._worker.stop()
        for slot in self._slots:
            if slot.is_alive():
                slot.join()

    def _fill(self, emergencies_only: bool) -> None:  # noqa: FBT001 - a thread's argument
        while not self._closing:
            looks = self._looks
            claim = None
            with self._troubles.guard("starting what is due"):
                claim = self._ledger.claim(self._owner, emergency=emergencies_only)
            if claim is None:
                self._wait(looks)
            else:
                with self._troubles.guard("running what is due"):
                    self._worker.work_on(claim)

    def _wait(self, looks: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._looks != looks, timeout=self._look_every
            )
