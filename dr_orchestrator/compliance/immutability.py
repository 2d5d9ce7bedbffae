"""Immutability: nobody who holds the backup credential can destroy what a repository holds.

Proven by attempts that were refused, and by locks that were looked at; never by a setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case
from dr_orchestrator.compliance.shares import last_word
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.immutability import Answer, ImmutabilityTested, LocksExtended
from dr_orchestrator.core.point import PointCopy
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.plan.model import Maintenance, ObjectLock, Plan, RepositorySpec

_GRACE = timedelta(days=1)


def renewed_below(lock: ObjectLock, maintenance: Maintenance) -> timedelta:
    """Return how long a lock must still run not to be renewed now: past the round after the next
    one, so that one round may fail; but never so long that one just renewed is renewed again.
    """
    period = _round(maintenance)
    all_but = timedelta(days=lock.days) - _margin(lock)
    return all_but if period is None else min(2 * period + _margin(lock), all_but)


def protected_until(
    record: PracticeRecord, plan: Plan, system: str, repository: str
) -> datetime | None:
    """Return until when the newest point that was restored from a repository, and proven, is
    locked there; `None` where there is no such point, or nobody looked at the locks since.

    Never later than the truth (see `_locked_until`); what it returns may lie in the past.
    """
    spec, seen = plan.repositories[repository], record.locks.get(repository)
    proven = _newest_proven(record, system, repository)
    if spec.object_lock is None or seen is None or proven is None:
        return None
    if seen.location != spec.location:
        return None
    return _locked_until(spec.object_lock, seen, saved_at=proven.recorded_at)


def judge_immutability(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge each repository of a system that the plan says cannot be destroyed."""
    for repository in case.repositories:
        spec = case.plan.repositories[repository]
        if not spec.keeps_attackers_out:
            continue
        known = _Known(case, record, repository, spec)
        ruling = _rule(known)
        if spec.maintenance.immutability != "never" or ruling.verdict is Verdict.BREACHED:
            yield case.finding(
                Objective.IMMUTABILITY,
                ruling.verdict,
                repository=repository,
                promised=f"what is saved is locked for {count_words(lock.days, 'day')}"
                if (lock := spec.object_lock)
                else "nobody can remove anything over this server",
                achieved=ruling.achieved,
                reason=ruling.reason,
                since=ruling.since,
                due=ruling.due,
            )


@dataclass(frozen=True)
class _Known:
    """What may be believed of one repository: nothing that a wrong clock dated ahead, and nothing
    of where it lay before.
    """

    case: Case
    record: PracticeRecord
    repository: str
    spec: RepositorySpec

    @property
    def test(self) -> ImmutabilityTested | None:
        found = self.record.immutability.get(self.repository)
        return found if found and self._counts(found) else None

    @property
    def locks(self) -> LocksExtended | None:
        found = self.record.locks.get(self.repository)
        return found if found and self._counts(found) else None

    def _counts(self, found: ImmutabilityTested | LocksExtended) -> bool:
        is_past = found.at <= self.case.now + CLOCK_TOLERANCE
        return is_past and found.location == self.spec.location

    @property
    def tested_within(self) -> timedelta:
        schedule = self.spec.maintenance.immutability
        return _GRACE if schedule == "never" else 2 * schedule.period + _GRACE

    @property
    def looked_within(self) -> timedelta | None:
        """Nothing where locks are renewed by hand: then they themselves say when it is due."""
        period = _round(self.spec.maintenance)
        return None if period is None else 2 * period + _GRACE

    def due(self, operation: Operation, allowed: timedelta) -> datetime | None:
        start = self.record.maintained_since.get((operation, self.repository))
        return self.case.due(allowed, self.repository, start)


@dataclass(frozen=True)
class _Ruling:
    verdict: Verdict
    reason: str
    achieved: str = ""
    since: datetime | None = None
    due: datetime | None = None


def _broken(known: _Known) -> _Ruling | None:
    case, test, locks = known.case, known.test, known.locks
    if test is not None and test.result is Result.FAILED:
        done = (each.deed.value for each in test.attempts if each.answer is Answer.DONE)
        reason = f"whoever has the backup credential can {', '.join(dict.fromkeys(done))}"
        return _Ruling(Verdict.BREACHED, reason, _refused(case, test), since=min(test.at, case.now))
    if known.spec.object_lock is None or locks is None:
        return None
    if locks.until is None:
        reason = f"not all that {known.repository} is made of is locked, or not what is saved next"
        return _Ruling(Verdict.BREACHED, reason, since=min(locks.at, case.now))
    if locks.until <= case.now:
        reason = f"locks in {known.repository} ran out and were not renewed"
        return _Ruling(Verdict.BREACHED, reason, since=locks.until)
    return None


def _rule(known: _Known) -> _Ruling:
    case, test, allowed = known.case, known.test, known.tested_within
    if broken := _broken(known):
        return broken
    if test is None or test.result is Result.UNPROVEN:
        reason = (
            f"it was tried {case.at(test.at)} to destroy what it holds, and came to no result"
            if test
            else "it was never tried to destroy what it holds"
        )
        return _Ruling(Verdict.UNPROVEN, reason, due=known.due(Operation.IMMUTABILITY, allowed))
    refused = _refused(case, test)
    if case.now - test.at > allowed:
        reason = f"it was not tried to destroy what it holds since {case.at(test.at)}"
        return _Ruling(Verdict.UNPROVEN, reason, refused, due=test.at + allowed)
    if known.spec.object_lock is not None:
        return _rule_locks(known, known.spec.object_lock, refused, tested_until=test.at + allowed)
    reason = "nobody can remove anything over this server"
    return _Ruling(Verdict.MET, reason, refused, due=test.at + allowed)


def _rule_locks(
    known: _Known, lock: ObjectLock, refused: str, *, tested_until: datetime
) -> _Ruling:
    case, locks, allowed = known.case, known.locks, known.looked_within
    if locks is None or locks.until is None:
        due = known.due(Operation.EXTEND, allowed or known.tested_within)
        return _Ruling(Verdict.UNPROVEN, "nobody looked at its locks yet", refused, due=due)
    if allowed is not None and case.now - locks.at > allowed:
        reason = f"nobody looked at its locks since {case.at(locks.at)}"
        return _Ruling(Verdict.UNPROVEN, reason, refused, due=locks.at + allowed)
    proven = _newest_proven(known.record, case.name, known.repository)
    until = _locked_until(lock, locks, saved_at=proven.recorded_at if proven else case.now)
    return _Ruling(
        Verdict.MET,
        "what it holds is locked, and attempts to destroy it were refused",
        f"protected until {case.at(until or locks.until)}; {refused}",
        due=min(tested_until, locks.until, locks.at + (allowed or timedelta(days=lock.days))),
    )


def _newest_proven(record: PracticeRecord, system: str, repository: str) -> PointCopy | None:
    """Return the copy in a repository of the newest point that was last restored from there with
    success.
    """
    word = last_word(test for test in record.tests if test.system == system)
    copies = (
        copy
        for point in sorted(record.points, key=lambda point: (point.as_of, point.id), reverse=True)
        if (test := word.get((point.id, repository))) and test.result is Result.PASSED
        if (copy := point.copy_in(repository)) and record.vouches_for(copy)
    )
    return next(copies, None)


def _locked_until(lock: ObjectLock, seen: LocksExtended, saved_at: datetime) -> datetime | None:
    """Return until when a point is locked that was recorded at `saved_at`.

    What it is made of was there when the locks were looked at, or was saved since: the bucket locks
    that for the days of the plan, counted from then on, but for a save that had begun before.
    """
    if seen.until is None:
        return None
    young = seen.at + timedelta(days=lock.days)
    return min(seen.until, young if saved_at <= seen.at else young - _margin(lock))


def _margin(lock: ObjectLock) -> timedelta:
    """Return a day, or a tenth of a short lock."""
    return min(timedelta(days=1), timedelta(days=lock.days) / 10)


def _round(maintenance: Maintenance) -> timedelta | None:
    """Return how often locks are looked at; `None` where that is not on a schedule."""
    periods = [each.period for each in (maintenance.extend, maintenance.prune) if each != "never"]
    return min(periods, default=None)


def _refused(case: Case, test: ImmutabilityTested) -> str:
    refused = sum(each.answer is Answer.REFUSED for each in test.attempts)
    attempts = count_words(len(test.attempts), "attempt")
    return f"refused {refused} of {attempts} on {case.at(test.at)}"
