"""A program that writes into a store, for tests that kill it or let several of it run at once.

`python -m tests.support.store_writer STATE NAME COUNT`: records COUNT whole backups (0: for ever),
one `record` call each, and prints each run's id once that call has returned; then the evidence is
signed.
"""

from __future__ import annotations

import sys
from itertools import count, islice
from pathlib import Path

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import PointRecorded, RestoreTestRecorded, RunClosed, RunOpened
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.sqlite import open_store
from tests.support.evidence import PRACTICE, make_point, make_run, make_test


def write(state: Path, name: str, how_many: int) -> None:
    """Record whole backups, each with its point, its test and its run opened and closed."""
    clock, signer = SystemClock(), StateFolder(state).evidence_signer()
    with open_store(state, clock) as store:
        for number in islice(count(), how_many or None):
            run = f"{name}-{number}"
            now = clock.now()
            point = make_point(now, id=f"point-{run}", run=run, repositories=("onsite", "offsite"))
            store.record(
                RunOpened(run=make_run(now, id=run)),
                PointRecorded(point=point),
                RestoreTestRecorded(test=make_test(now, id=f"test-{run}")),
                RunClosed(run=run, finished_at=clock.now(), outcome=Outcome.DONE),
            )
            print(run, flush=True)  # noqa: T201 - this is what it is for
            store.evidence.checkpoint(PRACTICE, signer)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
