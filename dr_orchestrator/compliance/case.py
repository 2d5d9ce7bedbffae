"""What is known of one system, sifted: what the rules may believe, in the order they need it.

Left out is what says it comes from the future: a clock was wrong then, or is wrong now, and a point
or a passed test of next year would hide everything that happens until then. Left out is what may be
restorable but is known not to be: a copy whose last conclusive restore test failed. Left out is
what only a repository tells of, until a person looked: whoever can write there can make up a point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from dr_orchestrator.compliance.shares import last_word
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import Method, RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words, instant_words
from dr_orchestrator.plan.model import (
    CommandAsset,
    ExistingAsset,
    FilesAsset,
    Plan,
    ProtectedSystem,
    RestoreTestSpec,
    SmbAsset,
)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clocks of two machines may lie apart before a time is taken to be wrong."""
_SHORTEST_WINDOW = timedelta(hours=24)
_MADE_ELSEWHERE = (FilesAsset, SmbAsset, CommandAsset)
"""What somebody else's job may write."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One system, its promise, and what may be believed of its record at one instant."""

    plan: Plan
    name: str
    system: ProtectedSystem
    now: datetime
    started: datetime | None
    """First run here, or the oldest point if that is older; `None`: never acted on."""
    repositories_seen: Mapping[str, datetime]
    points: tuple[RecoveryPoint, ...]
    """By `as_of`, oldest first."""
    tests: tuple[RestoreTest, ...]
    """Without follow-ups, by `started_at`, oldest first."""
    damaged: frozenset[tuple[str, str]]
    """(point, repository) whose last conclusive restore test failed."""
    left_out: str
    """What was not believed, as the end of a sentence; empty where everything was."""

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories that the system is saved or copied to."""
        return self.plan.repositories_of(self.name)

    @property
    def window(self) -> timedelta:
        """How far back the RPO looks."""
        return rpo_window(self.system.rpo)

    def window_of(self, repository: str) -> timedelta:
        """Return how old what a repository holds may be: one interval more where points are copied
        to it, and are as old as the copying is apart before the next one comes over.
        """
        backup = self.system.backup
        if repository not in backup.copy_to or backup.copying is None:
            return self.window
        return self.window + backup.copying.schedule.period

    @property
    def prove_every(self) -> dict[str, timedelta]:
        """Repository -> how often restoring from it is to be proven, the strictest of its tests."""
        result: dict[str, timedelta] = {}
        for test in self.system.restore_tests:
            repository = test.from_ or self.repositories[0]
            result[repository] = min(result.get(repository, test.prove_every), test.prove_every)
        return result

    def restore_tests(self, repository: str) -> tuple[RestoreTestSpec, ...]:
        """Return the restore tests that the plan asks for from a repository."""
        return tuple(
            test
            for test in self.system.restore_tests
            if (test.from_ or self.repositories[0]) == repository
        )

    def taken(self, point: RecoveryPoint) -> datetime:
        """Return when a point was captured, never after now."""
        return min(point.as_of, self.now)

    @cached_property
    def restorable(self) -> tuple[RecoveryPoint, ...]:
        """The points that bring back at least one asset of the plan, oldest first."""
        return tuple(
            point
            for point in self.points
            if any(self.holds(point, asset) for asset in self.system.assets)
        )

    def holds(self, point: RecoveryPoint, asset: str) -> bool:
        """Return whether `asset`, as the plan has it now, can come back from this point."""
        return bool(self._holders(point, asset))

    def instants(self, asset: str, repository: str | None = None) -> tuple[datetime, ...]:
        """Return when what can be brought back of `asset` was captured, oldest first.

        Out of one repository, or out of any.
        """
        return self._instants.get((asset, repository), ())

    def data_times(self, asset: str) -> tuple[datetime, ...]:
        """Return the ages of the data to which `asset` can be brought back, oldest first.

        That is the age of what another tool made, and the instant of capture of all else. A dump
        that is older than one in an earlier point brings nothing back that was not there already.
        """
        return self._data_times.get(asset, ())

    @cached_property
    def _data_times(self) -> dict[str, tuple[datetime, ...]]:
        found: dict[str, list[datetime]] = {asset: [] for asset in self.system.assets}
        for point in self.points:
            for asset, times in found.items():
                if self.holds(point, asset):
                    time = min(point.assets[asset].data_as_of or point.as_of, self.taken(point))
                    times.append(max([time, *times[-1:]]))
        return {asset: tuple(times) for asset, times in found.items()}

    @cached_property
    def _instants(self) -> dict[tuple[str, str | None], tuple[datetime, ...]]:
        found: dict[tuple[str, str | None], list[datetime]] = {}
        for point in self.points:
            for asset in self.system.assets:
                holders = self._holders(point, asset)
                for repository in (*holders, *((None,) if holders else ())):
                    found.setdefault((asset, repository), []).append(self.taken(point))
        return {key: tuple(instants) for key, instants in found.items()}

    def _holders(self, point: RecoveryPoint, asset: str) -> frozenset[str]:
        """Return the repositories that bring `asset` back from this point.

        Not those whose copy failed its restore test, nor where the asset was something else then.
        """
        summary = point.assets.get(asset)
        if summary is None or summary.kind is not self.system.assets[asset].kind:
            return frozenset()
        return frozenset(
            copy.repository
            for copy in point.copies
            if asset in copy.snapshots and (point.id, copy.repository) not in self.damaged
        )

    def untested(self, test: RestoreTest) -> tuple[str, ...]:
        """Return the assets of the plan that a test said nothing about: they came into the plan
        after its point was made, were something else then, or were saved by another tool and now by
        us, or the other way round: that theirs come back tells nothing of ours.
        """
        if self._is_of_other_maker(test):
            return tuple(self.system.assets)
        held = next((point.assets for point in self.points if point.id == test.point), None)
        if held is None:
            return ()
        return tuple(
            asset
            for asset, spec in self.system.assets.items()
            if asset not in held or held[asset].kind is not spec.kind
        )

    def _is_of_other_maker(self, test: RestoreTest) -> bool:
        if self.system.is_existing:
            return any(point.id == test.point for point in self.points) and not any(
                point.id == test.point for point in self._theirs
            )
        # the point itself may be gone; where ours took over, all of theirs are older than ours
        return any(test.point_as_of <= point.as_of for point in self._theirs)

    @cached_property
    def _theirs(self) -> tuple[RecoveryPoint, ...]:
        return tuple(
            point for point in self.points if any(copy.is_existing for copy in point.copies)
        )

    def oldest_dump(self, asset: str) -> timedelta | None:
        """Return how old an asset may be that somebody else's job writes; `None` of any other.

        Of what another tool saves, the plan says nothing but the RPO.
        """
        spec = self.system.assets[asset]
        if isinstance(spec, ExistingAsset):
            return self.system.rpo if spec.method is Method.DUMP else None
        if isinstance(spec, _MADE_ELSEWHERE) and spec.data_time is not None:
            return spec.data_time.max_age
        return None

    def is_made_elsewhere(self, asset: str) -> bool:
        """Whether how old its data is was not for us to say when it was saved."""
        spec = self.system.assets[asset]
        return isinstance(spec, ExistingAsset) or self.oldest_dump(asset) is not None

    def maker(self, asset: str) -> str:
        """Return who writes an asset: the role of a contact, or the plan's own words."""
        spec = self.system.assets[asset]
        made_by = (spec.made_by or "") if isinstance(spec, _MADE_ELSEWHERE) else ""
        contact = self.plan.contacts.get(made_by)
        return contact.role if contact else made_by or f"the job that writes {asset}"

    def due(
        self,
        allowed: timedelta,
        repository: str | None = None,
        looked_after: datetime | None = None,
    ) -> datetime | None:
        """Return when something that was never there is due: after `allowed` from the start.

        What is promised of a repository starts when it first answered, or when somebody first
        `looked_after` it, if that is later. `None`: no start is known.
        """
        if self.started is None:
            return None
        seen = self.repositories_seen.get(repository or "", self.started)
        if seen > self.now + CLOCK_TOLERANCE:
            seen = self.started
        return max(self.started, seen, looked_after or seen) + allowed

    def at(self, instant: datetime) -> str:
        """Return an instant as this practice's wall clock shows it."""
        return instant_words(instant, self.plan.practice.timezone)

    def finding(
        self,
        objective: Objective,
        verdict: Verdict,
        *,
        promised: str,
        reason: str,
        achieved: str = "",
        repository: str | None = None,
        since: datetime | None = None,
        due: datetime | None = None,
    ) -> Finding:
        """Return a finding on this system. What was not believed is said in its reason."""
        return Finding(
            practice=self.plan.practice.id,
            system=self.name,
            objective=objective,
            repository=repository,
            verdict=verdict,
            promised=promised,
            achieved=achieved,
            reason=reason + self.left_out,
            since=since,
            due=due,
        )


def rpo_window(rpo: timedelta) -> timedelta:
    """Return how far back an RPO looks: a day, or twice the RPO where that is longer."""
    return max(_SHORTEST_WINDOW, 2 * rpo)


def open_case(plan: Plan, name: str, record: PracticeRecord, now: datetime) -> Case:
    """Return what the rules may believe of system `name` at `now`."""
    latest = now + CLOCK_TOLERANCE
    points = [point for point in record.points if point.system == name]
    uncertain = _uncertain(points, record)
    certain = list(_certain(points, uncertain))
    tests = [
        test
        for test in record.tests
        if test.system == name and (test.point, test.repository) not in uncertain
    ]
    believed = [point for point in certain if point.as_of <= latest]
    done = sorted(
        (test for test in tests if test.started_at <= latest),
        key=lambda test: (test.started_at, test.id),
    )
    first_run = record.first_seen.get(name, latest)
    starts = [min(point.as_of, now) for point in believed]
    starts += [first_run] if name in record.first_seen and first_run <= latest else []
    return Case(
        plan=plan,
        name=name,
        system=plan.protected[name],
        now=now,
        started=min(starts, default=None),
        repositories_seen=record.repositories_seen,
        points=tuple(sorted(believed, key=lambda point: (point.as_of, point.id))),
        tests=tuple(test for test in done if test.follow_up_of is None),
        damaged=_damaged(done),
        left_out=_left_out(len(certain) - len(believed), len(tests) - len(done))
        + _not_looked_into(len(points) - len(certain)),
    )


def _uncertain(
    points: Iterable[RecoveryPoint], record: PracticeRecord
) -> frozenset[tuple[str, str]]:
    return frozenset(
        (point.id, copy.repository)
        for point in points
        for copy in point.copies
        if not record.vouches_for(copy)
    )


def _certain(
    points: Iterable[RecoveryPoint], uncertain: Collection[tuple[str, str]]
) -> Iterator[RecoveryPoint]:
    """Yield the points with the copies that somebody vouches for, where there are any."""
    for point in points:
        copies = tuple(c for c in point.copies if (point.id, c.repository) not in uncertain)
        if copies == point.copies:
            yield point
        elif copies:
            yield replace(point, copies=copies)


def _damaged(tests: Iterable[RestoreTest]) -> frozenset[tuple[str, str]]:
    return frozenset(
        copy for copy, test in last_word(tests).items() if test.result is Result.FAILED
    )


def _left_out(points: int, tests: int) -> str:
    counted = [count_words(points, "recovery point")] if points else []
    counted += [count_words(tests, "restore test")] if tests else []
    if not counted:
        return ""
    verb = "is" if points + tests == 1 else "are"
    return f"; {' and '.join(counted)} dated in the future {verb} left out: check the clock"


def _not_looked_into(points: int) -> str:
    if not points:
        return ""
    verb = "is" if points == 1 else "are"
    return (
        f"; {count_words(points, 'recovery point')} read back from a repository {verb} left out "
        "until somebody looked into it"
    )
