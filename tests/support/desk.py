"""A command's context without a machine: the real one, with plans, record and time of a sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from dr_orchestrator.cli.main import Context
from dr_orchestrator.core.record import (
    Entry,
    KeyTried,
    PointRecorded,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.report.gather import gather
from dr_orchestrator.schedule.plan_shelf import PlansRead
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import make_run
from tests.support.practices import PLAN_SHA256, Practice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.report.subject import Subject
    from dr_orchestrator.store.base import Store


class Desk(Context):
    """The context of one command over made-up practices, recorded in a real store."""

    def __init__(self, state: Path, *samples: Practice, json: bool = False) -> None:
        super().__init__(json=json)
        self.clock = FakeClock(samples[0].now)
        self._store = open_store(state, self.clock)
        self._samples = samples
        for sample in samples:
            self._store.record(*_entries(sample))

    def store(self) -> Store:
        return self._store

    def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
        return tuple(
            _loaded(sample)
            for sample in self._samples
            if not practices or sample.plan.practice.id in practices
        )

    def plans_and_mistakes(self, practices: tuple[str, ...]) -> PlansRead:
        return PlansRead(plans=self.plans(practices), mistakes=())

    def subject(self, loaded: LoadedPlan) -> Subject:
        return gather(self._store, loaded, self.clock.now())

    def close(self, *, stopped: bool = False) -> None:
        self._store.close()


def _entries(sample: Practice) -> Iterator[Entry]:
    record = sample.record
    for system, since in record.first_seen.items():
        practice = record.practice
        yield RunOpened(run=make_run(since, id=f"first-{system}", practice=practice, system=system))
    for point in record.points:
        yield PointRecorded(point=point)
    for test in record.tests:
        yield RestoreTestRecorded(test=test)
    yield from record.checks
    for proof in record.key_proofs:
        yield KeyTried(proof=proof)
    for run in record.last_runs:
        yield RunOpened(run=replace(run, finished_at=None, outcome=None, reason=""))
        if run.finished_at and run.outcome:
            yield RunClosed(
                run=run.id, finished_at=run.finished_at, outcome=run.outcome, reason=run.reason
            )


def _loaded(sample: Practice) -> LoadedPlan:
    """Return what commands that read ask of a loaded plan; the sample has no file."""
    return cast("LoadedPlan", SimpleNamespace(plan=sample.plan, sha256=PLAN_SHA256))
