"""Loading a dump of mariadb-dump, into a private server in the sandbox.

Everything that reads what came back runs inside. A dump can hold commands for the client, too:
`--binary-mode` has it refuse all but `DELIMITER`. What the client prints of an error may hold whole
rows, and is only ever classified, by the server's number for it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import BinaryIO, ClassVar

import pymysql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.fed_client import feed
from dr_orchestrator.assets.mariadb_catalog import Facts
from dr_orchestrator.assets.mariadb_dump import for_loading, is_complete
from dr_orchestrator.assets.mariadb_restoration import (
    MariadbRestoration,
    recorded_bytes,
    recorded_list,
    recorded_version,
    server_settings,
    short_name,
)
from dr_orchestrator.assets.mariadb_source import USERS
from dr_orchestrator.assets.restored_file import opened_file
from dr_orchestrator.assets.script_lines import BLOCK
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Command, exit_words
from dr_orchestrator.servers.mariadb_connection import (
    Connection,
    failure_code,
    failure_words,
    identifier,
    is_lost,
    literal,
)
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor
from dr_orchestrator.servers.mariadb_server import (
    LARGEST_PACKET,
    MariadbServer,
    PrivateMariadb,
)

_START_LIMIT = timedelta(minutes=5)
_LOAD_LIMIT = timedelta(hours=24)
_SMALLEST_LOG, _LARGEST_LOG = 96 * 1024 * 1024, 512 * 1024 * 1024
_TAIL = 4096
"""Bytes that the end of a complete dump is told by."""
_LONG_AGO = b"SET timestamp = 1;\n"
"""Said first: else a server leaves out, without a word, events whose last time is over by now."""
_ERROR = re.compile(r"^ERROR (?:(\d+) \(\w+\)|at line)", re.MULTILINE)
_NUMERIC_ZONE = re.compile(r"SYSTEM|[+-]\d\d:\d\d")
_CLIENT_OPTIONS = (
    "--binary-mode",
    "--batch",
    "--skip-auto-rehash",
    "--skip-reconnect",
    "--local-infile=0",
    "--default-character-set=utf8mb4",
    f"--max-allowed-packet={LARGEST_PACKET}",
)


class LogicalRestoration(MariadbRestoration):
    """One database, loaded from a dump."""

    programs: ClassVar[tuple[str, ...]] = ("mariadb", "mariadb-install-db", "mariadbd")
    """What it takes on this machine."""

    def __init__(self, request: RestoreRequest, programs: MariadbPrograms, clock: Clock) -> None:
        super().__init__(request, programs, clock)
        self._choose_programs()

    def prepare(self) -> None:
        name = short_name(self._request.asset_id)
        server = PrivateMariadb(
            self._request.place,
            self._folder,
            self._clock,
            name=name,
            data=self._request.place.folder(f"{name}-data"),
            settings={
                **server_settings(self._request.state),
                "innodb-log-file-size": str(log_bytes(self._request.state)),
            },
        )
        server.initialise()
        self._server = server
        server.start(_START_LIMIT)
        if not _NUMERIC_ZONE.fullmatch(self._request.state.server.get("time_zone", "SYSTEM")):
            server.learn_time_zones()  # events are written down with the server's zone

    def load(self, restored: Path) -> None:
        server = self._started()
        with opened_file(restored) as dump:
            _require_complete(dump)
            try:
                self._require_engines(server)
                self._create_database(server)
                self._make_accounts(server)
                server.admit_loader(self.database)
            except pymysql.MySQLError as error:
                raise server.failure(
                    f"{server.title} could not take the database: {failure_words(error)}"
                ) from None
            self._load_dump(server, for_loading(iter(lambda: dump.read(BLOCK), b"")))
        try:
            self._give_rights(server)
        except pymysql.MySQLError as error:
            raise server.failure(
                f"{server.title} does not serve after loading: {failure_words(error)}"
            ) from None

    def _get_ready(self, query: str) -> None:
        """Load the named time zones for whoever asks by them: it takes a second."""
        server = self._server
        if isinstance(server, PrivateMariadb) and "convert_tz" in query.lower():
            server.learn_time_zones()

    def _choose_programs(self) -> None:
        """Choose the programs that can load the dump: of the server's series, or else newer.

        Raises:
            ProgramMissing: there are none.
        """
        version = recorded_version(self._request.state)
        self._folder = self._programs.at_least(version, *self.programs)
        if self._folder.version.series != version.series:
            self._conditions.append(
                f"production runs MariaDB {version.series}, and the dump was loaded by programs of "
                f"{self._folder.version.series}"
            )

    def _require_engines(self, server: MariadbServer) -> None:
        """Make sure that no table is silently made with another engine."""
        with contextlib.closing(server.connect()) as connection:
            rows = connection.rows(
                "select engine from information_schema.engines where support in ('YES', 'DEFAULT')"
            )
        there = {str(name).upper() for (name,) in rows}
        wanted = recorded_list(self._request.state, "engines")
        missing = sorted(name for name in wanted if name.upper() not in there)
        if missing:
            raise CouldNotVerify(
                f"tables of the database need an engine that {server.title} does not have: "
                f"{', '.join(missing)}"
            )

    def _create_database(self, server: MariadbServer) -> None:
        state = self._request.state.server
        charset, collation = state.get("character_set", ""), state.get("collation", "")
        statement = f"create database {identifier(self.database)}"
        if charset and collation:
            statement += f" character set {literal(charset)} collate {literal(collation)}"
        with contextlib.closing(server.connect()) as connection:
            self._make_room(connection)
            try:
                self._create(connection, statement)
            except pymysql.MySQLError as error:
                if failure_code(error) in _UNKNOWN_COLLATION:
                    raise CouldNotVerify(
                        f"{server.title} does not know the database's collation {collation}"
                    ) from None
                raise

    def _make_room(self, connection: Connection) -> None:
        connection.execute(f"drop database if exists {identifier(self.database)}")

    def _create(self, connection: Connection, statement: str) -> None:
        connection.execute(statement)

    def _make_accounts(self, server: MariadbServer) -> None:
        """Make the accounts that views, routines, triggers and events run as.

        `root` under any host is not in the backup, since every server has one of its own.
        """
        with contextlib.closing(server.connect()) as connection:
            for definer in self._definers():
                user, _, host = definer.rpartition("@")
                if user == "root":
                    account = f"{literal(user)}@{literal(host)}"
                    connection.execute(f"create user if not exists {account} account lock")
                    connection.execute(f"grant all privileges on *.* to {account}")
                elif not self._is_saved(definer):
                    self._conditions.append(
                        f"the backup has no account {definer}, which views, routines, triggers or "
                        "events run as"
                    )
            self._run_accounts(connection)

    def _homeless(self, connection: Connection, facts: Facts) -> tuple[str, ...]:
        accounts = connection.rows("select user, host from mysql.user")
        there = {f"{user}@{host}" for user, host in accounts}
        gone = (definer for definer in facts.definers if definer not in there)
        return tuple(definer for definer in gone if self._is_saved(definer))

    def _definers(self) -> tuple[str, ...]:
        return recorded_list(self._request.state, "definers")

    def _is_saved(self, definer: str) -> bool:
        """Whether an account, or role, is in the backup; where not, production has none either."""
        user, _, host = definer.rpartition("@")
        names = (f"{literal(user)}@{literal(host)} ", f" {identifier(user)};")
        saved = self._request.sidecars.get(USERS, b"").decode(errors="replace")
        return any(name in line for name in names for line in saved.splitlines())

    def _give_rights(self, server: MariadbServer) -> None:
        """Give the accounts their rights again: those on tables need the tables.

        Raises:
            LoadFailed: what was loaded has turned the event scheduler on.
        """
        with contextlib.closing(server.connect()) as connection:
            if refused := self._run_accounts(connection):
                rights = count_words(refused, "right")
                self._conditions.append(f"{rights} of database users could not be given")
            if connection.one("select @@global.event_scheduler") != "OFF":
                raise LoadFailed("what was loaded turned the server's event scheduler on")

    def _run_accounts(self, connection: Connection) -> int:
        """Run the statements that make the accounts; return how many were refused.

        By our own connection: no client, so no commands in it.
        """
        refused = 0
        for line in self._request.sidecars.get(USERS, b"").decode(errors="replace").splitlines():
            if not line or line.startswith("--"):
                continue
            try:
                connection.execute(line)
            except pymysql.MySQLError as error:
                if is_lost(error, connection):
                    raise
                refused += 1
        return refused

    def _leading_to(self) -> tuple[str, ...]:
        """Return what leads the client to the database."""
        return (f"--database={self.database}",)

    def _load_dump(self, server: MariadbServer, script: Iterable[bytes]) -> None:
        command = Command(
            argv=(
                self._folder.path("mariadb"),
                *server.client_options(),
                *_CLIENT_OPTIONS,
                *self._leading_to(),
            ),
            timeout=_LOAD_LIMIT,
        )
        fed = feed(self._request.place.inside, command, chain((_LONG_AGO,), script))
        if not server.running:
            raise server.failure(f"{server.title} ended while the dump was loaded")
        if fed.returncode:
            raise self._explain(fed.returncode, fed.stderr)
        if fed.error is not None:
            raise fed.error

    def _explain(self, returncode: int, stderr: str) -> DroError:
        return explain_failure(returncode, stderr)


@contextmanager
def restore_logically(
    request: RestoreRequest, *, programs: MariadbPrograms, clock: Clock
) -> Iterator[LogicalRestoration]:
    """Bring a database back to life; see `AssetDriver.restoration`.

    Raises (on entering):
        CouldNotVerify: it is MySQL's, whose server we do not start.
        ProgramMissing: a program it takes is not on this machine.
    """
    if recorded_version(request.state).vendor is Vendor.MYSQL:
        raise CouldNotVerify(
            "the database is of MySQL, of which no private server can be started here",
            hint="name a lab server for it in the plan: `lab:`",
        )
    restoration = LogicalRestoration(request, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def log_bytes(state: AssetState) -> int:
    """Return the size of the log that a database is loaded with: in a small one the server waits
    for pages to be written.
    """
    return min(_LARGEST_LOG, max(_SMALLEST_LOG, recorded_bytes(state) // 2))


def _require_complete(dump: BinaryIO) -> None:
    size = dump.seek(0, os.SEEK_END)
    dump.seek(max(0, size - _TAIL))
    if not is_complete(dump.read(_TAIL)):
        raise LoadFailed("the dump is cut off: its last line is missing")
    dump.seek(0)


def explain_failure(returncode: int, stderr: str) -> DroError:
    """Return the error for a load that failed: of the kind and in the words that the server's
    number for it points to, without any of its text.
    """
    numbers = [found[1] for found in _ERROR.finditer(stderr)]
    if not numbers:
        return CouldNotVerify(f"the client did not come to an end ({exit_words(returncode)})")
    number = int(numbers[0] or 0)
    lowered = stderr.lower()
    if number in _FULL or any(
        sign in lowered for sign in ("error 28 ", "errcode: 28", "errno: 28")
    ):
        return SpaceExhausted(
            "the sandbox has no room for the database",
            hint="make room where sandboxes are made, and try again",
        )
    for numbers_of, kind, words, hint in _FAILURES:
        if number in numbers_of:
            return kind(words, hint=hint)
    return LoadFailed(f"the server refused a part of the dump (error {number})")


_FULL = frozenset({1021, 1114})
_UNKNOWN_COLLATION = frozenset({1115, 1273})
_FAILURES: tuple[tuple[frozenset[int], type[DroError], str, str], ...] = (
    (
        frozenset({0, 1064, 1149}),
        LoadFailed,
        "the dump holds something that is not SQL: it is damaged, or not only a dump",
        "",
    ),
    (
        _UNKNOWN_COLLATION,
        CouldNotVerify,
        "a collation or character set that a table uses is not known to the server's version",
        "install the version that production runs",
    ),
    (
        frozenset({1298}),
        CouldNotVerify,
        "the dump needs time zones by name, which the server here does not know",
        "",
    ),
    (
        frozenset({1126, 1286}),
        CouldNotVerify,
        "the database needs an engine or a function of a library that is not on this machine",
        "",
    ),
    (
        frozenset({1037, 1038, 1041, 1135}),
        CouldNotVerify,
        "there is not enough memory to load the dump",
        "test on a machine with more memory",
    ),
    (
        frozenset({2002, 2003, 2006, 2013, 2020, 1053, 1153}),
        CouldNotVerify,
        "the server went away while the dump was loaded",
        "is there enough memory, and max_allowed_packet twice as large as the largest row?",
    ),
    (
        frozenset({1044, 1045, 1142, 1143, 1148, 1227, 1290, 1370, 1410, 4166}),
        LoadFailed,
        "the dump asks for what no dump needs: files, accounts, settings, other databases",
        "",
    ),
    (
        frozenset({1022, 1062, 1169, 1216, 1217, 1451, 1452, 4025}),
        LoadFailed,
        "the data contradicts the database's own constraints",
        "production may have the same damage: CHECK TABLE finds it there",
    ),
    (
        frozenset({1048, 1058, 1136, 1264, 1265, 1292, 1366, 1406}),
        LoadFailed,
        "a table's rows cannot be read",
        "",
    ),
    (
        frozenset({1049, 1051, 1054, 1109, 1146, 1305, 1356, 1360, 1449}),
        LoadFailed,
        "something that the data refers to is not in the backup",
        "",
    ),
)
"""The server's number for an error -> what it means."""
