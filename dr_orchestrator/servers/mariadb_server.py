"""A MariaDB server of our own, in a place that nobody else can reach.

It listens on a unix socket only, reads no option file, and neither replicates, runs events, loads
plugins nor touches files outside its folders, whatever its data says. What loads a dump does so by
an account that may fill one database and cannot change any of this. Its settings are durable ones
from the first moment, since the time until it answers is what a promise is held to. What it writes
to its log may hold rows: it stays in memory, and is only ever classified.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Protocol

import pymysql

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Child, Command, exit_words, known_cause
from dr_orchestrator.servers.door import READER, Door
from dr_orchestrator.servers.mariadb_connection import (
    Address,
    Connection,
    connect,
    failure_words,
    identifier,
    literal,
)
from dr_orchestrator.servers.mariadb_programs import ProgramFolder
from dr_orchestrator.servers.place import Place

LARGEST_PACKET = 1024 * 1024 * 1024
"""The protocol's own limit: whatever production accepted fits."""
OF_THE_FILES = (
    *("innodb_data_file_path", "innodb_log_file_size", "innodb_page_size"),
    "innodb_undo_tablespaces",
)
"""Settings without which copied files are not found, or found to be wrong."""

_SUPERUSER = "dro_sandbox"
_OURS = f"'{_SUPERUSER}'@'localhost'"
"""Our account: no restored one has this name."""
_LOCK_ACCOUNTS = "update mysql.global_priv set priv = json_set(priv, '$.account_locked', true)"
_OF_THE_SERVER = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
"""Databases that are not the practice's: the accounts of production are in one of them."""
_LOADER = "dro_load"
"""The account that dumps are loaded by."""
_ZONES = "/usr/share/zoneinfo"
_MEGABYTE = 1024 * 1024
_MAKING = timedelta(minutes=5)
_LIFE = timedelta(days=7)
_SET_USER_SINCE = (10, 5, 2)
_PAUSE_SECONDS = 0.05
_STOP_SECONDS = 0.5
_FROM_THE_START = frozenset({"innodb-page-size", "lower-case-table-names"})
"""Settings that a data directory is made with."""
_FIXED_SETTINGS = {
    "skip-networking": "1",
    "skip-name-resolve": "1",
    "skip-log-bin": "1",
    "skip-slave-start": "1",
    "event-scheduler": "OFF",  # DISABLED would let no event be made either (10.11: error 1577)
    "local-infile": "0",
    "symbolic-links": "0",
    "loose-feedback": "OFF",
    "performance-schema": "0",
    "general-log": "0",
    "slow-query-log": "0",
    "log-warnings": "1",
    "lc-messages": "en_US",
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-doublewrite": "1",
    # Production has the table: that it would not be made anew as strictly is no damage.
    "innodb-strict-mode": "0",
    "innodb-buffer-pool-load-at-startup": "0",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    # Damage is to be found, not mended.
    "myisam-recover-options": "OFF",
    "aria-recover-options": "OFF",
    "max-allowed-packet": str(LARGEST_PACKET),
}


class MariadbServer(Protocol):
    """A server that a database can be loaded into: a private one, or a lab."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    def connect(self, database: str | None = None) -> Connection:
        """Connect with all the rights there are.

        Raises:
            pymysql.MySQLError: it fails.
        """
        ...

    def admit_loader(self, database: str) -> None:
        """Let client programs fill `database`, which is there, and nothing else.

        Raises:
            pymysql.MySQLError: it fails.
        """
        ...

    def client_options(self) -> tuple[str, ...]:
        """Return the first arguments that lead a client program inside the place to the server."""
        ...

    @property
    def running(self) -> bool:
        """Whether it is still the server that was there in the beginning."""
        ...

    def failure(self, what: str) -> LoadFailed | SpaceExhausted | CouldNotVerify:
        """Return the error that says `what`, of the kind that fits."""
        ...

    def stop(self) -> None:
        """Use it no more."""
        ...


class PrivateMariadb:
    """A server of our own over one data directory; see `MariadbServer`."""

    title = "the private server"

    def __init__(
        self,
        place: Place,
        programs: ProgramFolder,
        clock: Clock,
        *,
        name: str,
        data: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Take a short name for its folders, the data directory, and settings that this data
        needs beyond ours.
        """
        self._place = place
        self._programs = programs
        self._clock = clock
        self._data = data
        self._settings = dict(settings or {})
        self._runtime = place.folder(f"{name}-run")
        self._work = place.folder(f"{name}-work")
        self._nothing = place.folder(f"{name}-none")
        self._configuration = place.folder(f"{name}-conf")
        self._child: Child | None = None
        self._knows_zones = False

    def initialise(self) -> None:
        """Make an empty server in the data directory, which must be empty.

        Raises:
            SpaceExhausted: no room for it.
            CouldNotVerify: it cannot be made here.
        """
        program = self._programs.path("mariadb-install-db")
        completed = self._place.inside.run(
            Command(
                argv=(
                    program,
                    "--no-defaults",
                    f"--basedir={Path(program).parent.parent}",
                    f"--datadir={self._data}",
                    f"--tmpdir={self._work}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    *as_options({n: v for n, v in self._settings.items() if n in _FROM_THE_START}),
                    "--force",  # a sandbox has no resolver
                    "--innodb-use-native-aio=0",  # many servers at once run out of it
                ),
                timeout=_MAKING,
            )
        )
        if not completed.ok:
            # It prints what the server said to stdout as well.
            said = completed.stderr + completed.stdout.decode(errors="replace")
            raise unusable(
                said,
                f"a private MariaDB server could not be made "
                f"({exit_words(completed.returncode)}{known_cause(said)})",
            )

    def start(self, within: timedelta) -> None:
        """Start the server and return when it answers.

        Raises:
            LoadFailed: it says that the data directory is damaged.
            SpaceExhausted: no room for it to run.
            CouldNotVerify: it does not answer within that time, or cannot run here.
        """
        self._child = self._place.inside.start(
            Command(argv=(self._programs.path("mariadbd"), *self._arguments()), timeout=_LIFE)
        )
        deadline = self._clock.monotonic() + within.total_seconds()
        while not self._answers():
            if not self._child.running:
                raise self.failure(f"{self.title} did not start")
            if self._clock.monotonic() > deadline:
                raise CouldNotVerify(
                    f"{self.title} did not answer within {within.total_seconds():.0f} s"
                )
            self._clock.sleep(_PAUSE_SECONDS)

    def admit_loader(self, database: str) -> None:
        """Let client programs fill `database`, and nothing else: no file, no setting, no account.

        A dump names whom its views and routines run as. That takes a right of its own; before
        MariaDB 10.5 it is part of one that may change settings.

        Raises:
            pymysql.MySQLError: the server is gone.
        """
        with contextlib.closing(self.connect()) as connection:
            loader = f"'{_LOADER}'@'localhost'"
            connection.execute(f"create user if not exists {loader}")
            connection.execute(f"grant all privileges on {_exactly(database)}.* to {loader}")
            right = "set user" if connection.version.numbers >= _SET_USER_SINCE else "super"
            connection.execute(f"grant {right} on *.* to {loader}")

    def learn_time_zones(self) -> None:
        """Fill in the tables of named time zones, from this machine's; an empty server has none.

        Raises:
            CouldNotVerify: it fails.
        """
        if self._knows_zones:
            return
        inside = self._place.inside
        listed = inside.run(
            Command(
                argv=(self._programs.path("mariadb-tzinfo-to-sql"), "--skip-write-binlog", _ZONES),
                timeout=_MAKING,
            )
        )
        client = (self._programs.path("mariadb"), *self._client_options(_SUPERUSER), "mysql")
        if listed.ok and inside.run(Command(argv=client, timeout=_MAKING), stdin=listed.stdout).ok:
            self._knows_zones = True
            return
        raise CouldNotVerify(f"{self.title} could not be told the time zones by name")

    def connect(self, database: str | None = None) -> Connection:
        """Connect with all the rights there are; see `MariadbServer`."""
        return connect(Address(host=str(self._socket), port=0, user=_SUPERUSER), database)

    def admit_reader(self, database: str, password: Secret) -> Door:
        """See `Readable.admit_reader`; the door leads to `database`.

        The others are locked, not removed: views and routines go on running as them. Before
        MariaDB 10.4 there is no such lock.
        """
        try:
            with contextlib.closing(self.connect()) as connection:
                connection.execute(_LOCK_ACCOUNTS)
                _make_reader(connection, password)
                connection.execute("set global read_only = 1")
                connection.execute("flush privileges")
            self._make_sure_of_locks()
            address = Address(host=str(self._socket), port=0, user=READER)
            connect(address, database, password=password).close()
        except pymysql.MySQLError as error:
            raise CouldNotVerify(
                f"nobody could be let in to the restored database: {failure_words(error)}"
            ) from None
        return Door(
            engine=f"MariaDB {self._programs.version}",
            database=database,
            socket=self._socket,
            client=partial(_client, database),
            is_open=lambda: self.running,
        )

    def _make_sure_of_locks(self) -> None:
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return
        raise CouldNotVerify("the restored server goes on letting others in than the reader")

    def client_options(self) -> tuple[str, ...]:
        """Return the first arguments of a client program; see `MariadbServer`."""
        return self._client_options(_LOADER)

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.running

    def failure(self, what: str) -> LoadFailed | SpaceExhausted | CouldNotVerify:
        """Return the error that says `what`, of the kind that the server's log points to."""
        if self._child is None:
            return CouldNotVerify(what)
        if not self._child.running:
            self._child.wait()  # until its last words are read
        return unusable(self._child.stderr, f"{what}{known_cause(self._child.stderr)}")

    def stop(self) -> None:
        """Make sure it has ended."""
        if self._child is not None:
            self._child.end(grace=_STOP_SECONDS)
            self._child = None

    def _client_options(self, user: str) -> tuple[str, ...]:
        return ("--no-defaults", f"--socket={self._socket}", f"--user={user}")

    @property
    def _socket(self) -> Path:
        return self._runtime / "s"

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.MySQLError as error:
            if "access denied" in failure_words(error):
                raise CouldNotVerify(f"{self.title} lets nobody in") from None
            return False
        return True

    def _our_account(self) -> Path:
        """Write down what makes our account whenever the server starts, whosever data it is.

        The server runs it by itself, one statement a line, before it lets anybody in.
        """
        script = self._configuration / "init.sql"
        script.write_text(
            f"create or replace user {_OURS};\n"
            f"grant all privileges on *.* to {_OURS} with grant option;\n"
        )
        script.chmod(0o644)
        return script

    def _arguments(self) -> tuple[str, ...]:
        settings = {
            **_memory_settings(),
            **self._settings,
            **_FIXED_SETTINGS,
            "basedir": str(Path(self._programs.path("mariadbd")).parent.parent),
            "datadir": str(self._data),
            "init-file": str(self._our_account()),
            "socket": str(self._socket),
            "pid-file": str(self._runtime / "pid"),
            "tmpdir": str(self._work),
            "plugin-dir": str(self._nothing),
            "secure-file-priv": str(self._nothing),
        }
        return ("--no-defaults", *as_options(settings))


def _make_reader(connection: Connection, password: Secret) -> None:
    reader = f"'{READER}'@'localhost'"
    connection.execute(
        f"create or replace user {reader} identified by {literal(password.reveal())}"
    )
    for (name,) in connection.rows("show databases"):
        if str(name).lower() not in _OF_THE_SERVER:
            connection.execute(f"grant select, show view on {_exactly(str(name))}.* to {reader}")


def _client(database: str, host: str, port: int) -> str:
    return f"mariadb --host={host} --port={port} --user={READER} --password {quote(database)}"


def _exactly(database: str) -> str:
    """Return a database's name as GRANT takes it, which else reads a pattern."""
    return identifier(re.sub(r"([_%\\])", r"\\\1", database))


def as_options(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return settings as a program of MariaDB takes them."""
    return tuple(f"--{name}={value}" for name, value in settings.items())


def unusable(log: str, message: str) -> LoadFailed | SpaceExhausted | CouldNotVerify:
    """Return the error for a server that does not run, by what it wrote."""
    lowered = log.lower()
    if any(sign in lowered for sign in _FULL):
        return SpaceExhausted(message, hint="make room where sandboxes are made, and try again")
    if any(sign in lowered for sign in _ANOTHER_VERSION):
        return CouldNotVerify(
            f"{message}: the data is of another version", hint="install the one production runs"
        )
    errors = "\n".join(line for line in lowered.splitlines() if "[error]" in line)
    if any(sign in errors for sign in _DAMAGE):
        return LoadFailed(message)
    return CouldNotVerify(message)


_FULL = ("no space left", "disk quota exceeded", "disk full", "error 28", "errno: 28")
_ANOTHER_VERSION = (
    "unsupported redo log format",
    "upgrade after a crash is not supported",
    "was created with a later version",
    "downgrade",
    "unknown variable",
    "unsupported undo",
)
_DAMAGE = (
    "corrupt",
    "checksum",
    "consists of zero bytes",
    "was not found at",
    "could not find a valid tablespace",
    "missing file_checkpoint",
    "missing file_",
    "doesn't exist in engine",
    "cannot open datafile",
    "can't open and lock privilege tables",
    "recovery failed",
    "marked as crashed",
    "log scan aborted",
    "incomplete",
    "is smaller",
    "invalid page",
    "expected header",
    "index for table",
)


def _memory_settings() -> dict[str, str]:
    """Return sizes that suit this machine's memory, small enough to run beside other work."""
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    return {
        "innodb-buffer-pool-size": f"{min(1024, max(128, megabytes // 8))}M",
        "key-buffer-size": f"{min(128, max(16, megabytes // 64))}M",
        "aria-pagecache-buffer-size": f"{min(128, max(16, megabytes // 64))}M",
        "myisam-sort-buffer-size": f"{min(128, max(16, megabytes // 64))}M",
    }
