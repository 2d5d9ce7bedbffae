"""A drill of a practice with four systems, as a person runs it: in order, side by side, to the end.

The portal needs the record and the shares, and both need the directory.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.site import MARKER, SMALL_EMR, Site, make_small_practice, new_site

OTHERS = """\
  directory: {{rto: 24h, rpo: 1h, importance: routine, runbook: short, assets: {{users: {files}}}}}
  shares: {{rto: 8h, rpo: 1h, runbook: short, depends_on: [directory], assets: {{files: {files}}}}}
  portal: {{rto: 24h, rpo: 1h, importance: routine, runbook: short,
    depends_on: [emr, shares, phones], assets: {{pages: {files}}}}}
  phones: {{protected_by: the telephone company}}
"""
SHORT = """\
version: 1
title: It is lost
when: it is lost
lanes: {responder: {title: Responder}}
steps:
  - {id: unplug, lane: responder, kind: manual, do: Pull the cable., normal: 5m}
  - {id: restore, lane: responder, kind: restore, do: Restore it.,
     restore: {systems: [this]}}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
WAITS = {
    "directory": [],
    "emr": ["directory"],
    "shares": ["directory"],
    "portal": ["emr", "shares"],
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Make a practice of four systems, backed up once; two are restored at a time."""
    with new_site() as site:
        make_small_practice(site)
        emr = SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
        files = f"{{kind: files, path: {site.documents}, marker: {MARKER}}}"
        dependent = emr.replace("    rto: 4h\n", "    rto: 4h\n    depends_on: [directory]\n")
        site.write_plan(
            dependent.replace("  emr:\n", "  emr:\n    importance: critical\n")
            + OTHERS.format(files=files)
        )
        (site.folder / "runbooks").mkdir()
        (site.folder / "runbooks" / "short.yaml").write_text(SHORT)
        with (site.folder / "dro.yaml").open("a") as settings:
            settings.write("work_jobs: 2\n")
        backup = site.dro("backup", "riverside")
        assert backup.code == 0, backup.said
        yield site


@pytest.fixture(scope="module")
def drilled(site: Site) -> dict[str, Any]:
    """Drill the practice once."""
    ended = site.dro("drill", "riverside", "--by", "Jo", "--json")
    assert ended.code == 0, ended.said
    drill: dict[str, Any] = ended.json["drill"]
    return drill


def store_of(site: Site) -> Store:
    return open_store(site.state, SystemClock())


def test_drill_brings_all_systems_back_in_recovery_order(drilled: dict[str, Any]) -> None:
    systems = {each["system"]: each for each in drilled["systems"]}

    assert drilled["result"] == "passed"
    assert {name: each["waited_for"] for name, each in systems.items()} == WAITS
    assert list(systems) == ["directory", "emr", "shares", "portal"]
    for name, each in systems.items():
        assert each["result"] == "passed", each
        assert each["kept"] == "kept"
        assert all(systems[other]["ready_seconds"] < each["begun_seconds"] for other in WAITS[name])
    assert systems["portal"]["ready_seconds"] <= drilled["seconds"]


def test_drill_restores_side_by_side_what_does_not_wait_for_each_other(
    drilled: dict[str, Any],
) -> None:
    emr, shares = drilled["systems"][1:3]

    assert emr["begun_seconds"] < shares["ready_seconds"]
    assert shares["begun_seconds"] < emr["ready_seconds"]


def test_drill_names_the_critical_path(drilled: dict[str, Any]) -> None:
    ready = {each["system"]: each["ready_seconds"] for each in drilled["systems"]}
    path = drilled["critical_path"]

    assert path == ["directory", max("emr", "shares", key=ready.__getitem__), "portal"]
    assert [ready[each] for each in path] == sorted(ready[each] for each in path)


def test_drill_is_recorded_with_its_restore_tests_and_runbook_runs(
    site: Site, drilled: dict[str, Any]
) -> None:
    with store_of(site) as store:
        (drill,) = store.followed.drills("riverside")
        runs = store.followed.of_incident(drill.id)
        tests = {each.id: each for each in store.tests("riverside")}
        for each in drill.systems:
            moves = store.followed.moves(each.run)
            assert moves[-1].ending is not None
            assert [m.restore_test for m in moves if m.restore_test] == [each.restore_test]
            assert tests[each.restore_test].system == each.system
            assert each.by_hand_seconds > 0
        exercised = store.followed.exercised("riverside")

    assert (drill.id, drill.by, drill.seconds) == (drilled["id"], "Jo", drilled["seconds"])
    assert {each.system for each in runs} == set(WAITS)
    assert {each.id for each in runs} == {each.run for each in drill.systems}
    assert {each.system for each in exercised if each.step == "restore"} == set(WAITS)
    assert site.leftovers() == []


def test_runs_shows_the_drill(site: Site, drilled: dict[str, Any]) -> None:
    shown = site.dro("runs", "show", drilled["id"])

    assert shown.code == 0, shown.said
    assert "drill" in shown.stdout


def test_drill_that_is_stopped_leaves_no_sandbox_and_no_drill(
    site: Site, drilled: dict[str, Any]
) -> None:
    process = site.start("drill", "riverside", "--system", "emr", "--system", "portal")
    assert process.stdout is not None
    for line in process.stdout:
        if b"emr: restoring" in line:
            break
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert site.leftovers() == []
    with store_of(site) as store:
        assert [each.id for each in store.followed.drills("riverside")] == [drilled["id"]]
        assert store.followed.runs("riverside", open_only=True) == ()
        history = store.runs(["riverside"], since=START, limit=50)
    drills = [each.outcome for each in history.closed if each.operation is Operation.DRILL]
    assert sorted(map(str, drills)) == [Outcome.DONE, Outcome.INTERRUPTED]
    assert history.open == ()


def test_damaged_system_fails_the_drill_and_the_others_are_tried_all_the_same(
    site: Site, drilled: dict[str, Any]
) -> None:
    before = set(packs(site))
    (site.documents / "new.bin").write_bytes(os.urandom(100_000))
    assert site.dro("backup", "riverside", "--system", "directory").code == 0
    for pack in set(packs(site)) - before:
        pack.unlink()

    ended = site.dro("drill", "riverside", "--json")

    drill = ended.json["drill"]
    directory, *others = drill["systems"]
    assert (ended.code, drill["result"]) == (1, "failed"), ended.said
    assert (directory["result"], directory["ready_seconds"]) == ("failed", None)
    assert [each["result"] for each in others] == ["passed"] * 3
    assert drill["reason"] == f"directory: {directory['reason']}"
    assert f"directory: FAILED: {directory['reason']}" in ended.stderr
    assert f"`dro runs show {directory['restore_test']}`" in ended.stderr


def packs(site: Site) -> Iterator[Path]:
    return (each for each in (site.repository / "data").glob("*/*") if each.is_file())
