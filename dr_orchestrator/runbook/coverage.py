"""Which steps of the runbooks were really done, when last, and which changed since. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.runbook.fit import systems_for
from dr_orchestrator.runbook.order import recovery_order
from dr_orchestrator.runbook.values import fingerprint, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dr_orchestrator.core.runbook import StepExercised
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.shelf import Shelf

FRESH_FOR = timedelta(days=365)
"""How long a step counts as exercised: 45 CFR 164.308(a)(7)(ii)(D) asks for periodic testing, and
the proposal of 2025 (90 FR 898) for every twelve months."""


class Standing(StrEnum):
    """What is known of a step."""

    VERIFIED = "verified"
    """Done as it is now, and nothing before it changed since that was done."""
    CHANGED = "not verified: it changed"
    AFTER_A_CHANGE = "not verified: a step before it changed"
    STALE = "not verified: too long ago"
    NEVER = "never done"


@dataclass(frozen=True, kw_only=True)
class StepCoverage:
    """What is known of one step of one runbook, for one system."""

    step: str
    standing: Standing
    last: datetime | None
    seconds: float | None
    """How long it took then."""


@dataclass(frozen=True, kw_only=True)
class RunbookCoverage:
    """What is known of one runbook, for one system."""

    runbook: str
    system: str
    steps: tuple[StepCoverage, ...]

    @property
    def share(self) -> float:
        """How much of it is verified, from 0 to 1."""
        done = sum(1 for each in self.steps if each.standing is Standing.VERIFIED)
        return done / len(self.steps)


def coverage(
    loaded: LoadedRunbook,
    plan: Plan,
    system: str,
    exercised: Sequence[StepExercised],
    now: datetime,
) -> RunbookCoverage:
    """Return what is known of the steps of a runbook for a system (empty: the practice).

    What was done in the future, by a clock that was wrong, counts for nothing.
    """
    values = values_of(plan, system)
    known = {
        each.step: each
        for each in sorted(exercised, key=lambda each: each.at)
        if (each.runbook, each.system) == (loaded.name, system) and each.at <= now + CLOCK_TOLERANCE
    }
    steps: list[StepCoverage] = []
    changed = False
    for step in loaded.runbook.steps:
        last = known.get(step.id)
        standing = _standing(last, fingerprint(step, values), now, after_a_change=changed)
        changed = changed or standing is Standing.CHANGED
        steps.append(
            StepCoverage(
                step=step.id,
                standing=standing,
                last=last.at if last else None,
                seconds=last.seconds if last else None,
            )
        )
    return RunbookCoverage(runbook=loaded.name, system=system, steps=tuple(steps))


def covers_of(
    shelf: Shelf, plan: Plan, exercised: Sequence[StepExercised], now: datetime
) -> tuple[RunbookCoverage, ...]:
    """Return what is known of each runbook of a practice, for each system it is for."""
    return tuple(
        coverage(runbook, plan, system, exercised, now)
        for _, runbook in sorted(shelf.runbooks.items())
        for system in followed_for(runbook, plan)
    )


def followed_for(runbook: LoadedRunbook, plan: Plan) -> tuple[str, ...]:
    """Return the systems that a runbook is for, the first to come back first; one empty name where
    it is about the practice.
    """
    systems = systems_for(runbook, plan)
    if systems == ("",):
        return systems
    return tuple(each for each in recovery_order(plan, plan.protected) if each in systems)


def _standing(
    last: StepExercised | None, as_it_is: str, now: datetime, *, after_a_change: bool
) -> Standing:
    if last is None:
        return Standing.NEVER
    if last.fingerprint != as_it_is:
        return Standing.CHANGED
    if after_a_change:
        return Standing.AFTER_A_CHANGE
    return Standing.VERIFIED if now - last.at <= FRESH_FOR else Standing.STALE
