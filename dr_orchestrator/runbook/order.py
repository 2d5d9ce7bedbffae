"""In which order systems come back, and what made it take so long. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.plan.model import IMPORTANCES, ProtectedSystem

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan

_Urgency = tuple[int, timedelta]
"""Place among `IMPORTANCES`, and RTO: the smaller, the more urgent."""
_NOT_OURS: _Urgency = (len(IMPORTANCES), timedelta.max)
"""Of a system that this plan does not protect: as urgent as what depends on it."""


def recovery_order(plan: Plan, systems: Iterable[str]) -> tuple[str, ...]:
    """Return the systems in the order they are restored in: what others depend on before them, then
    by importance, then by RTO, then as the plan lists them.

    What a critical system depends on is as urgent as it.
    """
    return tuple(waits_for(plan, systems))


def waits_for(plan: Plan, systems: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each of the systems, in recovery order, which others of them it depends on, also
    by way of systems that are not among them.
    """
    wanted = frozenset(systems)
    urgency = _urgency(plan)
    left = {each: _nearest(plan, each, wanted) for each in plan.systems if each in wanted}
    order: dict[str, tuple[str, ...]] = {}
    while left:
        possible = (each for each, needed in left.items() if order.keys() >= needed)
        following = min(possible, key=urgency.__getitem__)
        needed = left.pop(following)
        order[following] = tuple(each for each in order if each in needed)
    return order


def critical_path(
    waits: Mapping[str, tuple[str, ...]], ended: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the systems whose waiting for each other made it take so long, first to last: back
    from the one that ended last, over whichever it waited for that ended last.
    """
    path: list[str] = []
    before: Iterable[str] = ended
    while before := [each for each in before if each in ended]:
        last = max(before, key=lambda each: ended[each])
        path.insert(0, last)
        before = waits.get(last, ())
    return tuple(path)


def _depends_on(plan: Plan, system: str) -> tuple[str, ...]:
    spec = plan.systems[system]
    return spec.depends_on if isinstance(spec, ProtectedSystem) else ()


def _dependencies_first(plan: Plan) -> tuple[str, ...]:
    """Return all systems, each after what it depends on; a plan has no circle."""
    seen: dict[str, None] = {}

    def visit(system: str) -> None:
        if system not in seen:
            for other in _depends_on(plan, system):
                visit(other)
            seen[system] = None

    for each in plan.systems:
        visit(each)
    return tuple(seen)


def _urgency(plan: Plan) -> dict[str, _Urgency]:
    """Return the urgency of each system: its own, or that of what depends on it in the end."""
    urgency = dict.fromkeys(plan.systems, _NOT_OURS)
    for name, spec in plan.protected.items():
        urgency[name] = (IMPORTANCES.index(spec.importance), spec.rto)
    for name in reversed(_dependencies_first(plan)):
        for other in _depends_on(plan, name):
            urgency[other] = min(urgency[other], urgency[name])
    return urgency


def _nearest(plan: Plan, system: str, among: frozenset[str]) -> set[str]:
    """Return what a system depends on among others, looking through what is not among them."""
    found: set[str] = set()
    for other in _depends_on(plan, system):
        found |= {other} if other in among else _nearest(plan, other, among)
    return found
