"""A practice whose repository is looked after: real restic, a real record, points of any age."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import (
    AssetKind,
    AssetState,
    Manifest,
    Method,
    Recoverable,
    RecoveryPoint,
)
from dr_orchestrator.core.record import PointRecorded, RepositorySeen
from dr_orchestrator.core.run import Operation, Run
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.manifests import asset_tags, point_of, save_manifest
from dr_orchestrator.repositories.owner import Installation
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.repositories.restic_program import ResticLauncher
from dr_orchestrator.repositories.s3_place import S3Place
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.ledger import run_in_ledger
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START as NOW
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, SYSTEM, make_plan
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import PASSWORD, PATH, RawRestic

MINUTE = timedelta(minutes=1)
THREE_DAYS = {"keep_hourly": 0, "keep_daily": 3, "keep_monthly": 0, "keep_yearly": 0}


def _in_no_bucket(_plan: Plan, name: str) -> S3Place:
    raise UsageMistake(f"the repository {name} is not in S3")


@dataclass(frozen=True)
class Keeper:
    """One machine that looks after `onsite`, in a folder of its own."""

    folder: Path
    launcher: ResticLauncher
    store: Store
    clock: FakeClock
    plan: Plan
    site: str = "riverside-box"

    @property
    def place(self) -> Path:
        """Where the repository lies."""
        return self.folder / "repository"

    @property
    def request(self) -> RepositoryRequest:
        return RepositoryRequest(plan=self.plan, repository="onsite")

    @property
    def tools(self) -> MaintenanceTools:
        return MaintenanceTools(
            store=self.store,
            clock=self.clock,
            open_repository=lambda _plan, _name: self.repository(),
            open_as_backup=lambda _plan, _name: self.repository(),
            open_place=_in_no_bucket,
            open_place_as_backup=_in_no_bucket,
            installation=Installation(self.site, self.site),
            scratch=self.folder,
            lock_wait=timedelta(0),
        )

    @property
    def raw(self) -> RawRestic:
        """Restic as a person runs it."""
        return RawRestic(str(self.place), self.folder / "raw-cache")

    def repository(self) -> ResticRepository:
        return ResticRepository(
            "onsite",
            str(self.place),
            Secret(PASSWORD),
            launcher=self.launcher,
            clock=SystemClock(),
            cache=self.folder / "cache",
            tmp=self.folder / "tmp",
            hostname=PRACTICE,
            lock_wait=timedelta(0),
        )

    def with_retention(self, retention: Mapping[str, int]) -> Keeper:
        return replace(self, plan=make_plan(retention=retention))

    def back_up(self, as_of: datetime, *, content: bytes = b"", on_record: bool = True) -> str:
        """Make a recovery point of any age; return its id."""
        now = self.clock.now()
        self.clock.set(as_of)
        with run_in_ledger(
            self.store, self.clock, Operation.BACKUP, practice=PRACTICE, system=SYSTEM
        ) as run:
            point = self._save(run.id, as_of, content)
            if on_record:
                self.store.record(PointRecorded(point=point))
        self.clock.set(now)
        return run.id

    def save_asset(self, point: str, as_of: datetime, asset: str, content: bytes) -> AssetState:
        """Save one asset, and no manifest."""
        file = self.folder / f"{asset}.data"
        file.write_bytes(content or f"{asset} of {as_of}".encode())
        tags = asset_tags(PRACTICE, SYSTEM, point, asset)
        saved = self.repository().save_tree(file, tags=tags, time=as_of, timeout=MINUTE)
        return AssetState(
            kind=AssetKind.SQLITE if asset == "database" else AssetKind.FILES,
            method=Method.TREE,
            scope="file",
            snapshot=saved.snapshot,
            path=str(file),
            bytes=saved.bytes,
            captured_at=as_of,
        )

    def _save(self, point: str, as_of: datetime, content: bytes) -> RecoveryPoint:
        repository = self.repository()
        manifest = Manifest(
            point=point,
            practice=PRACTICE,
            practice_name="Riverside",
            system=SYSTEM,
            run=point,
            as_of=as_of,
            finished=as_of + MINUTE,
            skew_seconds=0.0,
            repository=repository.identity(),
            assets={
                asset: self.save_asset(point, as_of, asset, content)
                for asset in ("database", "documents")
            },
            recoverable=Recoverable(start=as_of, end=as_of),
            plan_sha256="0" * 64,
            made_by="dr-orchestrator of the tests",
        )
        folder = Path(tempfile.mkdtemp(dir=self.folder)) / "manifest"
        copy = save_manifest(repository, manifest, folder, attachments={})
        return point_of(manifest, (copy,))

    def listed(self) -> dict[str, set[str]]:
        """Return by point what the repository lists of it: `manifest` and the names of assets."""
        found: dict[str, set[str]] = {}
        for snapshot in self.raw.snapshots():
            tags: dict[str, Any] = dict(tag.split("=", 1) for tag in snapshot.get("tags", ()))
            if "point" in tags:
                found.setdefault(tags["point"], set()).add(tags.get("asset", "manifest"))
        return found

    def on_record(self) -> set[str]:
        return {point.id for point in self.store.points(PRACTICE, repository="onsite")}

    def last_run(self, operation: Operation) -> Run:
        record = self.store.practice_record(PRACTICE)
        (run,) = (each for each in record.last_runs if each.operation is operation)
        return run


WHOLE = {"manifest", "database", "documents"}


@contextmanager
def at_work(folder: Path, launcher: ResticLauncher | None = None) -> Iterator[Keeper]:
    """Open what lies in `folder`, as a machine that starts does."""
    own = SystemLauncher(PATH)
    clock = FakeClock(NOW)
    plan = make_plan(retention=THREE_DAYS)
    try:
        with open_store(folder / "state", clock) as store:
            yield Keeper(folder, launcher or own, store, clock, plan)
    finally:
        own.close()


@contextmanager
def new_keeper() -> Iterator[Keeper]:
    """Make a machine with an empty repository, and remove it with all it held."""
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    try:
        put_quick_repository(folder / "repository", PASSWORD)
        with at_work(folder) as keeper:
            keeper.store.record(
                RepositorySeen(
                    practice=PRACTICE,
                    repository="onsite",
                    restic_id=keeper.repository().identity(),
                    at=NOW - timedelta(days=30),
                )
            )
            yield keeper
    finally:
        shutil.rmtree(folder)
