"""Measure what a scheduler and those who look at its record cost, over a year of forty practices.

The record is made in bulk, as a year of backups every 45 minutes would have left it, and read by
`dro` as a process. Absolute times say something about the machine only; the targets are for two
cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from bench import ROOT
from sqlalchemy import create_engine

sys.path.insert(0, str(ROOT))

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.plan.load import find_plans, load_plan
from dr_orchestrator.schedule.planner import due, scheduled_operations
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.site import new_site

PRACTICES = 40
SYSTEMS = ("emr", "imaging")
EVERY = timedelta(minutes=45)
POINTS = 50_000
KEPT_WHOLE = timedelta(days=1)
TEST_EVERY = 32
"""Backups for one restore test: nightly."""
TICKED_PLANS = 1000
PLAN = """\
version: 1
practice: {{id: {practice}, name: Practice {practice}, timezone: UTC}}
repositories:
  onsite: {{location: {folder}/{practice}, password: {{file: {folder}/key}}{never}}}
systems:
"""
SYSTEM = """\
  {system}:
    rto: 4h
    rpo: {rpo}
    assets:
      database: {{kind: sqlite, path: {folder}/{system}.db}}
      documents: {{kind: files, path: {folder}/{system}}}
"""
NEVER = ", maintenance: {check: never, forget: never, prune: never}"
DAILY = """\
    backup: {{schedule: "{at}"}}
    restore_tests: [{{schedule: "{at}"}}]
"""
CHECKS = (
    '[{"actual":1204,"asset":"database","expected":1204,"reason":"","result":"passed","title":"t"}]'
)


@dataclass(frozen=True)
class Backup:
    """One backup of one system."""

    practice: str
    system: str
    number: int
    at: datetime

    @property
    def id(self) -> str:
        return f"{self.at:%Y%m%d-%H%M%S}-{self.number:06x}"

    @property
    def schedule(self) -> str:
        return f"{self.practice}/{self.system}/backup/0123456789ab"


def text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def backups(count: int, now: datetime) -> Iterator[Backup]:
    """Yield `count` backups up to now, oldest first, those of all systems of one time together."""
    systems = [(f"p{number:03}", each) for number in range(PRACTICES) for each in SYSTEMS]
    rounds = count // len(systems)
    for back in range(rounds, 0, -1):
        at = (now - back * EVERY).replace(second=0, microsecond=0)
        for which, (practice, system) in enumerate(systems):
            number = (rounds - back) * len(systems) + which
            yield Backup(practice, system, number, at + timedelta(seconds=which))


def fill(state: Path, count: int, now: datetime) -> None:
    """Make the record as an earlier version of the program left it, all but the newest tables."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{state / FILE_NAME}")
    with engine.begin() as migrated:
        command.upgrade(configuration(migrated), "0004")
    engine.dispose()
    connection = sqlite3.connect(state / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    insert(connection, "run", 15, (run_row(each) for each in backups(count, now)))
    insert(connection, "occurrence", 14, (occurrence_row(each) for each in backups(count, now)))
    insert(
        connection,
        "journal (at, kind, practice, payload)",
        4,
        (line for each in backups(count, now) for line in journal_rows(each)),
    )
    first_point = count - POINTS
    points = [each for each in backups(count, now) if each.number >= first_point]
    insert(connection, "point", 9, (point_row(each) for each in points))
    assets = (row for each in points for row in asset_rows(each))
    insert(connection, "point_asset", 11, assets)
    kept = (each for each in points if is_kept(each, now))
    insert(connection, "point_copy", 7, (copy_row(each) for each in kept))
    tested = (each for each in backups(count, now) if each.number // 80 % TEST_EVERY == 0)
    insert(connection, "restore_test", 22, (test_row(each) for each in tested))
    names = (f"p{number:03}" for number in range(PRACTICES))
    seen = text(now - timedelta(days=400))
    insert(connection, "repository", 4, ((name, "onsite", "a" * 64, seen) for name in names))
    connection.execute("COMMIT")
    connection.close()


def insert(
    connection: sqlite3.Connection, table: str, columns: int, rows: Iterable[tuple[object, ...]]
) -> None:
    marks = ", ".join("?" * columns)
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - ours


def run_row(each: Backup) -> tuple[object, ...]:
    failed = each.number % 997 == 0
    return (
        *(each.id, "backup", each.practice, each.system, None, each.schedule, text(each.at), 1),
        *("onsite-box", 4711, "boot/1", text(each.at), text(each.at + timedelta(seconds=41))),
        *(("failed", "onsite: unreachable") if failed else ("done", "")),
    )


def occurrence_row(each: Backup) -> tuple[object, ...]:
    return (
        *(f"o-{each.id}", each.schedule, text(each.at), each.practice, "backup", each.system),
        *(None, "latest", "", 0, 0, text(each.at + timedelta(seconds=41)), "done", ""),
    )


def journal_rows(each: Backup) -> Iterator[tuple[object, ...]]:
    at = text(each.at)
    opened = (
        f'{{"run":{{"attempt":1,"due_at":"{at}","finished_at":null,"host":"onsite-box","id":'
        f'"{each.id}","operation":"backup","outcome":null,"pid":4711,"pid_started":"boot/1",'
        f'"practice":"{each.practice}","reason":"","repository":null,"schedule_id":'
        f'"{each.schedule}","started_at":"{at}","system":"{each.system}"}}}}'
    )
    yield at, "run_opened", each.practice, opened
    closed = f'{{"finished_at":"{at}","outcome":"done","reason":"","run":"{each.id}"}}'
    yield at, "run_closed", each.practice, closed


def is_kept(each: Backup, now: datetime) -> bool:
    """Return whether retention keeps it: all of a day, and one of each day before."""
    return now - each.at < KEPT_WHOLE or (each.at.hour, each.at.minute // 45) == (18, 0)


def point_row(each: Backup) -> tuple[object, ...]:
    done = text(each.at + timedelta(seconds=40))
    return each.practice, each.id, each.system, each.id, None, text(each.at), done, None, 2.5


def asset_rows(each: Backup) -> Iterator[tuple[object, ...]]:
    key = each.practice, each.id
    size = 700_000_000 + each.number * 100
    yield (*key, "database", "sqlite", "copy", size, "full", None, None, None, size // 50)
    files = 12_000 + each.number // 8000
    yield (
        *(*key, "documents", "files", "tree", files * 90_000, "sampled", None),
        *(files, 20 + each.number % 40, 3_000_000),
    )


def copy_row(each: Backup) -> tuple[object, ...]:
    snapshots = f'{{"database":"{"d" * 64}","documents":"{"e" * 64}"}}'
    key = each.practice, each.id, "onsite"
    return (*key, "b" * 64, "c" * 64, snapshots, text(each.at))


def test_row(each: Backup) -> tuple[object, ...]:
    at, done = text(each.at), text(each.at + timedelta(minutes=50))
    return (
        *(f"t-{each.id}", each.practice, each.system, "onsite", each.id, at, at, done, "passed"),
        *("", 1800.0, 2460.0, 12.5, 3600.0, at, 1200.0, 4, "bubblewrap", CHECKS, "[]", None, ""),
    )


def write_plans(folder: Path, count: int, *, at: str = "") -> None:
    """Write plans for `count` practices; with `at` everything happens once a day, at that time."""
    folder.mkdir(exist_ok=True)
    daily = DAILY.format(at=at) if at else ""
    never, rpo = (NEVER, "48h") if at else ("", "90m")
    for number in range(count):
        practice = f"p{number:03}"
        systems = "".join(
            SYSTEM.format(system=each, folder=folder, rpo=rpo) + daily for each in SYSTEMS
        )
        plan = PLAN.format(practice=practice, folder=folder, never=never) + systems
        (folder / f"{practice}.yaml").write_text(plan)


def tick_seconds(folder: Path, runs: int) -> tuple[float, float]:
    """Return the CPU time of the first tick over many plans, and of the dearest one after it."""
    write_plans(folder, TICKED_PLANS)
    now = datetime.now(UTC)
    operations = [
        operation
        for path in find_plans(folder)
        for operation in scheduled_operations(load_plan(path).plan)
    ]
    last_due = {operation.id: now - EVERY for operation in operations}
    ticks = []
    for number in range(runs + 1):
        at, before = now + number * timedelta(seconds=20), time.process_time()
        for occurrence in due(operations, last_due, at):
            last_due[occurrence.schedule_id] = occurrence.due_at
        ticks.append(time.process_time() - before)
    return ticks[0], max(ticks[1:])


def show(what: str, measured: str, target: str) -> None:
    print(f"| {what} | {measured} | {target} |", flush=True)


def memory_of(pid: int) -> int:
    """Return the largest resident memory of a living process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a living process and its ended children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def watch_idle(seconds: float) -> None:
    """Measure a scheduler over forty practices while nothing is due for half a day."""
    quiet = f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"
    with new_site() as site:
        shutil.rmtree(site.plan.parent)
        write_plans(site.plan.parent, PRACTICES, at=quiet)
        scheduler = site.start("schedule", "run")
        try:
            time.sleep(min(30.0, seconds))  # its plans are read by then
            before, began = cpu_of(scheduler.pid), time.monotonic()
            time.sleep(seconds)
            if scheduler.poll() is not None:
                show(f"idle scheduler, {PRACTICES} practices", "ended by itself", "–")
                return
            used = (cpu_of(scheduler.pid) - before) / (time.monotonic() - began)
            memory = memory_of(scheduler.pid)
            show(f"idle scheduler, {PRACTICES} practices, CPU", f"{used:.2%}", "<= 1 %")
            show("memory of it", f"{memory / 1e6:.0f} MB", "<= 120 MB")
        finally:
            scheduler.send_signal(signal.SIGTERM)
            scheduler.communicate(timeout=60)


def watch_readers(scale: float, runs: int) -> None:
    """Measure the commands that read the record of a million runs."""
    with new_site() as site:
        shutil.rmtree(site.plan.parent)
        write_plans(site.plan.parent, PRACTICES)
        count = round(1_000_000 * scale)
        fill(site.state, count, datetime.now(UTC))
        began = time.monotonic()
        open_store(site.state, SystemClock()).close()
        show("migration to the newest tables", f"{time.monotonic() - began:.1f} s", "–")
        size = (site.state / FILE_NAME).stat().st_size
        show(f"record of {count:,} runs", f"{size / 1e6:.0f} MB", "–")
        for words, target in (
            (("status", "p007"), "<= 1 s"),
            (("status",), "<= 1 s"),
            (("runs", "p007", "--since", "7d"), "–"),
            (("runs",), "–"),
        ):
            seconds = []
            for _ in range(runs):
                began = time.monotonic()
                ended = site.dro(*words)
                seconds.append(time.monotonic() - began)
                if not ended.stdout:
                    raise SystemExit(f"dro {' '.join(words)}: {ended.stderr}")
            middle = statistics.median(seconds)
            show(f"dro {' '.join(words)}, {count:,} runs", f"{middle:.2f} s", target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often each command is timed")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 is a million runs")
    parser.add_argument("--idle", type=float, default=120.0, help="seconds a scheduler is watched")
    asked = parser.parse_args()
    print("| work | measured | target |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="dro-bench-") as folder:
        first, later = tick_seconds(Path(folder) / "ticked", runs=asked.runs)
        show(f"planner's first tick, {TICKED_PLANS:,} plans, CPU", f"{first:.3f} s", "<= 0.2 s")
        show("its later ticks", f"{later:.3f} s", "<= 0.2 s")
    watch_idle(asked.idle)
    watch_readers(asked.scale, asked.runs)


if __name__ == "__main__":
    main()
