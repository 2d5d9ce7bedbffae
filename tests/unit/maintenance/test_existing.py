"""What another tool saved is its own to keep and to remove; ours beside it stay guarded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.maintenance.holdings import Listing
from dr_orchestrator.maintenance.strangers import Known, known_in, strangers
from dr_orchestrator.maintenance.survey import Survey, decide, survey
from dr_orchestrator.maintenance.tools import RepositoryRequest, require_ours
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.base import Snapshot
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_plan, make_point, make_record

DAY = timedelta(days=1)
LITTLE = {"keep_hourly": 0, "keep_daily": 1, "keep_monthly": 0, "keep_yearly": 0}
ASSETS = {
    "database": {"kind": "sqlite", "existing": {"path": "/srv/emr.db"}},
    "documents": {"kind": "files", "existing": {"path": "/srv/documents"}},
}


def theirs(point: RecoveryPoint) -> RecoveryPoint:
    """Return a point as it is when another tool saved it."""
    copies = tuple(replace(copy, manifest_snapshot="") for copy in point.copies)
    return replace(point, copies=copies)


OLD = [theirs(make_point(NOW - days * DAY)) for days in range(400, 0, -10)]
OURS = [make_point(NOW - days * DAY) for days in (9, 8, 7, 6, 5, 4, 3, 2, 1)]


def look(plan: Plan, points: list[RecoveryPoint], *listed: Snapshot) -> Survey:
    known = known_in({(PRACTICE, "onsite")}, points, shared=plan.only_reads("onsite"))
    return survey(
        plan,
        make_record(points=tuple(points)),
        "onsite",
        NOW,
        listing=Listing(snapshots=listed, recorded=frozenset(each.id for each in points)),
        known=known,
        runs={},
        last_forget=NOW - DAY,
    )


def plain(**changes: Any) -> Snapshot:
    """Return a snapshot that says nothing of us."""
    told: dict[str, Any] = {
        "id": "a" * 64,
        "time": NOW,
        "hostname": "vm",
        "tags": frozenset(),
        "paths": ("/srv",),
        "original": None,
        "tree": "b" * 64,
    }
    return Snapshot(**(told | changes))


def test_decide_lets_go_of_nothing_that_another_tool_saved() -> None:
    plan = make_plan(retention=LITTLE)

    decision = decide(plan, make_record(points=tuple(OLD)), "onsite", NOW)

    assert decision.going == ()
    assert {each for why in decision.kept.values() for each in why} == {
        "another tool saved it, and lets go of it"
    }


def test_decide_keeps_of_ours_what_it_would_without_those_of_another_tool() -> None:
    plan = make_plan(retention=LITTLE)
    newer = [theirs(make_point(NOW - hours * timedelta(hours=1))) for hours in range(1, 30)]
    alone = decide(plan, make_record(points=tuple(OURS)), "onsite", NOW)

    beside = decide(plan, make_record(points=(*OURS, *newer)), "onsite", NOW)

    assert alone.going
    assert beside.going == alone.going
    assert {each.id for each in newer} <= set(beside.kept)


def test_survey_is_not_alarmed_when_another_tool_removes_what_it_saved() -> None:
    plan = make_plan(assets=ASSETS)

    copy = OLD[-1].copy_in("onsite")
    assert copy is not None

    found = look(plan, OLD, *(plain(id=each) for each in copy.all_snapshots))

    assert found.vanished == ()
    assert found.doubts == ()
    assert found.gone == tuple(OLD[:-1])


def test_survey_is_alarmed_when_one_of_ours_vanished_beside_them() -> None:
    found = look(make_plan(), [*OLD, *OURS])

    assert {each.id for each in found.vanished} <= {each.id for each in OURS}
    assert found.vanished


@pytest.mark.parametrize(("shared", "count"), [(True, 0), (False, 1)])
def test_snapshot_of_another_tool_is_a_stranger_only_where_none_is_awaited(
    shared: bool, count: int
) -> None:
    known = known_in({(PRACTICE, "onsite")}, OURS, shared=shared)

    assert len(strangers([plain()], known, {}, ())) == count


@pytest.mark.parametrize(
    "tags",
    [
        {"dro=manifest", f"practice={PRACTICE}", "system=emr", f"point={OURS[0].id}"},
        {"dro=asset", f"practice={PRACTICE}", "system=emr", "point=made-up", "asset=database"},
        {"dro=manifest", "practice=elsewhere", "system=emr", "point=made-up"},
    ],
)
def test_snapshot_that_says_it_is_ours_stays_a_stranger_beside_another_tool(
    tags: set[str],
) -> None:
    known: Known = known_in({(PRACTICE, "onsite")}, OURS, shared=True)

    assert len(strangers([plain(tags=frozenset(tags))], known, {}, ())) == 1


def test_nothing_but_reading_is_done_where_all_is_another_tools() -> None:
    require_ours(RepositoryRequest(plan=make_plan(), repository="onsite"))
    with pytest.raises(UsageMistake, match="only read"):
        require_ours(RepositoryRequest(plan=make_plan(assets=ASSETS), repository="onsite"))
