"""What the record keeps of a point: counts only where they mean something."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.errors import ManifestInvalid
from dr_orchestrator.repositories.base import Saved, Snapshot
from dr_orchestrator.repositories.manifests import point_of, resolve
from tests.support.clock import START

SAVED = Saved(snapshot="ab", files=40, bytes=7000, added_bytes=900, changed_files=3)


def _state(kind: AssetKind, method: Method) -> AssetState:
    return AssetState(
        kind=kind,
        method=method,
        scope="tree",
        snapshot="ab",
        path="/srv",
        bytes=7000,
        captured_at=START,
    )


MANIFEST = Manifest(
    point="p",
    practice="riverside",
    practice_name="Riverside",
    system="emr",
    run="p",
    as_of=START,
    finished=START + timedelta(minutes=1),
    skew_seconds=0.0,
    repository="r",
    assets={
        "documents": _state(AssetKind.FILES, Method.TREE),
        "database": _state(AssetKind.POSTGRES, Method.LOGICAL),
        "elsewhere": _state(AssetKind.FILES, Method.TREE),
    },
    recoverable=Recoverable(start=START, end=START),
    plan_sha256="c",
    made_by="a test",
)


def test_point_of_counts_files_of_trees_and_what_was_new_of_everything() -> None:
    point = point_of(MANIFEST, (), {"documents": SAVED, "database": SAVED})

    counts = {
        name: (each.files, each.changed_files, each.added_bytes)
        for name, each in point.assets.items()
    }
    assert counts == {
        "documents": (40, 3, 900),
        "database": (None, None, 900),
        "elsewhere": (None, None, None),  # the repository that is saved to first did not take it
    }


def test_point_of_counts_nothing_that_was_found_in_a_repository() -> None:
    point = point_of(MANIFEST, ())

    assert {each.added_bytes for each in point.assets.values()} == {None}


def _snapshot(identity: str, *, original: str | None = None, tree: str = "t") -> Snapshot:
    return Snapshot(
        id=identity,
        time=START,
        hostname="riverside",
        tags=frozenset(),
        paths=("/srv",),
        original=original,
        tree=tree,
    )


def test_resolve_finds_a_snapshot_by_the_id_it_was_saved_with() -> None:
    saved, copied = _snapshot("a"), _snapshot("c", original="b")

    assert resolve([saved, copied], "a") == saved
    assert resolve([saved, copied], "b") == copied
    assert resolve([saved, copied], "d") is None


def test_resolve_believes_no_copy_beside_the_snapshot_itself() -> None:
    saved, forged = _snapshot("a"), _snapshot("f", original="a", tree="another")

    assert resolve([forged, saved], "a") == saved


def test_resolve_takes_one_of_two_that_hold_the_same() -> None:
    twice = [_snapshot("b", original="a"), _snapshot("c", original="a")]

    assert resolve(twice, "a") in twice


def test_resolve_takes_none_of_two_that_hold_different_things() -> None:
    copied, forged = _snapshot("b", original="a"), _snapshot("f", original="a", tree="another")

    with pytest.raises(ManifestInvalid, match="2 different snapshots"):
        resolve([copied, forged], "a")
