"""Somebody edits a plan so that less is promised: it is on record, and open until it is signed."""

from __future__ import annotations

import contextlib
import getpass
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.store.sqlite import open_store
from tests.support.site import Site, new_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as site:
        site.documents.mkdir()
        (site.documents / "letter.txt").write_text("a letter")
        yield site


def _promise(site: Site, rto: str) -> None:
    site.write_plan(
        f"  files:\n    title: Shared files\n    rto: {rto}\n    rpo: 1h\n    assets:\n"
        f"      share: {{kind: files, path: {site.documents}}}\n"
    )


def _promises(site: Site) -> tuple[PromiseMade, ...]:
    with contextlib.closing(open_store(site.state, SystemClock())) as store:
        return store.practice_record("riverside").promises


def _lines(site: Site, kind: str) -> list[Any]:
    with contextlib.closing(open_store(site.state, SystemClock())) as store:
        return [read_line(line) for line in store.evidence.lines("riverside", kinds={kind})]


def _finding(site: Site, objective: str) -> dict[str, Any] | None:
    (practice,) = site.dro("status", "riverside", "--json").json["practices"]
    found = [each for each in practice["findings"] if each["objective"] == objective]
    return found[0] if found else None


def test_a_loosened_promise_is_on_record_before_the_next_backup_and_shown_until_it_is_signed(
    site: Site,
) -> None:
    _promise(site, "4h")
    assert site.dro("backup", "riverside").code == 0

    _promise(site, "24h")
    assert site.dro("backup", "riverside").code == 0

    first, second = _promises(site)
    (change,) = second.loosened
    assert (change.field, change.before, change.after) == ("systems.files.rto", "4h", "24h")
    assert second.by == getpass.getuser()
    assert second.known_by == f"owner of the file {site.plan}"
    runs = _lines(site, "run_opened")
    recorded = _lines(site, "promise_recorded")
    assert [line.about["id"] for line in recorded] == [first.id, second.id]
    assert recorded[1].about["changes"][0]["direction"] == "loosened"
    assert recorded[1].number < runs[-1].number  # before the run that was made by it
    open_now = _finding(site, "acceptance")
    assert open_now is not None
    assert open_now["verdict"] == "unproven"
    assert "4 h became 24 h" in open_now["reason"]
    assert "not accepted by the practice" in open_now["reason"]
    changed = {
        (line.about["objective"], line.about["verdict"]) for line in _lines(site, "finding_changed")
    }
    assert ("acceptance", "unproven") in changed


def test_a_plan_that_is_tried_by_its_path_is_recorded_as_the_one_that_ran(site: Site) -> None:
    before = len(_promises(site))
    edited = site.folder / "edited.yaml"
    shutil.copy(site.plan, edited)
    edited.write_text(edited.read_text().replace("rto: 24h", "rto: 9h"))

    assert site.dro("test", str(edited)).code == 0
    assert site.dro("backup", "riverside").code == 0

    tried, *back = _promises(site)[before:]
    assert tried.fields["systems.files.rto"] == "9h"
    assert tried.known_by == f"owner of the file {edited}"
    assert [each.fields["systems.files.rto"] for each in back] == ["24h"]
