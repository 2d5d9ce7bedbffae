"""Folders of files: looked at before and after they are saved, and again when they come back.

Files are in use while they are saved. Two looks tell which of them were the same all the while; the
baseline speaks of those only, so that neither a changed file nor one that came and went makes a
false alarm (docs/adr/0008-files-and-sqlite-baselines.md). A share that is not mounted, or that is
emptied meanwhile, is a failure: what restic then saves without complaint is no recovery point.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from dr_orchestrator.assets.base import (
    Capture,
    CaptureRequest,
    Probed,
    Restoration,
    RestoreRequest,
)
from dr_orchestrator.assets.files_capture import FilesCapture
from dr_orchestrator.assets.files_restoration import FilesRestoration
from dr_orchestrator.beneath import Parts
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import FilesBaseline
from dr_orchestrator.core.point import AssetState

_SAMPLES = 512
_SAMPLE_BYTES = 256 * 1024 * 1024
_BLOCK_BYTES = 4096
"""What a file takes on disk beside its content, at most, on the usual file systems."""


class FilesDriver:
    """Captures folders, and brings them back. Keeps the promises of `AssetDriver`."""

    def __init__(
        self, clock: Clock, *, samples: int = _SAMPLES, sample_bytes: int = _SAMPLE_BYTES
    ) -> None:
        """Take how many files, and how many bytes of them, a sampled baseline reads at most."""
        self._clock = clock
        self._samples = samples
        self._sample_bytes = sample_bytes

    @contextlib.contextmanager
    def capture(
        self,
        request: CaptureRequest,
        *,
        read_at: datetime | None = None,
        changed: frozenset[Parts] = frozenset(),
        name: str = "",
    ) -> Iterator[Capture]:
        """See `AssetDriver.capture`. Of what was copied here from elsewhere before: when it was
        read, which files changed there meanwhile, and what messages call it.
        """
        capture = FilesCapture(
            self._clock,
            request,
            samples=self._samples,
            sample_bytes=self._sample_bytes,
            read_at=read_at,
            changed=changed,
            name=name,
        )
        capture.look_first()
        yield capture

    def probe(self, request: CaptureRequest) -> Probed:
        """See `AssetDriver.probe`: a folder is looked at no further than the plan requires."""
        capture = FilesCapture(
            self._clock, request, samples=self._samples, sample_bytes=self._sample_bytes
        )
        capture.look_briefly()
        return Probed()

    def staging_bytes(self, request: CaptureRequest) -> int:
        del request
        return 0

    def sandbox_bytes(self, state: AssetState) -> int:
        files = state.baseline.files if isinstance(state.baseline, FilesBaseline) else 0
        return state.bytes + files * _BLOCK_BYTES

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        return contextlib.nullcontext(FilesRestoration(request))

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        del sidecars
        target = place / restored.name
        restored.rename(target)
        came_back = shlex.quote(str(target))
        # it comes out of a repository and goes to a terminal
        came_from = shlex.quote(state.path if state.path.isprintable() else "FOLDER")
        return (
            f"the folder is {target}, with the owners and modes it had",
            f"to put it back once it was looked at: cp -a {came_back}/. {came_from}/",
        )
