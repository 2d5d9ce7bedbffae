"""Dump age: the job of somebody else, whose dump is backed up, wrote a new one recently enough.

Our own backups go on when that job died, and each of them holds the same old dump. So the age of
the dump is a promise of its own; what it means for the work that would be lost is the RPO's matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.wording import duration_words

_WORST_FIRST = (Verdict.BREACHED, Verdict.UNPROVEN, Verdict.MET)


def judge_dump_age(case: Case) -> Iterator[Finding]:
    """Judge the asset whose job is in the worst state; nothing where no job is in the plan."""
    found = [
        _judge(case, asset, allowed)
        for asset in case.system.assets
        if (allowed := case.oldest_dump(asset))
    ]
    yield from sorted(found, key=lambda finding: _WORST_FIRST.index(finding.verdict))[:1]


def _written(case: Case, point: RecoveryPoint, asset: str) -> datetime | None:
    """Return when the dump was written that a point holds: what another tool saved is of the time
    it was saved, unless its file was older.
    """
    written = point.assets[asset].data_as_of
    return written or (point.as_of if case.system.is_existing else None)


def _judge(case: Case, asset: str, allowed: timedelta) -> Finding:
    """Judge one job by the newest dump known, at the time of the newest look at it.

    Where no backup looked since, nobody knows whether the job goes on: that is not proven.
    """
    promised = f"a new one within {duration_words(allowed)}"
    looks = [
        (case.taken(point), min(written, case.taken(point)))
        for point in case.restorable
        if case.holds(point, asset) and (written := _written(case, point, asset))
    ]
    if not looks:
        return case.finding(
            Objective.DUMP_AGE,
            Verdict.UNPROVEN,
            promised=promised,
            reason=f"no recovery point holds anything that {case.maker(asset)} wrote",
            due=case.due(allowed),
        )
    looked, written = looks[-1][0], max(written for _, written in looks)
    wrote_last = f"{case.maker(asset)} wrote last {case.at(written)}"
    if looked - written > allowed:
        verdict = Verdict.BREACHED
        reason = f"{case.maker(asset)} has written nothing since {case.at(written)}"
    elif case.now - written > allowed:
        verdict = Verdict.UNPROVEN
        reason = f"{wrote_last}, and no backup has looked since {case.at(looked)}"
    else:
        verdict, reason = Verdict.MET, wrote_last
    broken = verdict is Verdict.BREACHED
    return case.finding(
        Objective.DUMP_AGE,
        verdict,
        promised=promised,
        achieved=f"{duration_words(case.now - written)} old",
        reason=reason,
        since=written if broken else None,
        due=None if broken else written + allowed,
    )
