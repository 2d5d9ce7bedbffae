"""Coverage: every asset of a system is in its newest recovery point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.wording import count_words


@dataclass(frozen=True, kw_only=True)
class _Gap:
    """An asset that is not in the newest point."""

    asset: str
    verdict: Verdict
    since: datetime | None
    due: datetime | None


def judge_coverage(case: Case) -> Finding:
    """Judge whether nothing is missing from the newest point.

    An asset that was in an older point may be missing for one RPO, then its promise is broken. One
    that was in none is not proven, whenever it came into the plan: nobody recorded that.
    """
    assets = tuple(case.system.assets)
    holding = case.restorable
    promised = f"every asset: {', '.join(assets)}"
    if not holding:
        return case.finding(
            Objective.COVERAGE,
            Verdict.UNPROVEN,
            promised=promised,
            achieved="none",
            reason="there is no recovery point that can be restored",
            due=case.due(case.system.rpo),
        )
    gaps = [_gap(case, asset) for asset in assets if not case.holds(holding[-1], asset)]
    newest = f"the newest recovery point ({case.at(case.taken(holding[-1]))})"
    held = f"{len(assets) - len(gaps)} of {count_words(len(assets), 'asset')}"
    if not gaps:
        return case.finding(
            Objective.COVERAGE,
            Verdict.MET,
            promised=promised,
            achieved=held,
            reason=f"{newest} holds everything",
        )
    worst = min(gaps, key=lambda gap: gap.verdict is not Verdict.BREACHED)
    return case.finding(
        Objective.COVERAGE,
        worst.verdict,
        promised=promised,
        achieved=held,
        reason=f"{newest} lacks {' and '.join(gap.asset for gap in gaps)}",
        since=worst.since,
        due=min((gap.due for gap in gaps if gap.due), default=None)
        if worst.verdict is Verdict.UNPROVEN
        else None,
    )


def _gap(case: Case, asset: str) -> _Gap:
    instants = case.instants(asset)
    if not instants:
        due = case.due(case.system.rpo)
        return _Gap(asset=asset, verdict=Verdict.UNPROVEN, since=None, due=due)
    due = instants[-1] + case.system.rpo
    lacking = (case.taken(point) for point in case.restorable if not case.holds(point, asset))
    since = min((instant for instant in lacking if instant >= instants[-1]), default=None)
    verdict = Verdict.UNPROVEN if case.now <= due else Verdict.BREACHED
    return _Gap(asset=asset, verdict=verdict, since=since, due=due)
