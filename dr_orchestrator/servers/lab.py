"""A database of our own on a server that is not ours, a lab or a live one: what a restoration loads
into, and how it gets there.

Programs that read restored data stay in the sandbox, without a network. What leads them out is a
unix socket in a folder of theirs, behind which this one server answers (`relay.py`). They get the
account's password as a file: it opens what the socket leads to anyway, and they can tell nobody.
Our own connections go to the server directly, never through a folder that restored data can reach.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.target import LabTarget, LiveTarget
from dr_orchestrator.servers.place import Place
from dr_orchestrator.servers.relay import Dial, relay

MARKER_DATABASE = "dro_lab"
"""Whoever makes it says: restore tests may make and drop databases on this server."""
_LOGIN = "login"


@dataclass(frozen=True, kw_only=True)
class ServerAccess:
    """How a server is reached, and who we are to it."""

    host: str
    """Name, address, or as the plan writes a unix socket."""
    port: int
    user: str
    password: Secret | None = field(repr=False)
    sslmode: str = "prefer"

    @property
    def words(self) -> str:
        """What messages call it."""
        return (
            f"the server {self.host if self.host.startswith('/') else f'{self.host}:{self.port}'}"
        )

    @property
    def advice(self) -> str:
        """What to do where it does not let us in."""
        return "check the user, the password and the address, and the server's own log"


@dataclass(frozen=True, kw_only=True)
class LabAccess(ServerAccess):
    """How a lab server is reached."""

    name: str
    """Its name in the machine settings."""

    @property
    def words(self) -> str:
        """See `ServerAccess`."""
        return f"the lab server {self.name}"

    @property
    def advice(self) -> str:
        """See `ServerAccess`."""
        return "check `lab_servers` in the machine's settings, and the server's own log"


@dataclass(frozen=True, kw_only=True)
class LabDoor:
    """What leads a program inside a place to the lab server."""

    host: str
    """For PostgreSQL the folder of the unix socket, for MariaDB the socket itself."""
    port: int
    user: str
    database: str
    """Ours. A driver of ours makes it; for a `command` asset it is there, and empty."""
    login: Path
    """File with the password as the engine's own clients take it: `PGPASSFILE` for PostgreSQL,
    `--defaults-extra-file` for MariaDB."""


@dataclass(frozen=True, kw_only=True)
class OpenServer:
    """A server that was found fit, and the name of a database there that is ours alone. The
    restoration makes the database, since only it knows the encoding.
    """

    access: ServerAccess
    kind: AssetKind
    """`postgres` or `mariadb`."""
    title: str
    """`PostgreSQL 15`."""
    target: LabTarget | LiveTarget
    maintenance_database: str | None
    """Where to connect as long as ours is not there; `None` where that takes none."""
    dial: Dial
    """Opens a line to the server, encrypted where it is to be."""
    login: Callable[[str], str]
    """Content of the login file, for the host inside."""
    still_there: Callable[[], bool]
    """Whether the server answers, and was not started anew since it was opened: else what failed
    there says nothing of a backup."""

    @property
    def database(self) -> str:
        """The database that is ours."""
        return self.target.database

    @contextmanager
    def door(self, place: Place, name: str) -> Iterator[LabDoor]:
        """Open a way from inside `place` to the server, in a new folder `name`; it is closed when
        the block is left, whoever still speaks.
        """
        folder = place.folder(name)
        owner = folder.stat()
        port = self.access.port
        postgres = self.kind is AssetKind.POSTGRES
        socket = folder / (f".s.PGSQL.{port}" if postgres else "s")
        host = str(folder if postgres else socket)
        login = folder / _LOGIN
        # A program inside may see the folder by now: what is there already is not written to.
        descriptor = os.open(login, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.login(host))
            with contextlib.suppress(
                PermissionError
            ):  # where we are no root, it is ours and theirs
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        with relay(socket, self.dial, owner=(owner.st_uid, owner.st_gid)):
            yield LabDoor(
                host=host, port=port, user=self.access.user, database=self.database, login=login
            )


@dataclass(frozen=True, kw_only=True)
class OpenLab(OpenServer):
    """A lab server, with a database named `dro_` and the run, which whoever opened the lab drops,
    whatever happens. For a `command` asset it is there, and empty.
    """

    target: LabTarget
    maintenance_database: str | None = MARKER_DATABASE


@dataclass(frozen=True, kw_only=True)
class OpenLive(OpenServer):
    """A server that people work with, and a database that is not there yet. It stays; where loading
    it fails, whoever made it drops it.
    """

    target: LiveTarget
