"""Count what a practice asks of S3 in a day: requests and bytes, by operation, and what they cost.

A server of S3 on loopback counts what arrives. Times say nothing here, since there is no line in
between; the counts are those of a real bucket. Prices are Amazon's list prices (S3 Standard,
us-east-1, aws.amazon.com/s3/pricing as of 2026), a constant below: look them up before relying on
the sum.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench import ROOT, make_files

sys.path.insert(0, str(ROOT))

from dr_orchestrator.repositories.bucket_policy import backup_policy, maintenance_policy
from dr_orchestrator.repositories.s3_place import s3_location
from tests.support.s3 import PROFILE, S3
from tests.support.site import Site, new_site

BUCKET = "riverside-dr"
DOLLARS = {"PUT": 5e-6, "LIST": 5e-6, "GET": 4e-7, "HEAD": 4e-7, "DELETE": 0.0}
DOLLARS_A_GIB_OUT = 0.09
A_WEEK = 1 / 7
KINDS = tuple(DOLLARS)
LOCKED_DAYS = 30
VISITS_A_BACKUP = 40
PAGES_A_BACKUP = 10


@dataclass
class Counted:
    """What arrived at the server."""

    requests: Counter[str] = field(default_factory=Counter)
    up: int = 0
    down: int = 0


class Counting:
    """A WSGI application that counts what another one is asked, and answers."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.counted = Counted()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        method = environ["REQUEST_METHOD"]
        query = environ.get("QUERY_STRING", "")
        is_list = method == "GET" and ("list-type" in query or "versions" in query)
        with self._lock:
            self.counted.requests["LIST" if is_list else "PUT" if method == "POST" else method] += 1
            self.counted.up += int(environ.get("CONTENT_LENGTH") or 0)
        for part in self._application(environ, start):
            if method != "HEAD":
                with self._lock:
                    self.counted.down += len(part)
            yield part

    def take(self) -> Counted:
        """Return what was counted since the last time."""
        with self._lock:
            counted, self.counted = self.counted, Counted()
        return counted


@contextmanager
def counting_server(folder: Path) -> Iterator[tuple[S3, Counting]]:
    """Run a server of S3 that counts, for a block."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: object) -> None:
            pass

    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(folder / "credentials")
    counting = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        s3 = S3(f"http://127.0.0.1:{server.server_port}", folder / "credentials")
        s3.add_profile(PROFILE, "made-up", "made-up")
        yield s3, counting
    finally:
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Row:
    """One operation, and how often a day the plan asks for it."""

    words: str
    a_day: float
    counted: Counted


def make_practice(site: Site, scale: float) -> None:
    """Make up a SQLite record system and its scanned documents."""
    patients, visits = round(20_000 * scale), round(300_000 * scale)
    database = sqlite3.connect(site.database)
    with database:
        database.executescript(
            "create table patient (id integer primary key, name text);"
            "create table visit (id integer primary key, patient_id integer, note text);"
        )
        database.executemany(
            "insert into patient values (?, ?)", ((n, f"patient {n}") for n in range(patients))
        )
        database.executemany(
            "insert into visit values (?, ?, ?)",
            ((n, n % patients, hashlib.sha256(b"%d" % n).hexdigest() * 3) for n in range(visits)),
        )
    database.close()
    site.documents.mkdir()
    make_files(site.documents, round(5_000 * scale) or 20, round(170_000_000 * scale))


def work(site: Site, step: int) -> None:
    """Let half an hour of a practice's work pass."""
    database = sqlite3.connect(site.database)
    with database:
        (newest,) = database.execute("select max(id) from visit").fetchone()
        database.executemany(
            "insert into visit values (?, ?, ?)",
            ((newest + n, n, f"note {step} {n} " * 20) for n in range(1, VISITS_A_BACKUP + 1)),
        )
    database.close()
    folder = site.documents / "new"
    folder.mkdir(exist_ok=True)
    for number in range(PAGES_A_BACKUP):
        (folder / f"{step}-{number}.pdf").write_bytes(os.urandom(40_000))


def write_plan(site: Site, s3: S3, to: str, copy_to: str, *, tested: str) -> None:
    def repository(name: str) -> str:
        return (
            f"  {name}:\n    location: {s3.location(BUCKET, name)}\n"
            f"    password: {{file: {site.key}}}\n"
            f"    credentials: {{aws_profile: {name}-backup}}\n"
            f"    maintenance: {{credentials: {{aws_profile: {name}-maintenance}}}}\n"
            f"    object_lock: {{mode: compliance, days: {LOCKED_DAYS}}}\n"
        )

    site.write_plan(
        "  emr:\n    rto: 4h\n    rpo: 1h\n    assets:\n"
        f"      database: {{kind: sqlite, path: {site.database}}}\n"
        f"      documents: {{kind: files, path: {site.documents}}}\n"
        f"    backup: {{schedule: every 30m, to: [{to}]{copy_to}}}\n"
        f"    restore_tests: [{{schedule: 'Sun 04:00', from: {tested}, files: {{sample: 5%}}}}]\n",
        repositories=repository("offsite") + repository("straight"),
    )


def measure(site: Site, s3: S3, counting: Counting) -> list[Row]:
    """Do everything once that a plan asks for, and count what each of it asks of S3."""
    rows: list[Row] = []

    def do(words: str, a_day: float, *command: str) -> None:
        counting.take()
        ended = site.dro(*command, timeout=3600, AWS_SHARED_CREDENTIALS_FILE=str(s3.credentials))
        if ended.code != 0:
            raise RuntimeError(f"dro {' '.join(command)}: exit {ended.code}\n{ended.said}")
        rows.append(Row(words, a_day, counting.take()))
        print(f"  {words}: done", file=sys.stderr, flush=True)

    there = ("riverside", "--repository", "offsite")
    write_plan(site, s3, "onsite", ", copy_to: [offsite]", tested="offsite")
    until = datetime.now(ZoneInfo("America/Chicago")).date() + timedelta(days=LOCKED_DAYS)
    do("prepare", 0, "repository", "prepare", *there, "--yes-until", f"{until}")
    do("backup onsite", 48, "backup", "riverside", "--no-copy")
    do("first copy", 0, "repository", "copy", *there)
    work(site, 1)
    do("backup onsite", 48, "backup", "riverside", "--no-copy")
    rows.pop()
    do("copy, half an hour of work", 20, "repository", "copy", *there)
    site.dro("backup", "riverside", "--no-copy", timeout=3600)
    do("copy, nothing changed", 28, "repository", "copy", *there)
    do("check, 1 of 30 shares", 1, "repository", "check", *there)
    do("restore test, 5 % of the files", A_WEEK, "test", *there, "--sample")
    do("restore test, everything", 0, "test", *there)
    do("forget", 1, "retention", "apply", *there)
    do("prune, and locks renewed", A_WEEK, "repository", "prune", *there)
    do("locks renewed", A_WEEK, "repository", "extend", *there)
    do("immutability test", A_WEEK, "repository", "immutability", *there)
    write_plan(site, s3, "straight", "", tested="straight")
    do("first backup straight to S3", 0, "backup", "riverside")
    work(site, 2)
    do("backup straight to S3, half an hour of work", 0, "backup", "riverside")
    return rows


def show(rows: Iterable[Row]) -> None:
    print("| operation | a day | " + " | ".join(KINDS) + " | up | down |")
    print("|---|---|" + "---|" * len(KINDS) + "---|---|")
    requests: Counter[str] = Counter()
    up = down = 0.0
    for row in rows:
        counted = row.counted
        often = f"{row.a_day:g}" if row.a_day in {0, 1} or row.a_day > 1 else "1 a week"
        numbers = " | ".join(f"{counted.requests[kind]:,}" for kind in KINDS)
        sizes = f"{counted.up / 1e6:.2f} MB | {counted.down / 1e6:.2f} MB"
        print(f"| {row.words} | {often} | {numbers} | {sizes} |")
        for kind in KINDS:
            requests[kind] += round(counted.requests[kind] * row.a_day)
        up, down = up + counted.up * row.a_day, down + counted.down * row.a_day
    numbers = " | ".join(f"{requests[kind]:,}" for kind in KINDS)
    print(f"| **a day** | | {numbers} | {up / 1e6:.1f} MB | {down / 1e6:.1f} MB |")
    dollars = sum(requests[kind] * price for kind, price in DOLLARS.items())
    dollars += down / 2**30 * DOLLARS_A_GIB_OUT
    print(f"\nrequests and traffic, a month of 30 days: ${30 * dollars:.2f} (storage not counted)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: 80 MB and 170 MB of files")
    chosen = parser.parse_args()
    with new_site() as site, counting_server(site.folder) as (s3, counting):
        make_practice(site, chosen.scale)
        for name in ("offsite", "straight"):
            where = s3_location(s3.location(BUCKET, name))
            s3.add_user(f"{name}-backup", json.dumps(backup_policy(where, None)))
            s3.add_user(f"{name}-maintenance", json.dumps(maintenance_policy(where, None)))
        with s3.enforcing():
            show(measure(site, s3, counting))


if __name__ == "__main__":
    main()
