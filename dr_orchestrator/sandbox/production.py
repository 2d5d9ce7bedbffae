"""Which databases are production's, and where a server listens, in a form that compares: so that
nothing that is restored lands where a plan of this machine protects something.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.plan.model import MariadbAsset, Plan, PostgresAsset

_THIS_MACHINE = "this machine"


@dataclass(frozen=True)
class Production:
    """A database that some plan of this machine protects."""

    label: str
    """`riverside/emr/database`."""
    kind: AssetKind
    host: str
    port: int
    database: str


def databases_of(plans: tuple[Plan, ...]) -> tuple[Production, ...]:
    """Return the databases on servers that plans protect."""
    return tuple(
        Production(
            f"{plan.practice.id}/{system}/{name}",
            asset.kind,
            asset.host,
            asset.port,
            asset.database,
        )
        for plan in plans
        for system, protected in plan.protected.items()
        for name, asset in protected.assets.items()
        if isinstance(asset, PostgresAsset | MariadbAsset)
    )


def addresses(kind: AssetKind, host: str, port: int) -> frozenset[tuple[str, int]]:
    """Return where a server listens, in a form that compares; nothing where nobody knows."""
    if host.startswith("/"):
        return frozenset({(os.path.realpath(host), port if kind is AssetKind.POSTGRES else 0)})
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(
        (_THIS_MACHINE if _is_local(family, address) else str(address[0]), port)
        for family, _, _, _, address in found
    )


def _is_local(family: int, address: tuple[object, ...]) -> bool:
    """Whether an address is one of this machine's: only then can we listen there."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as listening:
        listening.bind((address[0], 0, *address[2:]))
        return True
    return False
