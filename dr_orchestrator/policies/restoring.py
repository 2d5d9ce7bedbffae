"""Judgements on whether data comes back: as it was, in time, and as often tried as promised."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.policies.model import NOTHING, Found, breached, met, unproven
from dr_orchestrator.policies.people import late_actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.policies.known import Known
    from dr_orchestrator.policies.model import Control, Value


def exact_copies(known: Known, control: Control) -> Found:
    """Judge whether backups are made in time and whole, and were restored and compared."""
    found = _proven(
        known,
        control,
        "exact_copies",
        needed=(Objective.COVERAGE, Objective.RPO, Objective.RESTORE_TEST),
        also=(Objective.COPIES, Objective.DUMP_AGE, Objective.SKEW, Objective.ACCEPTANCE),
    )
    incomplete = tuple(name for name in known.plan.protected if not known.whole_points(name))
    if found.verdict is not Verdict.MET or not incomplete:
        return found
    return unproven("no_whole_point", systems=incomplete)


def objectives_kept(known: Known, control: Control) -> Found:
    """Judge whether recovery takes no longer, and loses no more, than promised and accepted."""
    return _proven(
        known,
        control,
        "objectives_kept",
        needed=(Objective.RTO, Objective.RPO, Objective.RESTORE_TEST),
        also=(Objective.ACCEPTANCE,),
    )


def data_intact(known: Known, control: Control) -> Found:
    """Judge whether what was restored is what it was, and what is kept reads back sound."""
    found = _proven(
        known,
        control,
        "data_intact",
        needed=(Objective.RESTORE_TEST,),
        also=(Objective.REPOSITORY_CHECK,),
    )
    unread = _unread(known)
    if found.verdict is not Verdict.MET or not unread:
        return found
    return unproven("data_intact.unread", since=found.since, repositories=unread)


def _unread(known: Known) -> tuple[str, ...]:
    """Return the repositories that no finding calls read back. One of which that is not due yet has
    none, and one that nobody reads either.
    """
    read = {
        (each.system, each.repository)
        for each in known.findings
        if each.objective is Objective.REPOSITORY_CHECK and each.verdict is Verdict.MET
    }
    return tuple(
        dict.fromkeys(
            repository
            for system in known.plan.protected
            for repository in known.plan.repositories_of(system)
            if (system, repository) not in read
        )
    )


def _proven(
    known: Known,
    control: Control,
    says: str,
    *,
    needed: tuple[Objective, ...],
    also: tuple[Objective, ...] = (),
) -> Found:
    """Judge by findings, and believe a `met` only beside a restore test that passed recently."""
    standing = {name: known.standing(name, needed, also) for name in known.plan.protected}
    broken = tuple(name for name, verdict in standing.items() if verdict is Verdict.BREACHED)
    if broken:
        told = _worst(known, broken[0], (*needed, *also), Verdict.BREACHED)
        return breached(f"{says}.breached", since=told[1], systems=broken, reason=told[0])
    if not standing:
        return unproven(NOTHING)
    fresh = {name: _fresh(known, name, control.within) for name in standing}
    missing = tuple(name for name, test in fresh.items() if test is None)
    if missing:
        return unproven("no_recent_test", systems=missing)
    doubtful = tuple(name for name, verdict in standing.items() if verdict is not Verdict.MET)
    if doubtful:
        why, _ = _worst(known, doubtful[0], (*needed, *also), Verdict.UNPROVEN)
        if not why:
            return unproven("not_judged", systems=doubtful)
        return unproven(f"{says}.unproven", systems=doubtful, reason=why)
    tests = [test for test in fresh.values() if test is not None]
    return met(f"{says}.met", since=_oldest(tests), records=_ids(tests), n=len(tests))


def _worst(
    known: Known, system: str, objectives: Iterable[Objective], verdict: Verdict
) -> tuple[str, datetime | None]:
    """Return the reason of the first finding with a verdict, and since when it has been so."""
    found = (each for each in known.findings_of(system, objectives) if each.verdict is verdict)
    first = next(found, None)
    return (first.reason, first.since) if first else ("", None)


def _fresh(known: Known, system: str, within: timedelta | None) -> RestoreTest | None:
    """Return the newest passed test of a system, where it is recent enough to prove something."""
    test = known.newest_passed(system)
    lasts = within or _lasts(known, system)
    return test if test and known.is_within(test.finished_at, lasts) else None


def _oldest(tests: Iterable[RestoreTest]) -> datetime:
    return min(test.finished_at for test in tests)


def _ids(tests: Iterable[RestoreTest]) -> tuple[str, ...]:
    return tuple(test.id for test in tests)


def backups_in_time(known: Known, _control: Control) -> Found:
    """Judge whether every system has points, whole and as often as promised: by points that reach
    back at least as far as one interval, since of fewer nobody can tell.
    """
    needed = (Objective.COVERAGE, Objective.RPO)
    standing = {name: known.standing(name, needed) for name in known.plan.protected}
    for verdict, answer in ((Verdict.BREACHED, breached), (Verdict.UNPROVEN, unproven)):
        those = tuple(name for name, each in standing.items() if each is verdict)
        if those:
            reason, since = _worst(known, those[0], needed, verdict)
            if not reason:
                return unproven("not_judged", systems=those)
            return answer(
                f"backups_in_time.{verdict.value}", since=since, systems=those, reason=reason
            )
    too_new = tuple(
        name
        for name, system in known.plan.protected.items()
        if (points := known.whole_points(name)) and max(points)[0] - min(points)[0] < system.rpo
    )
    if too_new:
        return unproven("backups_in_time.too_new", systems=too_new)
    return _whole_points(known, "backups_in_time.met")


def _whole_points(known: Known, says: str, **values: Value) -> Found:
    """Say that it is so by the newest whole point of each system, or which have none."""
    newest = {name: max(known.whole_points(name), default=None) for name in known.plan.protected}
    missing = tuple(name for name, each in newest.items() if each is None)
    if missing or not newest:
        return unproven("no_whole_point" if missing else NOTHING, systems=missing)
    found = [each for each in newest.values() if each]
    return met(
        says, since=min(at for at, _ in found), records=tuple(id_ for _, id_ in found), **values
    )


def copies_within(known: Known, control: Control) -> Found:
    """Judge whether the newest whole copy of each system is no older than the rule lets it be."""
    limit = control.within or timedelta()
    newest = {name: max(known.whole_points(name), default=None) for name in known.plan.protected}
    old = tuple(
        name for name, each in newest.items() if each and not known.is_within(each[0], limit)
    )
    if old:
        return breached("copies_within.breached", systems=old, limit=limit)
    return _whole_points(known, "copies_within.met", limit=limit)


def sample_restored(known: Known, control: Control) -> Found:
    """Judge whether each system was restored and compared within the time that is asked for."""
    limit = control.within or timedelta()
    newest = {name: known.newest_test(name) for name in known.plan.protected}
    failed = tuple(name for name in newest if known.is_broken(name))
    if failed:
        return _failed(known, failed)
    old = tuple(
        name
        for name, test in newest.items()
        if test and not known.is_within(test.finished_at, limit)
    )
    if old:
        return breached("sample_restored.old", systems=old, limit=limit)
    passed = {name: known.newest_passed(name) for name in newest}
    missing = tuple(name for name, test in passed.items() if test is None)
    if missing or not newest:
        return unproven("no_recent_test" if missing else NOTHING, systems=missing)
    tests = [test for test in passed.values() if test]
    return met("sample_restored.met", since=_oldest(tests), records=_ids(tests), limit=limit)


def last_test(known: Known, control: Control) -> Found:
    """Judge whether the last restore test of each system passed, recently enough to count; from
    each place. One that came to no result is a last one too.
    """
    failed = tuple(name for name in known.plan.protected if known.is_broken(name))
    if failed:
        return _failed(known, failed)
    fresh = {name: _fresh(known, name, control.within) for name in known.plan.protected}
    missing = tuple(name for name, test in fresh.items() if test is None)
    if missing or not fresh:
        return unproven("no_recent_test" if missing else NOTHING, systems=missing)
    if known.without_result:
        return _no_result(known.without_result, fresh)
    tests = [test for test in fresh.values() if test]
    at = _oldest(tests)
    return met("last_test.met", since=at, records=_ids(tests), n=len(tests), at=at)


def _no_result(tests: tuple[RestoreTest, ...], fresh: Mapping[str, RestoreTest | None]) -> Found:
    """Say that these tests came to no result, and when their systems last passed one."""
    at = max(test.finished_at for test in tests)
    passed = _oldest(each for test in tests if (each := fresh[test.system]))
    return unproven(
        "last_test.no_result",
        since=at,
        records=_ids(tests),
        systems=tuple(dict.fromkeys(test.system for test in tests)),
        n=len(tests),
        at=at,
        passed=passed,
    )


def _failed(known: Known, systems: tuple[str, ...]) -> Found:
    """Say that restoring these systems failed, when last, and in which tests."""
    tests = known.failures(systems)
    if not tests:
        return breached("last_test.failed", systems=systems)
    at = max(test.finished_at for test in tests)
    return breached("last_test.failed_at", since=at, records=_ids(tests), systems=systems, at=at)


def restored_within(known: Known, control: Control) -> Found:
    """Judge whether recovery, as proven and with what the plan allows, takes no longer than that.

    Not met while the promise on restore tests is not kept: what was timed once says nothing then.
    """
    limit = control.within or timedelta()
    taken = {name: _whole_recovery(known, name) for name in known.plan.protected}
    over = tuple(name for name, each in taken.items() if each and each[0] > limit)
    if over:
        return breached("restored_within.over", systems=over, limit=limit)
    broken = tuple(
        name
        for name in taken
        if known.standing(name, (Objective.RESTORE_TEST,)) is Verdict.BREACHED
    )
    if broken:
        return breached("last_test.failed", systems=broken)
    untimed = tuple(
        name
        for name, each in taken.items()
        if each is None or known.standing(name, (Objective.RESTORE_TEST,)) is not Verdict.MET
    )
    if untimed or not taken:
        return unproven("restored_within.untimed" if untimed else NOTHING, systems=untimed)
    found = [each for each in taken.values() if each]
    return met(
        "restored_within.met",
        since=_oldest(test for _, test in found),
        records=_ids(test for _, test in found),
        longest=max(whole for whole, _ in found),
        limit=limit,
    )


def _whole_recovery(known: Known, system: str) -> tuple[timedelta, RestoreTest] | None:
    """Return proven plus allowed, by the newest test that timed all of a system."""
    spec = known.plan.protected[system]
    allowed = sum((step.allow for step in spec.recovery), timedelta())
    for test in reversed(known.concluded):
        seconds = test.rta_service_seconds
        if test.system == system and test.result is Result.PASSED and seconds is not None:
            recent = known.is_within(test.finished_at, _lasts(known, system))
            return (timedelta(seconds=seconds) + allowed, test) if recent else None
    return None


def tested_and_revised(known: Known, _control: Control) -> Found:
    """Judge whether tests are made as often as the plan says, and what failed is put right."""
    overdue = tuple(name for name in known.plan.protected if _is_overdue(known, name))
    if overdue:
        return breached("tested_and_revised.overdue", systems=overdue)
    if late := late_actions(known):
        return late
    newest = {name: known.newest_test(name) for name in known.plan.protected}
    missing = tuple(name for name, test in newest.items() if not _is_tested(known, name, test))
    if missing or not newest:
        return unproven("no_recent_test" if missing else NOTHING, systems=missing)
    unscheduled = tuple(
        name for name in newest if not known.is_tested_by_schedule(name, _lasts(known, name))
    )
    if unscheduled:
        return unproven("tested_and_revised.not_by_schedule", systems=unscheduled)
    tests = [test for test in newest.values() if test]
    return met(
        "tested_and_revised.met",
        since=_oldest(tests),
        records=_ids(tests),
        n=len(known.record.promises),
    )


def _is_overdue(known: Known, system: str) -> bool:
    return any(
        each.verdict is Verdict.UNPROVEN and each.due is not None and each.due < known.now
        for each in known.findings_of(system, (Objective.RESTORE_TEST,))
    )


def _is_tested(known: Known, system: str, test: RestoreTest | None) -> bool:
    """Return whether a test came to a result as recently as the plan wants one, from wherever."""
    findings = known.findings_of(system, (Objective.RESTORE_TEST,))
    told = bool(findings) and all(each.verdict is not Verdict.UNPROVEN for each in findings)
    return told and test is not None and known.is_within(test.finished_at, _lasts(known, system))


def _lasts(known: Known, system: str) -> timedelta:
    """Return for how long a restore test of a system counts: the longest the plan gives any."""
    specs = known.plan.protected[system].restore_tests
    return max((spec.prove_every for spec in specs), default=timedelta())


def restore_procedure(known: Known, control: Control) -> Found:
    """Judge whether the runbook of each system was gone through, and restoring did not fail."""
    broken = tuple(name for name in known.plan.protected if known.is_broken(name))
    return _failed(known, broken) if broken else runbook_gone_through(known, control)


def runbook_gone_through(known: Known, control: Control) -> Found:
    """Judge whether the runbook of each system was gone through."""
    done = {name: _gone_through(known, name) for name in known.plan.protected}
    missing = tuple(
        name
        for name, each in done.items()
        if each is None or not known.is_within(each[0], control.within)
    )
    if missing or not done:
        says = "restore_procedure.not_gone_through" if missing else NOTHING
        runbooks = tuple(known.plan.protected[name].runbook for name in missing)
        return unproven(says, systems=missing, runbooks=tuple(dict.fromkeys(runbooks)))
    found = [each for each in done.values() if each]
    return met(
        "restore_procedure.met",
        since=min(at for at, _ in found),
        records=tuple(dict.fromkeys(run for _, run in found)),
    )


def _gone_through(known: Known, system: str) -> tuple[datetime, str] | None:
    """Return when steps of a system's runbook were last really done, and in which run; a drill that
    brought the system back is one.
    """
    runbook = known.plan.protected[system].runbook
    stepped = [
        (each.at, each.run)
        for each in known.exercised
        if (each.runbook, each.system) == (runbook, system) and known.is_believed(each.at)
    ]
    drilled = [
        (drill.finished_at, drill.id)
        for drill in known.drills
        if known.is_believed(drill.finished_at)
        for each in drill.systems
        if (each.runbook, each.system, each.result) == (runbook, system, Result.PASSED)
    ]
    return max((*stepped, *drilled), default=None)
