"""Open a recovery point for people: a read-only server from it on this machine, for a while.

For getting one table back, for looking at what was before, and for emergency access where
production is down (45 CFR 164.312(a)(2)(ii)). The database lives in a sandbox as in a restore test;
production is never touched. What leaves the sandbox does so by one port of 127.0.0.1, to whoever
knows a password that is made for this one time, shown once and kept nowhere. When the time is over,
or this process is, so is the server, and what was restored is removed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.errors import CouldNotVerify, Interrupted, UsageMistake
from dr_orchestrator.repositories.manifests import find_manifest
from dr_orchestrator.restore.bring_back import bring_back
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.watch import watched
from dr_orchestrator.servers.door import READER, Readable
from dr_orchestrator.servers.mariadb_programs import Vendor
from dr_orchestrator.servers.relay import LOOPBACK, dial_path, loopback_port, passing_on
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.process import Child
    from dr_orchestrator.repositories.base import Progress, Repository
    from dr_orchestrator.repositories.manifests import FoundManifest
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.store.base import Store

_SERVED = frozenset({AssetKind.POSTGRES, AssetKind.MARIADB})
_SIGNS = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 that nobody takes for another one when reading a password aloud or typing it."""
_GROUPS, _GROUP = 4, 5
"""100 bits: nobody who can reach the port guesses it while it is open."""
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class OpenTools:
    """What opening works with; made by `app.py`."""

    store: Store
    clock: Clock
    drivers: Mapping[AssetKind, AssetDriver]
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan for reading; never creates one."""
    sandboxes: SandboxDriver
    start_watcher: Callable[[int, timedelta], Child]
    """Starts the process that cleans up after us; it reads the descriptor, and lets us have so much
    time from when we say that it begins."""
    jobs: int
    lock_wait: timedelta
    """How long to wait where retention looks at the very point."""
    on_progress: Callable[[str, Progress], None] = field(default=lambda _asset, _progress: None)


@dataclass(frozen=True, kw_only=True)
class OpenRequest:
    """What is to be opened, and for how long."""

    plan: Plan
    point: RecoveryPoint
    repository: str
    asset: str
    """As `asset_to_open` returns it."""
    lasts: timedelta
    port: int = 0
    """A free one where it is 0."""
    by: str = ""
    """Who has it opened."""
    why: str = ""
    """What they said; empty where they were not asked."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A recovery point that is open."""

    engine: str
    host: str
    port: int
    user: str
    password: Secret
    database: str
    client: str
    """What a person types to come in."""
    until: datetime
    conditions: tuple[str, ...]
    """What is not as in production, each a sentence."""


def asset_to_open(point: RecoveryPoint, wanted: str | None) -> str:
    """Return the database of a point that a server of ours can serve: the one that is asked for, or
    the only one.

    Raises:
        UsageMistake: there is none, or there are several, or what is asked for is none.
    """
    served = [asset for asset, state in point.assets.items() if state.kind in _SERVED]
    if wanted in served:
        return wanted
    if wanted is None and len(served) == 1:
        return served[0]
    if wanted is None and served:
        raise UsageMistake(
            "one database is opened at a time", hint=f"--asset is one of: {', '.join(served)}"
        )
    if wanted is not None and wanted not in point.assets:
        raise UsageMistake(
            f"the point holds no asset {wanted}", hint=f"it holds: {', '.join(point.assets)}"
        )
    what = f"{wanted} is" if wanted else "the point holds"
    raise UsageMistake(
        f"{what} no PostgreSQL or MariaDB database, and nothing else has a server that could be "
        "opened",
        hint="`dro restore … --to DIR` brings it back to a directory, `dro find` looks for one "
        "file in it",
    )


def open_point(request: OpenRequest, tools: OpenTools, on_open: Callable[[Opened], None]) -> None:
    """Open one database of a recovery point until its time is over, or somebody stops us; both are
    its regular end. `on_open` is called once it is open, and recorded.

    The point is held, and its repository kept from being pruned, while it is read.

    Raises:
        Busy: retention has the point just now, or the repository is being pruned.
        UsageMistake: the port is taken, or the point holds no such asset.
        LoadFailed: what came back does not load.
        CouldNotVerify: this machine lacks what it takes; or the server ended before its time.
        Interrupted: we were stopped before it was open.
        DroError: the repository or the manifest cannot be read.
    """
    point = request.point
    with (
        _port(request.port) as listening,
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.OPEN,
            practice=point.practice,
            system=point.system,
            repository=request.repository,
        ) as run,
        watched(lambda source: tools.start_watcher(source, request.lasts)) as watcher,
        _living(request, tools, run.id) as (database, conditions),
    ):
        port: int = listening.getsockname()[1]
        password = _new_password()
        door = database.admit_reader(password)
        with passing_on(listening, partial(dial_path, door.socket)):
            watcher.begin()
            until = _record(request, tools, run.id)
            on_open(
                Opened(
                    engine=door.engine,
                    host=LOOPBACK,
                    port=port,
                    user=READER,
                    password=password,
                    database=door.database,
                    client=door.client(LOOPBACK, port),
                    until=until,
                    conditions=conditions,
                )
            )
            wait_until_over(until, door.is_open, tools.clock)


def _port(number: int) -> socket.socket:
    try:
        return loopback_port(number)
    except OSError as error:
        raise UsageMistake(
            f"port {number} of {LOOPBACK} cannot be had: {error.strerror}",
            hint="without --port a free one is taken",
        ) from None


@contextlib.contextmanager
def _living(
    request: OpenRequest, tools: OpenTools, run: str
) -> Iterator[tuple[Readable, tuple[str, ...]]]:
    """Bring the database back to life in a sandbox."""
    asset, plan, point = request.asset, request.plan, request.point
    with contextlib.ExitStack() as living:
        with held(point, request.repository, tools.store, wait=tools.lock_wait):
            repository = tools.open_repository(plan, request.repository)
            found = _only(asset, _manifest(point, repository, tools.store))
            state = found.manifest.assets[asset]
            needed = tools.drivers[state.kind].sandbox_bytes(state)
            sandbox = living.enter_context(tools.sandboxes.open(run, bytes_needed=needed))
            brought = living.enter_context(
                bring_back(
                    found,
                    repository,
                    sandbox,
                    tools.drivers,
                    clock=tools.clock,
                    jobs=tools.jobs,
                    on_progress=tools.on_progress,
                    planned=plan.protected[point.system].assets,
                    labs={},
                    shares={},
                )
            )
        database = brought.restorations[asset]
        if not isinstance(database, Readable):
            raise TypeError(type(database))
        yield database, tuple(dict.fromkeys((*brought.conditions, *state.conditions)))


def _manifest(point: RecoveryPoint, repository: Repository, store: Store) -> FoundManifest:
    return find_manifest(
        repository,
        point.practice,
        point.system,
        point.id,
        point.copy_in(repository.name),
        kept=store.kept_manifest,
    )


def _only(asset: str, found: FoundManifest) -> FoundManifest:
    assets = found.manifest.assets
    if asset not in assets:
        raise UsageMistake(
            f"the point holds no asset {asset} there", hint=f"it holds: {', '.join(assets)}"
        )
    if assets[asset].server.get("vendor") == Vendor.MYSQL:
        raise CouldNotVerify(
            f"{asset} is of MySQL, of which no server of our own can be started here",
            hint="`dro restore … --to DIR` brings its dump back, and says how to load it",
        )
    return replace(found, manifest=replace(found.manifest, assets={asset: assets[asset]}))


def _record(request: OpenRequest, tools: OpenTools, run: str) -> datetime:
    """Record that it is open from now on; return until when."""
    point, now = request.point, tools.clock.now()
    until = now + request.lasts
    words = instant_words(until, request.plan.practice.timezone)
    tools.store.record(
        Restored(
            practice=point.practice,
            run=run,
            at=now,
            system=point.system,
            point=point.id,
            repository=request.repository,
            assets=(request.asset,),
            place=f"read-only server on {LOOPBACK} until {words} on {os.uname().nodename}",
            by=request.by,
            why=request.why,
        )
    )
    return until


def _new_password() -> Secret:
    groups = ("".join(secrets.choice(_SIGNS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return Secret("-".join(groups))


def wait_until_over(until: datetime, is_open: Callable[[], bool], clock: Clock) -> None:
    """Return when the time is over by either clock (one may be set back, the other stands still
    while the machine sleeps), or somebody stops us.

    Raises:
        CouldNotVerify: what was open is not any more.
    """
    end = clock.monotonic() + (until - clock.now()).total_seconds()
    with contextlib.suppress(Interrupted):
        while (rest := min((until - clock.now()).total_seconds(), end - clock.monotonic())) > 0:
            if not is_open():
                raise CouldNotVerify(
                    "the server ended before its time, for want of memory or disk space, or by "
                    "what it was asked",
                    hint="open it again",
                )
            clock.sleep(min(rest, _LOOK_SECONDS))
