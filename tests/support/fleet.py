"""Sites as they publish themselves: made-up, and signed with a key that is none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dr_orchestrator.core.finding import Finding
from dr_orchestrator.core.problem import ProblemKind
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.fleet.publication import fingerprint, sign
from dr_orchestrator.fleet.read import Fleet, read_fleet
from dr_orchestrator.fleet.status import PracticeStatus, SiteProblem, SiteStatus
from tests.support.practices import NOW

SEED = bytes(range(32))
OTHER_SEED = bytes(reversed(range(32)))
INTERVAL = timedelta(minutes=15)


def practice(
    *findings: Finding, practice: str = "riverside", titles: Mapping[str, str] | None = None
) -> PracticeStatus:
    """Return a practice with these findings, and nothing else."""
    return PracticeStatus(
        practice=practice,
        name=practice.title(),
        titles=titles or {},
        findings=findings,
        paused={},
        forecasts=(),
        points=(),
        tests=(),
        runs=(),
    )


def site(*practices: PracticeStatus, name: str = "riverside-box", **more: Any) -> SiteStatus:
    """Return a site with these practices, and no trouble of its own."""
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "made_at": NOW,
        "problems": (),
        "scheduler_seen_at": None,
        "journal": None,
        **more,
    }
    return SiteStatus(site=name, practices=practices, **fields)


def problem(
    name: str = "p1", *, practice: str = "riverside", acknowledged: bool = False
) -> SiteProblem:
    """Return an open problem."""
    return SiteProblem(
        id=name,
        kind=ProblemKind.FAILURE,
        practice=practice,
        system="emr",
        what="the last backup of emr failed",
        next="dro runs",
        since=None,
        opened_at=NOW,
        acknowledged=acknowledged,
    )


def signed(status: SiteStatus, seed: bytes = SEED, interval: timedelta = INTERVAL) -> bytes:
    """Return the file that a site publishes."""
    return sign(status, interval, seed)


class Shelf:
    """A place in memory, which can be out of reach."""

    def __init__(self, name: str = "shelf", **files: bytes) -> None:
        self.name = name
        self.files = {site.replace("_", "-"): content for site, content in files.items()}
        self.out_of_reach = False

    def write(self, site: str, content: bytes) -> None:
        self.files[site] = content

    def sites(self) -> tuple[str, ...]:
        if self.out_of_reach:
            raise StorageUnusable(f"{self.name} cannot be used")
        return tuple(sorted(self.files))

    def read(self, site: str) -> bytes:
        return self.files[site]


def read(*places: Shelf, later: timedelta = timedelta(0), **seeds: bytes) -> Fleet:
    """Return what a reader sees who knows these sites' keys; `riverside-box` unless named."""
    known = seeds or {"riverside_box": SEED}
    fingerprints = {name.replace("_", "-"): fingerprint(seed) for name, seed in known.items()}
    return read_fleet(places, fingerprints, NOW + later)
