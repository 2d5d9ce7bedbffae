"""The driver for MariaDB and MySQL: which method captures an asset, and which brings it back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dr_orchestrator.assets.base import (
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.mariadb_dump_restoration import restore_dump
from dr_orchestrator.assets.mariadb_hand_over import (
    hand_over_dump,
    hand_over_foreign_dump,
    hand_over_server,
    sandbox_bytes,
)
from dr_orchestrator.assets.mariadb_lab_restoration import restore_to_lab
from dr_orchestrator.assets.mariadb_live_restoration import restore_live
from dr_orchestrator.assets.mariadb_logical import capture_logically
from dr_orchestrator.assets.mariadb_logical_restoration import restore_logically
from dr_orchestrator.assets.mariadb_physical import capture_physically
from dr_orchestrator.assets.mariadb_physical_restoration import restore_physically
from dr_orchestrator.assets.mariadb_probe import probe
from dr_orchestrator.assets.mariadb_source import Source
from dr_orchestrator.assets.postgres_source import SecretReader
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetState, Method
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.plan.model import MariadbAsset
from dr_orchestrator.process import Launcher
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms


@dataclass(frozen=True)
class MariadbDriver:
    """Captures MariaDB and MySQL databases and servers, and brings them back."""

    launcher: Launcher
    programs: MariadbPrograms
    secrets: SecretReader
    clock: Clock
    runtime_folder: Path
    """For files with a password that live as long as a capture; swept at start by their owner."""

    def capture(self, request: CaptureRequest) -> AbstractContextManager[Capture]:
        source = self._source(request)
        capture = (
            capture_physically if source.asset.method is Method.PHYSICAL else capture_logically
        )
        return capture(
            request,
            source,
            launcher=self.launcher,
            programs=self.programs,
            clock=self.clock,
        )

    def probe(self, request: CaptureRequest) -> Probed:
        return probe(self._source(request), programs=self.programs, clock=self.clock)

    def staging_bytes(self, request: CaptureRequest) -> int:
        """See `AssetDriver`: both methods are streams, and wait on disk only as there is room."""
        del request
        return 0

    def sandbox_bytes(self, state: AssetState) -> int:
        """See `AssetDriver`; what restic writes is part of it."""
        return sandbox_bytes(state)

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        if request.state.method is Method.PHYSICAL:
            return restore_physically(request, programs=self.programs, clock=self.clock)
        if request.state.method is Method.DUMP:
            return restore_dump(request, programs=self.programs, clock=self.clock)
        if request.live is not None:
            return restore_live(request, request.live, programs=self.programs, clock=self.clock)
        if request.lab is not None:
            return restore_to_lab(request, request.lab, programs=self.programs, clock=self.clock)
        return restore_logically(request, programs=self.programs, clock=self.clock)

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        if state.method is Method.PHYSICAL:
            return hand_over_server(state, restored, sidecars, place, self.programs)
        if state.method is Method.DUMP:
            return hand_over_foreign_dump(restored, place, self.programs)
        return hand_over_dump(state, restored, sidecars, place, self.programs)

    def _source(self, request: CaptureRequest) -> Source:
        asset = request.asset
        if not isinstance(asset, MariadbAsset):
            raise TypeError("not a MariaDB asset")
        if asset.method is Method.PHYSICAL and asset.scope != "cluster":
            raise CaptureFailed(
                "the physical method takes the whole server, and the plan does not say so",
                hint="write `scope: cluster`",
            )
        password = None if asset.password is None else self.secrets.read(asset.password)
        return Source(asset, password, self.runtime_folder)
