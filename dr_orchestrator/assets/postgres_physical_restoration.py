"""Bringing a copied cluster back to life in a sandbox.

The tree is first made to point at itself (tablespace links lead to where they were in production),
then proven against its manifest, and only then robbed of production's settings and started.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.postgres_physical import DATA, MANIFEST, TABLESPACES
from dr_orchestrator.assets.postgres_restoration import (
    PostgresRestoration,
    recorded_major,
    session_settings,
    short_name,
)
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, LoadFailed
from dr_orchestrator.process import Command, exit_words, known_cause
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from dr_orchestrator.servers.postgres_server import PrivatePostgres

PROGRAMS = ("pg_controldata", "pg_verifybackup", "pg_waldump", "postgres")
_PROOF_LIMIT = timedelta(hours=12)
_RECOVERY_LIMIT = timedelta(hours=2)
_CONTROL_LIMIT = timedelta(minutes=1)
_ASIDE = b".production"
"""Appended to the names of production's settings."""
_SETTINGS_FILES = (b"postgresql.auto.conf",)
_SIGNALS = (b"recovery.signal", b"standby.signal", b"postmaster.pid", b"postmaster.opts")
"""Files that make a server wait for another one, or think that it runs already."""
_PROOF_TITLE = "every file of the cluster is byte for byte what was captured"
_CONTROL = {
    "max_connections": rb"^max_connections setting: +(\d+)",
    "max_worker_processes": rb"^max_worker_processes setting: +(\d+)",
    "max_prepared_transactions": rb"^max_prepared_xacts setting: +(\d+)",
    "max_locks_per_transaction": rb"^max_locks_per_xact setting: +(\d+)",
}
"""Recovery needs at least what production had; prepared transactions come back with it."""


class PhysicalRestoration(PostgresRestoration):
    """A whole cluster, started from its copied files."""

    def __init__(self, request: RestoreRequest, programs: PostgresPrograms, clock: Clock) -> None:
        super().__init__(request, programs, clock)
        self._folder = programs.exactly(recorded_major(request.state), *PROGRAMS)
        self._proven = False

    def prepare(self) -> None:
        """There is nothing to start before the files are there."""

    def load(self, restored: Path) -> None:
        data = restored / DATA
        with opened_cluster(restored) as cluster:
            rewrite_links(cluster, restored)
        self._prove(data)
        with opened_cluster(restored) as cluster:
            set_aside(cluster, _SETTINGS_FILES)
        server = PrivatePostgres(
            self._request.place,
            self._folder,
            self._clock,
            name=short_name(self._request.asset_id),
            data=data,
            superuser=self._request.state.server.get("superuser", "postgres"),
            settings=self._settings(data),
        )
        self._server = server
        server.start(_RECOVERY_LIMIT)
        try:
            server.adopt_settings(session_settings(self._request.state))
            server.connect(self.database).close()
        except psycopg.Error:
            raise server.failure(
                f"the restored cluster starts, but {self.database} cannot be opened in it"
            ) from None

    def compare(self) -> tuple[Verification, ...]:
        proof = Verification(
            title=_PROOF_TITLE,
            asset=self._request.asset_id,
            result=Result.PASSED if self._proven else Result.UNPROVEN,
            expected="equal to the server's own manifest",
            actual="equal" if self._proven else "not looked at",
            proves=Depth.L3,
        )
        return (proof, *super().compare())

    def _prove(self, data: Path) -> None:
        """Hold every file, and the write-ahead log, against the manifest."""
        begun = self._clock.monotonic()
        completed = self._request.place.inside.run(
            Command(
                argv=(self._folder.path("pg_verifybackup"), "--quiet", str(data)),
                timeout=_PROOF_LIMIT,
            )
        )
        self._proof_seconds += self._clock.monotonic() - begun
        if not completed.ok:
            raise _not_proven(completed.returncode, completed.stderr)
        self._proven = True

    def _settings(self, data: Path) -> dict[str, str]:
        """Return what this cluster's recovery needs, read from its control file."""
        completed = self._request.place.inside.run(
            Command(argv=(self._folder.path("pg_controldata"), str(data)), timeout=_CONTROL_LIMIT)
        )
        if not completed.ok:
            raise LoadFailed("the cluster's control file cannot be read")
        found = {
            name: re.search(pattern, completed.stdout, re.MULTILINE)
            for name, pattern in _CONTROL.items()
        }
        return {name: match[1].decode() for name, match in found.items() if match}


@contextmanager
def restore_physically(
    request: RestoreRequest, *, programs: PostgresPrograms, clock: Clock
) -> Iterator[PhysicalRestoration]:
    """Bring a cluster back to life; see `AssetDriver.restoration`."""
    restoration = PhysicalRestoration(request, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


@contextmanager
def opened_cluster(restored: Path) -> Iterator[int]:
    """Give a descriptor of a restored cluster's data directory; no link in it is followed.

    Raises:
        LoadFailed: there is none.
    """
    try:
        root = beneath.open_root(restored)
        try:
            data = beneath.open_folder(root, (DATA.encode(),))
        finally:
            os.close(root)
    except OSError:
        raise LoadFailed("the backup holds no data directory") from None
    try:
        os.fchmod(data, 0o700)  # or the server refuses it
        yield data
    finally:
        os.close(data)


def rewrite_links(data: int, final: Path) -> None:
    """Make the tablespace links of a data directory lead to the folders restored beside it.

    `final` is where the folder above the data directory is, or will be. Whatever the links said is
    forgotten: they come from a hostile tree, and led to production.

    Raises:
        LoadFailed: a tablespace is not in the backup.
    """
    try:
        links = beneath.open_folder(data, (b"pg_tblspc",))
    except OSError:
        raise LoadFailed("the restored data directory is not complete") from None
    try:
        with os.scandir(links) as entries:
            names = [os.fsencode(entry.name) for entry in entries if entry.is_symlink()]
        for name in names:
            if not name.isdigit():
                continue
            if not _has_tablespace(data, name):
                raise LoadFailed("a tablespace of the cluster is not in the backup")
            owner = os.stat(name, dir_fd=links, follow_symlinks=False)
            os.unlink(name, dir_fd=links)
            os.symlink(os.fsencode(final / TABLESPACES) + b"/" + name, name, dir_fd=links)
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=links, follow_symlinks=False)
    finally:
        os.close(links)


def set_aside(data: int, settings: tuple[bytes, ...]) -> None:
    """Rename production's settings, and remove what would keep the cluster from starting alone."""
    for name in settings:
        with contextlib.suppress(FileNotFoundError):
            os.rename(name, name + _ASIDE, src_dir_fd=data, dst_dir_fd=data)
    for name in _SIGNALS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=data)


def _has_tablespace(data: int, oid: bytes) -> bool:
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=data)
    try:
        os.close(beneath.open_folder(above, (TABLESPACES.encode(), oid)))
    except OSError:
        return False
    finally:
        os.close(above)
    return True


def _not_proven(returncode: int, stderr: str) -> LoadFailed | CouldNotVerify:
    """Return why pg_verifybackup was not content, without the names it printed."""
    lowered = stderr.lower()
    if returncode != 1:
        return CouldNotVerify(
            f"pg_verifybackup did not come to an end ({exit_words(returncode)}"
            f"{known_cause(stderr)})"
        )
    if MANIFEST in lowered and ("could not open" in lowered or "parsing" in lowered):
        return LoadFailed("the cluster's manifest is missing or damaged")
    if "pg_waldump" in lowered or "wal parsing failed" in lowered:
        return LoadFailed("the write-ahead log in the backup is damaged or incomplete")
    bad = sum(
        any(sign in line for sign in _BAD_FILE) for line in lowered.splitlines() if "error" in line
    )
    words = count_words(bad, "file") if bad else "part of the cluster"
    return LoadFailed(f"{words} missing or not as captured: the manifest says otherwise")


_BAD_FILE = ("not on disk", "not in the manifest", "has size", "checksum mismatch", "could not")
