"""A program that holds a lock or a claim, for tests that kill or stop it.

`python -m tests.support.at_work STATE lock KEY` holds KEY alone; `... STATE claim` takes the next
attempt and opens its run. It says so in one line, and then for each line it reads how its claim
stands.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Serves
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Claim, Limits
from dr_orchestrator.store.ledger import run_in_ledger
from dr_orchestrator.store.sql import SqlStore
from dr_orchestrator.store.sqlite import open_store

QUICK = Limits(claim=timedelta(seconds=1), renew=timedelta(seconds=0.2), lock=timedelta(seconds=1))
"""Seconds where the program has minutes."""


def _begin(store: SqlStore, claim: Claim, working: ExitStack) -> None:
    occurrence = claim.occurrence
    serves = Serves(
        schedule_id=occurrence.schedule_id, due_at=occurrence.due_at, attempt=claim.attempt
    )
    run = run_in_ledger(
        store,
        SystemClock(),
        occurrence.operation,
        practice=occurrence.practice,
        system=occurrence.system,
        serves=serves,
    )
    working.enter_context(run)


def main(state: Path, what: str, *keys: str) -> None:
    """Hold it until the end of what is read."""
    with open_store(state, SystemClock(), QUICK) as store, ExitStack() as working:
        claim = None
        if what == "lock":
            held = store.locks.hold(keys, exclusive=True, wait=timedelta(minutes=1), what="it")
            working.enter_context(held)
        else:
            claim = store.ledger.claim(ProcessIdentity.ours())
            assert claim is not None
            _begin(store, claim, working)
        print("at work", flush=True)  # noqa: T201 - this is what it is for
        for _ in sys.stdin:
            if claim is not None:
                print(store.ledger.renew(claim).value, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
