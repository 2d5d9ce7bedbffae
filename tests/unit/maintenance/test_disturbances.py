"""Which of what was done to a repository a run of ours explains."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.maintenance.disturbances import explains
from dr_orchestrator.repositories.object_history import Deed
from tests.support.clock import START as NOW
from tests.support.evidence import make_run

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
FOLDERS = ("data", "index", "keys", "config", "snapshots")


def explained(
    operation: Operation,
    deed: Deed,
    *,
    outcome: Outcome | None = Outcome.DONE,
    after: timedelta = SECOND,
) -> set[str]:
    """Return the folders in which a run of one minute explains this, so long after it began."""
    finished = NOW + MINUTE if outcome else None
    run = make_run(NOW, operation=operation, outcome=outcome, finished_at=finished)
    return {folder for folder in FOLDERS if explains(run, folder, deed, NOW + after)}


@pytest.mark.parametrize(
    ("operation", "deleted", "overwritten"),
    [
        (Operation.FORGET, {"snapshots"}, set()),
        (Operation.PRUNE, {"data", "index"}, set()),
        (Operation.UNDELETE, set(FOLDERS) - {"config"}, set(FOLDERS)),
        (Operation.BACKUP, set(), set()),
        (Operation.CHECK, set(), set()),
    ],
)
def test_run_explains_what_it_does_and_nothing_else(
    operation: Operation, deleted: set[str], overwritten: set[str]
) -> None:
    assert explained(operation, Deed.DELETED) == deleted
    assert explained(operation, Deed.DELETED, outcome=Outcome.PARTIAL) == deleted
    assert explained(operation, Deed.OVERWRITTEN) == overwritten


@pytest.mark.parametrize("operation", [Operation.FORGET, Operation.PRUNE, Operation.UNDELETE])
@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.INTERRUPTED, Outcome.UNPROVEN, None], ids=str
)
def test_run_that_did_not_end_well_explains_nothing(
    operation: Operation, outcome: Outcome | None
) -> None:
    assert explained(operation, Deed.DELETED, outcome=outcome) == set()


@pytest.mark.parametrize(
    ("after", "is_explained"),
    [
        (-MINUTE, False),
        (-2 * SECOND, True),
        (MINUTE, True),
        (MINUTE + 5 * SECOND, True),
        (2 * MINUTE, False),
    ],
)
def test_run_explains_only_what_was_done_while_it_ran(
    after: timedelta, *, is_explained: bool
) -> None:
    assert (explained(Operation.PRUNE, Deed.DELETED, after=after) != set()) is is_explained
