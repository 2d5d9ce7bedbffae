"""What a judgement may look at: values only, so that the same give the same verdict.

A report builds it from its subject. What says it comes from the future is passed over: a clock was
wrong then or is wrong now, and a test of next year would prove everything until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Finding, Objective, Verdict, worst
from dr_orchestrator.core.occurrence import Progress, TestsDue
from dr_orchestrator.core.verification import Result

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.core.promise import PromiseMade
    from dr_orchestrator.core.record import Anchored, KitMade, PracticeRecord
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.runbook import Drill, RunbookRun, StepExercised
    from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
    from dr_orchestrator.plan.model import Plan

_CLOCKS_APART = timedelta(minutes=5)
"""How far the clocks of two machines may lie apart before a time is taken to be wrong."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """One practice at one instant."""

    plan: Plan
    record: PracticeRecord
    findings: tuple[Finding, ...]
    now: datetime
    """Aware."""
    tests: tuple[RestoreTest, ...] = ()
    """All that are known, oldest first."""
    due: TestsDue = field(default_factory=TestsDue)
    """Which of them a schedule asked for."""
    damaged: frozenset[tuple[str, str]] = frozenset()
    """(point, repository) that could not be restored when last tried, as verdicts have it."""
    drills: tuple[Drill, ...] = ()
    followed: tuple[RunbookRun, ...] = ()
    exercised: tuple[StepExercised, ...] = ()
    kit: KitMade | None = None
    head: str = ""
    """Of the evidence; empty where there is none yet."""
    anchors: tuple[Anchored, ...] = ()
    """The newest at each place."""
    custody: tuple[CustodyStanding, ...] = ()
    """How each holder of a key stands, whom the plan names."""
    is_altered: bool = False
    """Whether the record is not as it was written: then nothing is met by it."""

    def is_believed(self, at: datetime) -> bool:
        """Return whether an instant may have been: it is not of the future."""
        return at <= self.now + _CLOCKS_APART

    def is_within(self, at: datetime, limit: timedelta | None) -> bool:
        """Return whether an instant is believed, and no longer ago than a limit, if any."""
        return self.is_believed(at) and (limit is None or self.now - at <= limit)

    @cached_property
    def made(self) -> tuple[RestoreTest, ...]:
        """The restore tests that were made, oldest first, whatever came of them. One that only
        looks for the damage another one found is not among them.
        """
        held = {name: self.plan.repositories_of(name) for name in self.plan.protected}
        told = (
            test
            for test in self.tests
            if test.follow_up_of is None
            and test.repository in held.get(test.system, ())
            and self.is_believed(test.finished_at)
        )
        return tuple(sorted(told, key=lambda test: (test.started_at, test.id)))

    @cached_property
    def concluded(self) -> tuple[RestoreTest, ...]:
        """Those of them that passed or failed."""
        return tuple(test for test in self.made if test.result is not Result.UNPROVEN)

    @cached_property
    def without_result(self) -> tuple[RestoreTest, ...]:
        """The newest of each system from each place, where it came to no result: an older one that
        passed does not tell what it would have shown.
        """
        newest = {(test.system, test.repository): test for test in self.made}
        return tuple(test for test in newest.values() if test.result is Result.UNPROVEN)

    def newest_test(self, system: str) -> RestoreTest | None:
        """Return the newest restore test of a system that passed or failed."""
        return next((test for test in reversed(self.concluded) if test.system == system), None)

    def is_broken(self, system: str) -> bool:
        """Return whether damage stands that a restore test of a system found: by the findings, or
        because the newest test from one of its places failed. One that passed elsewhere, or with
        other files, does not undo that.
        """
        return (
            bool(self.broken_places(system))
            or self.standing(system, (Objective.RESTORE_TEST,)) is Verdict.BREACHED
        )

    def broken_places(self, system: str) -> frozenset[str]:
        """Return the repositories from which a system could not be restored when last tried."""
        newest = {test.repository: test for test in self.concluded if test.system == system}
        failed = {name for name, test in newest.items() if test.result is Result.FAILED}
        judged = {
            each.repository
            for each in self.findings_of(system, (Objective.RESTORE_TEST,))
            if each.verdict is Verdict.BREACHED and each.repository
        }
        return frozenset(failed | judged)

    def failures(self, systems: Collection[str]) -> tuple[RestoreTest, ...]:
        """Return the newest test that failed of each of these, from each place that is broken."""
        newest = {
            (test.system, test.repository): test
            for test in self.concluded
            if test.system in systems
            and test.result is Result.FAILED
            and test.repository in self.broken_places(test.system)
        }
        return tuple(newest.values())

    def is_tested_by_schedule(self, system: str, within: timedelta) -> bool:
        """Return whether a restore test that had come due was made, no longer ago than that."""
        return any(
            state.progress is Progress.SETTLED
            and state.occurrence.system == system
            and state.occurrence.id not in self.due.without_test
            and self.is_within(state.occurrence.due_at, within)
            for state in self.due.states
        )

    def whole_points(
        self, system: str, but_in: Collection[str] = ()
    ) -> tuple[tuple[datetime, str], ...]:
        """Return how old the data of each point is that holds every asset of a system as the plan
        has it, and the point's id. Passed over is a copy in a place that is not used any more, that
        nobody vouches for, that could not be restored, or that lies in one of `but_in`.
        """
        assets = self.plan.protected[system].assets
        held = frozenset(self.plan.repositories_of(system)).difference(but_in)
        return tuple(
            (point.data_as_of or point.as_of, point.id)
            for point in self.record.points
            if point.system == system
            and self.is_believed(point.as_of)
            and all(
                name in point.assets and point.assets[name].kind is asset.kind
                for name, asset in assets.items()
            )
            and any(
                copy.repository in held
                and copy.snapshots.keys() >= assets.keys()
                and (point.id, copy.repository) not in self.damaged
                and self.record.vouches_for(copy)
                for copy in point.copies
            )
        )

    def newest_passed(self, system: str) -> RestoreTest | None:
        """Return the newest restore test of a system that passed, and compared something."""
        return next(
            (
                test
                for test in reversed(self.concluded)
                if test.system == system and test.result is Result.PASSED and test.verifications
            ),
            None,
        )

    def findings_of(self, system: str, objectives: Iterable[Objective]) -> tuple[Finding, ...]:
        """Return the findings on some objectives of a system."""
        wanted = frozenset(objectives)
        return tuple(
            each for each in self.findings if each.system == system and each.objective in wanted
        )

    def standing(
        self,
        system: str,
        needed: Iterable[Objective],
        also: Iterable[Objective] = (),
    ) -> Verdict:
        """Return the worst verdict on a system; unproven where one that is `needed` was not judged.

        Those in `also` count where they were.
        """
        needed = tuple(needed)
        found = self.findings_of(system, (*needed, *also))
        verdict = worst(tuple(each.verdict for each in found))
        judged = {each.objective for each in found}
        if verdict is Verdict.MET and not judged.issuperset(needed):
            return Verdict.UNPROVEN
        return verdict

    @property
    def promise(self) -> PromiseMade | None:
        """The newest version of the promise that is on record."""
        seen = [each for each in self.record.promises if self.is_believed(each.at)]
        return seen[-1] if seen else None

    @property
    def sign_off(self) -> SignOff | None:
        """The newest certification of the practice's management."""
        given = [each for each in self.record.sign_offs if self.is_believed(each.at)]
        return given[-1] if given else None

    @property
    def late_actions(self) -> tuple[CorrectiveAction, ...]:
        """The corrective actions that should be closed by now, and are not."""
        return tuple(
            each
            for each in self.record.actions
            if each.is_open and each.due < self.now and self.is_believed(each.opened_at)
        )
