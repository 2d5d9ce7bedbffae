"""Measure what reports cost over six years of forty practices.

The record is made in bulk, as nightly restore tests of two systems from one repository, and weekly
ones from another, would have left it. What is read is compared with the bare statements that count
the tests, run by sqlite3 on the same file. Absolute times say something about the machine only; the
targets are for two cores.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench import ROOT
from sqlalchemy import Connection, Table, create_engine, insert

sys.path.insert(0, str(ROOT))

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Skipped
from dr_orchestrator.core.record import Anchored
from dr_orchestrator.core.run import Operation
from dr_orchestrator.evidence.facts import KINDS, facts_of
from dr_orchestrator.evidence.line import (
    CHAIN_STARTED,
    NOTHING_BEFORE,
    EvidenceLine,
    hash_of,
    text_of,
)
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.plan.load import LoadedPlan, load_plan
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.fleet import fleet_document
from dr_orchestrator.report.gather import KEPT, gather, gather_fleet
from dr_orchestrator.report.html import render_document
from dr_orchestrator.report.subject import Subject
from dr_orchestrator.report.write import html_of, report_for
from dr_orchestrator.store import schema
from dr_orchestrator.store.sqlite import FILE_NAME, open_store

PRACTICES = 40
SYSTEMS = ("emr", "imaging")
DAYS = 6 * 365
DAY = timedelta(days=1)
FAILED_EVERY, MISSED_EVERY, BY_HAND_EVERY = 97, 61, 53
BACKUPS_A_DAY = 4
HELD_HOURLY, HELD = 24, 72
"""Points of a system that retention keeps."""
PORTION = 20_000
PLAN = """\
version: 1
practice: {{id: {practice}, name: Practice {practice}, timezone: America/Chicago}}
repositories:
  onsite: {{location: {folder}/{practice}, password: {{file: {folder}/key}}}}
  offsite: {{location: {folder}/{practice}-far, password: {{file: {folder}/key}}}}
systems:
"""
SYSTEM = """\
  {system}:
    rto: 4h
    rpo: 2h
    assets:
      database: {{kind: sqlite, path: {folder}/{system}.db}}
      documents: {{kind: files, path: {folder}/{system}, marker: here}}
    backup: {{schedule: every 1h, copy_to: [offsite]}}
"""
CHECKS = (
    '[{"actual":1204,"asset":"database","expected":1204,"reason":"","result":"passed","title":"t"}]'
)
COUNT_TESTS = """\
select practice, substr(started_at, 1, 7), result, count(*) from restore_test
where started_at >= ? group by 1, 2, 3
"""
COUNT_MISSED = """\
select practice, substr(due_at, 1, 7), skipped, count(*) from occurrence
where operation = 'restore test' and due_at >= ? and skipped != '' group by 1, 2, 3
"""


def practices(scale: float) -> list[str]:
    return [f"p{number:03}" for number in range(max(1, int(PRACTICES * scale)))]


def nights(now: datetime) -> Iterator[tuple[int, datetime]]:
    for back in range(DAYS, 0, -1):
        yield DAYS - back, (now - back * DAY).replace(microsecond=0)


def tested(names: list[str], now: datetime) -> Iterator[dict[str, Any]]:
    """Yield a restore test of each system each night from `onsite`, each week from `offsite`."""
    for number, at in nights(now):
        for which, practice in enumerate(names):
            for system in SYSTEMS:
                repositories = ("onsite", "offsite") if number % 7 == which % 7 else ("onsite",)
                for repository in repositories:
                    key = f"{number}-{practice}-{system}-{repository}"
                    yield {
                        "id": f"{at:%Y%m%d-%H%M%S}-{key}",
                        "practice": practice,
                        "system": system,
                        "repository": repository,
                        "at": at,
                        "number": number + which,
                    }


def test_row(each: dict[str, Any]) -> dict[str, Any]:
    at, failed = each["at"], each["number"] % FAILED_EVERY == 0
    return {
        **{name: each[name] for name in ("id", "practice", "system", "repository")},
        "point": f"point-{each['id']}",
        "point_as_of": at - timedelta(hours=1),
        "started_at": at,
        "finished_at": at + timedelta(minutes=50),
        "result": "failed" if failed else "passed",
        "reason": "a table holds fewer rows" if failed else "",
        "rta_data_seconds": 1800.0,
        "rta_service_seconds": 2460.0,
        "proof_seconds": 12.5,
        "rpa_seconds": 3600.0,
        "newest": None,
        "data_age_seconds": None,
        "depth": 4,
        "sandbox": "bubblewrap, uid 64000",
        "verifications": CHECKS,
        "conditions": "[]",
        "follow_up_of": None,
        "next": "",
        "part": 1,
        "parts": 1,
    }


def schedule_of(each: dict[str, Any], operation: Operation) -> str:
    return f"{each['practice']}/{each['system']}/{operation.value}/{each['repository']}"


def run_row(each: dict[str, Any]) -> dict[str, Any]:
    at, failed = each["at"], each["number"] % FAILED_EVERY == 0
    by_hand = each["number"] % BY_HAND_EVERY == 0
    return {
        **{name: each[name] for name in ("id", "practice", "system", "repository")},
        "operation": Operation.RESTORE_TEST.value,
        "schedule_id": None if by_hand else schedule_of(each, Operation.RESTORE_TEST),
        "due_at": None if by_hand else at,
        "attempt": 1,
        "host": "clinic",
        "pid": 1,
        "pid_started": "1",
        "started_at": at,
        "finished_at": at + timedelta(minutes=50),
        "outcome": "failed" if failed else "done",
        "reason": "",
    }


def occurrence_row(each: dict[str, Any], operation: Operation, at: datetime) -> dict[str, Any]:
    of_tests = operation is Operation.RESTORE_TEST
    missed = of_tests and each["number"] % MISSED_EVERY == 0
    failed = of_tests and each["number"] % FAILED_EVERY == 0
    schedule = schedule_of(each, operation)
    return {
        "id": f"{schedule}@{at.isoformat()}",
        "schedule_id": schedule,
        "due_at": at,
        "practice": each["practice"],
        "operation": operation.value,
        "system": each["system"],
        "repository": each["repository"],
        "point": "latest",
        "skipped": Skipped.TOO_LATE.value if missed else "",
        "keeps_older": False,
        "emergency": False,
        "settled_at": at,
        "outcome": None if missed else "failed" if failed else "done",
        "reason": "",
    }


def occurrence_rows(names: list[str], now: datetime) -> Iterator[dict[str, Any]]:
    for each in tested(names, now):
        yield occurrence_row(each, Operation.RESTORE_TEST, each["at"])
        if each["repository"] == "onsite":
            for backup in range(BACKUPS_A_DAY):
                at = each["at"] + backup * DAY / BACKUPS_A_DAY
                yield occurrence_row(each, Operation.BACKUP, at)


def points(names: list[str], now: datetime) -> Iterator[dict[str, Any]]:
    for practice in names:
        for system in SYSTEMS:
            for back in range(HELD, 0, -1):
                as_of = now - back * timedelta(hours=1) if back <= HELD_HOURLY else now - back * DAY
                yield {"practice": practice, "system": system, "as_of": as_of}


def point_row(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "practice": each["practice"],
        "id": f"{each['system']}-{each['as_of']:%Y%m%d-%H%M%S}",
        "system": each["system"],
        "run": "run",
        "label": None,
        "as_of": each["as_of"],
        "finished": each["as_of"] + timedelta(seconds=40),
        "data_as_of": None,
        "skew_seconds": 2.5,
    }


def asset_row(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "practice": each["practice"],
        "point": point_row(each)["id"],
        "asset": "database",
        "kind": "sqlite",
        "method": "copy",
        "bytes": 700_000_000,
        "level": "full",
        "added_bytes": 3_000_000,
        "much_new": False,
    }


def copy_row(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "practice": each["practice"],
        "point": point_row(each)["id"],
        "repository": "onsite",
        "manifest_snapshot": "b" * 64,
        "manifest_sha256": "c" * 64,
        "snapshots": '{"database":"%s"}' % ("d" * 64),
        "recorded_at": each["as_of"],
        "read_back": False,
    }


def evidence_rows(practice: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield a chain of evidence: each week the head is anchored, and each night much is written."""
    previous, number = NOTHING_BEFORE, 0

    def line(at: datetime, kind: str, about: Any) -> dict[str, Any]:
        nonlocal previous, number
        number += 1
        text = text_of(
            EvidenceLine(
                practice=practice,
                chain="c" * 32,
                number=number,
                at=f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
                kind=kind,
                about=about,
                record="",
                previous=previous,
            )
        )
        previous = hash_of(text)
        return {
            "practice": practice,
            "chain": "c" * 32,
            "number": number,
            "at": at,
            "kind": kind,
            "line": text,
        }

    yield line(now - DAYS * DAY, CHAIN_STARTED, {"key": Signer(bytes(32)).public})
    for night, at in nights(now):
        for _ in range(5):
            yield line(at, "run_closed", {"run": f"{night}", "outcome": "done"})
        if night % 7 == 0:
            entry = Anchored(
                practice=practice,
                at=at,
                chain="c" * 32,
                number=number,
                head=previous,
                place="the mailbox of manager",
            )
            told = facts_of(entry)
            yield line(at, KINDS[Anchored], told[1] if told else {})


def put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    rows, written = iter(rows), 0
    while portion := list(islice(rows, PORTION)):
        connection.execute(insert(table), portion)
        written += len(portion)
    return written


def fill(state: Path, names: list[str], now: datetime) -> dict[str, int]:
    """Make the record, and return how many rows it has."""
    open_store(state, SystemClock()).close()
    engine = create_engine(f"sqlite:///{state / FILE_NAME}")
    held = list(points(names, now))
    with engine.begin() as connection:
        counts = {
            "restore tests": put(
                connection, schema.restore_test, map(test_row, tested(names, now))
            ),
            "runs": put(connection, schema.run, map(run_row, tested(names, now))),
            "occurrences": put(connection, schema.occurrence, occurrence_rows(names, now)),
            "points": put(connection, schema.point, map(point_row, held)),
        }
        put(connection, schema.point_asset, map(asset_row, held))
        put(connection, schema.point_copy, map(copy_row, held))
        lines = (row for name in names for row in evidence_rows(name, now))
        counts["lines of evidence"] = put(connection, schema.evidence, lines)
        chains = ({"practice": name, "chain": "c" * 32, "ours": True} for name in names)
        put(connection, schema.evidence_chain, chains)
    engine.dispose()
    return counts


def write_plans(folder: Path, names: list[str]) -> list[LoadedPlan]:
    found = []
    for practice in names:
        systems = "".join(SYSTEM.format(system=each, folder=folder) for each in SYSTEMS)
        path = folder / f"{practice}.yaml"
        path.write_text(PLAN.format(practice=practice, folder=folder) + systems)
        found.append(load_plan(path))
    return found


def seconds(runs: int, do: Callable[[], object]) -> float:
    """Return how long it takes, the median of so many runs."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        do()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def make(reader: Reader, subject: Subject) -> None:
    html_of(report_for(reader, subject))


def count_barely(file: Path, since: datetime) -> None:
    connection = sqlite3.connect(file)
    for statement in (COUNT_TESTS, COUNT_MISSED):
        connection.execute(statement, (since.isoformat(),)).fetchall()
    connection.close()


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--scale", type=float, default=1.0, help="1.0 is forty practices")
    asked = options.parse_args()
    now, names = datetime.now(UTC), practices(asked.scale)
    with tempfile.TemporaryDirectory(prefix="dro-bench-") as made:
        folder = Path(made)
        counts = fill(folder / "state", names, now)
        print(", ".join(f"{number:,} {what}" for what, number in counts.items()))
        plans = write_plans(folder, names)
        bare = seconds(asked.runs, lambda: count_barely(folder / "state" / FILE_NAME, now - KEPT))
        with open_store(folder / "state", SystemClock()) as store:
            measured = {
                f"fleet report of {len(names)} practices over six years": (
                    seconds(
                        asked.runs,
                        lambda: render_document(fleet_document(gather_fleet(store, plans, now))),
                    ),
                    "<= 5 s",
                ),
                "what reports on one practice are made of": (
                    seconds(asked.runs, lambda: gather(store, plans[0], now)),
                    "<= 0.5 s",
                ),
            }
            subject = gather(store, plans[0], now)
            for reader in Reader:
                took = seconds(asked.runs, partial(make, reader, subject))
                measured[f"{reader.value}'s report out of that, as HTML"] = (took, "<= 1 s")
    print("| work | seconds | x bare SQL that counts the tests | target |")
    print("|---|---|---|---|")
    for what, (took, target) in measured.items():
        print(f"| {what} | {took:.2f} | {took / bare:.1f} | {target} |")
    print(f"| that bare SQL | {bare:.2f} | 1.0 | |")


if __name__ == "__main__":
    main()
