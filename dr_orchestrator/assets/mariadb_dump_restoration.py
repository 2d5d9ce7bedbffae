"""Loading a dump of MariaDB that another tool wrote, into a private server or a lab.

It came without a word of ours beside it: which server it is of, whether it has an end, whom its
views and routines run as, all this the dump itself must tell, and where it does not, that is said.
It holds no accounts; those that something runs as are made first, locked, and with rights to its
own databases only. What loads it is the client that loads our own dumps, by the same account that
may fill databases and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.database_comparison import unproven, without_baseline
from dr_orchestrator.assets.foreign_dump import ForeignDump, Format, look_at, refuse_live, room_of
from dr_orchestrator.assets.mariadb_baseline import Looker, settle_session
from dr_orchestrator.assets.mariadb_catalog import read_facts
from dr_orchestrator.assets.mariadb_lab_restoration import LabRestoration
from dr_orchestrator.assets.mariadb_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.mariadb_script import OF_THE_SERVER, MariadbScript, pieces, survey
from dr_orchestrator.clock import Clock, Stopwatch
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.verification import Verification
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed
from dr_orchestrator.servers.mariadb_connection import failure_words, identifier, literal
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor
from dr_orchestrator.servers.mariadb_server import MariadbServer

_COUNTING = timedelta(minutes=10)
_OF_POSTGRES = re.compile(rb"^-- PostgreSQL database (?:cluster )?dump", re.MULTILINE)
_REFUSED = re.compile(r"^ERROR (?:1044|1142|1143|1227|1370|1410|1419|1698) ", re.MULTILINE)
"""The server's numbers for what the account that loads has no right to."""
_ELSEWHERE = re.compile(r"^ERROR (?:1049|1054|1109|1146|1305) ", re.MULTILINE)
"""Its numbers for what is not there: a view names columns with the database they were in."""


class _DumpRestoration(LogicalRestoration):
    """What a dump takes wherever it is loaded."""

    def prepare(self) -> None:
        """Start nothing: which server it takes, the dump tells when it is there."""

    def load(self, restored: Path) -> None:
        dump = look_at(restored)
        _require_mariadb(dump)
        script = self._survey(dump)
        if script.is_whole is False:
            raise LoadFailed(
                "the dump is cut off: it begins as mariadb-dump begins, and its end is missing",
                hint="the job that writes it failed, or it was saved while it was being written",
            )
        self._become(script)
        super()._choose_programs()
        super().prepare()
        server = self._started()
        try:
            self._make_databases(server, script)
        except pymysql.MySQLError as error:
            raise server.failure(
                f"{server.title} could not take the dump: {failure_words(error)}"
            ) from None
        self._load_dump(server, self._pieces(dump))
        try:
            self._give_rights(server)
            self._look_at_largest(server)
            self._require_rows(server)
        except pymysql.MySQLError as error:
            raise server.failure(
                f"{server.title} does not serve after loading: {failure_words(error)}"
            ) from None
        if script.is_whole is None:
            raise CouldNotVerify(
                "the dump loads, and does not say where it ends, as those of mariadb-dump do: "
                "nobody knows whether it is whole",
                hint="leave out --compact where it is made",
            )

    def compare(self) -> tuple[Verification, ...]:
        asset = self._request.asset_id
        try:
            with self._transaction() as connection:
                settle_session(connection)
                looker = Looker(connection, self._clock, _COUNTING)
                tables = read_facts(connection).tables
                rows = {table.label: looker.look(table, Level.COUNTS)[0].rows for table in tables}
        except pymysql.MySQLError as error:
            words = failure_words(error)
            return (unproven(asset, f"the restored database could not be read: {words}"),)
        return (without_baseline(asset, rows),)

    def _choose_programs(self) -> None:
        """Choose none: see `prepare`."""

    def _survey(self, dump: ForeignDump) -> MariadbScript:
        """Read it once: part of the proof, since whoever needs it in earnest just loads it."""
        reading = Stopwatch(self._clock)
        script = survey(dump.blocks(at_most=room_of(dump.path)))
        self._proof_seconds += reading.elapsed()
        return script

    def _become(self, script: MariadbScript) -> None:
        """Go on as if the manifest had said what the dump says of its server.

        Where the dump is of no version, the newest server here is as good as any.
        """
        version = script.version
        if version is None:
            version = self._programs.newest(*self.programs).version
            self._conditions.append(
                "the dump does not say which server it is of: it was loaded by programs of MariaDB "
                f"{version.series}"
            )
        facts = {
            "vendor": version.vendor.value,
            "version": str(version),
            "definers": json.dumps(script.definers),
        }
        self._names_its_database = bool(script.databases)
        if script.database and script.database.lower() not in OF_THE_SERVER:
            facts["database"] = script.database
            self._names_its_database = True
        if script.on_windows:  # names of tables are in small letters there
            facts["settings"] = json.dumps({"lower_case_table_names": "1"})
            facts["lower_case_table_names"] = "1"
        self._request = replace(self._request, state=replace(self._request.state, server=facts))

    @abstractmethod
    def _make_databases(self, server: MariadbServer, script: MariadbScript) -> None:
        """Make what the dump is loaded into, and let the loader in."""

    def _pieces(self, dump: ForeignDump) -> Iterator[bytes]:
        return pieces(dump.blocks(), in_place=False)

    def _look_at_largest(self, server: MariadbServer) -> None:
        """Take the database with the most tables for the one that is meant."""

    def _require_rows(self, server: MariadbServer) -> None:
        """Take no definitions for data: whatever made the dump, somebody's work was in it.

        Raises:
            LoadFailed: it made no table, or none that has a row.
        """
        with contextlib.closing(server.connect(self.database)) as connection:
            tables = read_facts(connection).tables
            if not tables:
                raise LoadFailed("the dump loads, and makes no table: nothing was in it")
            asked = (f"select 1 from {identifier(each.name)} limit 1" for each in tables)  # noqa: S608
            if not any(connection.rows(query) for query in asked):
                words = count_words(len(tables), "table")
                raise LoadFailed(
                    f"the dump loads, and has no row in any of its {words}",
                    hint="was it made with --no-data?",
                )

    def _explain(self, returncode: int, stderr: str) -> DroError:
        error = super()._explain(returncode, stderr)
        if isinstance(error, LoadFailed) and _REFUSED.search(stderr):
            return CouldNotVerify(
                "the dump makes what only an administrator may: accounts, settings, or something "
                "in databases that it does not name",
                hint="dump the practice's databases alone: --databases, without --system",
            )
        if (
            isinstance(error, LoadFailed)
            and not self._names_its_database
            and _ELSEWHERE.search(stderr)
        ):
            return CouldNotVerify(
                "the dump refers to something by the name of its database, and does not say that "
                "name",
                hint="leave out --skip-comments where it is made",
            )
        return error


class DumpRestoration(_DumpRestoration):
    """The databases of one dump, in a private server."""

    _own_databases: tuple[str, ...] = ()

    def _become(self, script: MariadbScript) -> None:
        if script.version is not None and script.version.vendor is Vendor.MYSQL:
            raise CouldNotVerify(
                "the dump is of MySQL, of which no private server can be started here",
                hint="name a lab server for it in the plan: `lab:`",
            )
        super()._become(script)

    def _make_databases(self, server: MariadbServer, script: MariadbScript) -> None:
        self._own_databases = script.databases
        if not script.databases:
            self._create_database(server)
        self._make_accounts(server)
        for name in script.databases or (self.database,):
            server.admit_loader(name)
        if script.of_the_server:
            self._conditions.append(
                "the dump holds the server's own databases too, with its accounts: they were not "
                "loaded"
            )

    def _make_accounts(self, server: MariadbServer) -> None:
        made = []
        with contextlib.closing(server.connect()) as connection:
            for definer in self._definers():
                user, _, host = definer.rpartition("@")
                account = f"{literal(user)}@{literal(host)}"
                if connection.rows(
                    "select 1 from mysql.user where user=%s and host=%s", user, host
                ):
                    continue
                connection.execute(f"create user {account} account lock")
                for name in self._own_databases or (self.database,):
                    connection.execute(f"grant all privileges on {identifier(name)}.* to {account}")
                made.append(definer)
        if made:
            self._conditions.append(
                f"the dump holds no accounts: {some_names(made)}, which views, routines, triggers "
                "or events run as, had the right to all of it here"
            )

    def _pieces(self, dump: ForeignDump) -> Iterator[bytes]:
        return pieces(dump.blocks(), in_place=bool(self._own_databases))

    def _leading_to(self) -> tuple[str, ...]:
        return () if self._own_databases else super()._leading_to()

    def _look_at_largest(self, server: MariadbServer) -> None:
        if not self._own_databases:
            return
        tables = {}
        for name in self._own_databases:
            with contextlib.closing(server.connect(name)) as connection:
                tables[name] = len(read_facts(connection).tables)
        largest = max(tables, key=lambda name: tables[name])
        if len(tables) > 1:
            self._conditions.append(
                f"the dump holds {len(tables)} databases ({some_names(tuple(tables))}): {largest}, "
                "which has the most tables, is the one that is looked at"
            )
        facts = {**self._request.state.server, "database": largest}
        self._request = replace(self._request, state=replace(self._request.state, server=facts))


class DumpLabRestoration(_DumpRestoration, LabRestoration):
    """The one database of a dump, in a lab server."""

    def _make_databases(self, server: MariadbServer, script: MariadbScript) -> None:
        if len(script.databases) > 1:
            raise CouldNotVerify(
                f"the dump holds {len(script.databases)} databases, and on a lab server one is "
                "made for it",
                hint="test it in a sandbox: leave `lab` out of the plan",
            )
        self._create_database(server)
        server.admit_loader(self.database)


@contextmanager
def restore_dump(
    request: RestoreRequest, *, programs: MariadbPrograms, clock: Clock
) -> Iterator[_DumpRestoration]:
    """Bring a dump back to life; see `AssetDriver.restoration`.

    Raises (on entering):
        TargetRefused: it was to go to a live server.
    """
    refuse_live(request)
    restoration = (
        DumpRestoration(request, programs, clock)
        if request.lab is None
        else DumpLabRestoration(request, request.lab, programs, clock)
    )
    try:
        yield restoration
    finally:
        restoration.leave()


def _require_mariadb(dump: ForeignDump) -> None:
    if dump.format is not Format.SQL or _OF_POSTGRES.search(dump.head):
        raise CouldNotVerify(
            "the dump is of PostgreSQL, and the plan says that it is of MariaDB",
            hint="correct `kind` in the plan",
        )
