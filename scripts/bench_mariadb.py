"""Measure MariaDB, both methods, beside the bare tools on the same data, and print the ratios.

The bare tools are what a careful person's script would call: mariadb-dump with its extended inserts
piped into restic, and back into the client; mariadb-backup, mbstream and `--prepare`. Their server
gets as much memory as ours. Absolute times say something about the machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT, Table, largest_memory, ours, timed

sys.path.insert(0, str(ROOT))

from tests.support.mariadb import Production, production
from tests.support.site import Site, new_site

SCHEMA = """
create table patient (id int primary key, name varchar(100) not null, born date not null,
    key (name));
create table visit (id int primary key, patient_id int not null, seen_at datetime not null,
    note text not null, key (patient_id, seen_at));
create table lab (id int primary key, visit_id int not null, code varchar(10) not null,
    value decimal(10, 2) not null, taken_at datetime not null, key (visit_id),
    key (code, taken_at));
create table document (id int primary key, patient_id int not null, path varchar(190) not null,
    sha256 char(64) not null, key (patient_id)) engine={engine};
insert into patient select seq, concat('patient ', md5(seq)), date '1930-01-01'
    + interval seq % 30000 day from seq_1_to_{patients};
insert into visit select seq, seq % {patients} + 1, '2026-01-01' - interval seq minute,
    repeat(concat(md5(seq), ' '), 12) from seq_1_to_{visits};
insert into lab select seq, seq % {visits} + 1, concat('L', seq % 400), seq * 7919 % 100000 / 100,
    '2026-01-01' - interval seq * 10 second from seq_1_to_{labs};
insert into document select seq, seq % {patients} + 1, concat('scan/', seq, '.pdf'), sha2(seq, 256)
    from seq_1_to_{documents};
alter table visit add foreign key (patient_id) references patient (id);
"""
ROWS = {
    "first backup, logical": ("bare", "<= 1.1"),
    "second backup, nothing changed, logical": ("bare", "<= 1.35"),
    "recovery, logical": ("bare", "<= 1.1"),
    "first backup, physical": ("bare", "<= 1.1"),
    "recovery, physical": ("bare", "<= 1.1"),
}
DUMP = (
    *("--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob"),
    *("--skip-dump-date", "--order-by-primary", "--default-character-set=utf8mb4"),
)
SERVER = ("--innodb-buffer-pool-size=1G", "--max-allowed-packet=1G")
START_SECONDS = 120


def plan(site: Site, server: Production, method: str) -> None:
    scope = ", scope: cluster" if method == "physical" else ""
    site.write_plan(
        "  emr:\n    rto: 4h\n    rpo: 1h\n    assets:\n"
        f"      database: {{kind: mariadb, host: {server.host}, database: emr, user: root, "
        f"method: {method}{scope}}}\n"
    )


@dataclass
class Bare:
    """What a careful person's script does."""

    site: Site
    server: Production

    def restic(self, repository: Path, *words: str) -> tuple[str, ...]:
        return ("restic", "-q", "-r", str(repository), *words)

    @property
    def environment(self) -> dict[str, str]:
        return self.site.environment | {
            "RESTIC_PASSWORD_FILE": str(self.site.key),
            "RESTIC_CACHE_DIR": str(self.site.folder / "bare-cache"),
        }

    def save(self, repository: Path, method: str) -> None:
        at = ("--no-defaults", f"--socket={self.server.host}", "--user=root")
        staging = f"--target-dir={self.site.folder / 'bare-staging'}"
        command: tuple[str, ...] = ("mariadb-dump", *at, *DUMP, "emr")
        if method == "physical":
            copy = ("--backup", "--stream=xbstream", f"--datadir={self.server.data}", staging)
            command = ("mariadb-backup", *at, *copy)
        into = self.restic(repository, "backup", "--stdin", "--stdin-filename", "emr")
        self.pipe(command, into)

    def pipe(self, first: tuple[str, ...], second: tuple[str, ...]) -> None:
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            first, stdout=subprocess.PIPE, stderr=quiet, env=self.environment
        ) as producer:
            subprocess.run(second, stdin=producer.stdout, env=self.environment, check=True)
        if producer.returncode != 0:
            raise RuntimeError(f"{first[0]} failed")

    def recover(self, repository: Path, method: str) -> float:
        """Bring the database back; return the seconds it took until it answered."""
        place = self.site.folder / "bare-restored"
        place.mkdir(mode=0o755)
        begun = time.monotonic()
        dump = self.restic(repository, "dump", "latest", "/emr")
        client = ("mariadb", "--no-defaults", f"--socket={place / 's'}", "--user=root")
        if method == "logical":
            _as_server(place, *_install(place))
            with _running(place, client):
                subprocess.run((*client, "--execute=create database emr"), check=True)
                self.pipe(dump, (*client, "--max-allowed-packet=1G", "emr"))
                seconds = time.monotonic() - begun
        else:
            self.pipe(dump, ("mbstream", "-x", "-C", str(place)))
            _as_server(place, "mariadb-backup", "--prepare", f"--target-dir={place}")
            with _running(place, client, "--skip-grant-tables"):
                seconds = time.monotonic() - begun
        shutil.rmtree(place)
        return seconds


def _install(place: Path) -> tuple[str, ...]:
    program = ("mariadb-install-db", "--no-defaults", f"--datadir={place}", "--skip-test-db")
    return (*program, "--auth-root-authentication-method=normal", "--skip-name-resolve")


@contextmanager
def _running(place: Path, client: tuple[str, ...], *options: str) -> Iterator[None]:
    words = (f"--datadir={place}", f"--socket={place / 's'}", "--skip-networking", *options)
    program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
    argv = (*_owned(place), program, "--no-defaults", *words, *SERVER)
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
        try:
            last = time.monotonic() + START_SECONDS
            ask = (*client, "--execute=select 1")
            while subprocess.run(ask, capture_output=True, check=False).returncode != 0:
                if server.poll() is not None or time.monotonic() > last:
                    raise RuntimeError("the server of the bare tools did not start")
                time.sleep(0.05)
            yield
        finally:
            server.kill()


def _as_server(place: Path, *argv: str) -> None:
    subprocess.run((*_owned(place), *argv), check=True, capture_output=True)


def _owned(place: Path) -> tuple[str, ...]:
    """Give the folder to the server's account; return what runs a program as it."""
    if os.geteuid() != 0:
        return ()
    subprocess.run(("chown", "-R", "mysql:mysql", str(place)), check=True)
    return ("setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups", "--")


def measure(site: Site, server: Production, table: Table, method: str, run: int) -> None:
    bare = Bare(site, server)
    plan(site, server, method)
    repository = site.folder / f"bare-{method}-{run}"
    for place in (site.repository, site.state, site.folder / "cache"):
        shutil.rmtree(place, ignore_errors=True)
    subprocess.run(bare.restic(repository, "init"), env=bare.environment, check=True)
    site.restic("init")  # making a repository is no backup, neither for the bare tools nor for us
    rows = [f"first backup, {method}", f"second backup, nothing changed, {method}"]
    for row in rows if method == "logical" else rows[:1]:
        with timed(table, row, "bare"):
            bare.save(repository, method)
        _, seconds = ours(site, "backup", "riverside")
        table.add(row, "ours", seconds)
    row = f"recovery, {method}"
    table.add(row, "bare", bare.recover(repository, method))
    tested, _ = ours(site, "test", "riverside")
    (test,) = tested["tests"]  # type: ignore[misc, attr-defined]
    table.add(row, "ours", float(test["rta_service_seconds"]))
    print(f"  proof, apart: {test['proof_seconds']:.1f} s", file=sys.stderr)
    shutil.rmtree(repository)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=1)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--engine", default="InnoDB", help="of one of the four tables")
    chosen = options.parse_args()
    table = Table(ROWS)
    sizes = {"patients": 150_000, "visits": 750_000, "labs": 3_500_000, "documents": 400_000}
    counts = {name: max(1, int(count * chosen.scale)) for name, count in sizes.items()}
    with (
        new_site(repository=False) as site,
        production(*SERVER, "--innodb-log-file-size=512M") as server,
    ):
        print("making up the database", file=sys.stderr)
        server.run("create database emr")
        server.run(SCHEMA.format(**counts, engine=chosen.engine), "emr")
        with server.connect("emr") as connection:
            size = connection.one(
                "select sum(data_length + index_length) from information_schema.tables "
                "where table_schema = 'emr'"
            )
        print(f"database: {float(size) / 1e6:.0f} MB", file=sys.stderr)
        for run in range(chosen.runs):
            for method in ("logical", "physical"):
                measure(site, server, table, method, run)
        plan(site, server, "logical")
        memory = {
            words[0]: largest_memory(site, words)
            for words in (("backup", "riverside"), ("test", "riverside"))
        }
    table.show()
    for command, used in memory.items():
        print(f"memory of dro {command} itself: {used / 1e6:.0f} MB (target: <= 120 MB)")
    print(json.dumps(table.seconds), file=sys.stderr)


if __name__ == "__main__":
    main()
