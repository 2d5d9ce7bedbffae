"""A PostgreSQL server of our own, in a place that nobody else can reach.

It listens on a unix socket only, and neither archives, replicates nor preloads anything, whatever
the data directory's own settings say: what is given on the command line wins. Its settings are
durable ones from the first moment, since the time until it answers is what a promise is held to.
What it writes to its log may hold rows: it stays in memory, and is only ever classified.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from shlex import quote
from typing import Protocol

import psycopg
from psycopg import sql

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Child, Command, exit_words, known_cause
from dr_orchestrator.servers.door import READER, Door
from dr_orchestrator.servers.place import Place
from dr_orchestrator.servers.postgres_connection import (
    Address,
    Connection,
    connect,
    connect_privately,
    failure_words,
    private_environment,
)
from dr_orchestrator.servers.postgres_programs import ProgramFolder
from dr_orchestrator.whole_file import write_whole

SANDBOX_SUPERUSER = "dro_sandbox"
"""Of clusters we make ourselves: no restored role has this name."""
MAINTENANCE_DATABASE = "template1"
"""The one that every cluster has."""

_MEGABYTE = 1024 * 1024
_PORT = 5432
_MAKING = timedelta(minutes=5)
_LIFE = timedelta(days=7)
_PAUSE_SECONDS = 0.05
_STOP_SECONDS = 20.0
_RELOAD_SECONDS = 5.0
_RIGHTS_FILE = "pg_hba.conf"
_READER_ONLY = f"local all {READER} scram-sha-256\nlocal all all reject\n"
_LIBRARIES = ("session_preload_libraries", "local_preload_libraries")
_GRANTED_AT_ONCE = 1000
_FIXED_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "30min",
    "archive_mode": "off",
    "archive_command": "",
    "restore_command": "",
    "primary_conninfo": "",
    "hot_standby": "off",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "autovacuum": "off",
    "jit": "off",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "lc_messages": "C",
    "external_pid_file": "",
}
_SETTINGS_SINCE = {
    # As durable as the default, which opens and syncs every file by itself: 0.2 s against 1 to 3 s
    # for an empty cluster that was just restored.
    14: {"recovery_init_sync_method": "syncfs"},
    # Triggers on login would run restored code in every session of ours.
    17: {"event_triggers": "off"},
}


class PostgresServer(Protocol):
    """A server that a database can be loaded into: a private one, or a lab."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    @property
    def maintenance_database(self) -> str:
        """To connect to while databases are made."""
        ...

    def connect(self, database: str) -> Connection:
        """Connect with all the rights there are.

        Raises:
            psycopg.Error: it fails.
        """
        ...

    def environment(self, database: str) -> Mapping[str, str]:
        """Return the environment that leads a program inside the place to the server."""
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


class PrivatePostgres:
    """A server of our own over one data directory; see `PostgresServer`."""

    title = "the private server"
    maintenance_database = MAINTENANCE_DATABASE

    def __init__(
        self,
        place: Place,
        programs: ProgramFolder,
        clock: Clock,
        *,
        name: str,
        data: Path,
        superuser: str = SANDBOX_SUPERUSER,
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
        self._sockets = place.folder(f"{name}-run")
        self._configuration = place.folder(f"{name}-conf")
        self.address = Address(host=str(self._sockets), port=_PORT, user=superuser)
        self._child: Child | None = None

    def initialise(self) -> None:
        """Make an empty cluster in the data directory, which must be empty.

        Raises:
            SpaceExhausted: no room for it.
            CouldNotVerify: it cannot be made here.
        """
        completed = self._place.inside.run(
            Command(
                argv=(
                    self._programs.path("initdb"),
                    f"--pgdata={self._data}",
                    f"--username={self.address.user}",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    "--no-instructions",
                ),
                timeout=_MAKING,
            )
        )
        if not completed.ok:
            raise _unusable(
                completed.stderr,
                f"a private PostgreSQL cluster could not be made "
                f"({exit_words(completed.returncode)}{known_cause(completed.stderr)})",
            )

    def start(self, within: timedelta) -> None:
        """Start the server and return when it answers.

        Raises:
            LoadFailed: it says that the data directory is damaged.
            SpaceExhausted: no room for it to run.
            CouldNotVerify: it does not answer within that time, or cannot run here.
        """
        self._child = self._place.inside.start(self._start_command())
        deadline = self._clock.monotonic() + within.total_seconds()
        while not self._answers():
            if not self._child.running:
                raise self.failure("the private PostgreSQL server did not start")
            if self._clock.monotonic() > deadline:
                raise CouldNotVerify(
                    f"the private PostgreSQL server did not answer within "
                    f"{within.total_seconds():.0f} s"
                )
            self._clock.sleep(_PAUSE_SECONDS)

    def adopt_settings(self, settings: Mapping[str, str]) -> None:
        """Give sessions the defaults they had in production, as far as this machine knows them.

        Raises:
            psycopg.Error: the server is gone.
        """
        with self.connect(MAINTENANCE_DATABASE) as connection:
            loaded = _loaded_at(connection)
            for name, value in settings.items():
                statement = sql.SQL("alter system set {} to {}").format(
                    sql.Identifier(name.lower()), sql.Literal(value)
                )
                with contextlib.suppress(psycopg.DataError, psycopg.ProgrammingError):
                    connection.execute(statement)
            connection.execute("select pg_reload_conf()")
        deadline = self._clock.monotonic() + _RELOAD_SECONDS
        while self._clock.monotonic() < deadline:
            with self.connect(MAINTENANCE_DATABASE) as connection:
                if _loaded_at(connection) != loaded:
                    return
            self._clock.sleep(_PAUSE_SECONDS / 5)

    def admit_reader(self, database: str, password: Secret) -> Door:
        """See `Readable.admit_reader`; the door leads to `database`.

        Not by `pg_read_all_data`, which also reads the password hashes of production's roles.
        """
        try:
            with self.connect(MAINTENANCE_DATABASE) as connection:
                _make_reader(connection, password)
                for each in _databases(connection):
                    with self.connect(each) as inside:
                        _let_read(inside)
                self._lock_door(connection)
            connect(replace(self.address, user=READER), database, password=password).close()
        except psycopg.Error as error:
            raise CouldNotVerify(
                f"nobody could be let in to the restored database: {failure_words(error)}"
            ) from None
        return Door(
            engine=f"PostgreSQL {self._programs.version}",
            database=database,
            socket=self._sockets / f".s.PGSQL.{_PORT}",
            client=partial(_client, database),
            is_open=lambda: self.running,
        )

    def connect(self, database: str) -> Connection:
        """Connect as its superuser.

        Raises:
            psycopg.Error: it fails.
        """
        return connect_privately(self.address, database)

    def environment(self, database: str) -> Mapping[str, str]:
        """Return the environment that leads a program inside the place to the server."""
        return private_environment(self.address, database)

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
        return _unusable(self._child.stderr, f"{what}{known_cause(self._child.stderr)}")

    def stop(self) -> None:
        """Make sure it has ended: fast shutdown, then the end of its process group."""
        if self._child is not None:
            self._child.end(grace=_STOP_SECONDS)
            self._child = None

    def _lock_door(self, connection: Connection) -> None:
        """Have the reader asked for the password, and all others turned away."""
        write_whole(self._configuration / _RIGHTS_FILE, _READER_ONLY.encode())
        connection.execute("select pg_reload_conf()")
        deadline = self._clock.monotonic() + _RELOAD_SECONDS
        while self._clock.monotonic() < deadline:
            try:
                self.connect(MAINTENANCE_DATABASE).close()
            except psycopg.OperationalError:
                return
            self._clock.sleep(_PAUSE_SECONDS / 5)
        raise CouldNotVerify("the restored server goes on letting others in than the reader")

    def _answers(self) -> bool:
        try:
            self.connect(MAINTENANCE_DATABASE).close()
        except psycopg.OperationalError as error:
            text = str(error)
            if "does not exist" in text or "not permitted to log in" in text:
                raise CouldNotVerify(
                    "the restored cluster lets none of its recorded superusers in"
                ) from None
            return False
        return True

    def _start_command(self) -> Command:
        settings = {
            **_memory_settings(),
            **self._settings,
            **_FIXED_SETTINGS,
            **_settings_of(self._programs.major),
            **self._own_files(),
            "unix_socket_directories": str(self._sockets),
        }
        given = tuple(part for name in settings for part in ("-c", f"{name}={settings[name]}"))
        return Command(
            argv=(self._programs.path("postgres"), "-D", str(self._data), *given),
            timeout=_LIFE,
        )

    def _own_files(self) -> dict[str, str]:
        """Write the files a server reads its settings and rights from, outside the data."""
        folder = self._configuration
        contents = {
            "config_file": ("postgresql.conf", ""),
            "hba_file": (_RIGHTS_FILE, "local all all trust\n"),
            "ident_file": ("pg_ident.conf", ""),
        }
        for name, content in contents.values():
            (folder / name).write_text(content)
            (folder / name).chmod(0o644)
        return {setting: str(folder / name) for setting, (name, _) in contents.items()}


def _make_reader(connection: Connection, password: Secret) -> None:
    """Make the role; of the password the server gets to know what it is checked by."""
    verifier = connection.pgconn.encrypt_password(
        password.reveal().encode(), READER.encode(), b"scram-sha-256"
    )
    reader = sql.Identifier(READER)
    connection.execute(
        # bypassrls: else rows that a policy hides would look as if they were lost
        sql.SQL("create role {} login bypassrls password {}").format(
            reader, sql.Literal(verifier.decode())
        )
    )
    # of a role, it outdoes what the database says
    connection.execute(
        sql.SQL("alter role {} set default_transaction_read_only to on").format(reader)
    )


def _databases(connection: Connection) -> Iterator[str]:
    """Let the reader connect to every database that takes connections, and yield their names.

    None may ask for libraries that this machine does not have: no session then.
    """
    rows = connection.execute("select datname from pg_database where datallowconn").fetchall()
    for (name,) in rows:
        database, reader = sql.Identifier(name), sql.Identifier(READER)
        connection.execute(sql.SQL("grant connect on database {} to {}").format(database, reader))
        for setting in _LIBRARIES:
            connection.execute(
                sql.SQL("alter database {} reset {}").format(database, sql.Identifier(setting))
            )
        yield name


def _let_read(connection: Connection) -> None:
    """Let the reader read all that is in one database, and is not the server's own."""
    reader = sql.Identifier(READER)
    connection.execute("set session_replication_role = replica")  # event triggers stay quiet
    schemas = connection.execute(
        "select nspname from pg_namespace where nspname !~ '^pg_' "
        "and nspname <> 'information_schema'"
    ).fetchall()
    for schema, right in product((sql.Identifier(name) for (name,) in schemas), _RIGHTS):
        connection.execute(sql.SQL("grant " + right + " {} to {}").format(schema, reader))
    large = [oid for (oid,) in connection.execute("select oid from pg_largeobject_metadata")]
    for start in range(0, len(large), _GRANTED_AT_ONCE):
        some = sql.SQL(", ").join(map(sql.Literal, large[start : start + _GRANTED_AT_ONCE]))
        connection.execute(sql.SQL("grant select on large object {} to {}").format(some, reader))


_RIGHTS = (
    "usage on schema",
    "select on all tables in schema",
    "select on all sequences in schema",
)


def _client(database: str, host: str, port: int) -> str:
    return f"psql --host={host} --port={port} --username={READER} --dbname={quote(database)}"


def _loaded_at(connection: Connection) -> object:
    row = connection.execute("select extract(epoch from pg_conf_load_time())::float8").fetchone()
    return row[0] if row else None


def _unusable(stderr: str, message: str) -> LoadFailed | SpaceExhausted | CouldNotVerify:
    """Return the error for a server that does not run, by what it wrote."""
    lowered = stderr.lower()
    if "no space left" in lowered or "disk quota exceeded" in lowered:
        return SpaceExhausted(message, hint="make room where sandboxes are made, and try again")
    if any(sign in lowered for sign in _DAMAGE):
        return LoadFailed(message)
    return CouldNotVerify(message)


_DAMAGE = (
    "could not locate a valid checkpoint",
    "could not locate required checkpoint",
    "invalid checkpoint",
    "invalid primary checkpoint",
    "incorrect checksum in control file",
    "invalid data in file",
    "invalid page",
    "page verification failed",
    "wal ends before",
    "backup_label",
    "is not a valid data directory",
    "could not open file",
    "could not read",
    "could not access status of transaction",
    "requested timeline",
    "corrupt",
)


def _settings_of(major: int) -> dict[str, str]:
    """Return the settings that not every version has."""
    return {
        name: value
        for since, settings in _SETTINGS_SINCE.items()
        if major >= since
        for name, value in settings.items()
    }


def _memory_settings() -> dict[str, str]:
    """Return sizes that suit this machine's memory, small enough to run beside other work."""
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    return {
        "shared_buffers": f"{min(1024, max(64, megabytes // 8))}MB",
        "maintenance_work_mem": f"{min(512, max(64, megabytes // 16))}MB",
        "effective_cache_size": f"{max(128, megabytes // 2)}MB",
    }
