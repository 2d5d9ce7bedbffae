"""Skew: the assets of a recovery point are of nearly one instant, so that they fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import takewhile

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.wording import duration_words


def judge_skew(case: Case) -> Iterator[Finding]:
    """Judge the newest point that holds every asset; nothing where the plan promises nothing."""
    allowed = case.system.max_skew
    if allowed is None:
        return
    assets = case.system.assets
    whole = [p for p in case.restorable if all(case.holds(p, asset) for asset in assets)]
    promised = f"at most {duration_words(allowed)} apart"
    if not whole:
        yield case.finding(
            Objective.SKEW,
            Verdict.UNPROVEN,
            promised=promised,
            reason="there is no recovery point that holds every asset",
            due=case.due(case.system.rpo),
        )
        return
    skew = timedelta(seconds=whole[-1].skew_seconds)
    reason = (
        f"the parts of the recovery point of {case.at(case.taken(whole[-1]))} "
        f"are {duration_words(skew)} apart"
    )
    broken = skew > allowed
    if broken:
        reason += ": what was entered in between is in some of them and not in others"
    over = takewhile(lambda p: p.skew_seconds > allowed.total_seconds(), reversed(whole))
    yield case.finding(
        Objective.SKEW,
        Verdict.BREACHED if broken else Verdict.MET,
        promised=promised,
        achieved=f"{duration_words(skew)} apart",
        reason=reason,
        since=min((case.taken(point) for point in over), default=None),
    )
