"""Loading an archive of pg_dump, into a private server in the sandbox.

Everything that reads what came back (roles, archive) runs inside: a dump can hold meta-commands,
programs and event triggers, and gains nothing by them there. What those programs print may hold
rows; it is classified, never passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.postgres_logical import GLOBALS
from dr_orchestrator.assets.postgres_restoration import (
    PostgresRestoration,
    recorded_major,
    recorded_map,
    session_settings,
    short_name,
)
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Command, Completed, exit_words
from dr_orchestrator.servers.postgres_connection import Connection, failure_words
from dr_orchestrator.servers.postgres_programs import PostgresPrograms, ProgramFolder
from dr_orchestrator.servers.postgres_server import PostgresServer, PrivatePostgres

_START_LIMIT = timedelta(minutes=5)
_LOAD_LIMIT = timedelta(hours=24)
TRUNCATED = "the archive is truncated or damaged"
_NEUTRAL_LOCALES = ("C.UTF-8", "C")
_NO_SUCH_LOCALE = (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError)
"""What the server raises for a locale it does not know, or that does not go with the encoding,
differs by version and provider."""


class LogicalRestoration(PostgresRestoration):
    """One database, loaded from an archive."""

    programs: ClassVar[tuple[str, ...]] = ("initdb", "pg_restore", "postgres", "psql", "vacuumdb")
    """What it takes on this machine."""
    load_options: ClassVar[tuple[str, ...]] = ("--no-tablespaces",)
    place_words: str = "on this machine"
    """Where what is missing is missing."""

    def __init__(self, request: RestoreRequest, programs: PostgresPrograms, clock: Clock) -> None:
        super().__init__(request, programs, clock)
        self._choose_programs()

    def prepare(self) -> None:
        name = short_name(self._request.asset_id)
        server = PrivatePostgres(
            self._request.place,
            self._folder,
            self._clock,
            name=name,
            data=self._request.place.folder(f"{name}-data"),
        )
        server.initialise()
        self._server = server
        server.start(_START_LIMIT)
        try:
            server.adopt_settings(session_settings(self._request.state))
        except psycopg.Error as error:
            raise server.failure(
                f"the private server does not serve: {failure_words(error)}"
            ) from None

    def load(self, restored: Path) -> None:
        server = self._started()
        try:
            self._require_extensions(server)
            self._create_database(server)
        except psycopg.Error as error:
            raise server.failure(
                f"{server.title} could not take the database: {failure_words(error)}"
            ) from None
        self._make_roles(server)
        self._set_properties(server, restored)
        self._load_archive(server, restored)
        self._gather_statistics(server)

    def _choose_programs(self) -> None:
        self._folder = programs_for(self._request.state, self._programs, self.programs)

    def _started(self) -> PostgresServer:
        if self._server is None:
            raise CouldNotVerify("the private server was not started")
        return self._server

    def _require_extensions(self, server: PostgresServer) -> None:
        wanted = recorded_map(self._request.state, "extensions")
        with server.connect(server.maintenance_database) as connection:
            there: dict[str, str] = dict(
                connection.execute(
                    "select name, default_version from pg_available_extensions"
                ).fetchall()
            )
        missing = sorted(name for name in wanted if name not in there)
        if missing:
            raise CouldNotVerify(
                f"the database needs PostgreSQL extensions that are not {self.place_words}: "
                f"{', '.join(missing)}",
                hint="apt install "
                + " ".join(_package(name, self._folder.major) for name in missing),
            )
        self._conditions += [
            f"extension {name} is {there[name]} here and was {version} in production"
            for name, version in sorted(wanted.items())
            if there[name] != version
        ]

    def _create_database(self, server: PostgresServer) -> None:
        """Make the database as it was: with its encoding, and its locale where that exists here."""
        locale = self._request.state.server.get("collate") or "C"
        with server.connect(server.maintenance_database) as connection:
            self._make_room(connection)
            try:
                self._create(connection, _own_locale(self._request.state))
                return
            except _NO_SUCH_LOCALE:
                pass
            for neutral in _NEUTRAL_LOCALES:
                try:
                    self._create(connection, {"lc_collate": neutral, "lc_ctype": neutral})
                except _NO_SUCH_LOCALE:
                    continue
                self._conditions.append(
                    f"the locale {locale} is not on this machine: the database was loaded with "
                    f"{neutral}, so text may sort in another order"
                )
                return
        raise CouldNotVerify(f"no database with the encoding of {self.database} can be made here")

    def _make_room(self, connection: Connection) -> None:
        connection.execute(
            sql.SQL("drop database if exists {}").format(sql.Identifier(self.database))
        )

    def _create(self, connection: Connection, locale: dict[str, str]) -> None:
        options = {"encoding": self._request.state.server.get("encoding", "UTF8"), **locale}
        statement = sql.SQL("create database {} template template0 {}").format(
            sql.Identifier(self.database),
            sql.SQL(" ").join(
                sql.SQL(name + " {}").format(sql.Literal(value)) for name, value in options.items()
            ),
        )
        connection.execute(statement)

    def _make_roles(self, server: PostgresServer) -> None:
        """Make the roles. What is there already is no error; what is missing shows on loading."""
        roles = self._request.sidecars.get(GLOBALS)
        if not roles:
            self._conditions.append("the backup holds no roles")
            return
        self._run_script(server, roles)

    def _set_properties(self, server: PostgresServer, restored: Path) -> None:
        """Give the database the settings that `ALTER DATABASE` gave it in production.

        The script begins with CREATE DATABASE, which fails, since the database is there.
        """
        self._run_script(server, self._properties(server, restored))

    def _properties(self, server: PostgresServer, restored: Path) -> bytes:
        """Return the SQL that makes the database itself, as the archive has it.

        An empty list leaves of the archive just what `--create` adds.
        """
        listed = self._request.place.inside.run(
            Command(
                argv=(
                    self._folder.path("pg_restore"),
                    "--create",
                    "--use-list=/dev/null",
                    "--file=-",
                    str(restored),
                ),
                timeout=_LOAD_LIMIT,
            )
        )
        if not listed.ok:
            raise self._explain(listed, server)
        return listed.stdout

    def _run_script(self, server: PostgresServer, script: bytes) -> None:
        completed = self._request.place.inside.run(
            Command(
                argv=(self._folder.path("psql"), "--no-psqlrc", "--quiet", "--no-password"),
                env=server.environment(server.maintenance_database),
                timeout=_LOAD_LIMIT,
            ),
            stdin=script,
        )
        if not completed.ok:
            raise self._explain(completed, server)

    def _load_archive(self, server: PostgresServer, restored: Path) -> None:
        completed = self._request.place.inside.run(
            Command(
                argv=(
                    self._folder.path("pg_restore"),
                    "--exit-on-error",
                    *self.load_options,
                    "--no-password",
                    f"--jobs={max(1, self._request.jobs)}",
                    f"--dbname={_connection_string(self.database)}",
                    str(restored),
                ),
                env=server.environment(server.maintenance_database),
                timeout=_LOAD_LIMIT,
            )
        )
        if not completed.ok:
            raise self._explain(completed, server)

    def _gather_statistics(self, server: PostgresServer) -> None:
        """Without them the planner guesses, and an application's queries take forever."""
        completed = self._request.place.inside.run(
            Command(
                argv=(
                    self._folder.path("vacuumdb"),
                    "--analyze-only",
                    "--quiet",
                    "--no-password",
                    f"--jobs={max(1, self._request.jobs)}",
                    f"--dbname={_connection_string(self.database)}",
                ),
                env=server.environment(server.maintenance_database),
                timeout=_LOAD_LIMIT,
            )
        )
        if not completed.ok:
            if not server.running:
                raise server.failure(f"{server.title} ended after loading")
            self._conditions.append("the planner's statistics could not be gathered completely")

    def _explain(self, completed: Completed, server: PostgresServer) -> DroError:
        if not server.running:
            return server.failure(f"{server.title} ended while {completed.program} ran")
        return explain_failure(completed.program, completed.returncode, completed.stderr)


@contextmanager
def restore_logically(
    request: RestoreRequest, *, programs: PostgresPrograms, clock: Clock
) -> Iterator[LogicalRestoration]:
    """Bring a database back to life; see `AssetDriver.restoration`."""
    restoration = LogicalRestoration(request, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def programs_for(
    state: AssetState, programs: PostgresPrograms, names: tuple[str, ...]
) -> ProgramFolder:
    """Return the programs that can load an archive: of the server's major, and not older than the
    pg_dump that wrote it.

    Raises:
        ProgramMissing: there are none.
    """
    written_by = state.tools.get("pg_dump", "0").split(".")[0]
    wanted = max(recorded_major(state), int(written_by) if written_by.isdigit() else 0)
    return programs.at_least(wanted, *names)


def explain_failure(program: str, returncode: int, stderr: str) -> DroError:
    """Return the error for a load that failed: of the kind and in the words that its stderr points
    to, without any of it.
    """
    lowered = stderr.lower()
    for signs, kind, words, hint in _FAILURES:
        if any(sign in lowered for sign in signs):
            return kind(words, hint=hint)
    return LoadFailed(f"{program} failed while the archive was loaded ({exit_words(returncode)})")


_FAILURES: tuple[tuple[tuple[str, ...], type[DroError], str, str], ...] = (
    (
        ("no space left on device", "disk quota exceeded", "disk full"),
        SpaceExhausted,
        "the sandbox has no room for the database",
        "make room where sandboxes are made, and try again",
    ),
    (
        ("unsupported version", "unrecognized configuration parameter"),
        CouldNotVerify,
        "the archive was made by a newer PostgreSQL than the one on this machine",
        "install the version that production runs",
    ),
    (
        ("is not available", "could not open extension control file"),
        CouldNotVerify,
        "an extension that the database needs is not on this machine",
        "install the package of the extension",
    ),
    (
        ("could not access file", "could not load library"),
        CouldNotVerify,
        "a library that the database's functions need is not on this machine",
        "install the package of the library",
    ),
    (
        ("could not create locale", "could not open collator"),
        CouldNotVerify,
        "a locale that a column sorts by is not on this machine",
        "dpkg-reconfigure locales",
    ),
    (
        ("out of memory", "cannot allocate memory"),
        CouldNotVerify,
        "there is not enough memory to load the archive",
        "test on a machine with more memory, or with fewer jobs",
    ),
    (
        ("server closed the connection", "connection to server"),
        CouldNotVerify,
        "the server went away, or took no connection, while the archive was loaded",
        "is there enough memory, and room for connections?",
    ),
    (
        (
            "could not read from input file",
            "unexpected end of file",
            "end of file",
            "did not find magic string",
            "could not find block id",
            "possibly corrupt",
            "input file",
            "unrecognized data block type",
            "found unexpected block id",
            "invalid dumpid",
            "bad dumpid",
            "unexpected section code",
            "dumpid",
            "entry id",
            "corrupted",
            "could not seek",
            "decompress",
            "unrecognized",
            "unsupported",
            "sanity check",
        ),
        LoadFailed,
        TRUNCATED,
        "",
    ),
    (
        ('role "',),
        LoadFailed,
        "a role that owns something, or was granted something, is not in the backup",
        "",
    ),
    (
        (
            "duplicate key",
            "could not create unique index",
            "violates",
            "could not create exclusion",
        ),
        LoadFailed,
        "the data contradicts the database's own constraints",
        "production may have the same damage: amcheck finds it there",
    ),
    (
        (
            "invalid byte sequence",
            "invalid input syntax",
            "missing data for column",
            "extra data after",
        ),
        LoadFailed,
        "a table's rows cannot be read",
        "",
    ),
    (("does not exist",), LoadFailed, "something that the data refers to is not in the backup", ""),
)
"""What pg_restore says -> what it means. In this order: a damaged archive may say many things."""


def _own_locale(state: AssetState) -> dict[str, str]:
    """Return the options of CREATE DATABASE that give the locale it had."""
    server = state.server
    options = {"lc_collate": server.get("collate", "C"), "lc_ctype": server.get("ctype", "C")}
    match server.get("locale_provider"):
        case "i":
            options |= {"locale_provider": "icu", "icu_locale": server.get("locale", "")}
        case "b":
            options |= {"locale_provider": "builtin", "builtin_locale": server.get("locale", "")}
    return options


def _connection_string(database: str) -> str:
    escaped = database.replace("\\", r"\\").replace("'", r"\'")
    return f"dbname='{escaped}'"


_PACKAGES = {
    "pg_cron": "cron",
    "pgaudit": "pgaudit",
    "pgrouting": "pgrouting",
    "plpython3u": "postgresql-plpython3",
    "postgis": "postgis-3",
    "postgis_raster": "postgis-3",
    "postgis_topology": "postgis-3",
    "timescaledb": "timescaledb",
    "vector": "pgvector",
}


def _package(extension: str, major: int) -> str:
    """Return the Debian package that most likely holds `extension`; contrib is in the server's."""
    if extension.startswith("pl") and extension not in _PACKAGES:
        return f"postgresql-{extension.removesuffix('u')}-{major}"
    name = _PACKAGES.get(extension)
    if name is None:
        return f"postgresql-{major}-{extension.replace('_', '-')}"
    return f"{name}-{major}" if name.startswith("postgresql-") else f"postgresql-{major}-{name}"
