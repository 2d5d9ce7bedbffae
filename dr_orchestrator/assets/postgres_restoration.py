"""A PostgreSQL database that has come back to life in a sandbox, and how it is asked.

What is common to both methods. Restored data is hostile and full of patients: its queries run in
our own private server or on a lab server, and only numbers, booleans and times come out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import ClassVar

import psycopg

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.database_comparison import unproven
from dr_orchestrator.assets.postgres_baseline import (
    Looker,
    settle_session,
)
from dr_orchestrator.assets.postgres_catalog import (
    LARGE_OBJECTS,
    read_facts,
    read_views,
)
from dr_orchestrator.assets.postgres_comparison import Restored, compare
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline, Value
from dr_orchestrator.core.point import AssetState, Method
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Depth, Verification
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.door import Door
from dr_orchestrator.servers.postgres_connection import (
    Connection,
    answer,
    failure_words,
    limit_statements,
)
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from dr_orchestrator.servers.postgres_server import PostgresServer, PrivatePostgres

_QUERY_LIMIT = timedelta(minutes=10)
_SESSION_SETTINGS = ("TimeZone", "default_text_search_config")
_FETCHED_AT_ONCE = 5000
_DAMAGED = (
    psycopg.errors.DataCorrupted,
    psycopg.errors.IndexCorrupted,
    psycopg.errors.UndefinedFile,
)
_UNKNOWN_VERSION = 15
"""Assumed where a manifest does not tell the server's version; it always does."""


class PostgresRestoration:
    """What both methods share once their server answers."""

    not_brought_back: ClassVar[frozenset[str]] = frozenset()
    """The kinds among a baseline's objects that are never brought back, and so not compared."""

    def __init__(self, request: RestoreRequest, programs: PostgresPrograms, clock: Clock) -> None:
        self._request = request
        self._programs = programs
        self._clock = clock
        self._server: PostgresServer | None = None
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
        """The database's own name."""
        return self._request.state.server.get("database", self._request.asset_id)

    def value(self, query: str, *, zone: tzinfo) -> Value:
        with self._asking() as connection:
            return answer(connection, query, zone)

    def rows(self, query: str) -> Iterator[tuple[object, ...]]:
        try:
            with self._asking() as connection, connection.cursor(name="rows") as cursor:
                cursor.itersize = _FETCHED_AT_ONCE
                cursor.execute(query.encode(), binary=True)  # whatever the DateStyle
                yield from cursor
        except psycopg.Error as error:
            raise CouldNotVerify(f"the query failed: {failure_words(error)}") from None

    def compare(self) -> tuple[Verification, ...]:
        asset, baseline = self._request.asset_id, self._request.state.baseline
        if not isinstance(baseline, DatabaseBaseline):
            return (unproven(asset, "no baseline was taken when it was captured"),)
        try:
            with self._transaction() as connection:
                restored = self._look(connection, baseline)
        except psycopg.Error as error:
            words = failure_words(error)
            return (unproven(asset, f"the restored database could not be read: {words}"),)
        objects = {
            kind: count
            for kind, count in baseline.objects.items()
            if kind not in self.not_brought_back
        }
        return compare(asset, self.method, replace(baseline, objects=objects), restored)

    def admit_reader(self, password: Secret) -> Door:
        """See `Readable`."""
        if not isinstance(self._server, PrivatePostgres):
            raise CouldNotVerify("the restored database is not in a server of our own")
        return self._server.admit_reader(self.database, password)

    def leave(self) -> None:
        """Stop the server, or leave the lab."""
        if self._server is not None:
            self._server.stop()

    def _look(self, connection: Connection, baseline: DatabaseBaseline) -> Restored:
        """Look at everything exactly as closely as it was looked at at capture.

        Of a copied cluster every other table is read once as well: bytes that are equal to damaged
        ones in production prove nothing that a practice could work with.
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
                if level is not Level.NONE:
                    tables[table.label] = looker.at(table, level)
                elif self.method is Method.PHYSICAL:
                    looker.at(table, Level.COUNTS)
            except _DAMAGED:
                damaged[table.label] = "damaged: the server cannot read it"
            except psycopg.Error as error:
                if connection.closed:
                    raise
                unreadable[table.label] = f"reading it failed: {failure_words(error)}"
        if (then := baseline.tables.get(LARGE_OBJECTS)) and then.settled:
            try:
                tables[LARGE_OBJECTS] = looker.large_objects_at(then.level)
            except psycopg.Error as error:
                unreadable[LARGE_OBJECTS] = f"reading them failed: {failure_words(error)}"
        return Restored(
            major=str(connection.info.server_version // 10000),
            tables=tables,
            unreadable=unreadable,
            damaged=damaged,
            views=read_views(connection),
            objects=facts.objects,
            sequences=facts.sequences,
        )

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """Give a read-only transaction with the database's own settings, as an application has."""
        try:
            with self._transaction() as connection:
                limit_statements(connection, _QUERY_LIMIT)
                yield connection
        except psycopg.Error as error:
            raise CouldNotVerify(
                f"the restored database could not be asked: {failure_words(error)}"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._server is None:
            raise CouldNotVerify("the restored database is not loaded")
        with self._server.connect(self.database) as connection:
            connection.execute("begin isolation level repeatable read read only")
            yield connection
            connection.execute("rollback")


def session_settings(state: AssetState) -> Mapping[str, str]:
    """Return production's defaults that an application's queries may depend on."""
    kept = recorded_settings(state)
    return {name: kept[name] for name in _SESSION_SETTINGS if kept.get(name)}


def recorded_settings(state: AssetState) -> Mapping[str, str]:
    """Return production's settings outside the database, as the manifest has them."""
    return recorded_map(state, "settings")


def recorded_map(state: AssetState, name: str) -> Mapping[str, str]:
    """Return a map that the manifest keeps as JSON text; empty where it has none."""
    try:
        found = json.loads(state.server.get(name, "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def recorded_major(state: AssetState) -> int:
    """Return the major version that the server in production had."""
    text = state.server.get("major", "")
    return int(text) if text.isdigit() else _UNKNOWN_VERSION


def short_name(asset_id: str) -> str:
    """Return a name for an asset's folders: unix sockets are to have short paths."""
    return f"pg{hashlib.sha256(asset_id.encode()).hexdigest()[:8]}"
