"""What the teller remembers from one look to the next, over a real record."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.notify.deliver import Post
from dr_orchestrator.notify.tell import Teller, TellTools
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import make_plan

PLAN = make_plan(backup={"schedule": "every 15m"})
QUARTER = timedelta(minutes=15)


def never_started(store: Store) -> list[str]:
    keys = (each.problem.key for each in store.problems())
    return [key for key in keys if key.startswith("never_started/")]


def come_due(store: Store, clock: FakeClock) -> None:
    due = Occurrence(
        id=f"riverside/emr/backup/1@{clock.now():%Y%m%dT%H%M%SZ}",
        schedule_id="riverside/emr/backup/1",
        due_at=clock.now(),
        practice="riverside",
        operation=Operation.BACKUP,
        system="emr",
    )
    store.ledger.admit((due,))


def teller(store: Store, clock: FakeClock) -> Teller:
    post = Post(mail=None, read_secret=lambda _: Secret(""))
    return Teller(TellTools(store=store, clock=clock, post=post, notify=(), site="box-1"))


def test_backups_that_take_the_place_of_one_another_and_never_begin_are_told(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    with open_store(tmp_path, clock) as store:
        telling = teller(store, clock)
        for _ in range(3):
            come_due(store, clock)
            telling.tell([PLAN])
            assert never_started(store) == []
            clock.advance(QUARTER)
        come_due(store, clock)
        telling.tell([PLAN])
        assert never_started(store) == ["never_started/emr/backup"]


def test_backups_that_wait_for_one_that_takes_long_are_not_told(tmp_path: Path) -> None:
    clock = FakeClock()
    with open_store(tmp_path, clock) as store:
        telling = teller(store, clock)
        come_due(store, clock)
        claim = store.ledger.claim(ProcessIdentity.ours())
        for _ in range(6):
            clock.advance(QUARTER)
            come_due(store, clock)
            telling.tell([PLAN])
        assert claim is not None
        assert never_started(store) == []
