"""Loading a dump of PostgreSQL that another tool wrote, into a private server in the sandbox.

It came without a word of ours beside it: which server it is of, whether it has an end, which roles
it needs, all this the dump itself must tell, and where it does not, that is said. A dump of one
database holds no roles: those that it names are made first, so that any error that is left is the
dump's own. The first one ends the load.

psql runs inside, in its restricted mode where it has one: a script that holds commands for it gets
no further, with no version of psql. What it says may hold rows, and is only ever classified.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.database_comparison import unproven, without_baseline
from dr_orchestrator.assets.fed_client import feed
from dr_orchestrator.assets.foreign_dump import (
    ForeignDump,
    Format,
    Packing,
    archive_header,
    look_at,
    major_of,
    refuse_live,
    require_whole_tar,
    room_of,
)
from dr_orchestrator.assets.postgres_baseline import Looker, settle_session
from dr_orchestrator.assets.postgres_catalog import Table, read_tables
from dr_orchestrator.assets.postgres_commands import HOLDS_COMMANDS, WHO_WRITES, without_commands
from dr_orchestrator.assets.postgres_logical_restoration import TRUNCATED, LogicalRestoration
from dr_orchestrator.assets.postgres_restoration import short_name
from dr_orchestrator.assets.postgres_script import PostgresScript, parts, survey
from dr_orchestrator.assets.restored_file import opened_file
from dr_orchestrator.clock import Clock, Stopwatch
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.verification import Verification
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed
from dr_orchestrator.process import Command, Completed
from dr_orchestrator.servers.postgres_connection import Connection, composed, failure_words
from dr_orchestrator.servers.postgres_programs import PostgresPrograms, ProgramFolder
from dr_orchestrator.servers.postgres_server import PostgresServer

_LOAD_LIMIT = timedelta(hours=24)
_COUNTING = timedelta(minutes=10)
_ALWAYS_THERE = ("postgres", "template1")
"""Databases of any new cluster."""
_RESTRICTED_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6, 18: 0}
"""Major -> the minor version from which on psql has `\\restrict` (CVE-2025-8714)."""
_OF_MARIADB = re.compile(rb"^-- (?:MariaDB|MySQL) dump ", re.MULTILINE)
_FAILURES: tuple[tuple[tuple[str, ...], type[DroError], str, str], ...] = (
    (
        ("backslash commands are restricted", "invalid command"),
        LoadFailed,
        HOLDS_COMMANDS,
        WHO_WRITES,
    ),
    (
        ('role "', "must be member of role"),
        CouldNotVerify,
        "the dump names a role in a way that is not understood here, so it could not be made",
        "",
    ),
    (
        ("permission denied", "must be superuser", "must be owner"),
        CouldNotVerify,
        "the dump makes things as a role whose rights are not in it",
        "dump the roles as well: pg_dumpall",
    ),
    (
        ("syntax error",),
        LoadFailed,
        "the dump holds something that is not SQL: it is damaged, or not only a dump",
        "",
    ),
    (
        ("already exists",),
        LoadFailed,
        "the dump makes something twice: are there two in one file?",
        "",
    ),
)
"""What psql and pg_restore say of a dump that came without its roles -> what it means."""


class DumpRestoration(LogicalRestoration):
    """The databases of one dump."""

    def prepare(self) -> None:
        """Start nothing: which server it takes, the dump tells when it is there."""

    def load(self, restored: Path) -> None:
        dump = look_at(restored)
        _require_postgres(dump)
        databases: tuple[str, ...] = ()
        is_whole: bool | None = True  # an archive that is not does not load
        if dump.format is Format.SQL:
            databases, is_whole = self._load_script(dump)
        else:
            self._load_foreign_archive(dump)
        server = self._started()
        try:
            self._look_at_largest(server, databases)
            tables = self._require_rows(server)
        except psycopg.Error as error:
            raise server.failure(
                f"{server.title} does not serve after loading: {failure_words(error)}"
            ) from None
        if is_whole is None:
            raise CouldNotVerify(
                f"the dump loads ({count_words(tables, 'table')}), and does not say where it ends, "
                "as those of pg_dump do: nobody knows whether it is whole",
                hint="have pg_dump write it, and nothing take lines out of it",
            )
        self._gather_statistics(server)

    def compare(self) -> tuple[Verification, ...]:
        asset = self._request.asset_id
        try:
            with self._transaction() as connection:
                settle_session(connection)
                looker = Looker(connection, self._clock, _COUNTING)
                tables = _own(read_tables(connection))
                rows = {table.label: looker.look(table, Level.COUNTS)[0].rows for table in tables}
        except psycopg.Error as error:
            words = failure_words(error)
            return (unproven(asset, f"the restored database could not be read: {words}"),)
        return (without_baseline(asset, rows),)

    def _choose_programs(self) -> None:
        """Choose none: see `prepare`."""

    # --- a script ---

    def _load_script(self, dump: ForeignDump) -> tuple[tuple[str, ...], bool | None]:
        """Load it; return the databases it may have filled, and whether it is whole: `None` where
        it does not say.
        """
        script = self._survey(dump)
        if script.is_whole is False:
            raise LoadFailed(
                "the dump is cut off: it begins as pg_dump begins, and its last line is missing",
                hint="the job that writes it failed, or it was saved while it was being written",
            )
        self._start(script.server_major, script.major)
        server = self._started()
        try:
            self._make_missing_roles(server, script)
            self._make_databases(server, script)
        except psycopg.Error as error:
            raise server.failure(
                f"{server.title} could not take the dump: {failure_words(error)}"
            ) from None
        first = _ALWAYS_THERE[0] if script.databases else self.database
        for database, pieces in parts(dump.blocks()):
            self._feed(server, database or first, pieces)
        return (first, *script.databases), script.is_whole

    def _survey(self, dump: ForeignDump) -> PostgresScript:
        """Read it once: part of the proof, since whoever needs it in earnest just loads it."""
        reading = Stopwatch(self._clock)
        script = survey(dump.blocks(at_most=room_of(dump.path)))
        self._proof_seconds += reading.elapsed()
        return script

    def _feed(self, server: PostgresServer, database: str, pieces: Iterator[bytes]) -> None:
        def restricted() -> Iterator[bytes]:
            if _has_restricted_mode(self._folder):
                yield f"\\restrict {secrets.token_hex(16)}\n".encode()
            yield from without_commands(pieces)

        command = Command(
            argv=(
                self._folder.path("psql"),
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--output=/dev/null",
                "--set=ON_ERROR_STOP=1",
                "--set=VERBOSITY=terse",
                "--set=SHOW_CONTEXT=never",
            ),
            env=server.environment(database),
            timeout=_LOAD_LIMIT,
        )
        fed = feed(self._request.place.inside, command, restricted())
        if isinstance(fed.error, LoadFailed):
            raise fed.error
        if fed.returncode:
            completed = Completed(command.program, fed.returncode, b"", fed.stderr, 0.0)
            raise self._explain(completed, server)
        if fed.error is not None:
            raise fed.error

    # --- an archive ---

    def _load_foreign_archive(self, dump: ForeignDump) -> None:
        header = archive_header(dump.head)
        if header is not None and header.database:
            self._become({"database": header.database})
        archive = self._unpacked(dump)
        if dump.format is Format.TAR:
            with opened_file(archive) as file:
                require_whole_tar(file)
            self._request = replace(self._request, jobs=1)  # pg_restore refuses several
        majors = (major_of(header.server), major_of(header.tool)) if header else (0, 0)
        self._start(majors[0], max(majors))
        server = self._started()
        script = self._schema_of(server, archive)
        name = self.database
        facts = script.databases.get(name, {})
        try:
            self._make_missing_roles(server, script)
            self._make_database(server, name, {"encoding": script.encoding or "UTF8", **facts})
        except psycopg.Error as error:
            raise server.failure(
                f"{server.title} could not take the archive: {failure_words(error)}"
            ) from None
        self._set_properties(server, archive)
        self._load_archive(server, archive)

    def _schema_of(self, server: PostgresServer, archive: Path) -> PostgresScript:
        """Return what the archive would say as a script, but for its rows."""
        listed = self._request.place.inside.run(
            Command(
                argv=(
                    self._folder.path("pg_restore"),
                    "--create",
                    "--section=pre-data",
                    "--section=post-data",
                    "--file=-",
                    str(archive),
                ),
                timeout=_LOAD_LIMIT,
            )
        )
        if not listed.ok:
            raise self._explain(listed, server)
        return survey((listed.stdout,))

    def _unpacked(self, dump: ForeignDump) -> Path:
        """Return where the archive lies unpacked: pg_restore reads a file, and several at once."""
        if dump.packing is Packing.NONE:
            return dump.path
        folder = self._request.place.folder(f"{short_name(self._request.asset_id)}-dump")
        archive = folder / "archive"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(archive, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # the folder is open to the sandbox's user alone
            for block in dump.blocks(at_most=room_of(folder)):
                file.write(block)
        return archive

    # --- what both need ---

    def _become(self, facts: Mapping[str, str]) -> None:
        """Go on as if the manifest had said these facts of the server."""
        self._request = replace(
            self._request, state=replace(self._request.state, server=dict(facts))
        )

    def _start(self, server_major: int, major: int) -> None:
        """Start a private server that takes what a server and a pg_dump of these majors wrote; 0
        where the dump does not say.
        """
        if major:
            self._folder = self._programs.at_least(major, *self.programs)
        else:
            self._folder = self._programs.newest(*self.programs)
            self._conditions.append(
                "the dump does not say which PostgreSQL it is of: it was loaded by programs of "
                f"{self._folder.major}"
            )
        if server_major and server_major != self._folder.major:
            self._conditions.append(
                f"the dump is of PostgreSQL {server_major}, and was loaded by programs of "
                f"{self._folder.major}"
            )
        super().prepare()

    def _make_missing_roles(self, server: PostgresServer, script: PostgresScript) -> None:
        if not script.roles:
            return
        with server.connect(server.maintenance_database) as connection:
            for role in script.roles:
                right = " superuser" if role in script.sessions else ""
                connection.execute(composed("create role {}" + right, role))
        roles = count_words(len(script.roles), "role")
        self._conditions.append(
            f"the dump names {roles} and holds none of them: they were made up for the test"
        )

    def _make_databases(self, server: PostgresServer, script: PostgresScript) -> None:
        plain = {"encoding": "SQL_ASCII" if script.encoding == "SQL_ASCII" else "UTF8"}
        if not script.databases:
            self._make_database(server, self.database, plain)
        for name, facts in script.databases.items():
            if name not in _ALWAYS_THERE:
                self._make_database(server, name, {**plain, **facts})

    def _make_database(self, server: PostgresServer, name: str, facts: Mapping[str, str]) -> None:
        self._become({**facts, "database": name})
        self._create_database(server)

    def _look_at_largest(self, server: PostgresServer, databases: tuple[str, ...]) -> None:
        """Take the database with the most tables for the one that is meant."""
        if not databases:
            return
        tables = {}
        for name in dict.fromkeys(databases):
            with server.connect(name) as connection:
                tables[name] = len(_own(read_tables(connection)))
        filled = [name for name, count in tables.items() if count]
        largest = max(tables, key=lambda name: tables[name])
        if len(filled) > 1:
            self._conditions.append(
                f"the dump holds {len(filled)} databases ({some_names(filled)}): {largest}, which "
                "has the most tables, is the one that is looked at"
            )
        self._become({"database": largest})

    def _require_rows(self, server: PostgresServer) -> int:
        """Take no definitions for data: whatever made the dump, somebody's work was in it. Return
        how many tables there are.

        Raises:
            LoadFailed: it made no table, or none that has a row.
        """
        with server.connect(self.database) as connection:
            tables = _own(read_tables(connection))
            if not tables:
                raise LoadFailed("the dump loads, and makes no table: nothing was in it")
            if not any(_has_rows(connection, table) for table in tables):
                words = count_words(len(tables), "table")
                raise LoadFailed(
                    f"the dump loads, and has no row in any of its {words}",
                    hint="was it made with --schema-only?",
                )
        return len(tables)

    def _explain(self, completed: Completed, server: PostgresServer) -> DroError:
        error = super()._explain(completed, server)
        if completed.program == "pg_restore" and error.message == TRUNCATED:
            return error  # what else was said follows from that
        if isinstance(error, LoadFailed):
            lowered = completed.stderr.lower()
            for signs, kind, words, hint in _FAILURES:
                if any(sign in lowered for sign in signs):
                    return kind(words, hint=hint)
        return error


@contextmanager
def restore_dump(
    request: RestoreRequest, *, programs: PostgresPrograms, clock: Clock
) -> Iterator[DumpRestoration]:
    """Bring a dump back to life; see `AssetDriver.restoration`.

    Raises (on entering):
        CouldNotVerify: the plan has it loaded into a lab server.
        TargetRefused: it was to go to a live one.
    """
    refuse_live(request)
    if request.lab is not None:
        raise CouldNotVerify(
            "a dump that another tool wrote makes what a lab server must not have: databases, "
            "roles, owners",
            hint="test it in a sandbox: leave `lab` out of the plan",
        )
    restoration = DumpRestoration(request, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def _require_postgres(dump: ForeignDump) -> None:
    if dump.format is Format.SQL and _OF_MARIADB.search(dump.head):
        raise CouldNotVerify(
            "the dump is of MariaDB or MySQL, and the plan says that it is of PostgreSQL",
            hint="correct `kind` in the plan",
        )


def _has_restricted_mode(psql: ProgramFolder) -> bool:
    minor = psql.version.partition(".")[2]
    since = _RESTRICTED_SINCE.get(psql.major)
    if since is None:
        return psql.major > max(_RESTRICTED_SINCE)
    return minor.isdigit() and int(minor) >= since


def _own(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Return the tables, without the materialised views that loading made of them."""
    return tuple(table for table in tables if table.kind == "r")


def _has_rows(connection: Connection, table: Table) -> bool:
    asked = composed("select exists (select from {}.{})", table.schema, table.name)
    return connection.execute(asked).fetchone() == (True,)
