"""Loading an archive of pg_dump into a database of our own on a lab server.

The server is shared and stays: no role, no owner and no privilege of production is made there, and
what only a superuser may load is not loaded. Both are this machine's lack, never the backup's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.postgres_definitions import OWNERS
from dr_orchestrator.assets.postgres_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.postgres_restoration import (
    recorded_major,
    recorded_map,
    session_settings,
    short_name,
)
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Completed
from dr_orchestrator.servers.lab import OpenLab, OpenServer
from dr_orchestrator.servers.postgres_lab import LabPostgres
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from dr_orchestrator.servers.postgres_server import PostgresServer

_SETTING = re.compile(
    r'^ALTER DATABASE (?:"(?:[^"]|"")*"|\w+) SET "?([\w.]+)"? TO (.+);$', re.MULTILINE
)
"""As pg_dump writes a setting of the database: every value is a literal, a list has several."""
_LITERAL = re.compile(r"(E?)'((?:[^']|'')*)'")
_LACK = (
    ('role "', "a role of production, which is not made on a lab server"),
    ("must be superuser", "something that only a superuser may make"),
    ("must be owner", "something that only its owner may change"),
    ("permission denied", "something that only a superuser may make"),
)
"""What the lab's account may not do, by what pg_restore says."""


class LabRestoration(LogicalRestoration):
    """One database, loaded from an archive into a lab server."""

    otherwise: ClassVar[str] = "test it in a sandbox: leave `lab` out of the plan"
    """What to do where it cannot be loaded there."""

    programs: ClassVar[tuple[str, ...]] = ("pg_restore", "vacuumdb")
    load_options: ClassVar[tuple[str, ...]] = (
        *LogicalRestoration.load_options,
        "--no-owner",
        "--no-privileges",
        "--no-security-labels",
        "--no-subscriptions",
    )
    not_brought_back: ClassVar[frozenset[str]] = frozenset({OWNERS})

    def __init__(
        self, request: RestoreRequest, lab: OpenServer, programs: PostgresPrograms, clock: Clock
    ) -> None:
        super().__init__(request, programs, clock)
        self._lab = lab
        self.place_words = f"on {lab.access.words}"

    @property
    def database(self) -> str:
        return self._lab.database

    def prepare(self) -> None:
        server = LabPostgres(
            self._lab, self._request.place, f"{short_name(self._request.asset_id)}-lab"
        )
        self._server = server
        wanted = recorded_major(self._request.state)
        if server.major < wanted:
            raise CouldNotVerify(
                f"{server.title} runs PostgreSQL {server.major}, and production {wanted}: "
                "an older server may not take a newer one's archive",
            )
        self._conditions.append(
            f"loaded into {server.title} ({self._lab.title}), without the owners, privileges and "
            "roles of production"
        )

    def _require_extensions(self, server: PostgresServer) -> None:
        """See also that the account may make them: where it may not, no archive is at fault."""
        super()._require_extensions(server)
        self._require_makeable(server)

    def _require_makeable(self, server: PostgresServer) -> None:
        """Make sure that no extension is one that only a superuser may make."""
        wanted = recorded_map(self._request.state, "extensions")
        with server.connect(server.maintenance_database) as connection:
            rows = connection.execute(
                """select v.name from pg_available_extension_versions v
                   join pg_available_extensions e
                     on e.name = v.name and e.default_version = v.version
                   where v.superuser and not v.trusted"""
            ).fetchall()
        refused = sorted({row[0] for row in rows} & wanted.keys())
        if refused:
            raise CouldNotVerify(
                f"the database needs PostgreSQL extensions that only a superuser may make "
                f"{self.place_words}: {', '.join(refused)}",
                hint=self.otherwise,
            )

    def _make_roles(self, server: PostgresServer) -> None:
        """Make none: see the module."""

    def _set_properties(self, server: PostgresServer, restored: Path) -> None:
        """Give the database the settings it had, one by one: nothing else of the script that makes
        it in production is executed, since it names production's database and roles.
        """
        script = self._properties(server, restored).decode(errors="replace")
        found = {name: (value,) for name, value in session_settings(self._request.state).items()}
        found |= {name: _literals(values) for name, values in _SETTING.findall(script)}
        refused = []
        with server.connect(server.maintenance_database) as connection:
            for name, values in found.items():
                statement = sql.SQL("alter database {} set {} to {}").format(
                    sql.Identifier(self.database),
                    sql.Identifier(*name.split(".")),
                    sql.SQL(", ").join(map(sql.Literal, values)),
                )
                try:
                    connection.execute(statement)
                except (psycopg.ProgrammingError, psycopg.DataError, psycopg.OperationalError):
                    refused.append(name)
        if refused:
            self._conditions.append(
                f"{count_words(len(refused), 'setting')} of the database could not be given to it "
                f"{self.place_words}: {', '.join(refused)}"
            )

    def _explain(self, completed: Completed, server: PostgresServer) -> DroError:
        error = super()._explain(completed, server)
        if isinstance(error, SpaceExhausted):
            return SpaceExhausted(
                f"{server.title} has no room for the database", hint="make room there"
            )
        lowered = completed.stderr.lower()
        for sign, what in _LACK:
            if isinstance(error, LoadFailed) and sign in lowered:
                return CouldNotVerify(
                    f"the archive holds {what}, so it cannot be loaded {self.place_words}",
                    hint=self.otherwise,
                )
        return error


@contextmanager
def restore_to_lab(
    request: RestoreRequest, lab: OpenLab, *, programs: PostgresPrograms, clock: Clock
) -> Iterator[LabRestoration]:
    """Bring a database back to life on a lab server; see `AssetDriver.restoration`."""
    restoration = LabRestoration(request, lab, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def _literals(values: str) -> tuple[str, ...]:
    """Return the texts that a list of SQL literals stands for."""
    found = []
    for escaped, text in _LITERAL.findall(values):
        plain = text.replace("''", "'")
        found.append(plain.replace("\\\\", "\\") if escaped else plain)
    return tuple(found)
