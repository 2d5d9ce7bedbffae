"""Lab servers: the only place outside this machine's sandboxes where a restore test may land.

A lab server is named in the machine's settings, never in a plan alone. It must say of itself, by a
marker database, that restore tests may make and drop databases on it, and it must not be the server
of any asset that a plan of this machine protects. Else it is refused, and the test is unproven.

What is made there is written down first, in two places. A note in our state says where a killed run
may have left something; a row in the marker database says that it was we who made it. Nothing is
dropped without both: labs are shared, and other machines' runs are none of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.target import lab_target
from dr_orchestrator.errors import (
    DroError,
    PlanInvalid,
    SandboxNotRemoved,
    SandboxUnavailable,
    UsageMistake,
)
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.sandbox.lab_engine import MARKER_VERSION, LabEngine, LabSession
from dr_orchestrator.sandbox.mariadb_lab import MariadbLabEngine
from dr_orchestrator.sandbox.postgres_lab import PostgresLabEngine
from dr_orchestrator.sandbox.production import Production, addresses, databases_of
from dr_orchestrator.servers.lab import LabAccess, OpenLab
from dr_orchestrator.settings import LabServer

ENGINES: Mapping[AssetKind, LabEngine] = {
    AssetKind.POSTGRES: PostgresLabEngine(),
    AssetKind.MARIADB: MariadbLabEngine(),
}
"""What it takes to use a server, by its kind."""
_SAME_START_SECONDS = 5.0
_OUR_NAME = re.compile(r"dro_[0-9a-z_]{1,50}")
_HOWTO = "docs/howto/lab-server.md says how to make a lab server"
_OWN_SERVER = "a lab is a server of its own, with nothing of production on it"


class SecretReader(Protocol):
    """Reads what a reference leads to."""

    def read(self, reference: SecretReference, /) -> Secret:
        """Return the secret."""
        ...


@dataclass(frozen=True)
class _Note:
    """A database on a lab server that may be there because of us."""

    lab: str
    database: str
    run: str


class LabDriver:
    """Opens the lab servers of this machine's settings. One per process."""

    def __init__(
        self,
        servers: Mapping[str, LabServer],
        *,
        secrets: SecretReader,
        notes: Path,
        owner: Callable[[], str],
        plans: Callable[[], tuple[Plan, ...]],
    ) -> None:
        """Take the settings; where notes are kept; what tells our state from every other that uses
        the same lab; and what reads all plans of this machine.
        """
        self._servers = servers
        self._secrets = secrets
        self._notes = notes
        self._owner = owner
        self._plans = plans
        self._known: dict[str, LabAccess] = {}
        self._ours: set[_Note] = set()

    @contextmanager
    def open(
        self, run: str, wanted: Mapping[str, str], states: Mapping[str, AssetState], plan: Plan
    ) -> Iterator[Mapping[str, OpenLab]]:
        """Open the lab server that each asset in `wanted` (asset -> lab) is to be loaded into. Each
        gets a database name of its own there; all are dropped when the block is left.

        Raises (on entering):
            SandboxUnavailable: one is not fit to receive restored data, or cannot be reached.
        Raises (on leaving):
            SandboxNotRemoved: a database could not be dropped. The next start tries again.
        """
        with contextlib.ExitStack() as leaving:
            yield {
                asset: leaving.enter_context(
                    self._open_one(name, states[asset], plan, run, number=number)
                )
                for number, (asset, name) in enumerate(wanted.items(), 1)
            }

    def probe(self, name: str, plan: Plan) -> None:
        """Make sure that a lab server is there and fit, as far as shows without a recovery point.
        Nothing is made on it.

        Raises:
            SandboxUnavailable: it is not.
        """
        access, kind = self._access(name), self._kind(name)
        production = databases_of((*self._all_plans(), plan))
        _require_other_address(access, kind, production)
        with self._session(access, kind) as session:
            _require_lab(access, session)
            _require_not_production(access, kind, session, {}, production)

    def sweep(self, living: Container[str]) -> int:
        """Drop what runs that live no more left on lab servers; return how many databases.

        Raises:
            SandboxNotRemoved: one could not be dropped; all others were.
        """
        return self._drop_all([note for note in self._all_notes() if note.run not in living])

    def sweep_ours(self) -> int:
        """Drop what this process has left: its last act, where it was stopped while it cleaned up.

        Raises:
            SandboxNotRemoved: one could not be dropped.
        """
        return self._drop_all(list(self._ours))

    # --- before: may this server receive what we restore? ---

    @contextmanager
    def _open_one(
        self, name: str, state: AssetState, plan: Plan, run: str, *, number: int
    ) -> Iterator[OpenLab]:
        access, kind = self._access(name), self._kind(name)
        _require_fitting(access, kind, state)
        production = databases_of((*self._all_plans(), plan))
        _require_other_address(access, kind, production)
        database = f"dro_{run.replace('-', '_')}" + (f"_{number}" if number > 1 else "")
        with self._session(access, kind) as session:
            _require_lab(access, session)
            _require_not_production(access, kind, session, state.server, production)
            title, started, encrypted = session.title, session.started, session.encrypted
            note = self._claim(session, access, _Note(access.name, database, run))
            if state.kind is AssetKind.COMMAND:  # no restoration of ours will make it
                self._make(session, note)
        engine = ENGINES[kind]
        try:
            yield OpenLab(
                access=access,
                kind=kind,
                title=title,
                target=lab_target(database, f"lab server {name} ({title})"),
                dial=engine.dial(access),
                login=engine.login(access, encrypted=encrypted),
                still_there=partial(self._still_there, access, kind, started),
            )
        finally:
            self._drop(note)

    def _server(self, name: str) -> LabServer:
        try:
            return self._servers[name]
        except KeyError:
            there = ", ".join(sorted(self._servers)) or "none"
            raise SandboxUnavailable(
                f"the machine's settings have no lab server {name} (they have: {there})",
                hint="write it under `lab_servers`, or correct `lab` in the plan",
            ) from None

    def _kind(self, name: str) -> AssetKind:
        return AssetKind(self._server(name).kind)

    def _access(self, name: str) -> LabAccess:
        """Return how to reach a lab; its secret is read once, since we may have to clean up when
        no program runs any more.
        """
        if name not in self._known:
            server = self._server(name)
            self._known[name] = LabAccess(
                name=name,
                host=server.host,
                port=server.port or ENGINES[self._kind(name)].default_port,
                user=server.user,
                password=None if server.password is None else self._secrets.read(server.password),
                sslmode=server.sslmode,
            )
        return self._known[name]

    def _all_plans(self) -> tuple[Plan, ...]:
        try:
            return self._plans()
        except (PlanInvalid, UsageMistake):
            raise SandboxUnavailable(
                "a plan of this machine is not valid, so it is not known which servers are "
                "production and must never be a lab",
                hint="`dro plan validate` says what is wrong",
            ) from None

    @contextmanager
    def _session(self, access: LabAccess, kind: AssetKind) -> Iterator[LabSession]:
        engine = ENGINES[kind]
        try:
            with engine.session(access) as session:
                yield session
        except engine.errors as error:
            raise SandboxUnavailable(
                f"{access.words} failed when it was asked what it is ({type(error).__name__})",
                hint="the lab server's own log says why",
            ) from None

    def _still_there(self, access: LabAccess, kind: AssetKind, started: float) -> bool:
        try:
            with self._session(access, kind) as session:
                return abs(session.started - started) < _SAME_START_SECONDS
        except SandboxUnavailable:
            return False

    # --- what is ours on it ---

    def _claim(self, session: LabSession, access: LabAccess, note: _Note) -> _Note:
        """Write down that the database of this name will be ours, before anybody can make it."""
        if note.database in session.databases():
            raise SandboxUnavailable(f"{access.words} has a database {note.database} already")
        self._write(note)
        self._ours.add(note)
        session.record(note.database, owner=self._owner(), host=os.uname().nodename, run=note.run)
        return note

    def _make(self, session: LabSession, note: _Note) -> None:
        try:
            session.make(note.database)
        except BaseException:
            self._drop(note)
            raise

    def _drop(self, note: _Note) -> None:
        ours = note in self._ours  # whatever what was restored did to the record
        self._ours.discard(note)  # what fails now is said now, and tried again by the next start
        try:
            with self._session(self._access(note.lab), self._kind(note.lab)) as session:
                if ours or session.recorded(note.database, owner=self._owner()):
                    session.drop(note.database)
                elif note.database in session.databases():
                    raise SandboxUnavailable("it is not written down there as ours")
        except DroError as error:
            raise SandboxNotRemoved(
                f"what was restored to the lab server {note.lab} as {note.database} could not be "
                f"dropped: {error.message}",
                hint="it is patient data: the next start tries again; else drop it by hand",
            ) from None
        self._file(note).unlink(missing_ok=True)

    def _drop_all(self, notes: list[_Note]) -> int:
        left: list[SandboxNotRemoved] = []
        for note in notes:
            try:
                self._drop(note)
            except SandboxNotRemoved as error:
                left.append(error)
        if left:
            raise left[0]
        return len(notes)

    def _all_notes(self) -> list[_Note]:
        if not self._notes.is_dir():
            return []
        return [_read(file) for file in sorted(self._notes.glob("dro_*.json"))]

    def _write(self, note: _Note) -> None:
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(note)
        new = file.with_name(f".{file.name}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as whole:
            whole.write(json.dumps(asdict(note)))
            whole.flush()
            os.fsync(descriptor)
        new.replace(file)

    def _file(self, note: _Note) -> Path:
        return self._notes / f"{note.database}.json"


def _read(file: Path) -> _Note:
    try:
        note = _Note(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        note = _Note("", "", "")
    if not _OUR_NAME.fullmatch(note.database):
        raise SandboxNotRemoved(
            f"the note {file} is damaged: what was restored to a lab server may still be there",
            hint="its name is that of the database: drop it by hand, then remove the note",
        )
    return note


def _require_fitting(access: LabAccess, kind: AssetKind, state: AssetState) -> None:
    if state.method is Method.PHYSICAL:
        raise SandboxUnavailable(
            "a physical copy is a whole server's files: it cannot be loaded into a lab server",
            hint="leave `lab` out of the plan: it is tested in a sandbox",
        )
    if state.kind not in {kind, AssetKind.COMMAND}:
        raise SandboxUnavailable(
            f"{access.words} is of kind {kind.value}, and takes nothing of kind {state.kind.value}",
            hint="correct `lab` in the plan",
        )


def _require_other_address(
    access: LabAccess, kind: AssetKind, production: tuple[Production, ...]
) -> None:
    """Refuse, before anything is said to it, a server that is production's by its address."""
    ours = addresses(kind, access.host, access.port)
    for asset in production:
        if ours & addresses(asset.kind, asset.host, asset.port):
            raise SandboxUnavailable(
                f"{access.words} is the server of {asset.label}, so nothing is restored to it",
                hint=_OWN_SERVER,
            )


def _require_lab(access: LabAccess, session: LabSession) -> None:
    version = session.marker_version()
    if version is None:
        raise SandboxUnavailable(
            f"{access.words} carries no marker, so nothing is restored to it", hint=_HOWTO
        )
    if version != MARKER_VERSION:
        raise SandboxUnavailable(
            f"{access.words} carries a marker of version {version}, and {MARKER_VERSION} is needed",
            hint=_HOWTO,
        )
    if why := session.unfit():
        raise SandboxUnavailable(f"{access.words} is not fit: {why}", hint=_HOWTO)


def _require_not_production(
    access: LabAccess,
    kind: AssetKind,
    session: LabSession,
    captured: Mapping[str, str],
    production: tuple[Production, ...],
) -> None:
    """Refuse a server that is production's under another name.

    Production itself is not asked: it may be what burnt. Whatever leads to it, a server of an
    asset has the asset's database; and what it was known by at capture is in the point
    (`AssetState.server`).
    """
    if session.identity and session.identity == captured.get("identity"):
        raise SandboxUnavailable(
            f"{access.words} is the very server that was backed up, so nothing is restored to it",
            hint=_OWN_SERVER,
        )
    names = {asset.database: asset.label for asset in production if asset.kind is kind}
    names.setdefault(captured.get("database", ""), "the recovery point")
    for name in sorted(names.keys() & session.databases()):
        raise SandboxUnavailable(
            f"{access.words} has a database named as that of {names[name]}, so it may be "
            "production's server, and nothing is restored to it",
            hint=_OWN_SERVER,
        )
