"""SQLite databases: one file, copied by SQLite itself while it is in use.

What comes back must be that copy, byte for byte; the tables are compared as well, so that where it
is not, a person is told in what. Restored databases are opened in a sandbox and nowhere else.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from dr_orchestrator.assets.base import (
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.sqlite_capture import SqliteCapture
from dr_orchestrator.assets.sqlite_restoration import SqliteRestoration
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.plan.model import SqliteAsset

_REMOVE = (
    "stop the program that uses it, and move its old file away together with the files beside it "
    "that end in -wal, -shm and -journal: left there, they damage the new one"
)


class SqliteDriver:
    """Captures SQLite databases, and brings them back. Keeps the promises of `AssetDriver`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextlib.contextmanager
    def capture(self, request: CaptureRequest) -> Iterator[Capture]:
        capture = SqliteCapture(self._clock, request)
        capture.copy()
        yield capture

    def probe(self, request: CaptureRequest) -> Probed:
        SqliteCapture(self._clock, request).look_briefly()
        return Probed()

    def staging_bytes(self, request: CaptureRequest) -> int:
        if not isinstance(request.asset, SqliteAsset):
            raise TypeError("not a sqlite asset")
        path = request.asset.path
        sizes = []
        for each in (path, path.with_name(f"{path.name}-wal")):
            with contextlib.suppress(OSError):
                sizes.append(each.stat().st_size)
        return sum(sizes)

    def sandbox_bytes(self, state: AssetState) -> int:
        return state.bytes

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        return contextlib.nullcontext(SqliteRestoration(self._clock, request))

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        del sidecars
        target = place / restored.name
        restored.rename(target)
        lines = [f"the database is {target}, complete in this one file", _REMOVE]
        if state.server.get("journal_mode") == "wal":
            lines.append(f"sqlite3 {shlex.quote(str(target))} 'PRAGMA journal_mode = wal'")
        return (*lines, "copy the file to where the program looks for it, and start the program")
