"""The seam between what is due and whoever runs it.

The planner puts occurrences into the ledger; a dispatcher sees to it that each is worked on, by a
worker of this machine or of another. Nobody above or below knows which: use cases and commands see
a claim, never a dispatcher.
"""

from __future__ import annotations

from typing import Protocol

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.store.base import Claim, LedgerStats


class Worker(Protocol):
    """Sees an attempt at an occurrence through to its end, and has that recorded in the ledger."""

    def work_on(self, claim: Claim) -> None:
        """Make the attempt; return when it has ended, and the ledger knows, or will find out.

        Meanwhile the claim is renewed. Once it is cancelled, or lost, the attempt is ended.
        Raises nothing that is the operation's: how that ended stands in the ledger.
        """
        ...

    def stop(self, occurrence: str | None = None) -> None:
        """Have the attempt at an occurrence end early, in order; all of them where `None`.

        Returns at once; `work_on` returns when it has ended. What was not cancelled is attempted
        again.
        """
        ...


class Dispatcher(Protocol):
    """Has every occurrence that the ledger admits worked on: each attempt by one worker at a time.

    It keeps nothing that the ledger does not know: one that is killed is replaced by another.
    """

    def submit(self, transaction: object, occurrence: Occurrence) -> None:
        """Take an occurrence on, within the ledger's transaction (`store.base.Submit`).

        What a queue of its own needs is written through `transaction`, and so stands or falls with
        the admission. Nothing is started before that is on record.
        """
        ...

    def wake(self) -> None:
        """Look for work now: there may be some since the last look."""
        ...

    def cancel(self, occurrence: str, why: str) -> bool:
        """Have an occurrence given up, whether it waits or runs; whether there was any such."""
        ...

    def stats(self) -> LedgerStats:
        """Return how much there is to do."""
        ...

    def close(self, *, stop: bool) -> None:
        """Start nothing more, and return when nothing runs any more.

        With `stop` what runs is ended, in order, to be attempted again; otherwise it is waited for.
        May be called with `stop` while another thread waits in a call without.
        """
        ...
