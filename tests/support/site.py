"""A machine of its own for `dro` as a process: settings, plans, keys, state, repositories."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dr_orchestrator import beneath
from tests.support.quick_repository import put_quick_repository
from tests.support.tools import require_tool

ROOT = Path(__file__).parents[2]
MARKER = ".this-is-the-share"
_PASSWORD = "a key of the tests, 7f3a9c"
_INCOMPRESSIBLE = 96 * 1024


@dataclass(frozen=True)
class Ended:
    """How a `dro` process ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.stdout)

    @property
    def said(self) -> str:
        """Everything a person saw."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class Site:
    """Where one machine keeps everything; short paths, passable for a sandbox's user."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    @property
    def database(self) -> Path:
        return self.folder / "emr.sqlite3"

    @property
    def plan(self) -> Path:
        return self.folder / "plans" / "riverside.yaml"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def environment(self) -> dict[str, str]:
        """What a `dro` process of this machine sees; also for those that a test starts itself."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "DRO_SETTINGS": str(self.folder / "dro.yaml"),
        }

    @property
    def argv(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "dr_orchestrator")

    def dro(self, *words: str, timeout: float = 240, **environment: str) -> Ended:
        """Run `dro` to its end."""
        done = subprocess.run(
            (*self.argv, *words),
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `dro` in a process group of its own, as a terminal would."""
        return subprocess.Popen(
            (*self.argv, *words),
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    def restic(self, *words: str, repository: Path | None = None) -> str:
        """Run plain restic on a repository, as a person would."""
        done = subprocess.run(
            ("restic", "--no-cache", "-r", repository or self.repository, *words),
            env=self.environment | {"RESTIC_PASSWORD_FILE": str(self.key)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout

    def write_plan(self, systems: str, *, repositories: str = "") -> None:
        """Write the plan: one practice, `onsite`, and these systems (YAML, indented by two)."""
        self.plan.write_text(
            "version: 1\n"
            "practice: {id: riverside, name: Riverside, timezone: America/Chicago}\n"
            "repositories:\n"
            f"  onsite: {{location: {self.repository}, password: {{file: {self.key}}}}}\n"
            f"{repositories}"
            "systems:\n"
            f"{systems}"
        )

    def leftovers(self) -> list[str]:
        """Return everything a run must not leave behind: sandboxes, staging, processes, mounts."""
        found = [
            str(each) for each in self._inside("state/staging", "state/runtime", "state-sandbox")
        ]
        found += [f"process {pid}: {line}" for pid, line in processes_of(self.folder)]
        mounts = Path("/proc/self/mounts").read_text()
        if str(self.folder) in mounts:
            found.append("a mount")
        return found

    def _inside(self, *folders: str) -> Iterator[Path]:
        for each in folders:
            if (self.folder / each).is_dir():
                yield from (self.folder / each).iterdir()


def processes_of(folder: Path) -> list[tuple[int, str]]:
    """Return the processes that belong to a site, by their command line or environment."""
    needle = os.fsencode(folder)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if needle in line or needle in (entry / "environ").read_bytes():
                found.append((int(entry.name), line.replace(b"\0", b" ").decode(errors="replace")))
    return found


@contextlib.contextmanager
def new_site(*, repository: bool = True) -> Iterator[Site]:
    """Make a machine of its own, and remove it with all it held.

    Its repository is there already, unless the test is to see `dro` make it.
    """
    for tool in ("restic", "bwrap"):
        require_tool(tool)
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    folder.chmod(0o711)
    site = Site(folder)
    try:
        for name in ("plans", "home", "state"):
            (folder / name).mkdir(mode=0o711)
        site.key.touch(mode=0o600)
        site.key.write_text(f"{_PASSWORD}\n")
        if repository:
            put_quick_repository(site.repository, _PASSWORD)
        (folder / "dro.yaml").write_text(
            f"plans: {folder}/plans\nstate: {folder}/state\ncache: {folder}/cache\n"
        )
        yield site
    finally:
        beneath.remove(folder)


SMALL_EMR = """\
  emr:
    title: Electronic medical record
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: sqlite, path: {database}}}
      documents: {{kind: files, path: {documents}, marker: {marker}}}
    newest: {{asset: database, sql: "select max(seen_at) from visit", timezone: UTC}}
    verify:
      - baseline
      - title: every visit has its patient
        asset: database
        sql: >-
          select count(*) from visit v left join patient p on p.id = v.patient_id
          where p.id is null
        expect: 0
      - title: as many visits as at capture
        asset: database
        sql: select count(*) from visit
        expect: baseline
      - title: scanned documents
        files:
          asset: documents
          listed_by: {{asset: database, sql: "select path, sha256 from document"}}
"""


def make_small_practice(site: Site, *, patients: int = 40, documents: int = 30) -> None:
    """Make up a SQLite record system and its scanned documents, and write the plan for them."""
    import hashlib
    import random

    site.documents.mkdir()
    (site.documents / MARKER).touch()
    database = sqlite3.connect(site.database)
    with database:
        database.executescript(
            "create table patient (id integer primary key, name text);"
            "create table visit (id integer primary key, patient_id integer, seen_at text);"
            "create table document (path text primary key, sha256 text);"
        )
        database.executemany(
            "insert into patient values (?, ?)", [(n, f"Patient {n}") for n in range(patients)]
        )
        database.executemany(
            "insert into visit values (?, ?, datetime('now', ?))",
            [(n, n % patients, f"-{n} minutes") for n in range(patients * 4)],
        )
        for number in range(documents):
            content = f"scan {number} ".encode() * 400
            if number == 0:  # so that the largest pack is one of data, and not of runbooks
                content = random.Random(7).randbytes(_INCOMPRESSIBLE)
            (site.documents / f"scan-{number}.pdf").write_bytes(content)
            database.execute(
                "insert into document values (?, ?)",
                (f"scan-{number}.pdf", hashlib.sha256(content).hexdigest()),
            )
    database.close()
    site.write_plan(
        SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
    )
