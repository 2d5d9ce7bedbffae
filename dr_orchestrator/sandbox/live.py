"""A new database on a server that people work with: the only live place for what is restored.

A person confirmed it by the practice's id, else there is no `LiveTarget`. Nothing that exists is
gone over, and the name that a plan protects there is refused even where it does not exist: what
lands there would be taken for production. The programs that read what came back run in a sandbox
all the same, and reach this one server and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.errors import SandboxUnavailable, TargetRefused, UsageMistake
from dr_orchestrator.sandbox.lab import ENGINES
from dr_orchestrator.sandbox.production import addresses, databases_of
from dr_orchestrator.servers.lab import OpenLive, ServerAccess

if TYPE_CHECKING:
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.core.target import LiveTarget
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.sandbox.lab_engine import LabSession

_SAME_START_SECONDS = 5.0
_KINDS = {
    "postgres": AssetKind.POSTGRES,
    "postgresql": AssetKind.POSTGRES,
    "mariadb": AssetKind.MARIADB,
    "mysql": AssetKind.MARIADB,
}
_MAINTENANCE_DATABASE = {AssetKind.POSTGRES: "postgres"}
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<user>[^:@/?#]+)(?P<password>:[^@/]*)?@"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\]]+)(?::(?P<port>\d{1,5}))?/(?P<database>[^/?#]+)"
)
_LONGEST_NAME = 63
"""NAMEDATALEN of PostgreSQL, less one; a server cuts what is longer, and says so to nobody."""
_FORM = "postgres://USER@HOST:PORT/NAME or mariadb://USER@HOST:PORT/NAME"
_ANOTHER_NAME = "give it another name, and rename it once you have looked at it"


@dataclass(frozen=True, kw_only=True)
class LiveAddress:
    """Where a new database is to be made, and as whom."""

    kind: AssetKind
    host: str
    port: int
    user: str
    database: str

    @classmethod
    def parse(cls, url: str) -> LiveAddress:
        """Read `postgres://USER@HOST:PORT/NAME`, or `mariadb://…`; `%2F` begins a unix socket.

        Raises:
            UsageMistake: it is none, or has a password in it, or a name that no server takes as it
                is.
        """
        found = _URL.fullmatch(url)
        kind = _KINDS.get(found["scheme"]) if found else None
        if found is None or kind is None:
            raise UsageMistake("--into is no address of a new database", hint=f"as {_FORM}")
        if found["password"]:
            raise UsageMistake(
                "a password in --into is seen by other programs of this machine",
                hint="leave it out: it is asked for; --password-env NAME takes it from a variable",
            )
        address = cls(
            kind=kind,
            host=unquote(found["host"]).strip("[]"),
            port=int(found["port"] or ENGINES[kind].default_port),
            user=unquote(found["user"]),
            database=unquote(found["database"]),
        )
        if not f"{address.user}{address.words}".isprintable():
            raise UsageMistake("--into has a sign in it that nobody can see", hint=f"as {_FORM}")
        if len(address.database.encode()) > _LONGEST_NAME:
            raise UsageMistake(
                f"a database's name has {_LONGEST_NAME} bytes at most: PostgreSQL would cut it"
            )
        return address

    @property
    def words(self) -> str:
        """What it is called, on record too."""
        where = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"database {self.database} on {where}"


def require_loadable(asset: str, state: AssetState, address: LiveAddress) -> None:
    """Make sure that what a recovery point holds of an asset can be loaded there.

    Raises:
        TargetRefused: it cannot.
    """
    hint = "with --to DIR it comes back with the commands that bring it to life"
    if state.kind is not address.kind:
        raise TargetRefused(
            f"{asset} is of kind {state.kind.value}, and {address.words} is of kind "
            f"{address.kind.value}",
            hint=hint,
        )
    if state.method is not Method.LOGICAL:
        raise TargetRefused(
            f"{asset} was captured by the method {state.method.value}, which no running server "
            "takes in",
            hint=hint,
        )


@contextmanager
def open_live(
    address: LiveAddress,
    password: Secret | None,
    target: LiveTarget,
    state: AssetState,
    plans: tuple[Plan, ...],
) -> Iterator[OpenLive]:
    """Open a server to make a database on it, if nothing of production can be meant by that.

    Raises (on entering):
        TargetRefused: the database is there, or a plan protects it; or the server lets us not in.
    """
    access = ServerAccess(
        host=address.host, port=address.port, user=address.user, password=password
    )
    require_not_protected(address, plans)
    with _session(access, address.kind) as session:
        if address.database in session.databases():
            raise TargetRefused(f"{address.words} exists already", hint=_ANOTHER_NAME)
        was_captured_there = session.identity and session.identity == state.server.get("identity")
        if was_captured_there and address.database == state.server.get("database"):
            raise TargetRefused(
                f"{address.words} is where this was captured, so nothing is restored to it",
                hint=_ANOTHER_NAME,
            )
        title, started, encrypted = session.title, session.started, session.encrypted
    engine = ENGINES[address.kind]
    yield OpenLive(
        access=access,
        kind=address.kind,
        title=title,
        target=target,
        maintenance_database=_MAINTENANCE_DATABASE.get(address.kind),
        dial=engine.dial(access),
        login=engine.login(access, encrypted=encrypted),
        still_there=partial(_still_there, access, address.kind, started),
    )


def require_not_protected(address: LiveAddress, plans: tuple[Plan, ...]) -> None:
    """Make sure that no plan protects a database of that name there.

    Raises:
        TargetRefused: one does.
    """
    there = addresses(address.kind, address.host, address.port)
    for asset in databases_of(plans):
        is_named_alike = asset.database.casefold() == address.database.casefold()
        if is_named_alike and there & addresses(asset.kind, asset.host, asset.port):
            raise TargetRefused(
                f"{address.words} is {asset.label}, which a plan protects, so nothing is restored "
                "to it",
                hint=_ANOTHER_NAME,
            )


@contextmanager
def _session(access: ServerAccess, kind: AssetKind) -> Iterator[LabSession]:
    engine = ENGINES[kind]
    try:
        with engine.session(access, _MAINTENANCE_DATABASE.get(kind)) as session:
            yield session
    except SandboxUnavailable as error:
        raise TargetRefused(error.message, hint=error.hint) from None
    except engine.errors as error:
        raise TargetRefused(
            f"{access.words} failed when it was asked what it is ({type(error).__name__})",
            hint=access.advice,
        ) from None


def _still_there(access: ServerAccess, kind: AssetKind, started: float) -> bool:
    try:
        with _session(access, kind) as session:
            return abs(session.started - started) < _SAME_START_SECONDS
    except TargetRefused:
        return False
