"""A made-up record system with programs of its vendor's own, and a desk to protect it at.

The vendor's program is one script in a folder outside /usr, as /opt/vendor/bin would be. What it
protects is a SQLite file that only it knows how to read.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from dr_orchestrator.app import programs_outside_usr
from dr_orchestrator.assets.base import Captured, CaptureRequest, RestoreRequest, Stream
from dr_orchestrator.assets.command import CommandDriver
from dr_orchestrator.assets.command_restoration import CommandRestoration
from dr_orchestrator.backup.backup import BackupResult, BackupTools, back_up
from dr_orchestrator.backup.pump import save_stream
from dr_orchestrator.backup.recovery_point import BackupRequest
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetKind, AssetState
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.plan.load import LoadedPlan, effective_yaml, load_plan
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.base import Saved
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.restore.restore_test import RestoreTestRequest, RestoreTestTools, prove
from dr_orchestrator.sandbox.base import Sandbox
from dr_orchestrator.sandbox.bubblewrap import BubblewrapDriver
from dr_orchestrator.sandbox.lab import LabDriver
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.settings import LabServer
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.assets import capture_request, restore_request
from tests.support.sandbox import PATH, SANDBOX_UID, short_folder
from tests.support.tools import require_tool

PASSWORD = "canary-vendor-password"
PATIENT = "Canary Patient"
VENDOR = f'''\
#!/usr/bin/python3
"""What a vendor's own backup program may look like."""
import csv, os, sqlite3, sys

TABLES = ("patient", "visit")

def rows(database, table):
    return database.execute(f"select * from {{table}} order by 1")

def signed_in():
    with open(os.environ["EMR_PASSWORD_FILE"]) as file:
        if file.read() != {PASSWORD!r}:
            sys.exit("wrong password")

def dump(path):
    signed_in()
    database = sqlite3.connect(f"file:{{path}}?mode=ro", uri=True)
    print("# EMR dump")
    for table in TABLES:
        for row in rows(database, table):
            print(table, *row, sep="|")
    print("# complete")

def dump_to(path, folder):
    signed_in()
    database = sqlite3.connect(f"file:{{path}}?mode=ro", uri=True)
    os.mkdir(os.path.join(folder, "tables"))
    for table in TABLES:
        with open(os.path.join(folder, "tables", table + ".csv"), "w", newline="") as file:
            csv.writer(file).writerows(rows(database, table))
    print("progress: 100 %")

def lines(source):
    if os.path.isdir(source):
        for table in TABLES:
            with open(os.path.join(source, "tables", table + ".csv"), newline="") as file:
                yield from ([table, *row] for row in csv.reader(file))
    else:
        with open(source) as file:
            yield from (line.rstrip("\\n").split("|") for line in file if line[0] != "#")

def load(source, folder):
    database = sqlite3.connect(os.path.join(folder, "emr.db"))
    database.execute("create table patient (id integer, name text)")
    database.execute("create table visit (id integer, seen_at text)")
    for table, *row in lines(source):
        database.execute(f"insert into {{table}} values (?, ?)", row)
    database.commit()
    print("loaded", source)

def one(path, sql):
    database = sqlite3.connect(f"file:{{path}}?mode=ro", uri=True)
    print(database.execute(sql).fetchone()[0])

globals()[sys.argv[1]](*sys.argv[2:])
'''


@dataclass
class Vendor:
    """The vendor's folder, and the record system it is for."""

    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / "vendor" / "bin" / "emrctl")

    @property
    def production(self) -> Path:
        """A name that a shell would make something else of."""
        return self.folder / "EMR $(touch owned); 'one' data" / "emr.db"

    @property
    def secret(self) -> Path:
        return self.folder / "emr-password"

    def make(self, *, patients: int = 40) -> Vendor:
        """Make the program, its password and a record system with some patients in it."""
        program = Path(self.program)
        program.parent.mkdir(parents=True)
        program.write_text(VENDOR)
        program.chmod(0o755)
        self.secret.touch(mode=0o600)
        self.secret.write_text(f"{PASSWORD}\n")
        self.production.parent.mkdir()
        with closing(sqlite3.connect(self.production)) as database, database:
            database.execute("create table patient (id integer primary key, name text)")
            database.execute("create table visit (id integer primary key, seen_at text)")
            names = ((n, f"{PATIENT} {n}") for n in range(patients))
            database.executemany("insert into patient values (?, ?)", names)
            database.executemany(
                "insert into visit values (?, datetime('now', ?))",
                ((n, f"-{n} minutes") for n in range(patients * 3)),
            )
        return self

    def run(self, sql: str) -> None:
        """Change production, as the practice does while it works."""
        with closing(sqlite3.connect(self.production)) as database, database:
            database.execute(sql)

    def asset(self, **stated: Any) -> CommandAsset:
        """Return an asset: the vendor's stream unless stated."""
        default: dict[str, Any] = {
            "kind": AssetKind.COMMAND,
            "dump": (self.program, "dump", str(self.production)),
            "secrets": {"EMR_PASSWORD_FILE": {"file": str(self.secret)}},
            "ends_with": "# complete",
            "restore": (self.program, "load", "{dump}", "{folder}"),
        }
        return CommandAsset.model_validate(default | stated)

    def question(self, sql: str, database: str = "{folder}/emr.db") -> tuple[str, ...]:
        """Return the program that prints what `sql` answers."""
        return self.program, "one", database, sql


class KeptStream:
    """A save that puts a stream into a file, as restic puts it into a repository."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._aborted = threading.Event()

    def start(self, read_end: int) -> KeptStream:
        self._source = os.dup(read_end)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self) -> None:
        with open(self._source, "rb") as source:  # noqa: PTH123 - a descriptor
            content = source.read()
        if not self._aborted.is_set():
            self._place.write_bytes(content)

    def finish(self) -> Saved:
        self._thread.join()
        size = self._place.stat().st_size
        return Saved(snapshot="00", files=1, bytes=size, added_bytes=0)

    def abort(self) -> None:
        self._aborted.set()


@dataclass
class Bench:
    """A driver on its own: what it captured lies in a folder instead of a repository."""

    folder: Path
    launcher: SystemLauncher
    commands_allowed: bool = True
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def driver(self) -> CommandDriver:
        reader = SecretReader(self.launcher, lambda _name: None)
        return CommandDriver(
            self.launcher, reader, SystemClock(), commands_allowed=self.commands_allowed
        )

    def request(self, asset: CommandAsset, *, queries: tuple[str, ...] = ()) -> CaptureRequest:
        staging = self.folder / f"staging-{next(self._numbers)}"
        staging.mkdir(mode=0o700)
        return capture_request(asset, staging=staging, queries=queries)

    def capture(
        self, asset: CommandAsset, *, queries: tuple[str, ...] = ()
    ) -> tuple[Captured, Path]:
        """Capture as a backup does; return what was captured, and where its content is kept."""
        request = self.request(asset, queries=queries)
        with self.driver.capture(request) as capture:
            content = capture.content
            if isinstance(content, Stream):
                kept = request.staging / content.name
                sink = KeptStream(kept)
                save_stream(content, {"onsite": sink.start}, timeout=asset.timeout)
            else:
                kept = content.path
            capture.measure()
            return capture.finish(), kept


@contextlib.contextmanager
def vendor_sandbox(vendor: Vendor, launcher: SystemLauncher) -> Iterator[Sandbox]:
    """Open a real sandbox that shows the vendor's folder, as the machine's settings would."""
    require_tool("bwrap")
    with _sandboxes(vendor, launcher).open("test-run", bytes_needed=1) as sandbox:
        yield sandbox


def _sandboxes(vendor: Vendor, launcher: SystemLauncher) -> BubblewrapDriver:
    shown = programs_outside_usr((str(vendor.folder / "vendor" / "*"),))
    return BubblewrapDriver(launcher, vendor.folder / "s", SANDBOX_UID, SystemClock(), shown)


def loaded_in(
    sandbox: Sandbox, driver: CommandDriver, asset: CommandAsset, state: AssetState, kept: Path
) -> CommandRestoration:
    """Bring what was captured into the sandbox, and load it."""
    place = sandbox.target.path / "asset"
    place.mkdir()
    restored = place / kept.name
    if kept.is_dir():
        shutil.copytree(kept, restored, symlinks=True)
    else:
        shutil.copy2(kept, restored)
    sandbox.adopt(place)
    request: RestoreRequest = replace(restore_request(state, sandbox), asset=asset)
    with driver.restoration(request) as restoration:
        assert isinstance(restoration, CommandRestoration)
        restoration.prepare()
        restoration.load(restored)
        return restoration


@dataclass
class Desk:
    """A practice whose systems are dumped by programs of its own, backed up and tested for real."""

    vendor: Vendor
    launcher: SystemLauncher
    store: Store
    repository: ResticRepository
    lab_servers: dict[str, LabServer] = field(default_factory=dict)

    @property
    def plan_file(self) -> Path:
        return self.vendor.folder / "riverside.yaml"

    def plan(self, systems: str) -> LoadedPlan:
        """Write the plan of these systems (YAML, indented by two), and load it."""
        self.plan_file.write_text(
            "version: 1\n"
            "practice: {id: riverside, name: Riverside, timezone: America/Chicago}\n"
            "repositories: {onsite: {location: /nonexistent, password: {file: /nonexistent}}}\n"
            f"systems:\n{systems}"
        )
        return load_plan(self.plan_file)

    @property
    def drivers(self) -> dict[AssetKind, Any]:
        reader = SecretReader(self.launcher, lambda _name: None)
        driver = CommandDriver(self.launcher, reader, SystemClock(), commands_allowed=True)
        return {AssetKind.COMMAND: driver}

    def back_up(self, loaded: LoadedPlan, system: str) -> BackupResult:
        folder = self.vendor.folder
        request = BackupRequest(
            plan=loaded.plan, plan_text=effective_yaml(loaded), runbooks={}, system=system
        )
        tools = BackupTools(
            store=self.store,
            clock=SystemClock(),
            drivers=self.drivers,
            open_repository=lambda _plan, _name: self.repository,
            staging=folder / "state" / "staging",
            mirrors=folder / "state" / "mirrors",
            files_key=lambda _practice: bytes(32),
            lock_wait=timedelta(minutes=1),
        )
        return back_up(request, tools)

    @property
    def _labs(self) -> LabDriver:
        reader = SecretReader(self.launcher, lambda _name: None)
        return LabDriver(
            self.lab_servers,
            secrets=reader,
            notes=self.vendor.folder / "state" / "labs",
            owner=lambda: "0" * 64,
            plans=lambda: (),
        )

    def prove(self, loaded: LoadedPlan, system: str) -> RestoreTest:
        request = RestoreTestRequest(plan=loaded.plan, system=system, repository="onsite")
        tools = RestoreTestTools(
            store=self.store,
            clock=SystemClock(),
            drivers=self.drivers,
            open_repository=lambda _plan, _name: self.repository,
            sandboxes=_sandboxes(self.vendor, self.launcher),
            labs=self._labs,
            jobs=1,
            lock_wait=timedelta(minutes=1),
        )
        return prove(request, tools)[0]


@contextlib.contextmanager
def desk() -> Iterator[Desk]:
    """Lend a desk with an empty repository."""
    require_tool("restic")
    launcher = SystemLauncher(PATH)
    with short_folder() as folder, contextlib.closing(launcher):
        store = open_store(folder / "state", SystemClock())
        repository = ResticRepository(
            "onsite",
            str(folder / "repository"),
            Secret("correct horse"),
            launcher=launcher,
            clock=SystemClock(),
            cache=folder / "cache",
            tmp=folder / "tmp",
            hostname="riverside",
            lock_wait=timedelta(0),
        )
        repository.create()
        with contextlib.closing(store):
            yield Desk(Vendor(folder).make(), launcher, store, repository)
