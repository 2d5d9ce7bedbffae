"""Measure ours beside the bare tools on the same data, in one run, and print the ratios.

The bare tools are what a careful person's script would call, one after another: pg_dump or
pg_basebackup, restic, initdb, pg_restore. borgmatic joins in where it is installed. Absolute times
say something about the machine only; the ratios say something about us.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.postgres import SUPERUSER, Production, production  # noqa: E402
from tests.support.site import Site, new_site  # noqa: E402

SCHEMA = """
create table patient (id int primary key, name text not null, born date not null);
create table visit (id int primary key, patient_id int not null references patient,
    seen_at timestamptz not null, note text not null);
create table lab (id int primary key, visit_id int not null, code text not null,
    value numeric not null, taken_at timestamptz not null);
create table document (id int primary key, patient_id int not null, path text not null,
    sha256 text not null);
insert into patient select n, 'patient ' || md5(n::text), date '1930-01-01' + n % 30000
    from generate_series(1, {patients}) n;
insert into visit select n, n % {patients} + 1, now() - n * interval '1 minute',
    repeat(md5(n::text) || ' ', 12) from generate_series(1, {visits}) n;
insert into lab select n, n % {visits} + 1, 'L' || n % 400, (n::bigint * 7919 % 100000) / 100.0,
    now() - n * interval '10 seconds' from generate_series(1, {labs}) n;
insert into document select n, n % {patients} + 1, 'scan/' || n || '.pdf', md5(n::text)
    from generate_series(1, {documents}) n;
create index on visit (patient_id, seen_at);
create index on lab (visit_id);
create index on lab (code, taken_at);
create index on document (patient_id);
analyze;
"""


@dataclass
class Table:
    """Seconds by row and column, a list of runs each. A row's bare column, and its target."""

    rows: Mapping[str, tuple[str, str]]
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, row: str, column: str, seconds: float) -> None:
        self.seconds.setdefault(row, {}).setdefault(column, []).append(seconds)
        print(f"  {row} | {column} | {seconds:.2f} s", file=sys.stderr, flush=True)

    def show(self) -> None:
        print("| work | bare tools | ours | ratio | target | borgmatic |")
        print("|---|---|---|---|---|---|")
        for row, (bare, target) in self.rows.items():
            columns = {name: statistics.median(runs) for name, runs in self.seconds[row].items()}
            best = columns.get(bare)
            ratio = f"{columns['ours'] / best:.2f}" if best else "–"
            others = f"{columns['borgmatic']:.1f} s" if "borgmatic" in columns else "–"
            shown = f"{best:.1f} s" if best else "–"
            ours = f"{columns['ours']:.2f} s" if columns["ours"] < 2 else f"{columns['ours']:.1f} s"  # noqa: PLR2004
            print(f"| {row} | {shown} | {ours} | {ratio} | {target} | {others} |")


ROWS = {
    "first backup, logical + files": ("bare", "<= 1.1"),
    "second backup, nothing changed": ("bare", "<= 1.35"),
    "of which baseline (beside the saving)": ("", "shown apart"),
    "recovery, logical, files side by side": ("bare", "<= 1.1"),
    "first backup, physical + files": ("bare", "<= 1.1"),
    "recovery, physical, files side by side": ("bare", "<= 1.0"),
    "dro --version": ("", "<= 0.12 s"),
    "dro plan validate": ("", "<= 0.25 s"),
}


@contextmanager
def timed(table: Table, row: str, column: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    table.add(row, column, time.monotonic() - begun)


def make_files(folder: Path, count: int, total: int) -> None:
    """Make files, half of whose bytes do not compress."""
    chance = random.Random(1)
    for number in range(count):
        size = int(chance.expovariate(count / total)) + 200
        place = folder / f"{number % 100:02d}"
        place.mkdir(parents=True, exist_ok=True)
        text = (f"page {number} of a scanned letter ".encode() * (size // 50 + 1))[: size // 2]
        (place / f"{number}.pdf").write_bytes(chance.randbytes(size - len(text)) + text)


def plan(site: Site, server: Production, method: str) -> None:
    scope = ", scope: cluster" if method == "physical" else ""
    site.write_plan(
        "  emr:\n    rto: 4h\n    rpo: 1h\n    assets:\n"
        f"      database: {{kind: postgres, host: {server.host}, port: {server.port}, "
        f"database: emr, user: {SUPERUSER}, method: {method}{scope}}}\n"
        f"      documents: {{kind: files, path: {site.documents}}}\n"
    )


@dataclass
class Bare:
    """What a careful person's script does."""

    site: Site
    server: Production
    programs: Path

    def restic(self, repository: Path, *words: str, stdin: int | None = None) -> None:
        environment = self.site.environment | {
            "RESTIC_PASSWORD_FILE": str(self.site.key),
            "RESTIC_CACHE_DIR": str(self.site.folder / "bare-cache"),
        }
        argv = ("restic", "-q", "-r", str(repository), *words)
        subprocess.run(argv, env=environment, stdin=stdin, check=True)

    def client(self, name: str) -> tuple[str, ...]:
        at = ("-h", self.server.host, "-p", str(self.server.port), "-U", SUPERUSER)
        return (str(self.programs / name), *at)

    def save_logical(self, repository: Path) -> None:
        dump = subprocess.Popen(
            (*self.client("pg_dump"), "-Fc", "-Z0", "emr"), stdout=subprocess.PIPE
        )
        assert dump.stdout is not None
        self.restic(
            repository, "backup", "--stdin", "--stdin-filename", "emr", stdin=dump.stdout.fileno()
        )
        dump.stdout.close()
        if dump.wait() != 0:
            raise RuntimeError("pg_dump failed")
        self.restic(repository, "backup", str(self.site.documents))

    def save_physical(self, repository: Path) -> None:
        place = self.site.folder / "bare-staging"
        argv = (
            *self.client("pg_basebackup"),
            "-D",
            str(place),
            "-Fp",
            "-X",
            "stream",
            "-c",
            "fast",
        )
        subprocess.run(argv, check=True)
        self.restic(repository, "backup", str(place))
        shutil.rmtree(place)
        self.restic(repository, "backup", str(self.site.documents))

    def recover(self, repository: Path, method: str, jobs: int) -> float:
        """Bring everything back, one thing after another; return the seconds it took."""
        place = self.site.folder / "bare-restored"
        place.mkdir(mode=0o755)
        begun = time.monotonic()
        if method == "logical":
            self.restic(repository, "restore", "latest", "--path", "/emr", "--target", str(place))
            data = place / "data"
            data.mkdir()
            _give_away(place)
            self._as_server("initdb", "-D", str(data), "-U", "postgres", "-E", "UTF8")
            with self._running(data, place):
                at = ("-h", str(place), "-U", "postgres")
                self._as_server("createdb", *at, "emr")
                load = ("-j", str(jobs)) if jobs > 1 else ()
                self._as_server("pg_restore", *at, "-d", "emr", *load, str(place / "emr"))
                self._restore_files(repository, place)
                seconds = time.monotonic() - begun
        else:
            staging = self.site.folder / "bare-staging"
            path = str(staging)
            self.restic(repository, "restore", "latest", "--path", path, "--target", str(place))
            data = place / path.lstrip("/")
            _give_away(place)
            with self._running(data, place):
                self._restore_files(repository, place)
                seconds = time.monotonic() - begun
        shutil.rmtree(place)
        return seconds

    def _restore_files(self, repository: Path, place: Path) -> None:
        path = str(self.site.documents)
        target = str(place / "files")
        self.restic(repository, "restore", "latest", "--path", path, "--target", target)

    def _as_server(self, program: str, *words: str) -> None:
        argv = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")
        if os.geteuid() != 0:
            argv = ()
        subprocess.run(
            (*argv, str(self.programs / program), *words), check=True, stdout=subprocess.DEVNULL
        )

    @contextmanager
    def _running(self, data: Path, place: Path) -> Iterator[None]:
        options = f"-c listen_addresses= -c unix_socket_directories={place}"
        log = str(place / "log")
        self._as_server("pg_ctl", "-D", str(data), "-w", "-l", log, "-o", options, "start")
        try:
            yield
        finally:
            self._as_server("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        subprocess.run(("chown", "-R", "postgres:postgres", str(folder)), check=True)


def ours(site: Site, *words: str) -> tuple[dict[str, object], float]:
    begun = time.monotonic()
    ended = site.dro(*words, "--json", timeout=1800)
    seconds = time.monotonic() - begun
    if ended.code != 0:
        raise RuntimeError(ended.said)
    return ended.json, seconds


def measure(site: Site, server: Production, table: Table, method: str, run: int) -> None:
    bare = Bare(site, server, next(Path("/usr/lib/postgresql").glob("*/bin")))
    plan(site, server, method)
    repository = site.folder / f"bare-{method}-{run}"
    for place in (site.repository, site.state, site.folder / "cache"):
        shutil.rmtree(place, ignore_errors=True)
    save = bare.save_logical if method == "logical" else bare.save_physical
    first = f"first backup, {method} + files"

    bare.restic(repository, "init")
    with timed(table, first, "bare"):
        save(repository)
    site.restic("init")  # making a repository is no backup, neither for the bare tools nor for us
    _, seconds = ours(site, "backup", "riverside")
    table.add(first, "ours", seconds)
    if method == "logical":
        with timed(table, "second backup, nothing changed", "bare"):
            save(repository)
        begun = time.monotonic()
        ended = site.dro("backup", "riverside")
        table.add("second backup, nothing changed", "ours", time.monotonic() - begun)
        baseline = float(ended.stdout.rsplit("baseline ", 1)[1].split(" s", 1)[0])
        table.add("of which baseline (beside the saving)", "ours", baseline)

    row = f"recovery, {method}, files side by side"
    runs: tuple[int, ...] = (1, 2) if method == "logical" else (1,)
    table.add(row, "bare", min(bare.recover(repository, method, jobs) for jobs in runs))
    tested, _ = ours(site, "test", "riverside")
    (test,) = tested["tests"]  # type: ignore[misc, attr-defined]
    table.add(row, "ours", float(test["rta_service_seconds"]))
    print(f"  proof, apart: {test['proof_seconds']:.1f} s", file=sys.stderr)
    shutil.rmtree(repository)


def measure_small(site: Site, table: Table) -> None:
    for _ in range(7):
        with timed(table, "dro --version", "ours"):
            site.dro("--version")
        with timed(table, "dro plan validate", "ours"):
            site.dro("plan", "validate", "riverside")


def largest_memory(site: Site, words: tuple[str, ...]) -> int:
    """Return the most bytes that `dro` itself had in memory, without the programs it runs."""
    process = site.start(*words)
    most = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        most = max([most, *(int(x.split()[1]) for x in status.splitlines() if x[:6] == "VmHWM:")])
        time.sleep(0.05)
    process.communicate()
    return most * 1024


def borgmatic(site: Site, server: Production, table: Table) -> None:
    """Measure borgmatic on the same data, where it is installed."""
    programs = [shutil.which("borgmatic"), shutil.which("borg")]
    if None in programs:
        return
    config = site.folder / "borgmatic.yaml"
    repository = site.folder / "borg"
    config.write_text(
        f"location:\n  source_directories: [{site.documents}]\n  repositories: [{repository}]\n"
        f"storage:\n  encryption_passphrase: bench\n"
        f"hooks:\n  postgresql_databases:\n    - {{name: emr, hostname: {server.host}, "
        f"port: {server.port}, username: {SUPERUSER}, format: custom}}\n"
    )
    environment = site.environment | {"BORG_BASE_DIR": str(site.folder / "borg-home")}

    def run(*words: str) -> None:
        argv = ("borgmatic", "-c", str(config), *words)
        # borgmatic signals its whole process group when it ends: it gets one of its own
        subprocess.run(
            argv,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            process_group=0,
            timeout=300,
        )

    try:
        run("init", "-e", "repokey")
        for row in ("first backup, logical + files", "second backup, nothing changed"):
            with timed(table, row, "borgmatic"):
                run("create")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"  borgmatic could not be measured: {error}", file=sys.stderr)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=1)
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    scale: Callable[[int], int] = lambda count: max(1, int(count * chosen.scale))  # noqa: E731
    table = Table(ROWS)
    with new_site(repository=False) as site, production() as server:
        print("making up the reference practice", file=sys.stderr)
        server.run("create database emr")
        sizes = {"patients": 100_000, "visits": 500_000, "labs": 2_000_000, "documents": 200_000}
        server.run(SCHEMA.format(**{name: scale(count) for name, count in sizes.items()}), "emr")
        make_files(site.documents, scale(15_000), scale(520_000_000))
        with server.connect("emr") as connection:
            row = connection.execute("select pg_database_size('emr')").fetchone()
        print(f"database: {row[0] / 1e6:.0f} MB", file=sys.stderr)  # type: ignore[index]
        for run in range(chosen.runs):
            for method in ("logical", "physical"):
                measure(site, server, table, method, run)
        plan(site, server, "logical")
        measure_small(site, table)
        memory = {
            words[0]: largest_memory(site, words)
            for words in (("backup", "riverside"), ("test", "riverside"))
        }
        borgmatic(site, server, table)
    table.show()
    for command, size in memory.items():
        print(f"memory of dro {command} itself: {size / 1e6:.0f} MB (target: <= 120 MB)")
    print(json.dumps(table.seconds), file=sys.stderr)


if __name__ == "__main__":
    main()
