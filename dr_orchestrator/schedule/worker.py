"""An attempt at an occurrence, made in this very process, and how it is kept and settled.

Whoever does the work renews its own claim. So a scheduler that is stopped loses no attempt of
another process, and one that is itself stopped learns, when it goes on, that its claim is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import DroError
from dr_orchestrator.schedule.retry import Again, Ended, next_attempt
from dr_orchestrator.store.base import RENEW_EVERY, Claim, Ledger, Standing

Work = Callable[[Claim], Ended]
"""Makes one attempt. It may raise anything: that is a failure, or we were stopped."""

CANCELLED = "it was cancelled"
STOPPED = Ended(outcome=Outcome.INTERRUPTED, reason="stopped before it ended", again=Again.AT_ONCE)


class InProcessWorker:
    """Does the work in the thread that asks, and renews the claim from another.

    `give_up` makes work that is under way end soon; it is called once an attempt at most.
    """

    def __init__(
        self,
        ledger: Ledger,
        work: Work,
        *,
        clock: Clock,
        give_up: Callable[[str], None],
        renew_every: timedelta = RENEW_EVERY,
    ) -> None:
        self._ledger = ledger
        self._work = work
        self._clock = clock
        self._give_up = give_up
        self._renew_every = renew_every.total_seconds()
        self._running: set[str] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def work_on(self, claim: Claim) -> None:
        """See `Worker.work_on`.

        Raises:
            KeyboardInterrupt: we were stopped; the ledger knows.
        """
        occurrence = claim.occurrence.id
        with self._lock:
            if self._stopped:
                settle_or_requeue(self._ledger, claim, STOPPED, self._clock)
                return
            self._running.add(occurrence)
        over = threading.Event()
        threading.Thread(target=self._renew, args=(claim, over), daemon=True).start()
        try:
            ended = self._outcome(claim)
        finally:
            over.set()
            with self._lock:
                self._running.discard(occurrence)
        self._record(claim, ended)

    def stop(self, occurrence: str | None = None) -> None:
        """See `Worker.stop`."""
        with self._lock:
            self._stopped = self._stopped or occurrence is None
            ending = self._running & {occurrence} if occurrence else set(self._running)
            self._running -= ending
        for each in ending:
            self._give_up(each)

    def _outcome(self, claim: Claim) -> Ended:
        try:
            return self._work(claim)
        except KeyboardInterrupt:
            self._record(claim, STOPPED)
            raise
        except DroError as error:
            return Ended(outcome=Outcome.FAILED, reason=error.message, again=Again.SOME)
        except Exception as error:  # noqa: BLE001 - its text may hold patient data: never kept
            reason = f"internal error ({type(error).__name__})"
            return Ended(outcome=Outcome.FAILED, reason=reason, again=Again.SOME)

    def _renew(self, claim: Claim, over: threading.Event) -> None:
        while not over.wait(self._renew_every):
            try:
                standing = self._ledger.renew(claim)
            except DroError:
                continue  # the disk may be full for a moment; a lost claim is refused later anyway
            if standing is not Standing.HELD:
                self.stop(claim.occurrence.id)
                return

    def _record(self, claim: Claim, ended: Ended) -> None:
        """Settle, or give back for another attempt; a claim that was lost changes nothing."""
        stopped = ended.outcome is Outcome.INTERRUPTED
        if stopped and self._ledger.renew(claim) is Standing.CANCELLED:
            self._ledger.settle(claim, Outcome.INTERRUPTED, CANCELLED)
            return
        settle_or_requeue(self._ledger, claim, ended, self._clock)


def settle_or_requeue(ledger: Ledger, claim: Claim, ended: Ended, clock: Clock) -> bool:
    """Record how an attempt ended; whether the claim was still held."""
    following = next_attempt(ended, claim, clock.now())
    if following is None or ended.outcome is None:
        return ledger.settle(claim, ended.outcome, ended.reason)
    return ledger.requeue(
        claim,
        not_before=following.not_before,
        outcome=ended.outcome,
        reason=ended.reason,
        counts=following.counts,
    )
