"""What every asset driver promises.

To capture: entering `capture` fixes the instant the content is of; `content` is then saved by
somebody else; `measure` takes the baseline of that same instant and may run meanwhile; `finish`
says what was captured, once the content is saved. Leaving the `with` block removes whatever was
staged, whatever happened.

To restore: entering `restoration` may start what the data will need (a private server) while the
data is still on its way; `load` brings it to life; then it can be asked. Leaving the block ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Protocol

from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.core.baseline import Baseline, Value
from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.core.verification import Depth, Verification
from dr_orchestrator.errors import CaptureFailed, ProgramMissing
from dr_orchestrator.plan.model import Asset
from dr_orchestrator.process import Child
from dr_orchestrator.servers.lab import OpenLab, OpenLive
from dr_orchestrator.servers.place import Place

NOT_LOADED = (
    "the dump came back and was not loaded: nobody knows whether it can be, nor how long it takes"
)
"""What a reader must know of a dump that nothing here can load."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Files on disk: a folder, or one file."""

    path: Path
    """Absolute."""
    exclude: tuple[str, ...] = ()
    """restic patterns."""
    expected_files: int | None = None
    """How many files a complete save must process at least; `None` where nobody counted."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A producer's stdout. Its end reaches the repository only after the producer exited 0."""

    name: str
    """File name in the snapshot, flat: restic 0.18.0 fails on a folder part (#5324)."""
    start: Callable[[int], Child]
    """Starts the producer with the given file descriptor as its stdout."""
    check: Callable[[bytes, bytes, int], None]
    """Called with the first and last 4 KiB and the number of bytes, once the producer exited 0;
    raises `CaptureFailed` where the stream is not complete."""
    failure: Callable[[], CaptureFailed] | None = None
    """Called where the producer failed: what its driver knows of why, and what to do."""
    watch: Callable[[bytes], None] = field(default=lambda _block: None)
    """Called with each block, in order, while the stream is saved."""


@dataclass(frozen=True, kw_only=True)
class CaptureRequest:
    """What a driver needs to know to capture one asset."""

    practice: str
    system: str
    asset_id: str
    asset: Asset
    queries: tuple[str, ...] = ()
    """SQL whose answers at capture belong in the baseline (`expect: baseline`). Times that carry no
    zone are read in UTC: both sides must read them alike, and a plan's zone may change in between.
    """
    newest: str | None = None
    """SQL for the newest row, where the plan asks this asset."""
    newest_zone: tzinfo | None = None
    """For times of `newest` that carry no zone."""
    staging: Path = field(kw_only=True)
    """An empty folder of this capture's own, 0700, removed by the caller afterwards."""
    mirror: Path = field(kw_only=True)
    """A folder of this asset's own that is kept from one backup to the next, for what must be
    copied from elsewhere before it can be saved. Not made yet at the first; make it 0700."""
    files_key: bytes = field(kw_only=True, repr=False)
    """For keyed hashes of paths."""


@dataclass(frozen=True, kw_only=True)
class Captured:
    """What was captured: all of an `AssetState` but the snapshot it was saved in."""

    kind: AssetKind
    method: Method
    scope: str
    captured_at: datetime
    data_as_of: datetime | None = None
    """How old the data was, where another tool made it: a dump that somebody else's job writes."""
    tools: Mapping[str, str] = field(default_factory=dict)
    server: Mapping[str, str] = field(default_factory=dict)
    baseline: Baseline | None = None
    conditions: tuple[str, ...] = ()
    sidecars: Mapping[str, bytes] = field(default_factory=dict)
    """Small files that are saved beside the manifest: `globals.sql`."""


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What was found out about an asset that could be captured now, without capturing it."""

    server: str = ""
    """What serves it in production, as `PostgreSQL 16.4`; empty where no server does."""
    conditions: tuple[str, ...] = ()
    """What a capture made now would say of itself, as far as it shows already."""
    unloadable: ProgramMissing | None = None
    """Why this machine could not load what is captured, so that no restore test proves it."""
    certificate: bytes | None = None
    """What the server proves itself with (DER), where it was reached by TLS."""


class Capture(Protocol):
    """An asset, held at one instant."""

    @property
    def instant(self) -> datetime:
        """The instant the content is of, aware UTC."""
        ...

    @property
    def content(self) -> Tree | Stream:
        """What is to be saved."""
        ...

    def measure(self) -> None:
        """Take the baseline. May run while the content is being saved; called exactly once."""
        ...

    def finish(self) -> Captured:
        """Say what was captured. Called once, after the content is saved and `measure` returned.

        Raises:
            CaptureFailed: it turns out that the content cannot be complete.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What a driver needs to know to bring one asset back to life in a sandbox."""

    asset_id: str
    state: AssetState
    place: Place
    """The sandbox."""
    sidecars: Mapping[str, bytes]
    jobs: int
    """How many programs may load side by side."""
    asset: Asset | None = None
    """What the plan says of it now; `None` where the plan has no such asset any more."""
    lab: OpenLab | None = None
    """The lab server that the plan names for this asset, found fit: load into its `database`, a
    name that is not taken, and leave dropping it to whoever opened the lab."""
    live: OpenLive | None = None
    """Where a person had it loaded into a new database, and no test ever does: make the `database`,
    and drop it again where that fails."""
    share: FilesShare | None = None
    """Of a tree of files: the share that comes back, and the list of all of it."""


class Restoration(Protocol):
    """An asset coming back to life in a sandbox."""

    def prepare(self) -> None:
        """Start what the data will need. May run while restic still restores; called once."""
        ...

    def load(self, restored: Path) -> None:
        """Bring the data to life. `restored` is what restic wrote for this asset's `path`,
        already handed to the sandbox (`Place.adopt`). Afterwards the asset can be asked.

        Raises:
            LoadFailed: it does not load: the backup is damaged or incomplete.
            CouldNotVerify: this machine lacks what it takes (an extension, a server version).
            SpaceExhausted: the sandbox's disk is full.
        """
        ...

    @property
    def loading_proof_seconds(self) -> float:
        """How much of `load` was spent proving (`pg_verifybackup`), to be taken out of the RTA."""
        ...

    @property
    def depth(self) -> Depth:
        """How deep the proof is by loading alone: L3 for a database, L0 for files."""
        ...

    @property
    def root(self) -> Path:
        """For files: the folder that stands for the asset's own path."""
        ...

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        """Return the one value that `sql` answers; naive times are read in `zone`.

        Raises:
            CouldNotVerify: not one row of one column, or a value of another kind. The message
                never has the value in it.
        """
        ...

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        """Yield the rows `sql` answers. They are patient data: the caller may only count them.

        Raises:
            CouldNotVerify: the query fails.
        """
        ...

    def compare(self) -> tuple[Verification, ...]:
        """Compare with the baseline of the state; also what the method itself can prove
        (`pg_verifybackup`, `integrity_check`). Without a baseline: one unproven verification.
        """
        ...

    @property
    def conditions(self) -> tuple[str, ...]:
        """What is not as in production, each a sentence: another locale, a missing extension."""
        ...


class AssetDriver(Protocol):
    """One kind of asset."""

    def capture(self, request: CaptureRequest) -> AbstractContextManager[Capture]:
        """Hold the asset at one instant.

        Raises (on entering):
            CaptureFailed: it cannot be reached, or is not what the plan says.
            ProgramMissing: a program it takes is not on this machine.
        """
        ...

    def probe(self, request: CaptureRequest) -> Probed:
        """Do what `capture` does first (reach it, log in, see that all may be read and that the
        programs are there), and nothing more: nothing is captured, staged or changed.

        Raises:
            CaptureFailed: a capture would fail: it cannot be reached, or is not what the plan says.
            ProgramMissing: a program that captures it is not on this machine.
            SecretUnavailable: its password is not where the plan says.
        """
        ...

    def staging_bytes(self, request: CaptureRequest) -> int:
        """Return an estimate of the bytes `capture` will stage on disk; 0 for a pure stream."""
        ...

    def sandbox_bytes(self, state: AssetState) -> int:
        """Return an estimate of the bytes a restoration takes in the sandbox, loaded."""
        ...

    def restoration(self, request: RestoreRequest) -> AbstractContextManager[Restoration]:
        """Begin to bring the asset back to life in a sandbox.

        Raises (on entering):
            ProgramMissing: a program it takes is not on this machine.
        """
        ...

    def hand_over(
        self, state: AssetState, restored: Path, sidecars: Mapping[str, bytes], place: Path
    ) -> tuple[str, ...]:
        """Turn what restic wrote into what a responder can use, in `place` (a new, empty folder
        on the same file system as `restored`), and return what to do next, a line each: for an
        archive the exact load command, for a data directory the exact start command.
        """
        ...
