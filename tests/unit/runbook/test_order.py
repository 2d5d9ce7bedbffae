"""The recovery order, held against what it is by definition."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.plan.model import Plan
from dr_orchestrator.runbook.order import critical_path, recovery_order, waits_for

_RANKS = ("critical", "important", "routine")
_MOST = 7


def plan_of(systems: dict[str, dict[str, Any]]) -> Plan:
    """Return a plan of systems of which only what an order depends on is stated."""
    whole = {
        "rto": "4h",
        "rpo": "1h",
        "assets": {"files": {"kind": "files", "path": "/srv"}},
    }
    return Plan.model_validate(
        {
            "version": 1,
            "practice": {"id": "riverside", "name": "Riverside"},
            "contacts": {"manager": {"role": "practice manager"}},
            "repositories": {"onsite": {"location": "/srv/restic", "password": {"env": "KEY"}}},
            "systems": {
                name: stated if "protected_by" in stated else {**whole, **stated}
                for name, stated in systems.items()
            },
        }
    )


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, frozenset[str]]:
    """Draw a plan without circles, some of it not protected, and which systems are asked for."""
    names = [f"s{number}" for number in range(draw(st.integers(1, _MOST)))]
    deep = draw(st.permutations(names))  # each may depend on what stands before it here
    systems: dict[str, dict[str, Any]] = {}
    for name in names:
        if draw(st.integers(0, 4)) == 0:
            systems[name] = {"protected_by": "somebody else"}
            continue
        before = deep[: deep.index(name)]
        systems[name] = {
            "importance": draw(st.sampled_from(_RANKS)),
            "rto": draw(st.sampled_from(("1h", "4h", "24h"))),
            "depends_on": draw(st.lists(st.sampled_from(before), unique=True)) if before else [],
        }
    plan = plan_of(systems)
    return plan, frozenset(draw(st.sets(st.sampled_from(sorted(plan.protected) or [""]))) - {""})


def needs(plan: Plan, system: str) -> set[str]:
    """Return all that a system depends on in the end, by definition."""
    direct = plan.protected[system].depends_on if system in plan.protected else ()
    return set(direct).union(*(needs(plan, other) for other in direct))


def urgency(plan: Plan, system: str) -> tuple[int, timedelta]:
    """Return the urgency of whatever is most urgent among a system and those that need it."""
    whose = (each for each in plan.protected if each == system or system in needs(plan, each))
    return min((_RANKS.index(plan.protected[e].importance), plan.protected[e].rto) for e in whose)


@given(plans())
def test_recovery_order_has_each_system_once_and_dependencies_before(
    drawn: tuple[Plan, frozenset[str]],
) -> None:
    plan, asked = drawn
    order = recovery_order(plan, asked)

    assert sorted(order) == sorted(asked)
    assert order == recovery_order(plan, sorted(asked, reverse=True))
    for place, system in enumerate(order):
        assert not needs(plan, system) & set(order[place:])


@given(plans())
def test_recovery_order_takes_the_most_urgent_of_those_that_could_come_next(
    drawn: tuple[Plan, frozenset[str]],
) -> None:
    plan, asked = drawn
    listed = list(plan.systems)
    left = set(asked)

    for system in recovery_order(plan, asked):
        possible = {each for each in left if not needs(plan, each) & left}
        assert system == min(possible, key=lambda e: (urgency(plan, e), listed.index(e)))
        left.remove(system)


@given(plans())
def test_waits_for_says_who_comes_before_whom_and_nothing_else(
    drawn: tuple[Plan, frozenset[str]],
) -> None:
    plan, asked = drawn
    waits = waits_for(plan, asked)

    assert tuple(waits) == recovery_order(plan, asked)
    for system, others in waits.items():
        assert set(others) <= needs(plan, system) & asked
        reached, further = set[str](), list(others)
        while further:
            other = further.pop()
            reached.add(other)
            further += waits[other]
        assert reached == needs(plan, system) & asked


def test_what_a_critical_system_depends_on_is_as_urgent_as_it() -> None:
    plan = plan_of(
        {
            "imaging": {"importance": "important"},
            "directory": {"importance": "routine", "rto": "24h"},
            "emr": {"importance": "critical", "depends_on": ["directory", "phones"]},
            "phones": {"protected_by": "the telephone company"},
        }
    )

    assert recovery_order(plan, plan.protected) == ("directory", "emr", "imaging")
    assert waits_for(plan, plan.protected)["emr"] == ("directory",)


def test_waits_for_looks_through_what_is_not_asked_for() -> None:
    plan = plan_of(
        {
            "directory": {},
            "database": {"depends_on": ["directory"]},
            "emr": {"depends_on": ["database"]},
        }
    )

    assert waits_for(plan, ("directory", "emr")) == {"directory": (), "emr": ("directory",)}


@given(
    st.integers(1, 6).flatmap(
        lambda count: st.tuples(
            st.lists(st.sets(st.integers(0, count - 1)), min_size=count, max_size=count),
            st.lists(st.integers(1, 50), min_size=count, max_size=count),
        )
    )
)
def test_critical_path_ends_with_what_ended_last_and_goes_back_over_what_ended_last(
    drawn: tuple[list[set[int]], list[int]],
) -> None:
    needed, took = drawn
    waits = {f"s{n}": tuple(f"s{m}" for m in sorted(needed[n]) if m < n) for n in range(len(took))}
    ended: dict[str, float] = {}
    for number, (system, others) in enumerate(waits.items()):
        ended[system] = max((ended[each] for each in others), default=0) + took[number]

    path = critical_path(waits, ended)

    assert ended[path[-1]] == max(ended.values())
    assert not waits[path[0]]
    for before, after in pairwise(path):
        assert before in waits[after]
        assert ended[before] == max(ended[each] for each in waits[after])
    times = [ended[each] for each in path]
    assert sum(b - a for a, b in pairwise([0.0, *times])) == max(ended.values())


def test_critical_path_of_nothing_is_empty() -> None:
    assert critical_path({}, {}) == ()
