"""What the record keeps of a point: counts only where they mean something."""

from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.repositories.base import Saved
from dr_orchestrator.repositories.manifests import point_of
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
