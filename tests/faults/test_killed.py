"""`dro` is killed at any instant, and run again: nothing is lost, nothing is left, nothing lies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.site import Site, make_small_practice, new_site

_INSTANTS = 6
"""Kills are spread evenly over the time the command takes."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site, patients=2_000, documents=600)
        assert site.dro("backup", "riverside").code == 0
        assert site.dro("test", "riverside").code == 0
        yield site


def _kill_at(site: Site, fraction: float, takes: float, *words: str) -> int | None:
    """Run `dro`, kill it at a fraction of its time, and return its exit code."""
    process = site.start(*words)
    try:
        process.wait(fraction * takes)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode


def _seconds(site: Site, *words: str) -> float:
    begun = time.monotonic()
    assert site.dro(*words).code == 0
    return time.monotonic() - begun


def _wait_for_children_to_end(site: Site) -> None:
    """Give the kernel a moment to end what a killed process started."""
    for _ in range(100):
        if not any(line.startswith("process") for line in site.leftovers()):
            return
        time.sleep(0.05)
    raise AssertionError(site.leftovers())


@pytest.mark.parametrize("instant", range(_INSTANTS))
def test_backup_killed_leaves_older_points_whole_and_the_next_run_cleans_up(
    site: Site, instant: int
) -> None:
    before = site.dro("points", "riverside", "--json").json["points"]
    takes = _seconds(site, "backup", "riverside")
    _kill_at(site, (instant + 0.5) / _INSTANTS, takes, "backup", "riverside")
    _wait_for_children_to_end(site)

    again = site.dro("backup", "riverside", "--json")
    assert again.code == 0, again.said
    assert site.leftovers() == []
    assert site.restic("list", "locks", "--no-lock").strip() == ""
    known = site.dro("points", "riverside", "--json").json["points"]
    assert {point["id"] for point in before} <= {point["id"] for point in known}
    assert _points_with_all_snapshots(site) >= {point["id"] for point in known}
    test = site.dro("test", "riverside", "--json")
    assert test.code == 0, test.said
    assert test.json["tests"][0]["point"] == again.json["points"][0]["id"]


@pytest.mark.parametrize("instant", range(_INSTANTS))
def test_test_killed_leaves_nothing_of_a_patient_after_the_next_start(
    site: Site, instant: int
) -> None:
    takes = _seconds(site, "test", "riverside")
    _kill_at(site, (instant + 0.5) / _INSTANTS, takes, "test", "riverside")
    _wait_for_children_to_end(site)

    again = site.dro("test", "riverside", "--json")
    assert again.code == 0, again.said
    assert site.leftovers() == []
    assert site.restic("list", "locks", "--no-lock").strip() == ""


@pytest.mark.parametrize("fraction", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("words", [("backup", "riverside"), ("test", "riverside")])
def test_a_stopped_command_cleans_up_after_itself_and_says_so(
    site: Site, fraction: float, words: tuple[str, ...]
) -> None:
    """It is stopped late too: then it cleans up already, and must go on doing so."""
    takes = _seconds(site, *words)
    for stop in (signal.SIGINT, signal.SIGTERM):
        process = site.start(*words)
        time.sleep(fraction * takes)
        os.kill(process.pid, stop)
        _, stderr = process.communicate(timeout=60)
        ended_before = process.returncode == 0 and fraction > 0.5
        assert process.returncode == 130 or ended_before, stderr
        assert site.leftovers() == []
        assert site.restic("list", "locks", "--no-lock").strip() == ""


def _points_with_all_snapshots(site: Site) -> set[str]:
    """Return the points whose manifest and assets are all in the repository."""
    listed = json.loads(site.restic("snapshots", "--json", "--no-lock"))
    by_point: dict[str, set[str]] = {}
    for snapshot in listed:
        tags = dict(tag.split("=", 1) for tag in snapshot["tags"])
        by_point.setdefault(tags["point"], set()).add(tags.get("asset", "manifest"))
    whole = {"database", "documents", "manifest"}
    return {point for point, held in by_point.items() if held >= whole}
