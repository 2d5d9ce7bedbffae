"""Whose a snapshot is: ours by what is on record, whatever it says of itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.maintenance.strangers import known_in, strangers, unrecorded
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.manifests import asset_tags, manifest_tags
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, SYSTEM, full_id, make_point, make_run

HOUR = timedelta(hours=1)
POINTS = tuple(
    make_point(NOW - hours * HOUR, repositories=("onsite", "offsite")) for hours in (1, 2)
)
NAMES = {(PRACTICE, "onsite")}
FIRST, SECOND = (point.copies[0] for point in POINTS)


def snapshot(
    identity: str, *, original: str | None = None, tree: str = "", **tags: str
) -> Snapshot:
    return Snapshot(
        id=identity,
        time=NOW,
        hostname=PRACTICE,
        tags=frozenset(f"{key}={value}" for key, value in tags.items()),
        paths=("/",),
        original=original,
        tree=tree or full_id(identity, "tree"),
    )


def of_point(
    point: RecoveryPoint, identity: str, asset: str = "", *, original: str | None = None
) -> Snapshot:
    tags = (
        asset_tags(PRACTICE, SYSTEM, point.id, asset)
        if asset
        else manifest_tags(PRACTICE, SYSTEM, point.id)
    )
    return snapshot(identity, original=original, **tags)


OURS = (
    of_point(POINTS[0], FIRST.manifest_snapshot),
    of_point(POINTS[0], FIRST.snapshots["database"], "database"),
    of_point(POINTS[0], FIRST.snapshots["documents"], "documents"),
    of_point(POINTS[1], SECOND.manifest_snapshot),
)


def strange(
    *more: Snapshot,
    ours: Iterable[Snapshot] = OURS,
    runs: Iterable[Run] = (),
    names: Collection[tuple[str, str]] = NAMES,
    points: Iterable[RecoveryPoint] = POINTS,
    accepted: Collection[str] = (),
) -> list[str]:
    """Return why each is strange, in the order listed."""
    known = known_in(names, points)
    found = strangers((*ours, *more), known, {run.id: run for run in runs}, accepted)
    return [each.why for each in found]


def test_nothing_on_record_is_strange() -> None:
    assert strange() == []


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({}, "does not say what it is"),
        ({"practice": "lakeside"}, "of a practice that nothing of is kept here"),
        (asset_tags(PRACTICE, SYSTEM, "20261121-000000-forged", "database"), "on no record"),
        (manifest_tags(PRACTICE, SYSTEM, "20261121-000000-forged"), "on no record"),
        ({"dro": "whatever", "practice": PRACTICE}, "on no record"),
        (
            manifest_tags(PRACTICE, SYSTEM, POINTS[0].id),
            f"another manifest of recovery point {POINTS[0].id}",
        ),
        (asset_tags(PRACTICE, SYSTEM, POINTS[0].id, "database"), "on no record"),
    ],
)
def test_what_is_on_no_record_is_strange_whatever_its_tags_say(
    tags: dict[str, str], why: str
) -> None:
    (found,) = strange(snapshot(full_id("forged"), **tags))
    assert why in found


def test_what_a_person_accepted_is_strange_no_more() -> None:
    forged = snapshot(full_id("forged"))
    assert strange(forged, accepted=[forged.id]) == []
    assert len(strange(forged, accepted=[full_id("another")])) == 1


@pytest.mark.parametrize("kind", ["owner", "probe"])
def test_what_is_no_point_of_ours_is_not_strange(kind: str) -> None:
    assert strange(snapshot(full_id(kind), dro=kind, practice=PRACTICE)) == []
    assert len(strange(snapshot(full_id(kind), dro=kind, practice="lakeside"))) == 1


def test_another_practice_of_this_memory_is_known_in_a_shared_repository() -> None:
    lakeside = replace(POINTS[0], practice="lakeside")
    its = replace(OURS[0], id=full_id("lakeside"), tags=frozenset({"practice=lakeside"}))
    copy = replace(FIRST, manifest_snapshot=its.id, repository="cellar", snapshots={})
    points = (*POINTS, replace(lakeside, copies=(copy,)))
    assert strange(its, names={*NAMES, ("lakeside", "cellar")}, points=points) == []
    assert len(strange(its, points=points)) == 1


# --- what our own runs leave ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "explained"),
    [(None, True), (Outcome.INTERRUPTED, True), (Outcome.FAILED, True), (Outcome.DONE, False)],
)
def test_manifest_that_was_not_recorded_is_ours_only_where_its_run_did_not_end_well(
    outcome: Outcome | None, *, explained: bool
) -> None:
    point = make_point(NOW)
    run = make_run(NOW, id=point.id, outcome=outcome)
    assert (strange(of_point(point, full_id("left")), runs=[run]) == []) is explained
    assert strange(of_point(point, full_id("left"), "database"), runs=[run]) == []


def test_run_of_ours_explains_no_second_manifest_of_its_point() -> None:
    run = make_run(NOW, id=POINTS[0].id, outcome=Outcome.INTERRUPTED)
    assert len(strange(of_point(POINTS[0], full_id("second")), runs=[run])) == 1


def test_run_of_another_practice_explains_nothing() -> None:
    point = make_point(NOW)
    run = make_run(NOW, id=point.id, practice="lakeside")
    assert len(strange(of_point(point, full_id("left"), "database"), runs=[run])) == 1


def test_unrecorded_are_the_points_whose_runs_may_explain_them() -> None:
    left = of_point(make_point(NOW), full_id("left"), "database")
    foreign = snapshot(full_id("foreign"))
    assert unrecorded((*OURS, left, foreign), known_in(NAMES, POINTS)) == {make_point(NOW).id}


# --- copies, and what was tagged anew -------------------------------------------------------------


def test_copy_on_its_way_here_is_not_strange() -> None:
    point = make_point(NOW, repositories=("offsite",))
    (there,) = point.copies
    coming = of_point(point, full_id("arrived"), original=there.manifest_snapshot)
    assert strange(coming, points=(*POINTS, point)) == []


def test_snapshot_that_was_tagged_anew_is_not_strange() -> None:
    tagged = replace(OURS[0], id=full_id("tagged"), original=OURS[0].id)
    assert strange(tagged, ours=OURS[1:]) == []
    assert strange(tagged) == []  # where nothing can be removed, the first one stays beside it


def test_snapshot_that_claims_to_be_one_of_ours_and_holds_something_else_is_strange() -> None:
    forged = replace(OURS[0], id=full_id("forged"), original=OURS[0].id, tree=full_id("evil"))
    (why,) = strange(forged)
    assert "holds something else" in why


TAGS = st.dictionaries(
    st.sampled_from(["dro", "practice", "system", "point", "asset"]),
    st.sampled_from(
        ["asset", "manifest", PRACTICE, SYSTEM, POINTS[0].id, POINTS[1].id, "database"]
    ),
)


@given(st.lists(TAGS, max_size=5))
def test_what_others_save_makes_nothing_of_ours_strange(forged: list[dict[str, str]]) -> None:
    known = known_in(NAMES, POINTS)
    saved = [snapshot(full_id(number), **tags) for number, tags in enumerate(forged)]
    found = strangers((*saved, *OURS), known, {}, ())
    assert [each.snapshot for each in found] == saved
