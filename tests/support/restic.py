"""restic repositories for tests: ours through the driver, and restic itself beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.clock import Clock, SystemClock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.repositories.restic_program import ResticLauncher
from tests.support.tools import require_tool

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWORD = "correct horse battery"
AS_OF = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
MINUTES = timedelta(minutes=1)


@dataclass(frozen=True)
class RawRestic:
    """restic as a person would run it, to look from outside at what the driver does."""

    location: str
    cache: Path
    password: str = PASSWORD
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "TZ": "UTC",
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_CACHE_DIR": str(self.cache),
            **self.env,
        }

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("restic", *arguments),
            env=self.environment,
            check=check,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def snapshots(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(
            self.run("snapshots", "--json", "--no-lock").stdout
        )
        return listed

    def lock_ids(self) -> list[str]:
        if ":" in self.location:
            return self.run("list", "locks", "--no-lock").stdout.split()
        names = (path.name for path in Path(self.location, "locks").iterdir())
        return [name for name in names if len(name) == 64]  # others are still being written

    @contextmanager
    def holding_a_lock(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a backup that has its lock and waits for more of its stdin; kill it at the end."""
        before = set(self.lock_ids())
        process = subprocess.Popen(
            ("restic", "backup", "--stdin", "--stdin-filename", "held"),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            last = time.monotonic() + 30
            while not set(self.lock_ids()) - before:
                assert time.monotonic() < last, "restic took no lock"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.communicate()

    def leave_a_dead_lock(self) -> str:
        """Leave the lock of a backup that was killed; return the lock's id."""
        before = set(self.lock_ids())
        with self.holding_a_lock():
            (left,) = set(self.lock_ids()) - before
        return left


@dataclass(frozen=True)
class Bench:
    """A folder with a repository in it, and what it takes to work with it."""

    folder: Path
    launcher: SystemLauncher

    @property
    def store(self) -> Path:
        """Where the local repository lies."""
        return self.folder / "repository"

    def repository(
        self,
        location: str | Path | None = None,
        *,
        password: str = PASSWORD,
        launcher: ResticLauncher | None = None,
        clock: Clock | None = None,
        lock_wait: timedelta = timedelta(0),
        create: bool = False,
        extra_env: Mapping[str, str] | None = None,
        tmp: Path | None = None,
    ) -> ResticRepository:
        repository = ResticRepository(
            "onsite",
            str(location or self.store),
            Secret(password),
            launcher=launcher or self.launcher,
            clock=clock or SystemClock(),
            cache=self.folder / "cache",
            tmp=tmp or self.folder / "tmp",
            hostname="riverside",
            lock_wait=lock_wait,
            extra_env=extra_env,
        )
        if create:
            repository.create()
        return repository

    def raw(self, location: str | Path | None = None, **env: str) -> RawRestic:
        return RawRestic(str(location or self.store), self.folder / "raw-cache", env=env)

    def tree(self, files: Mapping[str, bytes] | None = None) -> Path:
        """Make a folder with some files in it."""
        root = self.folder / "documents"
        (root / "letters").mkdir(parents=True)
        content = files or {"a.pdf": b"a" * 5000, "letters/b.txt": b"b\n", "empty": b""}
        for path, data in content.items():
            (root / path).write_bytes(data)
        return root


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Lend a bench in a short folder of its own; it is removed at the end."""
    require_tool("restic")
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    launcher = SystemLauncher(PATH)
    try:
        yield Bench(folder, launcher)
    finally:
        launcher.close()
        shutil.rmtree(folder)


def packs(store: Path) -> list[Path]:
    """Return the packs of a local repository, the largest first."""
    found = [path for path in (store / "data").rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_size, reverse=True)


def flip_a_byte(path: Path) -> None:
    """Change one byte in the middle of a file that restic made read-only."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
