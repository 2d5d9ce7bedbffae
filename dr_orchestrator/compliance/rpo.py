"""RPO: the longest stretch without a restorable recovery point, the one up to now included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.wording import duration_words


@dataclass(frozen=True)
class _Stretch:
    """Time in which every change to an asset would have been lost."""

    start: datetime
    end: datetime
    asset: str

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def judge_rpo(case: Case) -> Finding:
    """Judge the longest stretch of any asset against the RPO."""
    rpo = case.system.rpo
    missing = tuple(asset for asset in case.system.assets if not case.data_times(asset))
    if len(missing) == len(case.system.assets):
        return _without_points(case)
    longest = max(_stretches(case), key=lambda stretch: (stretch.length, stretch.end))
    kept = longest.length <= rpo
    if kept and missing:
        return case.finding(
            Objective.RPO,
            Verdict.UNPROVEN,
            promised=duration_words(rpo),
            achieved=duration_words(longest.length),
            reason=f"{' and '.join(missing)} can be restored from no recovery point yet",
            due=case.due(rpo),
        )
    return case.finding(
        Objective.RPO,
        Verdict.MET if kept else Verdict.BREACHED,
        promised=duration_words(rpo),
        achieved=duration_words(longest.length),
        reason=_kept(case) if kept else _broken(case, longest),
        since=None if kept else longest.start,
        due=min(case.data_times(asset)[-1] for asset in case.system.assets) + rpo if kept else None,
    )


def _stretches(case: Case) -> Iterator[_Stretch]:
    """Yield the stretches that count: those that end in the window, and the one up to now.

    The window lies before the newest point, not before now. So a bad night is forgotten after a day
    of good points, and never by time alone.
    """
    for asset in case.system.assets:
        instants = case.data_times(asset)
        if not instants:
            continue
        joined_later = not case.holds(case.restorable[0], asset)
        begin = [] if joined_later or case.started is None else [case.started]
        window_start = instants[-1] - case.window
        for start, end in pairwise([*begin, *instants, case.now]):
            if end > window_start:
                yield _Stretch(start, end, asset)


def _without_points(case: Case) -> Finding:
    rpo, due = case.system.rpo, case.due(case.system.rpo)
    if due is None:
        verdict, reason = Verdict.UNPROVEN, "no backup was made here yet"
    elif case.now <= due:
        verdict, reason = Verdict.UNPROVEN, "there is no recovery point yet"
    else:
        verdict = Verdict.BREACHED
        reason = "from the start there has been no recovery point that can be restored"
    broken = verdict is Verdict.BREACHED and case.started is not None
    return case.finding(
        Objective.RPO,
        verdict,
        promised=duration_words(rpo),
        achieved=duration_words(case.now - case.started) if broken and case.started else "",
        reason=reason,
        since=case.started if broken else None,
        due=None if broken else due,
    )


def _kept(case: Case) -> str:
    window = duration_words(case.window)
    return f"the longest stretch without a recovery point, in the last {window} and up to now"


def _broken(case: Case, longest: _Stretch) -> str:
    what = f" of {longest.asset}" if len(case.system.assets) > 1 else ""
    over = f"{duration_words(longest.length - case.system.rpo)} too long"
    start = case.at(longest.start)
    if case.is_made_elsewhere(longest.asset):
        until = "" if longest.end == case.now else f" until {case.at(longest.end)}"
        return f"nothing newer{what} than from {start} could be brought back{until}: {over}"
    if longest.end == case.now:
        return f"no recovery point{what} that can be restored since {start}: {over}"
    return f"no recovery point{what} from {start} to {case.at(longest.end)}: {over}"
