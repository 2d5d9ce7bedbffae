"""All that a report is made of: one model for every reader. Values only; the same give the same
bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dr_orchestrator.core.occurrence import TestsDue
from dr_orchestrator.evidence.chain import SHORTEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dr_orchestrator.core.finding import Finding
    from dr_orchestrator.core.record import Anchored, KitMade, PracticeRecord, Restored
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.runbook import Drill, RunbookRun, StepExercised
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.store.base import MonthOfTests

HEAD_SHOWN = SHORTEST_HEAD
"""Hex digits of the head that stand on a page: enough to find the line again."""


@dataclass(frozen=True, kw_only=True)
class EvidenceSeen:
    """How far the evidence had come when the report was made."""

    chain: str = ""
    """Empty: there is none yet."""
    number: int = 0
    head: str = ""
    fingerprint: str = ""
    """Of the key that it began with: later ones are signed by it."""
    anchors: tuple[Anchored, ...] = ()
    """The newest that came to each place, and a newer one that did not; oldest first."""
    others: tuple[str, ...] = ()
    """Chains of other machines that are part of it."""
    faults: tuple[str, ...] = ()
    """Where the record is not as it was written, a sentence each: then nothing of it is proven."""

    @property
    def head_shown(self) -> str:
        """What of the head stands on a page."""
        return self.head[:HEAD_SHOWN]


@dataclass(frozen=True, kw_only=True)
class StepsDone:
    """How much of one runbook was really done within a year, as it is now, for one system."""

    runbook: str
    system: str
    """Empty where the runbook is about the practice."""
    steps: int
    done: int


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is known of one practice at one instant."""

    plan: Plan
    plan_sha256: str
    record: PracticeRecord
    findings: tuple[Finding, ...]
    now: datetime
    """Aware."""
    evidence: EvidenceSeen = field(default_factory=EvidenceSeen)
    tests: tuple[RestoreTest, ...] = ()
    """All restore tests of the last 13 months, oldest first."""
    due: TestsDue = field(default_factory=TestsDue)
    """Which restore tests came due in the same time, also those that were skipped or missed."""
    drills: tuple[Drill, ...] = ()
    followed: tuple[RunbookRun, ...] = ()
    """Runbooks that were followed, oldest first."""
    exercised: tuple[StepExercised, ...] = ()
    kit: KitMade | None = None
    restored: tuple[Restored, ...] = ()
    """Live restores of the last 13 months, oldest first."""
    next_page: datetime | None = None
    """When the plan's schedule makes the next report; `None` where nobody makes one."""
    steps: tuple[StepsDone, ...] = ()
    """Of every runbook of the practice."""
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """What there is room for, as `compliance.forecast.forecasts` takes it: bytes that are free, and
    bytes in all."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What is known of many practices at one instant."""

    subjects: tuple[Subject, ...]
    """Each without its tests, those that came due, and drills: `months` counts them."""
    months: tuple[MonthOfTests, ...]
    now: datetime
    """Aware."""
