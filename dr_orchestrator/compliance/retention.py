"""Retention: what is no longer to be kept is let go of, and nothing suspicious keeps it from that.

Judged apart from the backups: a repository in which nothing is forgotten for months still takes
every backup, until the day it is full.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import duration_words

_GRACE = timedelta(days=1)


def judge_retention(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge each repository of a system that the plan has something forgotten in; nothing where
    another tool saves it, and lets go of it.
    """
    if case.system.is_existing:
        return
    for repository in case.repositories:
        schedule = case.plan.repositories[repository].maintenance.forget
        if schedule != "never":
            yield _judge(case, record, repository, 2 * schedule.period + _GRACE)


def _judge(case: Case, record: PracticeRecord, repository: str, allowed: timedelta) -> Finding:
    promised = f"let go of at least every {duration_words(allowed)}"

    def finding(verdict: Verdict, reason: str, due: datetime | None, achieved: str = "") -> Finding:
        return case.finding(
            Objective.RETENTION,
            verdict,
            repository=repository,
            promised=promised,
            achieved=achieved,
            reason=reason,
            due=due,
        )

    frozen = record.frozen.get(repository)
    if frozen is not None:
        reason = f"nothing is forgotten until somebody releases it: {frozen.why}"
        return finding(Verdict.UNPROVEN, reason, frozen.at)
    last = next(
        (
            run
            for run in record.last_runs
            if run.operation is Operation.FORGET
            and run.repository == repository
            and run.started_at <= case.now + CLOCK_TOLERANCE
        ),
        None,
    )
    if last is None or last.finished_at is None:
        reason = "no recovery point was let go of yet"
        start = record.maintained_since.get((Operation.FORGET, repository))
        return finding(Verdict.UNPROVEN, reason, case.due(allowed, repository, start))
    ended = last.finished_at
    released = record.retention_released.get(repository)
    if released is not None and ended < released <= case.now + CLOCK_TOLERANCE:
        reason = f"released {case.at(released)}, and no recovery point was let go of since"
        return finding(Verdict.UNPROVEN, reason, released + allowed)
    if last.outcome not in {Outcome.DONE, Outcome.PARTIAL}:
        reason = f"letting go of recovery points failed {case.at(ended)}: {last.reason}"
        return finding(Verdict.UNPROVEN, reason, ended + allowed)  # until then, a next one may mend
    achieved = f"done {case.at(ended)}"
    if case.now - ended > allowed:
        reason = f"no recovery point was let go of since {case.at(ended)}"
        return finding(Verdict.UNPROVEN, reason, ended + allowed, achieved)
    reason = "what is no longer to be kept was let go of"
    return finding(Verdict.MET, reason, ended + allowed, achieved)
