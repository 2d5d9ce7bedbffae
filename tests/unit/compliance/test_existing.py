"""What is judged of a system that another tool saves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from dr_orchestrator.compliance.advice import advise
from dr_orchestrator.compliance.judge import judge_all
from dr_orchestrator.compliance.promise import promise_of
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, RecoveryPoint
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import NOTHING_TOLD, Depth, Result, Verification
from dr_orchestrator.plan.schedule import Schedule
from tests.support.clock import START as NOW
from tests.support.evidence import DOCUMENTS, make_plan, make_point, make_record, make_test

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DUMP = AssetSummary(kind=AssetKind.POSTGRES, method=Method.DUMP, bytes=5_000, level="none")
ASSETS = {
    "database": {"kind": "postgres", "existing": {"path": "/srv/dumps/emr.sql"}},
    "documents": {"kind": "files", "existing": {"path": "/srv/documents"}},
}
PLAN = make_plan(assets=ASSETS, rpo="30h")
OWN = {
    "database": {"kind": "postgres", "host": "pg", "database": "emr", "user": "backup"},
    "documents": {"kind": "files", "path": "/srv/documents"},
}


def nightly(age: timedelta = timedelta(0), **changes: Any) -> tuple[RecoveryPoint, ...]:
    """Return a point a night; `age` is how old the dump in the newest ones already was."""
    found = []
    for nights in range(5, 0, -1):
        as_of = NOW - nights * DAY + 20 * HOUR
        written = min(as_of, NOW - age) if age else None
        dump = replace(DUMP, data_as_of=written)
        point = make_point(as_of, assets={"database": dump, "documents": DOCUMENTS}, **changes)
        copies = tuple(replace(each, manifest_snapshot="") for each in point.copies)
        found.append(replace(point, copies=copies))
    return tuple(found)


def finding(points: tuple[RecoveryPoint, ...], objective: Objective) -> Finding:
    found = judge_all(PLAN, make_record(points=points), NOW)
    return next(each for each in found if each.objective is objective)


def test_rpo_is_kept_when_a_snapshot_comes_every_night() -> None:
    assert finding(nightly(), Objective.RPO).verdict is Verdict.MET
    assert finding(nightly(), Objective.COVERAGE).verdict is Verdict.MET
    assert finding(nightly(), Objective.DUMP_AGE).verdict is Verdict.MET


def test_stale_dump_breaks_the_rpo_when_every_snapshot_is_fresh() -> None:
    stale = nightly(age=3 * DAY)

    assert finding(stale, Objective.RPO).verdict is Verdict.BREACHED
    dump = finding(stale, Objective.DUMP_AGE)
    assert dump.verdict is Verdict.BREACHED
    assert "has written nothing since" in dump.reason


def test_test_of_a_point_of_another_tool_proves_nothing_once_we_save() -> None:
    theirs = nightly()
    own_point = make_point(NOW - HOUR, assets={"database": DUMP, "documents": DOCUMENTS})
    of_theirs = make_test(NOW - 2 * HOUR, point=theirs[-1].id, point_as_of=theirs[-1].as_of)
    of_ours = make_test(NOW - HOUR, point=own_point.id, point_as_of=own_point.as_of)
    plan = make_plan(assets=OWN, rpo="30h")

    def verdict(points: tuple[RecoveryPoint, ...], *tests: RestoreTest) -> Verdict:
        found = judge_all(plan, make_record(points=points, tests=tests), NOW)
        return next(e.verdict for e in found if e.objective is Objective.RESTORE_TEST)

    assert verdict((*theirs, own_point), of_theirs) is Verdict.UNPROVEN
    assert verdict((*theirs, own_point), of_theirs, of_ours) is Verdict.MET
    gone = replace(of_theirs, point="gone", point_as_of=theirs[0].as_of)
    assert verdict((*theirs, own_point), gone) is Verdict.UNPROVEN


def test_retention_is_not_judged_when_another_tool_lets_go() -> None:
    onsite = PLAN.repositories["onsite"]
    maintenance = onsite.maintenance.model_copy(update={"forget": Schedule.parse("05:30")})
    forgetting = onsite.model_copy(update={"maintenance": maintenance})
    plan = PLAN.model_copy(update={"repositories": {"onsite": forgetting}})

    objectives = {each.objective for each in judge_all(plan, make_record(points=nightly()), NOW)}

    assert Objective.RETENTION not in objectives


def test_promise_is_not_loosened_when_checks_take_the_place_of_a_baseline() -> None:
    check = {"title": "rows", "asset": "database", "sql": "select 1", "expect": 1}

    before = promise_of(PLAN, {})
    after = promise_of(make_plan(assets=ASSETS, rpo="30h", verify=[check]), {})

    assert not [each for each in before.keys() - after.keys() if "verify" in each]


def test_advice_is_to_have_the_other_tool_save_anew_when_its_point_is_damaged() -> None:
    (point, *_) = nightly()
    test = make_test(NOW, Result.FAILED, point=point.id)

    assert "have the other tool save anew now, have `dro backup`" in advise(test, (), (point,))
    assert "run a new backup now" in advise(test, ())


def test_advice_is_to_say_what_must_be_in_it_when_nothing_else_is_open() -> None:
    def test_of(*reasons: str, depth: Depth) -> str:
        answers = tuple(
            Verification(title="t", asset="a", result=Result.UNPROVEN, reason=each)
            for each in reasons
        )
        test = make_test(NOW, Result.UNPROVEN, verifications=answers, depth=depth)
        return advise(test, ())

    assert test_of(NOTHING_TOLD, depth=Depth.L3).startswith("it restores and loads; nothing says")
    assert test_of(NOTHING_TOLD, depth=Depth.L0).startswith("it restores; nothing says")
    assert test_of(NOTHING_TOLD, "no room", depth=Depth.L3).startswith("remove the cause")
