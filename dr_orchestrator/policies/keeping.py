"""Judgements on how copies, keys and the record itself are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.policies.model import NOTHING, Found, breached, met, unproven

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from dr_orchestrator.policies.known import Known
    from dr_orchestrator.policies.model import Control

_COPIES = (Objective.COPIES,)
_READING = (Objective.RESTORE_TEST, Objective.REPOSITORY_CHECK)
_MOVE = re.compile(r"(?<![a-z])mov(?:e|es|ed|ing)(?![a-z])", re.IGNORECASE)
"""As a word: an old disk that was removed is no move."""


def encrypted(known: Known, control: Control) -> Found:
    """Judge whether every repository was opened with its key not long ago, and what was read was
    sound: restic's are always encrypted.
    """
    read = {name: _last_read(known, name) for name in known.plan.used_repositories}
    shut = tuple(
        name
        for name, each in read.items()
        if each is None or not known.is_within(each[0], control.within)
    )
    if shut or not read:
        return unproven("encrypted.not_opened" if shut else NOTHING, repositories=shut)
    found = {name: each for name, each in read.items() if each}
    unsound = tuple(name for name, (_, _, sound) in found.items() if not sound)
    if unsound:
        at, records = max(found[name][0] for name in unsound), (found[name][1] for name in unsound)
        return unproven(
            "encrypted.unsound", since=at, records=tuple(records), repositories=unsound, at=at
        )
    return met(
        "encrypted.met",
        since=min(at for at, _, _ in found.values()),
        records=tuple(run for _, run, _ in found.values()),
        n=len(found),
    )


def _last_read(known: Known, repository: str) -> tuple[datetime, str, bool] | None:
    """Return when something in a repository was last decrypted, by which run, and whether it was
    sound, as far as no damage stands that another one found.
    """
    broken = any(
        each.repository == repository and each.verdict is Verdict.BREACHED
        for each in known.findings
        if each.objective in _READING
    )
    tests = [
        (test.finished_at, test.id, test.result is Result.PASSED and not broken)
        for test in known.concluded
        if test.repository == repository
    ]
    checks = [
        (check.at, check.run, check.sound and not broken)
        for check in known.record.checks
        if check.repository == repository and known.is_believed(check.at)
    ]
    return max((*tests, *checks), default=None)


def indestructible(known: Known, control: Control) -> Found:
    """Judge whether there is a copy of each system that nobody who holds the backup credential can
    destroy, which was tried.
    """
    holding: dict[str, str] = {}
    for system in known.plan.protected:
        for each in known.findings_of(system, (Objective.IMMUTABILITY,)):
            if each.verdict is Verdict.BREACHED:
                return breached(
                    "indestructible.breached",
                    since=each.since,
                    repositories=(each.repository or "",),
                    reason=each.reason,
                )
            if each.verdict is Verdict.MET and each.repository:
                holding.setdefault(system, each.repository)
    tried = {
        name: test
        for name, test in known.record.immutability.items()
        if test.result is Result.PASSED and known.is_within(test.at, control.within)
    }
    open_to_attack = tuple(n for n in known.plan.protected if holding.get(n) not in tried)
    if open_to_attack or not holding:
        says = "indestructible.unproven" if open_to_attack else NOTHING
        return unproven(says, systems=open_to_attack)
    tests = [tried[name] for name in dict.fromkeys(holding.values())]
    return met(
        "indestructible.met",
        since=min(each.at for each in tests),
        records=tuple(each.run for each in tests),
        repositories=tuple(dict.fromkeys(holding.values())),
    )


def kept_apart(known: Known, _control: Control) -> Found:
    """Judge whether another machine than the one that makes backups holds a fresh copy of each."""
    away = {system: _away(known, system) for system in known.plan.protected}
    none = tuple(system for system, names in away.items() if not names)
    if none or not away:
        return unproven("kept_apart.none" if none else NOTHING, systems=none)
    copies = {
        system: {each.repository: each.verdict for each in known.findings_of(system, _COPIES)}
        for system in away
    }
    late = tuple(
        system
        for system, names in away.items()
        if all(copies[system].get(name) is Verdict.BREACHED for name in names)
    )
    if late:
        return breached("kept_apart.late", systems=late)
    fresh = {
        system: _newest_copy(
            known, system, [n for n in names if copies[system].get(n) is Verdict.MET]
        )
        for system, names in away.items()
    }
    missing = tuple(system for system, each in fresh.items() if each is None)
    if missing:
        return unproven("kept_apart.not_yet", systems=missing)
    newest = [each for each in fresh.values() if each]
    return met(
        "kept_apart.met",
        since=min(at for at, _, _ in newest),
        records=tuple(point for _, point, _ in newest),
        repositories=tuple(dict.fromkeys(name for _, _, name in newest)),
    )


def _away(known: Known, system: str) -> tuple[str, ...]:
    held = known.plan.repositories_of(system)
    return tuple(name for name in held if known.plan.repositories[name].is_elsewhere)


def _newest_copy(
    known: Known, system: str, repositories: Collection[str]
) -> tuple[datetime, str, str] | None:
    """Return when the newest point in any of these was captured, its id, and where it is."""
    return max(
        (
            (point.as_of, point.id, copy.repository)
            for point in known.record.points
            if point.system == system and known.is_believed(point.as_of)
            for copy in point.copies
            if copy.repository in repositories and known.record.vouches_for(copy)
        ),
        default=None,
    )


def copy_before_moving(known: Known, _control: Control) -> Found:
    """Judge whether a backup was labelled as made before a move, and restored in a test."""
    labelled = [
        point
        for point in known.record.points
        if _MOVE.search(point.label or "") and known.is_believed(point.as_of)
    ]
    if not labelled:
        return unproven("copy_before_moving.none")
    point = labelled[-1]
    test = next(
        (
            test
            for test in reversed(known.concluded)
            if test.point == point.id and test.result is Result.PASSED
        ),
        None,
    )
    if test is None:
        return unproven(
            "copy_before_moving.untested", since=point.as_of, records=(point.id,), at=point.as_of
        )
    return met(
        "copy_before_moving.met",
        since=test.finished_at,
        records=(point.id, test.id),
        at=point.as_of,
    )


def activity_recorded(known: Known, control: Control) -> Found:
    """Judge whether what was done is in the evidence, whose head lies where we cannot reach it."""
    if not known.head:
        return unproven("activity_recorded.none")
    anchored = _anchored(known, control)
    if anchored is None:
        return unproven("activity_recorded.not_anchored", head=known.head)
    at, place = anchored
    return met("activity_recorded.met", since=at, records=(known.head,), at=at, place=place)


def _anchored(known: Known, control: Control) -> tuple[datetime, str] | None:
    return max(
        (
            (each.at, each.place)
            for each in known.anchors
            if not each.reason and known.is_within(each.at, control.within)
        ),
        default=None,
    )


def record_kept(known: Known, control: Control) -> Found:
    """Judge whether the evidence lies in the repositories too, and so outlives this machine."""
    if not known.head:
        return unproven("activity_recorded.none")
    saved = [
        run
        for run in known.record.last_runs
        if run.operation is Operation.EVIDENCE and run.finished_at is not None
    ]
    newest = max(saved, key=lambda run: run.started_at, default=None)
    if newest is None or newest.finished_at is None:
        return unproven("record_kept.never")
    at = newest.finished_at
    if newest.outcome is not Outcome.DONE or not known.is_within(at, control.within):
        return unproven("record_kept.not_lately", since=at, records=(newest.id,), at=at)
    first = known.record.promises[0].at if known.record.promises else at
    return met("record_kept.met", since=at, records=(newest.id,), at=at, first=first)


def retention_depth(known: Known, _control: Control) -> Found:
    """Judge whether there is anything to restore as a whole, and say how far back. What lies where
    restoring failed when it was last tried does not count: other points there share its data.
    """
    places = {system: known.broken_places(system) for system in known.plan.protected}
    oldest = {
        system: min(known.whole_points(system, but_in=broken), default=None)
        for system, broken in places.items()
    }
    missing = tuple(system for system, each in oldest.items() if each is None)
    broken = tuple(system for system in missing if places[system])
    if broken:
        failed = known.failures(broken)
        return breached(
            "retention_depth.broken",
            since=max((test.finished_at for test in failed), default=None),
            records=tuple(test.id for test in failed),
            systems=broken,
        )
    if missing or not oldest:
        return unproven("no_whole_point" if missing else NOTHING, systems=missing)
    newest_start, point = max(each for each in oldest.values() if each)
    return met("retention_depth.met", since=newest_start, records=(point,), at=newest_start)
