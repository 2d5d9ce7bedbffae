"""A repository that another tool fills, and this program looking into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dr_orchestrator.backup.backup import BackupResult
from dr_orchestrator.backup.existing import ExistingRequest, ExistingTools, note_existing
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, SYSTEM, make_plan
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import PASSWORD, PATH, RawRestic

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Theirs:
    """A folder that another tool saves, its repository, and our memory of it."""

    folder: Path
    launcher: SystemLauncher
    store: Store
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def place(self) -> Path:
        """Where the repository lies."""
        return self.folder / "repository"

    @property
    def data(self) -> Path:
        """What is saved."""
        return self.folder / "srv"

    @property
    def raw(self) -> RawRestic:
        """Restic as the other tool runs it."""
        return RawRestic(str(self.place), self.folder / "raw-cache")

    @property
    def repository(self) -> ResticRepository:
        """The repository as we open it."""
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
            only_read=True,
        )

    def write(self, path: str, content: bytes = b"x", *, at: datetime | None = None) -> Path:
        """Write a file that is saved, changed last `at`."""
        file = self.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if at is not None:
            os.utime(file, (at.timestamp(), at.timestamp()))
        return file

    def save(self, at: datetime, path: str = "", *words: str) -> str:
        """Save a folder, or a part of it, as the other tool does; return the snapshot's id."""
        before = {each["id"] for each in self.raw.snapshots()}
        self.raw.run("backup", f"--time={at:%Y-%m-%d %H:%M:%S}", *words, str(self.data / path))
        (new,) = {each["id"] for each in self.raw.snapshots()} - before
        return str(new)

    def stream(self, at: datetime, name: str, content: bytes) -> None:
        """Save what comes out of a pipe."""
        words = ("backup", "--stdin", f"--stdin-filename={name}", f"--time={at:%Y-%m-%d %H:%M:%S}")
        subprocess.run(
            ("restic", *words), env=self.raw.environment, input=content, check=True, timeout=120
        )

    def plan(self, **assets: tuple[str, str]) -> Plan:
        """Return a plan of these assets: each its kind, and its path, of the folder or whole."""
        return make_plan(
            rpo="30h",
            assets={
                name: {"kind": kind, "existing": {"path": str(self.data / path)}}
                for name, (kind, path) in assets.items()
            },
        )

    def look(self, plan: Plan) -> BackupResult:
        """Look for the points that are there."""
        tools = ExistingTools(
            store=self.store, clock=self.clock, open_repository=lambda _plan, _name: self.repository
        )
        return note_existing(ExistingRequest(plan=plan, system=SYSTEM), tools)

    def points(self) -> tuple[RecoveryPoint, ...]:
        return self.store.points(PRACTICE, SYSTEM, repository="onsite")

    def all_there(self) -> dict[str, Any]:
        """Return every file of the repository, and when it was last changed."""
        return {
            str(each.relative_to(self.place)): each.stat().st_mtime_ns
            for each in self.place.rglob("*")
        }


@contextmanager
def theirs() -> Iterator[Theirs]:
    """Lend a folder with an empty repository of another tool."""
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    launcher = SystemLauncher(PATH)
    put_quick_repository(folder / "repository", PASSWORD)
    store = open_store(folder / "state", SystemClock())
    try:
        yield Theirs(folder, launcher, store)
    finally:
        store.close()
        launcher.close()
        shutil.rmtree(folder)
