"""The evidence as an MSP engineer and an auditor handle it: `dro`, and then Python alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.store.sqlite import FILE_NAME
from tests.support.site import Site, make_small_practice, new_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site)
        assert site.dro("backup", "riverside").code == 0
        yield site


def by_python_alone(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-I", file, *words),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_export_is_checked_without_us_and_a_cut_tail_is_found(site: Site) -> None:
    anchored = site.dro("evidence", "anchor", "riverside", "--json")
    assert anchored.code == 0, anchored.said
    assert anchored.json["places"] == ["the repository onsite"]
    head = anchored.json["head"]
    (shown,) = site.dro("evidence", "show", "--json").json["evidence"]
    ((chain,), (kept,)) = (shown["chains"], shown["kept"])
    assert (kept["head"], kept["place"]) == (head, "the repository onsite")

    file = site.folder / "riverside.zip"
    assert site.dro("evidence", "export", "riverside", "--out", str(file)).code == 0
    checked = by_python_alone(file, "--key", chain["key"], "--expect", head)
    assert checked.returncode == 0, checked.stdout

    with sqlite3.connect(site.state / FILE_NAME) as record:
        record.execute("drop trigger evidence_no_delete")
        record.execute("delete from evidence where number >= ?", (anchored.json["number"],))
    found = site.dro("evidence", "verify", "riverside", "--repository", "onsite", "--json")
    assert (found.code, found.json["evidence"][0]["sound"]) == (1, False)
    assert f"the repository onsite keeps entry {anchored.json['number']}" in found.said
    again = site.dro("evidence", "anchor", "riverside")
    assert (again.code, "is not as it was written" in again.stderr) == (1, True)
    status = site.dro("status", "riverside", "--json")
    said = {each["verdict"] for each in status.json["practices"][0]["findings"]}
    assert (status.code, "met" in said) == (5, False)
