"""A place where a private server may run: what a sandbox is to the programs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.process import Launcher


class Place(Protocol):
    """Folders to write in and a launcher for programs that run there."""

    @property
    def inside(self) -> Launcher:
        """Runs programs inside. `Command.secrets` and `run_as` are refused: nothing of ours enters.

        A program sees /usr read-only, a made-up /etc, /dev, /proc, and the place's own folders
        read-write at the same paths as outside.
        """
        ...

    def folder(self, name: str) -> Path:
        """Create and return a folder that programs inside may write to. Paths stay short enough
        for a unix socket in them (107 bytes).
        """
        ...

    def adopt(self, path: Path) -> Adopted:
        """Hand what restic wrote at `path` (0700, our own) to the place's user: owner changed
        without following links, special files removed, setuid stripped, folders passable.
        """
        ...


class Adopted(Protocol):
    """What was taken out of a restored tree before programs inside got it."""

    @property
    def removed_special(self) -> int:
        """Devices, sockets and pipes."""
        ...

    @property
    def stripped_privilege(self) -> int:
        """Files that were setuid or setgid."""
        ...
