"""Stores on each database that one can stand on, for the suites that all of them must pass."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy import URL, create_engine

from dr_orchestrator.clock import Clock
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Limits
from dr_orchestrator.store.schema import metadata
from dr_orchestrator.store.sql import SqlStore
from dr_orchestrator.store.sqlite import open_store
from tests.support.postgres import SUPERUSER, Production, production

OpenStore = Callable[[Path, Clock, Limits], SqlStore]
"""Opens the one store that belongs to a folder, making it first."""
_names = count()


def sqlite(folder: Path, clock: Clock, limits: Limits) -> SqlStore:
    """Open the store in a folder of that folder."""
    return open_store(folder / "state", clock, limits)


@cache
def _server() -> Production:
    """Start the one server of all tests of this process, ended with it."""
    running = contextlib.ExitStack()
    atexit.register(running.close)
    return running.enter_context(production("max_connections=60"))


def postgres(folder: Path, clock: Clock, limits: Limits) -> SqlStore:
    """Open the store in a schema of the test server; the folder remembers its name."""
    server, note = _server(), folder / "schema"
    made = note.exists()
    if not made:
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(f"store{next(_names)}")
        with server.connect() as connection:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(note.read_text())))
    url = URL.create(
        "postgresql+psycopg",
        username=SUPERUSER,
        database="postgres",
        query={"host": server.host, "options": f"-csearch_path={note.read_text()}"},
    )
    engine = create_engine(url, hide_parameters=True)
    if not made:
        metadata.create_all(engine)
    signer = StateFolder(folder / "state").evidence_signer()
    return SqlStore(engine, clock, limits, evidence_key=lambda: signer.public)


STORES = (
    pytest.param(sqlite, id="sqlite"),
    pytest.param(postgres, id="postgres", marks=pytest.mark.server),
)
"""For fixtures of the contract suites: each is an `OpenStore`."""
