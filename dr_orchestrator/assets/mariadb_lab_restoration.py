"""Loading a dump of mariadb-dump into a database of our own on a lab server.

The server is shared and stays: no account and no right of production is made there. What ran as
somebody of production runs as the lab's account. What the account may not load is this machine's
lack, never the backup's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.mariadb_catalog import DEFINERS, Facts
from dr_orchestrator.assets.mariadb_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.mariadb_restoration import recorded_version, short_name
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.servers.lab import OpenLab, OpenServer
from dr_orchestrator.servers.mariadb_connection import Connection
from dr_orchestrator.servers.mariadb_lab import LabMariadb
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
from dr_orchestrator.servers.mariadb_server import MariadbServer

_NAME = rb"""(?:`(?:[^`\n]|``)*`|"(?:[^"\n]|"")*")"""
_DEFINER = re.compile(
    rb"^(/\*!\d{5} (?:CREATE\*/ /\*!\d{5} )?|CREATE )DEFINER=%b(?:@%b)?" % (_NAME, _NAME),
    re.MULTILINE,
)
"""As mariadb-dump writes it before a view, trigger, event or routine: where a line begins."""
_REFUSED = re.compile(r"^ERROR (?:1044|1142|1143|1227|1370|1419|1698) ", re.MULTILINE)
"""The server's numbers for what an account has no right to."""
_ELSEWHERE = re.compile(r"^ERROR (?:1049|1109|1146|1305) ", re.MULTILINE)
"""Its numbers for what is not there: a default from a sequence names it with its database."""


class LabRestoration(LogicalRestoration):
    """One database, loaded from a dump into a lab server."""

    otherwise: ClassVar[str] = "test it in a sandbox: leave `lab` out of the plan"
    """What to do where it cannot be loaded there."""

    programs: ClassVar[tuple[str, ...]] = ("mariadb",)

    def __init__(
        self, request: RestoreRequest, lab: OpenServer, programs: MariadbPrograms, clock: Clock
    ) -> None:
        super().__init__(replace(request, state=_without_definers(request.state)), programs, clock)
        self._lab = lab

    @property
    def database(self) -> str:
        return self._lab.database

    def prepare(self) -> None:
        server = LabMariadb(
            self._lab, self._request.place, f"{short_name(self._request.asset_id)}-lab"
        )
        self._server = server
        wanted = recorded_version(self._request.state)
        if server.version.numbers[:2] < wanted.numbers[:2]:
            raise CouldNotVerify(
                f"{server.title} runs MariaDB {server.version.series}, and production "
                f"{wanted.series}: an older server may not take a newer one's dump"
            )
        self._require_names_alike(server)
        self._conditions.append(
            f"loaded into {server.title} ({self._lab.title}), without the accounts and rights of "
            f"production: what ran as one of them runs as {self._lab.access.user}"
        )

    def _require_names_alike(self, server: LabMariadb) -> None:
        """See that names of tables mean the same: no setting of a session changes that."""
        wanted = self._request.state.server.get("lower_case_table_names", "0")
        with contextlib.closing(server.connect()) as connection:
            there = str(connection.one("select @@lower_case_table_names"))
        if there != wanted:
            raise CouldNotVerify(
                f"{server.title} has lower_case_table_names={there}, and production has {wanted}: "
                "names of tables do not mean the same"
            )

    def _make_accounts(self, server: MariadbServer) -> None:
        """Make none: see the module."""

    def _give_rights(self, server: MariadbServer) -> None:
        """Give none: see the module."""

    def _homeless(self, connection: Connection, facts: Facts) -> tuple[str, ...]:
        """Say that nobody is missing: all runs as the lab's account."""
        del connection, facts
        return ()

    def _load_dump(self, server: MariadbServer, script: Iterable[bytes]) -> None:
        super()._load_dump(server, _as_ourselves(script))

    def _explain(self, returncode: int, stderr: str) -> DroError:
        error = super()._explain(returncode, stderr)
        if isinstance(error, SpaceExhausted):
            return SpaceExhausted(
                f"{self._lab.access.words} has no room for the database", hint="make room there"
            )
        if isinstance(error, LoadFailed) and _REFUSED.search(stderr):
            return CouldNotVerify(
                "the dump asks for something that the account may not do on "
                f"{self._lab.access.words}",
                hint=self.otherwise,
            )
        if isinstance(error, LoadFailed) and _ELSEWHERE.search(stderr):
            return CouldNotVerify(
                "the dump refers to something by the name of a database that "
                f"{self._lab.access.words} does not have",
                hint=self.otherwise,
            )
        return error


@contextmanager
def restore_to_lab(
    request: RestoreRequest, lab: OpenLab, *, programs: MariadbPrograms, clock: Clock
) -> Iterator[LabRestoration]:
    """Bring a database back to life on a lab server; see `AssetDriver.restoration`."""
    restoration = LabRestoration(request, lab, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def _as_ourselves(script: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump in which views, triggers, events and routines run as whoever loads it."""
    for piece in script:
        yield _DEFINER.sub(rb"\1DEFINER=CURRENT_USER", piece) if b"DEFINER=" in piece else piece


def _without_definers(state: AssetState) -> AssetState:
    """Return a state that does not ask who views, routines, triggers and events ran as."""
    baseline = state.baseline
    if not isinstance(baseline, DatabaseBaseline):
        return state
    objects = {kind: mark for kind, mark in baseline.objects.items() if kind != DEFINERS}
    return replace(state, baseline=replace(baseline, objects=objects))
