from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from dr_orchestrator.core.record import KitMade
from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.doctor.kit import look_at_kit
from tests.support.clock import FakeClock
from tests.support.kits import MADE, PLAN, plan_of

LAST = KitMade(
    practice="riverside",
    run="r",
    at=MADE,
    expires=MADE + timedelta(days=30),
    inputs="",
    places=("/srv/kits/riverside",),
)


@dataclass
class Record:
    """A store that knows of one kit."""

    made: KitMade | None

    @property
    def followed(self) -> Record:
        return self

    def kit(self, _practice: str) -> KitMade | None:
        return self.made


@dataclass
class Tools:
    """What the doctor looks at kits with, and nothing else."""

    made: KitMade | None = LAST
    due: bool = False
    clock: FakeClock = field(default_factory=lambda: FakeClock(MADE + timedelta(days=1)))

    def store(self) -> Record:
        return Record(self.made)

    def is_kit_due(self, _loaded: object) -> bool:
        return self.due


def found(tools: Tools, plan: str = PLAN) -> list[tuple[Kind, str]]:
    patient = Patient(loaded=plan_of(plan), record=cast("Any", None), tools=cast("Any", tools))
    return [(each.kind, each.line) for each in look_at_kit(patient)]


def test_kit_that_is_current_is_nothing_to_complain_of() -> None:
    assert found(Tools()) == []


def test_practice_without_a_kit_is_noted() -> None:
    assert found(Tools(), PLAN.rpartition("kit:")[0]) == [(Kind.NO_KIT, "")]


def test_kit_that_was_never_made_or_is_out_of_date_is_missing() -> None:
    at = f"riverside.yaml:{len(PLAN.splitlines())}"
    assert found(Tools(made=None, due=True)) == [(Kind.KIT_MISSING, at)]
    assert found(Tools(clock=FakeClock(LAST.expires), due=True)) == [(Kind.KIT_MISSING, at)]


def test_kit_that_is_older_than_the_plan_is_stale() -> None:
    assert [kind for kind, _ in found(Tools(due=True))] == [Kind.KIT_STALE]
