from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dr_orchestrator.core.record import (
    Anchored,
    PointRecorded,
    RunClosed,
    RunOpened,
    SystemPaused,
)
from dr_orchestrator.core.run import ALTERED, Operation, Outcome
from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.evidence import look_at_evidence
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.plan.anchoring import mailbox_words, repository_words
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, make_copy, make_point, make_record, make_run
from tests.support.kits import PLAN, plan_of

DAY = timedelta(days=1)


@dataclass
class Tools:
    """What the doctor looks at evidence with, and nothing else."""

    clock: FakeClock
    known: Store | None
    state: StateFolder
    has_mail: bool = True
    settings: Any = field(init=False)

    def __post_init__(self) -> None:
        self.settings = SimpleNamespace(mail="a server" if self.has_mail else None)

    def store(self) -> Store | None:
        return self.known

    def evidence_keys(self) -> frozenset[str]:
        signer = self.state.known_evidence_signer()
        return frozenset({signer.public} if signer else ())


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    clock = FakeClock()
    with open_store(tmp_path, clock) as store:
        yield Tools(clock, store, StateFolder(tmp_path))


def happens(tools: Tools) -> None:
    at = tools.clock.now()
    assert tools.known is not None
    tools.known.record(
        SystemPaused(practice=PRACTICE, system="", at=at, until=at, by="kim", why="move")
    )


def put(tools: Tools, place: str, reason: str = "") -> None:
    assert tools.known is not None
    anchored = Anchored(
        practice=PRACTICE,
        at=tools.clock.now(),
        chain="c" * 32,
        number=1,
        head="0" * 64,
        place=place,
        reason=reason,
    )
    tools.known.record(anchored)


def found(tools: Tools, plan: str = PLAN) -> list[tuple[Kind, str]]:
    store = tools.known
    record = store.practice_record(PRACTICE) if store else make_record()
    patient = Patient(loaded=plan_of(plan), record=record, tools=cast("Any", tools))
    return [(each.kind, each.what) for each in look_at_evidence(patient)]


def test_nothing_is_complained_of_before_anything_happened(tools: Tools) -> None:
    assert found(tools) == []
    tools.known = None
    assert found(tools) == []


def test_evidence_that_leaves_the_machine_in_time_is_nothing_to_complain_of(tools: Tools) -> None:
    happens(tools)
    put(tools, mailbox_words("manager"))
    tools.clock.advance(14 * DAY)
    assert found(tools) == []


def test_head_that_goes_nowhere_is_noted_once(tools: Tools) -> None:
    nowhere = Tools(tools.clock, tools.known, tools.state, has_mail=False)
    ((kind, what),) = found(nowhere)
    assert (kind, "nowhere but into its repositories" in what) == (Kind.EVIDENCE_HERE_ALONE, True)
    bucket = f"{PLAN}\nevidence: {{anchor: {{s3: {{to: 's3://vault/dr'}}}}}}\n"
    assert found(nowhere, bucket) == []


def test_place_that_got_nothing_for_long_is_behind(tools: Tools) -> None:
    point = make_point(START)
    assert tools.known is not None
    tools.known.record(PointRecorded(point=point))
    assert make_copy(point, "onsite").recorded_at <= tools.clock.now() + DAY
    put(tools, repository_words("onsite"))
    put(tools, mailbox_words("manager"))
    tools.clock.advance(3.5 * DAY)
    put(tools, repository_words("onsite"), "the disk is full")
    ((kind, what),) = found(tools)
    assert kind is Kind.EVIDENCE_BEHIND
    assert what.startswith("the repository onsite got nothing of the evidence of riverside since")
    tools.clock.advance(14 * DAY)
    assert [kind for kind, _ in found(tools)] == [Kind.EVIDENCE_BEHIND] * 2


def test_record_that_was_found_altered_fails(tools: Tools) -> None:
    assert tools.known is not None
    run = make_run(START, operation=Operation.EVIDENCE, system="")
    failed = RunClosed(
        run=run.id, finished_at=START, outcome=Outcome.FAILED, reason=f"{ALTERED}: line 4"
    )
    tools.known.record(RunOpened(run=run), failed)
    assert [kind for kind, _ in found(tools)] == [Kind.EVIDENCE_ALTERED]


def test_key_that_is_not_here_while_its_chain_is_fails(tools: Tools) -> None:
    happens(tools)
    (tools.state.path / "keys" / "evidence").unlink()
    assert [kind for kind, _ in found(tools)] == [Kind.EVIDENCE_KEY]
    tools.state.evidence_signer()  # another one
    assert [kind for kind, _ in found(tools)] == [Kind.EVIDENCE_KEY]
