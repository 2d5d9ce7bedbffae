"""A dispatcher that runs what is due in the thread that asks: for cron, and for simulated time."""

from __future__ import annotations

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.dispatcher import Worker
from dr_orchestrator.store.base import Claim, Ledger, LedgerStats


class InlineDispatcher:
    """Runs nothing but in `wake`, one after the other."""

    def __init__(self, ledger: Ledger, worker: Worker, *, slots: int) -> None:
        """With as many as `slots` at work already, in other processes, only emergencies are run."""
        self._ledger = ledger
        self._worker = worker
        self._slots = slots
        self._owner = ProcessIdentity.ours()
        self._closing = False

    def submit(self, transaction: object, occurrence: Occurrence) -> None:
        """See `Dispatcher.submit`: the ledger's own record of it is all that is needed."""

    def wake(self) -> None:
        """Run what may begin now, to the end."""
        while not self._closing and (claim := self._claim()) is not None:
            self._worker.work_on(claim)

    def cancel(self, occurrence: str, why: str) -> bool:
        """See `Dispatcher.cancel`."""
        known = self._ledger.cancel(occurrence, why)
        self._worker.stop(occurrence)
        return known

    def stats(self) -> LedgerStats:
        """See `Dispatcher.stats`."""
        return self._ledger.stats()

    def close(self, *, stop: bool) -> None:
        """See `Dispatcher.close`; whoever is in `wake` returns from it."""
        self._closing = True
        if stop:
            self._worker.stop()

    def _claim(self) -> Claim | None:
        full = self._ledger.stats().running >= self._slots
        return self._ledger.claim(self._owner, emergency=full)
