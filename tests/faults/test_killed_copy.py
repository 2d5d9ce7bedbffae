"""Copying is killed at any instant: what is not whole is no copy; the next round ends it, once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.store.sqlite import open_store
from tests.support.quick_repository import make_quick
from tests.support.site import MARKER, SMALL_EMR, Site, make_small_practice, new_site

WHOLE = {"manifest", "database", "documents"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Make a machine that copies to a second folder, which is there and holds one point."""
    with new_site() as site:
        make_small_practice(site)
        emr = SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
        offsite = f"{{location: {offsite_of(site)}, password: {{file: {site.key}}}}}"
        site.write_plan(
            f"{emr}    backup: {{schedule: every 30m, copy_to: [offsite]}}\n",
            repositories=f"  offsite: {offsite}\n",
        )
        done = site.dro("backup", "riverside", "--json")
        assert done.code == 0, done.said
        assert done.json["points"][0]["repositories"] == ["onsite", "offsite"]
        make_quick(offsite_of(site), site.key.read_text().strip())
        yield site


def offsite_of(site: Site) -> Path:
    return site.folder / "offsite"


def _has_a_lock(site: Site, _before: int) -> bool:
    return _whole_files(offsite_of(site) / "locks") > 0


def _has_new_snapshots(count: int) -> Callable[[Site, int], bool]:
    return lambda site, before: _snapshots_in(site) >= before + count


def _snapshots_in(site: Site) -> int:
    return _whole_files(offsite_of(site) / "snapshots")


def _whole_files(folder: Path) -> int:
    """Return how many there are, but for those that a killed restic was still writing."""
    return sum(len(each.name) == 64 for each in folder.iterdir())


@pytest.mark.parametrize(
    "instant",
    [_has_a_lock, _has_new_snapshots(1), _has_new_snapshots(3)],
    ids=["copying assets", "one asset there", "manifest there"],
)
def test_killed_copy_is_no_copy_until_the_next_round_ended_it(
    site: Site, instant: Callable[[Site, int], bool]
) -> None:
    saved = site.dro("backup", "riverside", "--no-copy", "--json").json["points"][0]
    assert saved["repositories"] == ["onsite"]

    _kill_copying_when(site, instant)

    held = set(_held(site).get(saved["id"], ()))
    assert "manifest" not in held or held == WHOLE
    assert _on_record(site, saved["id"]) == ["onsite"] or held == WHOLE

    again = site.dro("repository", "copy", "riverside", "--json")

    assert again.code == 0, again.said
    assert _on_record(site, saved["id"]) == ["onsite", "offsite"]
    assert all(each == Counter(WHOLE) for each in _held(site).values())
    assert site.leftovers() == []
    for place in (site.repository, offsite_of(site)):
        assert _whole_files(place / "locks") == 0


def test_copy_that_was_killed_and_ended_is_proven(site: Site) -> None:
    test = site.dro("test", "riverside", "--repository", "offsite", "--json")

    assert test.code == 0, test.said
    assert test.json["tests"][0]["repository"] == "offsite"
    assert test.json["tests"][0]["result"] == "passed"


def test_backup_says_what_could_not_be_copied(site: Site) -> None:
    away = offsite_of(site).rename(site.folder / "away")

    done = site.dro("backup", "riverside", "--json")

    away.rename(offsite_of(site))
    assert done.code == 3, done.said
    assert [each["repositories"] for each in done.json["points"]] == [["onsite"]]
    (failed,) = done.json["failures"]
    assert (failed["system"], failed["repository"]) == ("emr", "offsite")
    assert "is gone" in failed["reason"]


def _kill_copying_when(site: Site, instant: Callable[[Site, int], bool]) -> None:
    before = _snapshots_in(site)
    process = site.start("repository", "copy", "riverside")
    last = time.monotonic() + 60
    while not instant(site, before) and process.poll() is None:
        assert time.monotonic() < last
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    while any(line.startswith("process") for line in site.leftovers()):
        assert time.monotonic() < last
        time.sleep(0.05)


def _on_record(site: Site, point: str) -> list[str]:
    with open_store(site.state, SystemClock()) as store:
        return [copy.repository for copy in store.find_point("riverside", point).copies]


def _held(site: Site) -> dict[str, Counter[str]]:
    """Return by point how often `offsite` holds its manifest and each of its assets."""
    listed = json.loads(
        site.restic("snapshots", "--json", "--no-lock", repository=offsite_of(site))
    )
    found: dict[str, Counter[str]] = {}
    for snapshot in listed:
        tags = dict(tag.split("=", 1) for tag in snapshot["tags"])
        found.setdefault(tags["point"], Counter())[tags.get("asset", "manifest")] += 1
    return found
