"""Three ways in which a backup goes bad while every exit code is 0.

The first happens to a repository that lies somewhere for years. The other two are how careless
tools capture: `cp` of a database that is in use, and a share that goes away half way through.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dr_orchestrator.assets.base import Tree
from dr_orchestrator.plan.model import FilesAsset, SqliteAsset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from dr_orchestrator.assets.base import (
        AssetDriver,
        Capture,
        Captured,
        CaptureRequest,
        Probed,
        Restoration,
        RestoreRequest,
        Stream,
    )
    from dr_orchestrator.core.point import AssetState


def flip_one_byte(repository: Path) -> None:
    """Change one byte in the middle of the largest pack of a local restic repository."""
    packs = [each for each in (repository / "data").rglob("*") if each.is_file()]
    pack = max(packs, key=lambda each: each.stat().st_size)
    pack.chmod(0o600)  # restic makes its packs read-only
    with pack.open("r+b") as file:
        file.seek(pack.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x01]))


class CarelessDriver:
    """An asset driver whose captures hold something else than what was measured."""

    def __init__(self, driver: AssetDriver, spoil: Callable[[CaptureRequest], Path]) -> None:
        """`spoil` makes, in the request's staging folder, what is saved instead."""
        self._driver = driver
        self._spoil = spoil

    @contextmanager
    def capture(self, request: CaptureRequest) -> Iterator[Capture]:
        """See `AssetDriver.capture`; the content is what `spoil` made."""
        with self._driver.capture(request) as capture:
            yield _Spoiled(capture, Tree(path=self._spoil(request)))

    def probe(self, request: CaptureRequest) -> Probed:
        """See `AssetDriver.probe`."""
        return self._driver.probe(request)

    def staging_bytes(self, request: CaptureRequest) -> int:
        """See `AssetDriver.staging_bytes`."""
        return self._driver.staging_bytes(request)

    def sandbox_bytes(self, state: AssetState) -> int:
        """See `AssetDriver.sandbox_bytes`."""
        return self._driver.sandbox_bytes(state)

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        """See `AssetDriver.restoration`."""
        return self._driver.restoration(request)

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        """See `AssetDriver.hand_over`."""
        return self._driver.hand_over(state, restored, sidecars, place)


class _Spoiled:
    """A capture whose content was swapped."""

    def __init__(self, capture: Capture, content: Tree) -> None:
        self._capture = capture
        self.content: Tree | Stream = content

    @property
    def instant(self) -> datetime:
        return self._capture.instant

    def measure(self) -> None:
        self._capture.measure()

    def finish(self) -> Captured:
        return self._capture.finish()


def copied_with_cp(request: CaptureRequest) -> Path:
    """Do what `cp emr.sqlite3 backup/` does: leave behind what is in the write-ahead log."""
    source = path_of(request)
    copy = request.staging / "careless" / source.name
    copy.parent.mkdir()
    shutil.copyfile(source, copy)
    return copy


def half_of_the_share(request: CaptureRequest) -> Path:
    """Do what a share does that goes away half way: every other folder is not there."""
    source = path_of(request)
    copy = request.staging / "careless" / source.name
    shutil.copytree(source, copy)
    for folder in sorted(each for each in copy.iterdir() if each.is_dir())[::2]:
        shutil.rmtree(folder)
    return copy


def path_of(request: CaptureRequest) -> Path:
    """Return the path of an asset that has one."""
    if not isinstance(request.asset, FilesAsset | SqliteAsset):
        raise TypeError(request.asset.kind)
    return request.asset.path
