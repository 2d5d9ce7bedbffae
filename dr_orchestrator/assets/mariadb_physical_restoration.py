"""Bringing a copied MariaDB server back to life in a sandbox.

The copy is a stream of files and of the log that was written meanwhile: `mbstream` unpacks it,
`mariadb-backup --prepare` makes it whole, both inside the sandbox. Production's accounts are in it,
whose passwords we neither have nor want: our server makes us one of our own. `--skip-grant-tables`
would need none, and would hide every event (10.11), so that lost ones were not missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pymysql

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.mariadb_restoration import (
    MariadbRestoration,
    recorded_settings,
    recorded_version,
    server_settings,
    short_name,
)
from dr_orchestrator.assets.restored_file import opened_file
from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.process import Command, Completed, exit_words, known_cause
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
from dr_orchestrator.servers.mariadb_server import OF_THE_FILES, PrivateMariadb, as_options

PROGRAMS = ("mariadb-backup", "mariadbd", "mbstream")
_UNPACK_LIMIT = timedelta(hours=12)
_RECOVERY_LIMIT = timedelta(hours=2)
_COMPLETED = "completed OK!"
_NO_MEMORY = ("out of memory", "cannot allocate memory")


class PhysicalRestoration(MariadbRestoration):
    """A whole server, started from its copied files."""

    def __init__(self, request: RestoreRequest, programs: MariadbPrograms, clock: Clock) -> None:
        super().__init__(request, programs, clock)
        self._folder = programs.same_series(recorded_version(request.state), *PROGRAMS)
        self._data = request.place.folder(f"{short_name(request.asset_id)}-data")

    def prepare(self) -> None:
        """There is nothing to start before the files are there."""

    def load(self, restored: Path) -> None:
        self._unpack(restored)
        self._make_whole()
        server = PrivateMariadb(
            self._request.place,
            self._folder,
            self._clock,
            name=short_name(self._request.asset_id),
            data=self._data,
            settings=server_settings(self._request.state, *OF_THE_FILES),
        )
        self._server = server
        server.start(_RECOVERY_LIMIT)
        try:
            server.connect(self.database).close()
        except pymysql.MySQLError:
            raise server.failure(
                f"the restored server starts, but {self.database} cannot be opened in it"
            ) from None

    def _unpack(self, restored: Path) -> None:
        with opened_file(restored) as stream:
            completed = self._request.place.inside.run(
                Command(
                    argv=(self._folder.path("mbstream"), "-x", "-C", str(self._data)),
                    timeout=_UNPACK_LIMIT,
                ),
                stdin=stream.fileno(),
            )
        if not completed.ok:
            raise _explain(completed, "it cannot be unpacked")

    def _make_whole(self) -> None:
        """Take over what was written to the log while the files were copied."""
        completed = self._request.place.inside.run(
            Command(
                argv=(
                    self._folder.path("mariadb-backup"),
                    "--no-defaults",
                    "--prepare",
                    f"--target-dir={self._data}",
                    *as_options(recorded_settings(self._request.state, OF_THE_FILES)),
                ),
                timeout=_RECOVERY_LIMIT,
            )
        )
        if not completed.ok or not completed.stderr.rstrip().endswith(_COMPLETED):
            raise _explain(completed, "it cannot be made whole")


@contextmanager
def restore_physically(
    request: RestoreRequest, *, programs: MariadbPrograms, clock: Clock
) -> Iterator[PhysicalRestoration]:
    """Bring a server back to life; see `AssetDriver.restoration`."""
    restoration = PhysicalRestoration(request, programs, clock)
    try:
        yield restoration
    finally:
        restoration.leave()


def _explain(completed: Completed, consequence: str) -> DroError:
    """Return the error for a program that failed, without what it printed."""
    lowered = completed.stderr.lower()
    ending = f"({exit_words(completed.returncode)}{known_cause(completed.stderr)})"
    if "no space left" in lowered or "disk quota exceeded" in lowered or "errno: 28" in lowered:
        return SpaceExhausted(
            f"the sandbox has no room for the server {ending}",
            hint="make room where sandboxes are made, and try again",
        )
    if completed.returncode < 0 or any(sign in lowered for sign in _NO_MEMORY):
        return CouldNotVerify(f"{completed.program} did not come to an end {ending}")
    return LoadFailed(f"the copy is damaged or incomplete: {consequence} {ending}")
