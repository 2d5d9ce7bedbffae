"""What it takes of a kind of server to be used as a lab.

An engine speaks to the marker database only. What it may be told to drop is decided in `lab.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from dr_orchestrator.servers.lab import MARKER_DATABASE, ServerAccess
from dr_orchestrator.servers.relay import Dial

MARKER_VERSION = 1
"""Of the tables in the marker database: docs/howto/lab-server.md has them."""


class LabSession(Protocol):
    """Our own connection to the marker database of a lab server. `with` closes it."""

    @property
    def title(self) -> str:
        """Engine and version: `PostgreSQL 15`."""
        ...

    @property
    def identity(self) -> str:
        """What this server is known by under every name it has; empty where it does not tell."""
        ...

    @property
    def started(self) -> float:
        """When the server was started: seconds since the epoch by its own clock, to a few."""
        ...

    @property
    def encrypted(self) -> bool:
        """Whether this connection is encrypted."""
        ...

    def marker_version(self) -> int | None:
        """Return what the marker says, `None` where there is none."""
        ...

    def unfit(self) -> str:
        """Say why this server or account must not receive restored data; nothing where it may."""
        ...

    def databases(self) -> frozenset[str]:
        """Return the names of all databases of the server."""
        ...

    def record(self, database: str, *, owner: str, host: str, run: str) -> None:
        """Write down, for good, that `database` is going to be made by us."""
        ...

    def recorded(self, database: str, *, owner: str) -> bool:
        """Whether it is written down that `owner` made `database`."""
        ...

    def make(self, database: str) -> None:
        """Make `database`, empty."""
        ...

    def drop(self, database: str) -> None:
        """Drop `database` if it is there, whoever is connected, and strike it from the record."""
        ...


class LabEngine(Protocol):
    """What it takes to use a server of one kind as a lab."""

    default_port: int
    errors: tuple[type[Exception], ...]
    """What its driver raises. The text may name what must not be passed on: classify."""

    def session(
        self, access: ServerAccess, database: str | None = MARKER_DATABASE
    ) -> AbstractContextManager[LabSession]:
        """Connect to the marker database; of a server that is no lab to another one.

        Raises:
            SandboxUnavailable: it cannot be reached, refuses us, or has no marker database.
        """
        ...

    def dial(self, access: ServerAccess) -> Dial:
        """Return what opens lines to the server for programs inside a sandbox."""
        ...

    def login(self, access: ServerAccess, *, encrypted: bool) -> Callable[[str], str]:
        """Return what writes the login file, for the host inside. `encrypted` says whether our own
        connection is: `sslmode: prefer` must lead programs inside the same way.
        """
        ...
