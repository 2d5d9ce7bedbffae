"""A MariaDB database that has come back to life, and how it is asked.

What is common to both methods. Restored data is hostile and full of patients: its queries run in
our own private server, and only numbers, booleans and times come out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta, tzinfo
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.database_comparison import unproven
from dr_orchestrator.assets.mariadb_baseline import Looker, algorithm, settle_session
from dr_orchestrator.assets.mariadb_catalog import Facts, Table, read_facts
from dr_orchestrator.assets.mariadb_comparison import Restored, compare
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.core.point import AssetState, Method
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Depth, Verification
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.door import Door
from dr_orchestrator.servers.mariadb_connection import (
    Connection,
    answer,
    failure_words,
    identifier,
    is_damage,
    is_lost,
    limited,
)
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor, Version
from dr_orchestrator.servers.mariadb_server import MariadbServer, PrivateMariadb

_QUERY_LIMIT = timedelta(minutes=10)
_CHECK_LIMIT = timedelta(hours=12)
_NUMBERS = 3
_PLAIN_VALUE = re.compile(r"[\w.:,;+-]+")
_SETTINGS = (
    *("character_set_server", "collation_server", "default_storage_engine"),
    *("explicit_defaults_for_timestamp", "ft_min_word_len", "innodb_ft_min_token_size"),
    *("innodb_default_row_format", "innodb_page_size", "lower_case_table_names", "sql_mode"),
)
"""Of production, that tables are made and queries answered by."""
_DAMAGE = "error"
"""Kind of an answer of CHECK TABLE. Of a table that was in use when it was copied it only warns."""


class MariadbRestoration:
    """What both methods share once their server answers."""

    def __init__(self, request: RestoreRequest, programs: MariadbPrograms, clock: Clock) -> None:
        self._request = request
        self._programs = programs
        self._clock = clock
        self._server: MariadbServer | None = None
        self._conditions: list[str] = []
        self._proof_seconds = 0.0

    @property
    def loading_proof_seconds(self) -> float:
        return self._proof_seconds

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(self._conditions)

    @property
    def depth(self) -> Depth:
        return Depth.L3

    @property
    def root(self) -> Path:
        raise CouldNotVerify(f"{self._request.asset_id} is a database: it has no folder of files")

    @property
    def method(self) -> Method:
        """How it was captured."""
        return self._request.state.method

    @property
    def database(self) -> str:
        """The name of the database where it was loaded; its own unless another is stated."""
        return self._request.state.server.get("database", self._request.asset_id)

    def value(self, query: str, *, zone: tzinfo) -> Value:
        with self._asking(query) as connection:
            return answer(connection, query, zone)

    def rows(self, query: str) -> Iterator[tuple[object, ...]]:
        try:
            with self._asking(query) as connection:
                yield from connection.stream(query)
        except (pymysql.MySQLError, UnicodeError) as error:
            raise CouldNotVerify(f"the query failed: {failure_words(error)}") from None

    def compare(self) -> tuple[Verification, ...]:
        asset, baseline = self._request.asset_id, self._request.state.baseline
        if not isinstance(baseline, DatabaseBaseline):
            return (unproven(asset, "no baseline was taken when it was captured"),)
        try:
            with self._transaction() as connection:
                restored = self._look(connection, baseline)
        except pymysql.MySQLError as error:
            if not self._started().running:
                raise self._started().failure(
                    "the server ended while the restored tables were read"
                ) from None
            words = failure_words(error)
            return (unproven(asset, f"the restored database could not be read: {words}"),)
        return compare(asset, self.method, baseline, restored)

    def admit_reader(self, password: Secret) -> Door:
        """See `Readable`."""
        if not isinstance(self._server, PrivateMariadb):
            raise CouldNotVerify("the restored database is not in a server of our own")
        return self._server.admit_reader(self.database, password)

    def leave(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()

    def _started(self) -> MariadbServer:
        if self._server is None:
            raise CouldNotVerify("the restored database is not loaded")
        return self._server

    def _look(self, connection: Connection, baseline: DatabaseBaseline) -> Restored:
        """Look at everything exactly as closely as it was looked at at capture.

        Of copied files every table is checked first: bytes that are equal to damaged ones in
        production, or rows that are equal to those behind a damaged index, prove nothing that a
        practice could work with.
        """
        settle_session(connection)
        facts = read_facts(connection)
        looker = Looker(connection, self._clock, None)
        tables: dict[str, TableBaseline] = {}
        unreadable: dict[str, str] = {}
        damaged: dict[str, str] = {}
        for table in facts.tables:
            then = baseline.tables.get(table.label)
            level = Level.NONE if then is None else then.level if then.settled else Level.COUNTS
            tables[table.label] = TableBaseline(rows=None, level=Level.NONE)
            try:
                if self.method is Method.PHYSICAL and not _is_sound(connection, table):
                    damaged[table.label] = "damaged: CHECK TABLE finds errors"
                elif level is not Level.NONE:
                    tables[table.label] = looker.at(table, level)
            except pymysql.MySQLError as error:
                if is_damage(error):
                    damaged[table.label] = "damaged: the server cannot read it"
                    continue
                if is_lost(error, connection):
                    raise
                unreadable[table.label] = f"reading it failed: {failure_words(error)}"
        return Restored(
            algorithm=algorithm(connection),
            tables=tables,
            unreadable=unreadable,
            damaged=damaged,
            objects=facts.objects,
            sequences=facts.sequences,
            broken_views=_broken_views(connection, facts),
            homeless=self._homeless(connection, facts),
        )

    def _homeless(self, connection: Connection, facts: Facts) -> tuple[str, ...]:
        """Return who something runs as and has lost its account. None has where it is a copy."""
        del connection, facts
        return ()

    def _get_ready(self, query: str) -> None:
        """Give the server what a query needs beyond the data."""

    @contextmanager
    def _asking(self, query: str) -> Iterator[Connection]:
        self._get_ready(query)
        try:
            with self._transaction() as connection, limited(connection, _QUERY_LIMIT):
                yield connection
        except pymysql.MySQLError as error:
            raise CouldNotVerify(
                f"the restored database could not be asked: {failure_words(error)}"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Give a session that changes nothing."""
        connection = self._started().connect(self.database)
        try:
            connection.execute("start transaction read only")
            yield connection
        finally:
            connection.close()


def _is_sound(connection: Connection, table: Table) -> bool:
    """Whether CHECK TABLE finds pages and indexes of a table whole."""
    with limited(connection, _CHECK_LIMIT):
        answers = connection.rows(f"check table {identifier(table.name)} extended")
    return all(str(kind).lower() != _DAMAGE for *_, kind, _ in answers)


def _broken_views(connection: Connection, facts: Facts) -> dict[str, str]:
    """Return the views that do not answer, and why: all did at capture."""
    broken = {}
    for view in facts.views:
        try:
            connection.rows(f"select 1 from {identifier(view)} limit 0")  # noqa: S608 - quoted
        except pymysql.MySQLError as error:
            if is_lost(error, connection):
                raise
            broken[view] = failure_words(error)
    return broken


def recorded_version(state: AssetState) -> Version:
    """Return the version of the server in production.

    Raises:
        CouldNotVerify: the manifest does not say, or says what we do not know.
    """
    numbers = state.server.get("version", "").split(".")
    vendor = state.server.get("vendor", "")
    if vendor not in set(Vendor) or len(numbers) < _NUMBERS or not all(map(str.isdigit, numbers)):
        raise CouldNotVerify("the recovery point does not say which server the data is of")
    return Version(Vendor(vendor), tuple(map(int, numbers)))


def recorded_list(state: AssetState, name: str) -> tuple[str, ...]:
    """Return a list that the manifest keeps as JSON text; empty where it has none."""
    try:
        found = json.loads(state.server.get(name, "[]"))
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def server_settings(state: AssetState, *others: str) -> dict[str, str]:
    """Return the settings of production that its tables and queries depend on, and `others`."""
    return recorded_settings(state, (*_SETTINGS, *others))


def recorded_settings(state: AssetState, names: Iterable[str]) -> dict[str, str]:
    """Return settings of production by the names of their options, as far as they are known."""
    try:
        kept = json.loads(state.server.get("settings", "{}"))
    except ValueError:
        return {}
    return {
        name.replace("_", "-"): str(kept[name])
        for name in names
        if isinstance(kept, dict) and _PLAIN_VALUE.fullmatch(str(kept.get(name, "")))
    }


def recorded_bytes(state: AssetState) -> int:
    """Return the size of the database in production, with its indexes."""
    text = state.server.get("database_bytes", "")
    return int(text) if text.isdigit() and int(text) else 2 * state.bytes


def short_name(asset_id: str) -> str:
    """Return a name for an asset's folders: unix sockets are to have short paths."""
    return f"my{hashlib.sha256(asset_id.encode()).hexdigest()[:8]}"
