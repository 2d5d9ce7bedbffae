"""What the tags of a repository tell, and that names which are none lead nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.manifests import FoundManifest, asset_tags, manifest_tags
from dr_orchestrator.takeover.found import other_texts, practices_in
from tests.support.evidence import full_id
from tests.support.kits import manifest_of

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)


def saved(tags: dict[str, str], age: int = 0) -> Snapshot:
    return Snapshot(
        id=full_id(tags, age),
        time=NOW - timedelta(hours=age),
        hostname="riverside",
        tags=frozenset(f"{key}={value}" for key, value in tags.items()),
        paths=("/x",),
        original=None,
    )


def test_practices_in_lists_points_by_manifest_oldest_first() -> None:
    listed = practices_in(
        [
            saved(manifest_tags("riverside", "emr", "p2"), 1),
            saved(manifest_tags("riverside", "emr", "p1"), 2),
            saved(manifest_tags("lakeside", "files", "q1"), 3),
            saved(asset_tags("riverside", "emr", "p3", "database")),
        ]
    )

    assert {name: [each.id for each in points] for name, points in listed.items()} == {
        "lakeside": ["q1"],
        "riverside": ["p1", "p2"],
    }


def test_practices_in_passes_over_names_that_are_none() -> None:
    hostile = [
        ("../../etc", "emr", "p1"),
        ("", "emr", "p1"),
        ("riverside", "../emr", "p1"),
        ("riverside", "emr", "p/1"),
        ("Riverside", "emr", "p1"),
        ("riverside", "emr", ""),
    ]

    assert practices_in(saved(manifest_tags(*each)) for each in hostile) == {}


def test_texts_of_a_point_that_was_passed_over_are_no_advice() -> None:
    other = FoundManifest(manifest_of({}), full_id("m"), full_id("sha"), "/m")

    assert "take those: --point" in other_texts(other, "the newest", is_usable=True)
    assert "--point" not in other_texts(other, "the newest", is_usable=False)
