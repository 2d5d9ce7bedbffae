"""Holding a folder between two looks, while somebody else saves it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import Captured, CaptureRequest, Tree
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import (
    FirstLook,
    Keyed,
    Listing,
    Seen,
    content_fact,
    sha256_of,
    walk,
)
from dr_orchestrator.assets.files_newest import NewestFile
from dr_orchestrator.assets.files_tally import Tally
from dr_orchestrator.beneath import Parts
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import FileBaseline, FilesBaseline, Level
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.plan.model import FilesAsset

_MOST_UNSETTLED = 50_000
"""More keyed hashes than this would make a manifest too large."""

Hashed = dict[int, tuple[Parts, str]]
"""Keyed hash of a file's state -> its path, and its SHA-256."""


class FilesCapture:
    """A folder that is being captured. Keeps the promises of `Capture`."""

    def __init__(
        self,
        clock: Clock,
        request: CaptureRequest,
        *,
        samples: int,
        sample_bytes: int,
        read_at: datetime | None = None,
        changed: frozenset[Parts] = frozenset(),
        name: str = "",
    ) -> None:
        """Take also, of what was copied here from elsewhere before: when it was read, which files
        changed there meanwhile, and what messages call it.
        """
        if not isinstance(request.asset, FilesAsset):
            raise TypeError("not a files asset")
        self._clock = clock
        self._asset = request.asset
        self._excluded = Exclusion(self._asset.exclude)
        self._path = _resolved(self._asset.path)
        self._above = tuple(os.fsencode(part) for part in self._path.parts[1:])
        self._keyed = Keyed(request.files_key)
        self._samples = samples
        self._sample_bytes = sample_bytes
        sampled = self._asset.baseline.level is Level.SAMPLED
        self._first = FirstLook(self._keyed, choose=samples if sampled else 0)
        self._device = 0
        self._hashed: Hashed = {}
        self._seconds = 0.0
        self._instant = read_at or clock.now()
        spec = self._asset.data_time
        self._newest = NewestFile(spec, self._instant) if spec else None
        self._changed = changed
        self._name = name or f"the folder {self._asset.path}"

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Tree:
        return Tree(
            path=self._path, exclude=self._asset.exclude, expected_files=self._least_files()
        )

    def look_first(self) -> None:
        """See what is there before anything is saved.

        Raises:
            CaptureFailed: it is not there, or not what the plan says.
        """
        with self._timed(), self._opened() as root:
            self._device = os.fstat(root).st_dev
            self._first.add_folder((), os.fstat(root))
            for seen in self._walk(root):
                self._first.add(seen)
                if self._newest:
                    self._newest.offer(seen)
            self._require_files(self._first.files)
            self._require_newest()

    def look_briefly(self) -> None:
        """See that the folder can be read and holds what the plan requires, and look no further.

        Raises:
            CaptureFailed: it is not there, or not what the plan says.
        """
        files = 0
        with self._opened() as root:
            for seen in self._walk(root):
                files += seen.entry.is_file
                if self._newest:
                    self._newest.offer(seen)
                elif files >= self._asset.require_files:
                    return
        self._require_files(files)
        self._require_newest()

    def measure(self) -> None:
        if self._newest and self._newest.found:
            self._hash_dump(self._newest.found)
        level = self._asset.baseline.level
        if level in {Level.COUNTS, Level.NONE}:
            return
        deadline = self._clock.monotonic() + self._asset.baseline.budget.total_seconds()

        def expired() -> bool:
            return self._clock.monotonic() > deadline

        with self._timed(), self._opened() as root:
            if level is Level.FULL:
                self._hash_all(root, expired)
            else:
                self._hash_chosen(root, expired)

    def finish(self) -> Captured:
        with self._timed():
            baseline = self._look_again()
        return Captured(
            kind=AssetKind.FILES,
            method=Method.TREE,
            scope="tree",
            captured_at=self._instant,
            data_as_of=self._newest.data_as_of if self._newest else None,
            baseline=replace(baseline, seconds=round(self._seconds, 3)),
            conditions=tuple(self._conditions(baseline)),
        )

    def _conditions(self, baseline: FilesBaseline) -> Iterator[str]:
        if self._first.special:
            special = count_words(
                self._first.special, "device, socket or pipe", "devices, sockets or pipes"
            )
            yield f"{special} in the folder: not restored to a sandbox, and not compared"
        if self._newest:
            yield from self._newest.conditions
        if baseline.level is Level.NONE:
            yield (
                f"more than {_MOST_UNSETTLED:,} files changed while they were saved: a restore of "
                "this point cannot be compared"
            )

    # --- the second look ---

    def _look_again(self) -> FilesBaseline:
        settled = Listing(self._keyed.key)
        hashed: Hashed = {}
        unsettled: set[bytes] = set()
        folders: dict[bytes, int] = {}
        files = 0
        with self._opened() as root:
            if os.fstat(root).st_dev != self._device:
                self._fail("another file system is there now than when the capture began")
            folders[self._keyed.folder(())] = self._keyed.state((), os.fstat(root))
            for seen in self._walk(root):
                state = self._keyed.state(seen.parts, seen.entry.stat)
                if seen.entry.is_folder:
                    folders[self._keyed.folder(seen.parts)] = state
                elif seen.entry.is_file or seen.entry.is_link:
                    files += seen.entry.is_file
                    if seen.parts in self._changed or not self._first.holds(state):
                        unsettled.add(self._keyed.path(seen.parts))
                    elif _still_there(settled, seen) and state in self._hashed:
                        hashed[state] = self._hashed[state]
        self._require_files(files)
        if self._first.files and not files:
            self._fail("it had files when the capture began, and has none now")
        baseline = self._baseline(settled, unsettled | self._changed_folders(folders), hashed)
        dump = self._dump(self._newest, hashed) if self._newest else None
        return replace(baseline, dump=dump)

    def _dump(self, newest: NewestFile, hashed: Hashed) -> FileBaseline:
        """Describe the file, if it was the same all the while: else it may be saved in part."""
        found = newest.found
        hash_of = hashed.get(self._keyed.state(found.parts, found.entry.stat)) if found else None
        if found is None or hash_of is None:
            self._fail(
                "the newest file that `data_time` names changed while it was saved",
                hint="the next backup looks again; `settled` says after how long a file counts",
            )
        return FileBaseline(
            path=self._keyed.path(found.parts).hex(),
            bytes=found.entry.stat.st_size,
            sha256=hash_of[1],
        )

    def _changed_folders(self, now: dict[bytes, int]) -> set[bytes]:
        before = self._first.folders
        return {folder for folder in before.keys() | now if before.get(folder) != now.get(folder)}

    def _baseline(self, settled: Listing, unsettled: set[bytes], hashed: Hashed) -> FilesBaseline:
        baseline = FilesBaseline(
            level=Level.COUNTS,
            files=settled.files,
            bytes=settled.bytes,
            listing=settled.tally.text(),
            key=self._keyed.key.hex(),
        )
        if len(unsettled) > _MOST_UNSETTLED:
            return replace(baseline, level=Level.NONE)
        baseline = replace(baseline, unsettled=tuple(sorted(path.hex() for path in unsettled)))
        if self._asset.baseline.level is Level.COUNTS or (settled.files and not hashed):
            return baseline
        every = len(hashed) == settled.files
        named = {
            self._keyed.path(parts).hex(): sha256
            for _, (parts, sha256) in sorted(hashed.items())[: self._samples]
        }
        baseline = replace(baseline, level=Level.SAMPLED, samples=named)
        if not every:
            return baseline
        # named beside the tally too: of a share that comes back no tally of all can tell
        content = self._tally_contents(hashed) if len(hashed) > self._samples else ""
        return replace(baseline, level=Level.FULL, content=content)

    def _tally_contents(self, hashed: Hashed) -> str:
        tally = Tally(self._keyed.key)
        for parts, sha256 in hashed.values():
            tally.add(content_fact(parts, sha256))
        return tally.text()

    # --- reading files ---

    def _hash_all(self, root: int, expired: Callable[[], bool]) -> None:
        for seen in self._walk(root):
            if expired():
                return
            if seen.entry.is_file:
                self._hash(root, seen.parts, expired)

    def _hash_chosen(self, root: int, expired: Callable[[], bool]) -> None:
        total = 0
        for choice in self._first.chosen:
            if expired():
                return
            if total and total + choice.size > self._sample_bytes:
                continue
            if self._hash(root, choice.parts, expired):
                total += choice.size

    def _hash_dump(self, dump: Seen) -> None:
        """Read the file whatever its size: that it comes back whole is what the point is for."""
        deadline = self._clock.monotonic() + self._asset.timeout.total_seconds()

        def expired() -> bool:
            return self._clock.monotonic() > deadline

        with self._timed(), self._opened() as root:
            if not self._hash(root, dump.parts, expired) and expired():
                self._fail("reading its newest file took longer than the plan's timeout")

    def _hash(self, root: int, parts: Parts, expired: Callable[[], bool]) -> bool:
        """Read a file, if it still is as the first look saw it; return whether that was done now.

        What changes while it is read, or later, drops out at the second look.
        """
        sha256 = None
        try:
            descriptor = beneath.open_file(root, parts)
            try:
                state = self._keyed.state(parts, os.fstat(descriptor))
                if self._first.holds(state) and state not in self._hashed:
                    sha256 = sha256_of(descriptor, expired)
                    if sha256 is not None:
                        self._hashed[state] = parts, sha256
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._fail(f"a file in it cannot be read: {cause(error)}")
        return sha256 is not None

    # --- the folder itself ---

    def _walk(self, root: int) -> Iterator[Seen]:
        deadline = self._clock.monotonic() + self._asset.timeout.total_seconds()
        for seen in walk(root, excluded=self._excluded, above=self._above, may_vanish=True):
            if self._clock.monotonic() > deadline:
                self._fail("looking at its files took longer than the plan's timeout")
            yield seen

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the folder by its path, each time anew: a share may be gone from there meanwhile."""
        with contextlib.ExitStack() as leaving:
            try:
                root = beneath.open_root(self._path)
                leaving.callback(os.close, root)
                self._require_marker(root)
                yield root
            except OSError as error:
                self._fail(f"it cannot be read: {cause(error)}", hint="is the share mounted?")

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            self._seconds += self._clock.monotonic() - begun

    def _require_marker(self, root: int) -> None:
        marker = self._asset.marker
        if marker is None:
            return
        try:
            beneath.status(root, tuple(os.fsencode(part) for part in marker.split("/") if part))
        except (FileNotFoundError, NotADirectoryError):
            self._fail(
                f"its marker {marker} is not there, so the share is not mounted",
                hint="mount the share; `marker` names a file that lies in it",
            )

    def _require_files(self, files: int) -> None:
        if files < self._asset.require_files:
            self._fail(
                f"it holds {count_words(files, 'file')}, and the plan requires at least "
                f"{self._asset.require_files:,}",
                hint="is the share mounted? `require_files` says how many there must be at least",
            )

    def _require_newest(self) -> None:
        if self._newest and self._newest.found is None:
            maker = self._asset.made_by or "whoever writes them"
            self._fail(self._newest.why_none, hint=f"ask {maker}: does the job still run?")

    def _least_files(self) -> int:
        """Return how many files a complete save has at least: some may vanish while it runs."""
        counted = self._first.files
        return max(self._asset.require_files, counted - max(10, counted // 10))

    def _fail(self, reason: str, *, hint: str = "") -> NoReturn:
        raise CaptureFailed(f"{self._name} was not captured: {reason}", hint=hint) from None


def cause(error: OSError) -> str:
    """Return the system's own words, without the name of the file that an error carries."""
    return (error.strerror or type(error).__name__).lower()


def _still_there(settled: Listing, seen: Seen) -> bool:
    """Add it up, unless it is a link that is gone by now."""
    try:
        settled.add(seen)
    except FileNotFoundError:
        return False
    return True


def _resolved(path: Path) -> Path:
    """Return where the folder really is: restic would save a link as a link, and nothing else."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except OSError as error:
        raise CaptureFailed(
            f"the folder {path} was not captured: {cause(error)}", hint="is the share mounted?"
        ) from None
