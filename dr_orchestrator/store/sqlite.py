"""Opening the store of one machine: a SQLite file in the state folder.

Durable before quick: write-ahead log, and a commit returns only once it is on disk. Opening costs
one query; a new file gets the newest tables at once. Migrations, and the library that runs them,
are only loaded where the file is older than this program: then a copy of it is kept, and all of
them are one transaction. A file of a newer version is left as it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, delete, event, insert
from sqlalchemy.exc import OperationalError

from dr_orchestrator import __version__
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, SpaceExhausted, StoreUnusable
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import DEFAULT_LIMITS, Limits
from dr_orchestrator.store.memory import in_our_words
from dr_orchestrator.store.schema import STORE_VERSION, make_tables, written_by
from dr_orchestrator.store.sql import SqlStore

FILE_NAME = "dro.sqlite3"
_BEFORE = ".before-"
"""Between its name and the version of the store: the copy that is kept of an older one."""
_WAIT_SECONDS = 60
"""For another process's write. One takes milliseconds; a fork of runs at the same minute queues."""


def open_store(state_folder: Path, clock: Clock, limits: Limits = DEFAULT_LIMITS) -> SqlStore:
    """Open the store in `state_folder`, making both where there are none, and bring it up to date.

    The folder becomes readable by its owner only, and so does the file.

    Raises:
        StoreUnusable: the folder cannot be used, the file is damaged, or a newer version of this
            program wrote it.
    """
    file = state_folder / FILE_NAME
    _make_private(state_folder, file)
    engine = _engine(file)
    try:
        with in_our_words():
            if _known_version(engine, file) != STORE_VERSION:
                _bring_up_to_date(engine, file)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, clock, limits, evidence_key=lambda: _evidence_key(state_folder))


def _evidence_key(state_folder: Path) -> str:
    try:
        return StateFolder(state_folder).beginning_evidence_key()
    except OSError as error:
        raise _cannot_use(state_folder, error) from None


def _make_private(folder: Path, file: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _cannot_use(folder, error) from None


def _cannot_use(folder: Path, error: OSError) -> DroError:
    if error.errno == errno.ENOSPC:
        return SpaceExhausted(
            f"the disk that holds the state folder {folder} is full", hint="make room on it"
        )
    return StoreUnusable(
        f"the state folder {folder} cannot be used: {error.strerror}",
        hint="run dro as the user who owns it, or name another in the machine's settings",
    )


def _engine(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": _WAIT_SECONDS},
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver would begin transactions when it sees fit, and never around a migration.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _version(engine: Engine) -> str | None:
    """Return the version of the tables that are there; `None` where there are none yet."""
    with engine.connect() as connection:
        try:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        except OperationalError as error:
            if "no such table" in str(error.orig):
                return None
            raise
        return str(found.scalar_one())


def _known_version(engine: Engine, file: Path) -> str | None:
    """Return the version of the tables, which is none that only a newer program knows.

    Raises:
        StoreUnusable: it is.
    """
    version = _version(engine)
    if version is None or version <= STORE_VERSION:
        return version
    newer = "a newer version of dro"
    with engine.connect() as connection, contextlib.suppress(OperationalError):
        writer = connection.exec_driver_sql("SELECT version FROM written_by").scalar_one()
        newer = f"dro {printable(str(writer))}"
    raise StoreUnusable(
        f"the record in {file.parent} was written by {newer} (store {version}), and this is dro "
        f"{__version__}, which knows up to {STORE_VERSION}",
        hint="install that version or a newer one here; nothing was touched",
    )


def _keep_copy(file: Path, version: str) -> None:
    """Keep the file as it is before a migration, in the place of an older such copy.

    Raises:
        SpaceExhausted: the disk has no room for it; nothing is migrated then.
    """
    kept = file.with_name(f"{file.name}{_BEFORE}{version}")
    begun = kept.with_name(f"{kept.name}.part")
    begun.unlink(missing_ok=True)  # of one that was killed
    try:
        os.close(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        source = sqlite3.connect(f"file:{quote(os.fspath(file))}?mode=ro", uri=True)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(begun)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, and no log beside it
        begun.replace(kept)
    except (OSError, sqlite3.Error):
        begun.unlink(missing_ok=True)
        raise SpaceExhausted(
            f"no copy of {file} could be made, which is kept while it is brought up to date",
            hint=f"make room on the disk of {file.parent} for another one of its size",
        ) from None
    for older in file.parent.glob(f"{file.name}{_BEFORE}*"):
        if older != kept:
            older.unlink()


def _bring_up_to_date(engine: Engine, file: Path) -> None:
    with _one_at_a_time(file.with_name(file.name + ".lock")):
        version = _known_version(engine, file)  # another process may have been first
        if version == STORE_VERSION:
            return
        with engine.connect() as connection:
            connection.connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
        with engine.connect() as connection:
            connection.execution_options(writing=True)
            with connection.begin():
                if version is None:
                    make_tables(connection)
                else:
                    _keep_copy(file, version)  # nobody can write meanwhile: we hold the lock
                    _migrate(connection)
                connection.execute(delete(written_by))
                connection.execute(insert(written_by).values(version=__version__))


def _migrate(connection: Connection) -> None:
    from dr_orchestrator.store.migration import migrate

    migrate(connection)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process makes or migrates the tables. The lock ends with its process,
    however that ends.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
