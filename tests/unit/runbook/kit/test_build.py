from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from dr_orchestrator.runbook.kit.build import build_kit
from dr_orchestrator.runbook.kit.contents import kit_json
from dr_orchestrator.runbook.kit.given import inputs_of
from tests.support.evidence import full_id, make_test
from tests.support.kits import MADE, OLDER, PLAN, POINT, make_input, no_paper, plan_of, shipped

_REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "kit.md"


def test_kit_is_the_same_bytes_of_the_same_input() -> None:
    assert build_kit(make_input(), no_paper) == build_kit(make_input(), no_paper)


def test_kit_lists_the_hash_of_each_of_its_files() -> None:
    kit = build_kit(make_input(restic={"restic_windows.exe": b"MZ"}), no_paper)
    stated = dict(line.split("  ")[::-1] for line in kit.files["SHA256SUMS"].decode().splitlines())
    assert stated == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in kit.files.items()
        if name != "SHA256SUMS"
    }
    assert kit.files["restic/restic_windows.exe"] == b"MZ"


def test_kit_says_that_it_has_no_paper_where_none_can_be_made() -> None:
    without = build_kit(make_input(), no_paper)
    assert "kit.pdf" not in without.files
    assert b"There is no kit.pdf" in without.files["START-HERE.html"]
    having = build_kit(make_input(), lambda _page, _made: b"%PDF")
    assert having.files["kit.pdf"] == b"%PDF"
    assert b'href="kit.pdf"' in having.files["START-HERE.html"]


def test_kit_holds_a_page_of_each_runbook_for_each_system_it_may_be_needed_for() -> None:
    files = build_kit(make_input(), no_paper).files
    assert "runbooks/triage.html" in files
    assert {"runbooks/data-deleted.emr.html", "runbooks/data-deleted.directory.html"} <= set(files)


def test_names_of_a_plan_are_text_on_every_page() -> None:
    loaded = plan_of(PLAN.replace("title: Telephones", "title: '<script>alert(1)</script>'"))
    for name, content in build_kit(make_input(loaded=loaded), no_paper).files.items():
        if name.endswith(".html"):
            assert b"<script" not in content, name
            assert b"Riverside &amp; Sons" in content, name


def test_inputs_change_with_the_plan_and_with_each_runbook_and_with_nothing_else() -> None:
    loaded, runbooks = plan_of(), shipped()
    plain = inputs_of(loaded, runbooks)
    triage = replace(runbooks["triage"], sha256=full_id("edited"))
    others = (
        inputs_of(plan_of(f"{PLAN}# edited\n"), runbooks),
        inputs_of(loaded, {**runbooks, "triage": triage}),
        inputs_of(loaded, {name: each for name, each in runbooks.items() if name != "triage"}),
    )
    assert len({plain, *others}) == 4
    assert plain == inputs_of(plan_of(), dict(reversed(runbooks.items())))


def test_kit_json_holds_what_its_reference_describes() -> None:
    content = json.loads(kit_json(make_input()))
    words = _REFERENCE.read_text()
    for field in content:
        assert f"`{field}" in words, field
    for way in content["repositories"].values():
        for field in way:
            assert f"`repositories.ID.{field}`" in words, field
    for system in content["systems"].values():
        for field in system:
            assert f"`systems.ID.{field}" in words, field
    for field in content["points"]["emr"][0]:
        assert f".{field}" in words, field


def test_kit_json_names_the_newest_point_of_each_repository() -> None:
    newest = make_test(MADE, point=POINT.id, repository="offsite")
    share = make_test(MADE, point=POINT.id, repository="onsite", part=1, parts=20)
    content = json.loads(kit_json(make_input(tests=(newest, share))))
    assert [(each["id"], each["repository"]) for each in content["points"]["emr"]] == [
        (POINT.id, "onsite"),
        (POINT.id, "offsite"),
    ]
    assert [each["proven"] for each in content["points"]["emr"]] == [None, MADE.isoformat()]
    assert content["points"]["directory"] == []
    assert OLDER.id not in str(content)


def test_kit_json_keeps_the_order_of_recovery() -> None:
    systems = json.loads(kit_json(make_input()))["systems"]
    assert {name: each["order"] for name, each in systems.items()} == {"directory": 1, "emr": 2}
    assert systems["emr"]["waits_for"] == ["directory"]


def test_kit_json_says_where_keys_are_and_holds_none() -> None:
    ways = json.loads(kit_json(make_input()))["repositories"]
    assert ways["onsite"]["key"] == "MSP vault, entry riverside"
    assert (
        ways["offsite"]["key"] == "file /etc/dro/keys/offsite of the machine that made the backups"
    )
    assert ways["offsite"]["environment"] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert ways["offsite"]["region"] == "us-east-2"
    assert (ways["server"]["user"], ways["server"]["environment"]) == (
        "riverside",
        ["RESTIC_REST_PASSWORD"],
    )
