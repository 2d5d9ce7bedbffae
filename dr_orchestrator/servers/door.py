"""How programs that are not ours come in to a private server, to read and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dr_orchestrator.core.secret import Secret

READER = "dro_reader"
"""Whom a server lets in whose door is open: no restored account has this name."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """The way in to one database, for `READER` alone and with a password."""

    engine: str
    """`PostgreSQL 15.18`."""
    database: str
    socket: Path
    """A unix socket: what is said to it is said to the server."""
    client: Callable[[str, int], str]
    """Returns what a person types to come in by a host and port that lead to the socket."""
    is_open: Callable[[], bool]
    """Whether the server still runs."""


@runtime_checkable
class Readable(Protocol):
    """What can be asked by programs that are not ours, once it is loaded."""

    def admit_reader(self, password: Secret) -> Door:
        """Let `READER` in with a password, and from now on nobody else, ourselves included. All
        that is in the practice's databases may be read; nothing may be changed.

        Raises:
            CouldNotVerify: it cannot be done here.
        """
        ...
