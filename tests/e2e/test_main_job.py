"""The main job, as a person runs it: plan, backup, test, status, report, restore."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import Site, make_small_practice, new_site

Protected = tuple[Site, dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def protected() -> Iterator[Protected]:
    """Make a practice that was backed up and tested once."""
    with new_site(repository=False) as site:
        make_small_practice(site)
        backup = site.dro("backup", "riverside", "--json", "--label", "first", "--hold", "90d")
        assert backup.code == 0, backup.said
        test = site.dro("test", "riverside", "--json")
        assert test.code == 0, test.said
        yield site, backup.json, test.json


def test_backup_prints_the_keys_others_rely_on(protected: Protected) -> None:
    _, backup, _ = protected
    assert backup["schema"] == 1
    assert backup["failures"] == []
    (point,) = backup["points"]
    assert point["system"] == "emr"
    assert point["repositories"] == ["onsite"]
    assert set(point["assets"]) == {"database", "documents"}
    for asset in point["assets"].values():
        assert len(asset["snapshot"]) == 64
        assert asset["bytes"] > 0


def test_test_passes_at_depth_4_with_the_keys_others_rely_on(protected: Protected) -> None:
    _, backup, tested = protected
    (test,) = tested["tests"]
    assert (test["result"], test["depth"]) == ("passed", "L4")
    assert test["point"] == backup["points"][0]["id"]
    assert {
        "system",
        "repository",
        "rta_data_seconds",
        "rta_service_seconds",
        "proof_seconds",
        "rpa_seconds",
        "data_age_seconds",
        "sandbox",
        "verifications",
        "next",
    } <= set(test)
    assert 0 < test["rta_data_seconds"] <= test["rta_service_seconds"]
    assert {each["result"] for each in test["verifications"]} == {"passed"}
    titles = {each["title"] for each in test["verifications"]}
    assert {"every visit has its patient", "scanned documents"} <= titles


def test_nothing_is_left_behind(protected: Protected) -> None:
    site, _, _ = protected
    assert site.leftovers() == []
    assert site.restic("list", "locks", "--no-lock").strip() == ""


def test_points_lists_the_point_with_its_label(protected: Protected) -> None:
    site, backup, _ = protected
    listed = site.dro("points", "riverside", "--json").json["points"]
    assert [(each["id"], each["label"]) for each in listed] == [
        (backup["points"][0]["id"], "first")
    ]


def test_point_is_held_as_long_as_was_said_and_its_label_with_it(protected: Protected) -> None:
    site, backup, _ = protected
    (point,) = backup["points"]
    until = datetime.fromisoformat(point["as_of"]) + timedelta(days=90)
    assert point["hold"] == {"until": until.isoformat(), "reason": "first"}

    assert f"  first  held until {until:%Y-%m-}" in site.dro("points", "riverside").stdout
    shown = site.dro("retention", "show", "riverside").stdout
    assert "): first" in shown
    assert "labelled" not in shown
    for wrong in ("90", "0d", "until Friday"):
        refused = site.dro("backup", "riverside", "--hold", wrong)
        assert (refused.code, "write 90d" in refused.stderr) == (2, True)


def test_status_says_kept_after_a_passed_test(protected: Protected) -> None:
    site, _, _ = protected
    status = site.dro("status", "riverside", "--json")
    assert status.code == 0, status.said
    (practice,) = status.json["practices"]
    assert practice["verdict"] == "met", practice
    objectives = {each["objective"] for each in practice["findings"]}
    assert {"coverage", "rpo", "rto", "restore_test", "copies"} <= objectives


def test_report_writes_one_page(protected: Protected, tmp_path: Path) -> None:
    site, _, _ = protected
    out = site.folder / "pages"
    assert site.dro("report", "riverside", "--out", str(out)).code == 0
    page = (out / "riverside.html").read_text()
    assert "Electronic medical record" in page
    assert "Patient 1" not in page
    assert "scan-1" not in page


def test_restore_brings_everything_back_to_a_new_directory(protected: Protected) -> None:
    site, _, _ = protected
    place = site.folder / "restored"
    restored = site.dro("restore", "riverside", "--system", "emr", "--to", str(place), "--json")
    assert restored.code == 0, restored.said
    result = restored.json["restored"]
    for original in site.documents.iterdir():
        copy = Path(result["documents"]["path"]) / site.documents.name / original.name
        assert _sha256(copy) == _sha256(original)
    database = next(Path(result["database"]["path"]).glob("*.sqlite3"))
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from visit").fetchone() == (160,)


def test_restore_refuses_a_directory_that_exists(protected: Protected) -> None:
    site, _, _ = protected
    place = site.folder / "mine"
    place.mkdir()
    refused = site.dro("restore", "riverside", "--system", "emr", "--to", str(place))
    assert refused.code == 2
    assert "exists already" in refused.stderr
    assert list(place.iterdir()) == []


def test_points_rebuild_finds_the_same_points_on_an_empty_machine(protected: Protected) -> None:
    site, backup, _ = protected
    with new_site(repository=False) as other:
        other.plan.write_text(site.plan.read_text())
        rebuilt = other.dro("points", "rebuild", "riverside", "--repository", "onsite", "--json")
        assert rebuilt.code == 0, rebuilt.said
        made = [{**point, "hold": None} for point in backup["points"]]
        assert _by_id(rebuilt.json["points"]) == _by_id(made)
        test = other.dro("test", "riverside", "--json")
        assert test.code == 0, test.said
        place = other.folder / "restored"
        restore = other.dro("restore", "riverside", "--system", "emr", "--to", str(place))
        assert restore.code == 0, restore.said


def test_the_repository_alone_says_what_it_holds(protected: Protected) -> None:
    site, backup, _ = protected
    place = site.folder / "by-hand"
    snapshots = site.restic("snapshots", "--tag", "dro=manifest", "--no-lock")
    assert snapshots.count("dro=manifest") == 1
    site.restic("restore", "latest", "--tag", "dro=manifest", "--target", str(place))
    (manifest,) = place.rglob("manifest.json")
    assert backup["points"][0]["id"] in manifest.read_text()
    assert "rpo: 1h" in (manifest.parent / "plan.yaml").read_text()
    shutil.rmtree(place)


def _by_id(points: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(points, key=lambda point: str(point["id"]))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
