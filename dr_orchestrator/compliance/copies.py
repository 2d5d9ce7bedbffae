"""Copies: each repository a system is saved or copied to holds a fresh recovery point of all of it.

The RPO asks whether *some* repository can bring the work back; this asks whether the others could,
on the day that one burns.
"""

from __future__ import annotations

from collections.abc import Iterator

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.wording import duration_words


def judge_copies(case: Case) -> Iterator[Finding]:
    """Judge the age of what each repository holds."""
    for repository in case.repositories:
        yield _judge(case, repository)


def _judge(case: Case, repository: str) -> Finding:
    window = case.window_of(repository)
    promised = f"a point not older than {duration_words(window)}"
    newest = {
        asset: instants[-1]
        for asset in case.system.assets
        if (instants := case.instants(asset, repository))
    }
    missing = [asset for asset in case.system.assets if asset not in newest]
    oldest = min(newest.values(), default=None)
    achieved = "none" if oldest is None else f"{duration_words(case.now - oldest)} old"
    if oldest is not None and case.now - oldest > window:
        return case.finding(
            Objective.COPIES,
            Verdict.BREACHED,
            repository=repository,
            promised=promised,
            achieved=achieved,
            reason=f"{repository} has received nothing restorable since {case.at(oldest)}"
            if len(set(newest.values())) == 1
            else f"part of what {repository} holds is from {case.at(oldest)}",
            since=oldest,
        )
    if missing:
        return case.finding(
            Objective.COPIES,
            Verdict.UNPROVEN,
            repository=repository,
            promised=promised,
            achieved=achieved,
            reason=f"{repository} holds nothing restorable of {' and '.join(missing)}",
            due=case.due(window, repository),
        )
    return case.finding(
        Objective.COPIES,
        Verdict.MET,
        repository=repository,
        promised=promised,
        achieved=achieved,
        reason=f"{repository} is the only repository: what happens to it happens to every point"
        if len(case.repositories) == 1
        else f"{repository} holds everything",
        due=oldest + window if oldest else None,
    )
