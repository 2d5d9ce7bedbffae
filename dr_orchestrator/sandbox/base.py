"""What every sandbox promises.

It cannot reach production: no network, no path to a socket of production, a user of its own. It
lives as long as one `with` block, and what is left of it after a crash is swept at the next start.
Programs that read restored data run inside, at the same paths as outside.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dr_orchestrator.core.target import SandboxTarget
from dr_orchestrator.servers.place import Place


@dataclass(frozen=True)
class Adopted:
    """What was taken out of a restored tree before the sandbox's user got it."""

    entries: int
    removed_special: int
    """Devices, sockets and pipes: removed, since a restored tree is hostile."""
    stripped_privilege: int
    """Files that were setuid or setgid."""


class Sandbox(Place, Protocol):
    """A throw-away place that is open."""

    @property
    def target(self) -> SandboxTarget:
        """Where restic may write: a folder that nobody else can enter."""
        ...

    @property
    def level(self) -> str:
        """How strong it is, in words: `bubblewrap, uid 47115`."""
        ...

    def free_bytes(self) -> int:
        """Return the bytes the sandbox may still take."""
        ...


class SandboxDriver(Protocol):
    """Makes sandboxes on this machine."""

    def open(self, run: str, *, bytes_needed: int) -> AbstractContextManager[Sandbox]:
        """Make one for a run; removed with everything in it when the block is left.

        Raises (on entering):
            SandboxUnavailable: this machine cannot make one that is safe.
            SpaceExhausted: there is not room for `bytes_needed`.
        """
        ...

    def probe(self) -> None:
        """Make sure that sandboxes can be made here, by making one, which is removed at once.

        Raises:
            SandboxUnavailable: they cannot.
            SandboxNotRemoved: what was made could not be removed.
        """
        ...

    def sweep(self, *, only_ours: bool = False) -> int:
        """Remove what dead runs left behind (with whatever still runs in it); return how many.

        With `only_ours` that is what this process left, and nothing else: the last act of one that
        was stopped.
        """
        ...
