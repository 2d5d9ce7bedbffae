from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.fleet.need import (
    Need,
    practice_need,
    practices_in_order,
    site_need,
    sites_in_order,
)
from dr_orchestrator.fleet.read import SiteSeen, Standing
from tests.support.fleet import practice, problem, site
from tests.support.practices import NOW, all_met, finding

DAY = timedelta(days=1)
BROKEN = finding("emr", Objective.RPO, Verdict.BREACHED)
OVERDUE = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW)
UNDATED = finding("emr", Objective.RTO, Verdict.UNPROVEN)
SOON = finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY)
KEPT = all_met("emr")

findings = st.lists(st.sampled_from([*KEPT, BROKEN, OVERDUE, UNDATED, SOON]), max_size=5).map(tuple)
statuses = st.builds(
    lambda all_findings, troubles, seen: site(
        *(practice(*each, practice=f"p{number}") for number, each in enumerate(all_findings)),
        problems=tuple(problem(acknowledged=each) for each in troubles),
        scheduler_seen_at=seen,
    ),
    st.lists(findings, max_size=3),
    st.lists(st.booleans(), max_size=2),
    st.sampled_from([None, NOW, NOW - DAY]),
)
sites = st.builds(
    lambda name, standing, status: SiteSeen(
        site=name,
        standing=standing,
        why="",
        status=None if standing in {Standing.NEVER_HEARD, Standing.NOT_BELIEVED} else status,
    ),
    st.sampled_from("abcdef"),
    st.sampled_from(Standing),
    statuses,
)


def needs_somebody(seen: SiteSeen) -> bool:
    """Say, apart from the code under test, whether a person has to look."""
    if seen.standing is not Standing.HEARD or seen.status is None:
        return True
    if not seen.status.practices or any(not each.findings for each in seen.status.practices):
        return True
    if any(not each.acknowledged for each in seen.status.problems):
        return True
    if seen.status.scheduler_seen_at == NOW - DAY:
        return True
    return any(
        each in {BROKEN, OVERDUE, UNDATED}
        for each_practice in seen.status.practices
        for each in each_practice.findings
    )


@given(st.lists(sites, max_size=8))
def test_nothing_that_needs_somebody_stands_below_what_does_not(seen: list[SiteSeen]) -> None:
    order = [needs_somebody(each) for each in sites_in_order(seen, NOW)]
    assert order == sorted(order, reverse=True)


@given(sites)
def test_site_looks_well_only_if_nobody_is_needed(seen: SiteSeen) -> None:
    assert (site_need(seen, NOW) >= Need.LATER) is not needs_somebody(seen)


@given(st.lists(sites, max_size=6), st.randoms(use_true_random=False))
def test_order_of_sites_is_the_same_however_they_come(seen: list[SiteSeen], random: object) -> None:
    mixed = list(seen)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    keys = [(each.site, site_need(each, NOW)) for each in sites_in_order(seen, NOW)]
    assert keys == [(each.site, site_need(each, NOW)) for each in sites_in_order(mixed, NOW)]


@given(findings, st.sampled_from([BROKEN, OVERDUE, SOON]))
def test_one_more_finding_that_is_not_kept_never_looks_better(
    some: tuple[Finding, ...], more: Finding
) -> None:
    before = practice_need(practice(*some), NOW) if some else Need.NOTHING
    assert practice_need(practice(*some, more), NOW) <= before


def test_practice_without_promises_needs_somebody() -> None:
    assert practice_need(practice(), NOW) is Need.OVERDUE


def test_time_alone_makes_what_was_quiet_overdue() -> None:
    quiet = practice(*KEPT, SOON)
    assert practice_need(quiet, NOW) is Need.LATER
    assert practice_need(quiet, NOW + DAY) is Need.OVERDUE


def test_practices_stand_in_the_order_of_need() -> None:
    kept, late = practice(*KEPT, practice="a"), practice(OVERDUE, practice="b")
    broken, quiet = practice(BROKEN, practice="c"), practice(*KEPT, SOON, practice="d")
    order = practices_in_order((kept, late, broken, quiet), NOW)
    assert [each.practice for each in order] == ["c", "b", "d", "a"]
