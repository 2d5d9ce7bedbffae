"""A MariaDB server in "production" for tests, with a made-up electronic medical record.

It runs as an unprivileged user in a short temporary folder, on a unix socket and a loopback port,
and is ended by its own pid. Its `root` is trusted on the socket; everybody else needs a password.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import (
    Captured,
    CaptureRequest,
    Restoration,
    RestoreRequest,
    Stream,
)
from dr_orchestrator.assets.mariadb import MariadbDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.plan.model import BaselineSpec, MariadbAsset
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.servers.mariadb_connection import Address, Connection, connect
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
from tests.support.plain_place import plain_place
from tests.support.postgres import FixedSecrets, state_of
from tests.support.servers import as_user, free_port, give_away, server_user
from tests.support.tools import require_tool

PATTERNS = ("/usr/bin", "/opt/mariadb-*/bin")
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
BACKUP_USER = "backup"
BACKUP_PASSWORD = r"""canary-secret:#"with'\quotes"""
ACCOUNT = "mysql"
PATIENT = "Zebedee Canaryson"
"""A name that must never leave the database."""
ZONE = "-06:00"
"""The server's own; sessions of ours are in UTC."""
_USERS = r"""
create user backup identified by 'canary-secret:#"with''\\quotes';
grant select, show view, trigger, event, lock tables, reload, process, binlog monitor on *.*
    to backup;
create user 'Dr. O''Hara'@'localhost' identified by 'canary-of-a-user';
create user emr_owner@localhost identified by 'canary-of-the-owner';
grant all on *.* to emr_owner@localhost;
"""
EMR = r"""
create table patient (
    id int unsigned not null auto_increment primary key, name varchar(200) not null,
    legacy_name varchar(60) character set latin1, born date, sex enum('f', 'm', 'x'),
    flags set('allergy', 'deceased'), balance decimal(12, 2) default 12.50, weight double,
    height float, photo longblob, checked bit(3), meets time, since year,
    details json, changed timestamp not null default current_timestamp on update current_timestamp,
    key patient_name (name), fulltext key patient_words (name)
) engine=InnoDB character set utf8mb4 collate utf8mb4_unicode_ci;
create table encounter (
    id bigint not null auto_increment primary key, patient_id int unsigned not null,
    seen_at datetime not null, note text, note_length int as (length(note)) stored,
    note_words int as (char_length(note)) virtual, key encounter_seen (seen_at desc),
    constraint encounter_patient foreign key (patient_id) references patient (id),
    constraint encounter_year check (seen_at > '1900-01-01')
) engine=InnoDB;
create table lab (
    id bigint not null, taken date not null, code varbinary(8), value decimal(20, 6),
    primary key (id, taken)
) engine=InnoDB partition by range (year(taken)) (
    partition p2025 values less than (2026), partition p2026 values less than (2027));
create table document (path varchar(190) primary key, sha256 char(64) not null) engine=InnoDB;
create table empty_by_design (id int primary key) engine=InnoDB;
create table setting (name text, value text) engine=InnoDB;
create sequence invoice start with 4711;
insert into patient (name, legacy_name, born, sex, flags, weight, height, photo, checked, meets,
                     since, details, changed)
    select concat('Patient ', seq), 'Müller', date '1950-01-01' + interval seq day,
           elt(1 + seq % 3, 'f', 'm', 'x'), if(seq % 7, '', 'allergy'), 50 + seq / 7e0,
           1 + seq / 3e0, unhex(md5(seq)), seq % 8, '08:30:00', 2000 + seq % 25,
           json_object('n', seq, 'euro', '€'), timestamp '2026-03-08 12:00:00'
    from seq_1_to_500;
insert into encounter (patient_id, seen_at, note)
    select 1 + seq % 500, timestamp '2026-01-05 08:00:00' + interval seq * 7 minute,
           if(seq % 50, repeat(md5(seq), 3), null)
    from seq_1_to_3000;
insert into lab select seq, date '2025-06-01' + interval seq % 365 day, concat('L', seq % 40), seq/3
    from seq_1_to_4000;
insert into document select concat('/share/', seq, '.pdf'), sha2(seq, 256) from seq_1_to_50;
insert into setting values ('practice', 'Riverside'), ('practice', 'Riverside'), (null, '');
select nextval(invoice);
create definer=emr_owner@localhost view visit as
    select p.name, e.seen_at from patient p join encounter e on e.patient_id = p.id;
delimiter //
create definer=emr_owner@localhost function age(born date) returns int deterministic
    return timestampdiff(year, born, date '2026-11-21')//
create procedure close_day(in day date)
begin
    -- nothing a practice would miss; with a semicolon;
    delete from setting where name = concat('closed-', day);
end//
create definer=emr_owner@localhost trigger stamp before insert on encounter for each row
    set new.note = coalesce(new.note, 'none')//
create event nightly on schedule every 1 day starts '2026-01-01 02:00:00' do
begin
    delete from setting where name = 'stale';
end//
delimiter ;
grant select, insert, update on {database}.* to 'Dr. O''Hara'@'localhost';
"""
"""InnoDB only. `{database}` is replaced."""
OLD_TABLES = """
create table appointment (
    id int not null auto_increment primary key, at datetime, note varchar(200)
) engine=MyISAM;
create table recall (id int not null primary key, note text) engine=Aria;
insert into appointment (at, note)
    select timestamp '2026-01-05 08:00:00' + interval seq hour, md5(seq) from seq_1_to_1000;
insert into recall select seq, md5(seq) from seq_1_to_300;
"""
"""Tables of engines without transactions, as old installations have them."""


@dataclass(frozen=True)
class Production:
    """A running server."""

    folder: Path
    pid: int
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def host(self) -> str:
        """The path of its unix socket."""
        return str(self.folder / "s" / "m.sock")

    def connect(self, database: str | None = None, user: str = "root") -> Connection:
        return connect(Address(host=self.host, port=self.port, user=user), database)

    def run(self, script: str, database: str | None = None) -> None:
        """Run SQL as the `mariadb` client does: several statements, `delimiter`."""
        argv = ["mariadb", "--no-defaults", f"--socket={self.host}", "--user=root"]
        argv += ["--default-character-set=utf8mb4", *([database] if database else [])]
        subprocess.run(argv, input=script.encode(), check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def database(self, name: str = "emr", *schemas: str) -> Iterator[str]:
        """Make a database for the block, with the patient whose name must not get out."""
        self.run(f"create database `{name}` character set utf8mb4 collate utf8mb4_general_ci")
        try:
            for schema in schemas:
                self.run(schema.replace("{database}", f"`{name}`"), name)
            if EMR in schemas:
                self.run(f"insert into patient (name) values ('{PATIENT}')", name)
            yield name
        finally:
            self.run(f"drop database `{name}`")

    def asset(self, database: str = "emr", **fields: object) -> MariadbAsset:
        """Return what a plan would say of a database of this server."""
        stated = {
            "kind": AssetKind.MARIADB,
            "host": self.host,
            "port": self.port,
            "database": database,
            "user": BACKUP_USER,
            "password": {"env": "EMR_DB_PASSWORD"},
            "sslmode": "disable",
            "baseline": BaselineSpec(level=Level.FULL, budget=timedelta(minutes=2)),
            **fields,
        }
        return MariadbAsset.model_validate(stated)


def physical(asset: MariadbAsset) -> MariadbAsset:
    """Return the same asset, captured physically."""
    return asset.model_copy(update={"method": Method.PHYSICAL, "scope": "cluster"})


@contextlib.contextmanager
def production(*settings: str) -> Iterator[Production]:
    """Make and run a server for the block; `settings` are arguments of mariadbd."""
    server_program = require_tool("mariadbd")
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    folder.chmod(0o755)
    for name in ("data", "s"):
        (folder / name).mkdir(mode=0o755)
        give_away(folder / name, ACCOUNT)
    try:
        _run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-use-native-aio=0",  # many servers at once run out of it
            *(word for word in settings if word.startswith("--innodb-page-size")),
            *((f"--user={server_user(ACCOUNT).pw_name}",) if os.getuid() == 0 else ()),
        )
        server = _start_server(server_program, folder, port := free_port(), settings)
        try:
            running = Production(folder, server.pid, port)
            _wait_until_ready(running, server)
            running.run(_USERS)
            yield running
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait(30)
    finally:
        shutil.rmtree(folder)


def _start_server(
    program: Path, folder: Path, port: int, settings: Sequence[str]
) -> subprocess.Popen[bytes]:
    given = (
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 's' / 'm.sock'}",
        f"--pid-file={folder / 's' / 'pid'}",
        f"--tmpdir={folder / 's'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        f"--default-time-zone={ZONE}",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=16M",
        "--event-scheduler=OFF",
        "--innodb-use-native-aio=0",
        *settings,
    )
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*as_user(ACCOUNT), str(program), "--no-defaults", *given], stderr=log, stdout=log
        )


def _wait_until_ready(running: Production, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            running.connect().close()
            return
        except pymysql.MySQLError:
            assert server.poll() is None, (running.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _run(*argv: str) -> None:
    done = subprocess.run([*argv], check=False, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


@dataclass
class Bench:
    """A driver, and what it takes to capture by it without a repository."""

    launcher: SystemLauncher
    folder: Path
    password: str = BACKUP_PASSWORD
    patterns: tuple[str, ...] = PATTERNS
    driver: MariadbDriver = field(init=False)
    _captures: int = 0

    def __post_init__(self) -> None:
        self.driver = MariadbDriver(
            self.launcher,
            MariadbPrograms(self.launcher, self.patterns),
            FixedSecrets(self.password),
            SystemClock(),
            self.folder / "runtime",
        )

    def request(
        self, asset: MariadbAsset, queries: tuple[str, ...] = (), newest: str | None = None
    ) -> CaptureRequest:
        self._captures += 1
        staging = self.folder / f"staging-{self._captures}"
        staging.mkdir(mode=0o700)
        return CaptureRequest(
            practice="riverside",
            system="emr",
            asset_id="database",
            asset=asset,
            staging=staging,
            mirror=staging / "mirror",
            files_key=b"k" * 32,
            queries=queries,
            newest=newest,
        )

    def capture(
        self, asset: MariadbAsset, queries: tuple[str, ...] = (), newest: str | None = None
    ) -> tuple[AssetState, Path, Captured]:
        """Capture, and keep what a repository would have kept; return its state and path."""
        request = self.request(asset, queries, newest)
        kept = self.folder / f"kept-{self._captures}"
        with self.driver.capture(request) as capture:
            assert isinstance(capture.content, Stream)
            save_stream(capture.content, kept)
            capture.measure()
            captured = capture.finish()
        return state_of(captured, kept), kept, captured


def save_stream(stream: Stream, to: Path) -> None:
    """Write the stream to a file, as a repository would take it: to the end of its pipe."""
    read_end, write_end = os.pipe()
    producer = stream.start(write_end)
    os.close(write_end)
    with open(read_end, "rb") as source, to.open("wb") as file:  # noqa: PTH123 - a descriptor
        shutil.copyfileobj(source, file)
    assert producer.wait() == 0, producer.stderr
    content = to.read_bytes()
    stream.check(content[:4096], content[-4096:], len(content))


@contextlib.contextmanager
def restoration(
    bench: Bench, state: AssetState, sidecars: Mapping[str, bytes], *, jobs: int = 2
) -> Iterator[tuple[Restoration, Callable[[Path], Path]]]:
    """Begin a restoration in a place without walls; also return what puts files there."""
    with plain_place(bench.launcher) as place:

        def put(kept: Path) -> Path:
            there = place.root / f"{kept.name}-{secrets.token_hex(3)}"
            shutil.copy(kept, there)
            place.adopt(there)
            return there

        request = RestoreRequest(
            asset_id="database", state=state, place=place, sidecars=sidecars, jobs=jobs
        )
        with bench.driver.restoration(request) as begun:
            yield begun, put


@contextlib.contextmanager
def revived(
    bench: Bench, state: AssetState, kept: Path, sidecars: Mapping[str, bytes] | None = None
) -> Iterator[Restoration]:
    """Bring what was captured back to life."""
    with restoration(bench, state, sidecars or {}) as (begun, put):
        begun.prepare()
        begun.load(put(kept))
        yield begun


@contextlib.contextmanager
def busy(production: Production, database: str, statement: str) -> Iterator[None]:
    """Run a statement over and over for the block, and prove that it ran."""
    stop = threading.Event()
    count = 0

    def work() -> None:
        nonlocal count
        with contextlib.closing(production.connect(database)) as connection:
            while not stop.is_set():
                connection.execute(statement)
                count += 1
                stop.wait(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert count > 1
