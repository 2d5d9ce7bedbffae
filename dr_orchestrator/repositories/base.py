"""What every repository promises.

Nothing it raises carries raw output of restic: that can hold names of files, and those are patient
data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from dr_orchestrator.core.share import Listed
from dr_orchestrator.core.target import NewDirectoryTarget, SandboxTarget


@dataclass(frozen=True)
class Progress:
    """How far a save or a restore is."""

    done_bytes: int
    total_bytes: int | None
    """`None` for a stream, and where restic does not say."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What one save put into the repository."""

    snapshot: str
    """restic's full id, 64 hex digits."""
    files: int
    bytes: int
    """Of the data itself."""
    added_bytes: int
    """What was new to the repository, before compression on 0.14."""
    changed_files: int | None = None
    """New, or not as the parent has them; `None` where nobody counted."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot as the repository lists it."""

    id: str
    """64 hex digits."""
    time: datetime
    hostname: str
    tags: frozenset[str]
    paths: tuple[str, ...]
    original: str | None
    """The id it was copied from, or first had."""
    tree: str = ""
    """The id of what it holds: two of the same tree hold the same."""

    @property
    def first_id(self) -> str:
        """The id it was saved with, in whatever repository that was."""
        return self.original or self.id


@dataclass(frozen=True, kw_only=True)
class StaleLock:
    """A lock in a repository that nobody keeps alive any more."""

    hostname: str
    """Of the machine that made it."""
    since: datetime
    """When it was last refreshed."""
    exclusive: bool
    """Whether it keeps everybody else out, and not only who forgets, prunes or checks."""
    is_ours: bool
    """Whether its process provably ended on this machine: the next backup removes it."""


@dataclass(frozen=True, kw_only=True)
class ListedKey:
    """A key of a repository: one of the passwords that open it."""

    id: str
    """Its first 8 hex digits, as every version of restic shows them."""
    user: str
    host: str
    """Whatever was said when it was made, or who and where made it."""
    made_at: datetime | None
    is_current: bool
    """Whether it is the one that opened the repository just now."""


class Repository(Protocol):
    """One place where recovery points are kept."""

    @property
    def name(self) -> str:
        """The plan's name of it."""
        ...

    def identity(self) -> str:
        """Return restic's own id of the repository (asked once, then remembered).

        Raises:
            RepositoryAbsent: there certainly is none.
            RepositoryUnreachable: unknown; must never lead to `create`.
            WrongPassword: it is there, but this key does not open it.
        """
        ...

    def create(self, *, like: Repository | None = None) -> str:
        """Make a repository and return its id. Only after `identity` raised `RepositoryAbsent`.

        With `like` it cuts data up as that one does, so that what is copied from there and what is
        saved here directly is stored once.
        """
        ...

    def copy_from(
        self, source: Repository, snapshots: Sequence[str], *, timeout: timedelta
    ) -> None:
        """Copy snapshots of another repository, by their full ids, in this order. Those that are
        here already are passed over; a copy has a new id, and the first one as its `original`.

        That this returns is no proof that all came over: list them.

        Raises:
            RepositoryDamaged: part of one cannot be read in the source.
            RepositoryError: by its class, of either of the two.
        """
        ...

    def packs(self) -> frozenset[str]:
        """Return the ids of the packs that the index names: what snapshots are made of.

        Raises:
            RepositoryError: by its class.
        """
        ...

    def save_tree(
        self,
        path: Path,
        *,
        tags: Mapping[str, str],
        time: datetime,
        exclude: tuple[str, ...] = (),
        parent: str | None = None,
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> Saved:
        """Save a folder or file. Files that look as they do in the snapshot `parent` are not read
        again, so it must be one of ours; without it all are.

        Raises:
            CaptureFailed: a source file could not be read, so the save is not complete.
            RepositoryError: the repository's fault, by its class.
        """
        ...

    def save_stream(
        self,
        name: str,
        read_end: int,
        *,
        tags: Mapping[str, str],
        time: datetime,
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> StreamSave:
        """Start saving what comes out of the pipe `read_end` as one file. The caller keeps the
        write end, and closes it only once the producer exited 0.
        """
        ...

    def snapshots(self, tags: Mapping[str, str]) -> tuple[Snapshot, ...]:
        """List the snapshots that carry all of `tags`, oldest first."""
        ...

    def restore(
        self,
        snapshot: str,
        target: SandboxTarget | NewDirectoryTarget,
        folder: str,
        *,
        paths: tuple[str, ...] = (),
        hidden_below: str = "",
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """Restore a snapshot (or only `paths` of it) into a new folder of the target, and return
        that folder; below it stands the full path the data had. An incomplete restore is an error.

        U+FFFD in a path, as in a list, stands for any one character: what fits it comes back, and
        nobody looks whether anything did. Below the folder `hidden_below` no name of `paths` may be
        seen by other programs of this machine: where that takes it, all that looks alike comes back
        with what is wanted, as if each character were U+FFFD.

        Raises:
            RepositoryDamaged: part of it cannot be read back.
            SpaceExhausted: the target's disk is full.
        """
        ...

    def list_files(
        self,
        snapshot: str,
        take: Callable[[Listed], object],
        *,
        within: str = "",
        deep: bool = True,
        timeout: timedelta,
    ) -> None:
        """Hand over each file and link of a snapshot, as the repository lists it, one by one; only
        what lies `within` a folder (or is that very file) where one is named, and without `deep`
        only what lies in it directly. Of a folder that is not there, nothing.

        Raises:
            RepositoryDamaged: part of the list cannot be read.
            RepositoryError: by its class.
        """
        ...

    def read_file(self, snapshot: str, path: str, *, limit_bytes: int) -> bytes:
        """Return the content of one small file of a snapshot."""
        ...

    def check(self, part: int, parts: int, *, timeout: timedelta) -> None:
        """Read back one of `parts` (1 to 256) shares of the data, and all that ties it together.

        Others may go on saving meanwhile; where something seems wrong it is looked at once more
        while nobody does, so that a save under way is not taken for damage.

        Raises:
            RepositoryDamaged: what is there is not what was saved.
            RepositoryError: by its class; it could not be found out.
        """
        ...

    def forget(self, snapshots: Sequence[str]) -> None:
        """Remove snapshots by their full ids. Those that are not there are no error, and that this
        returns is no proof that they are gone: list them.

        Raises:
            RemovalRefused: the place takes what is new, and lets nothing be removed.
            RepositoryError: by its class.
        """
        ...

    def prune(self, *, timeout: timedelta) -> None:
        """Free the space of what no snapshot needs any more. Nobody else can write meanwhile.

        Raises:
            RemovalRefused: the place takes what is new, and lets nothing be removed.
            RepositoryError: by its class.
        """
        ...

    def locks_of_the_dead(self) -> int:
        """Remove the locks that provably belong to processes of this machine that ended, judging
        each one ourselves; return how many. Never removes a lock of somebody else.
        """
        ...


class StreamSave(Protocol):
    """A stream that is being saved."""

    def finish(self) -> Saved:
        """Wait until restic has saved all of it. Call after the write end was closed.

        Raises:
            RepositoryError: by its class.
        """
        ...

    def abort(self) -> None:
        """Make restic give up without a snapshot, and wait until it ended. Call *before* the write
        end is closed. May be called again, and from another thread than `finish`.
        """
        ...
