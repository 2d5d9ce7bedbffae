"""What keeps tests off the machine they run on.

They hold for code in this process. Programs that tests start inherit the environment, but could
still reach the network: give them addresses on loopback only.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_FOREIGN = ("AWS_", "DRO_", "MARIADB", "MYSQL", "PG", "RCLONE_", "RESTIC_", "XDG_")


class NetworkOutOfReach(Exception):
    """A test tried to connect to something that is not this machine."""


def guard_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Point HOME and the XDG folders into `home`, and drop settings of the programs we drive."""
    for name in os.environ:
        if name.startswith(_FOREIGN):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    for name, folder in (
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_RUNTIME_DIR", ".run"),
        ("XDG_STATE_HOME", ".local/state"),
    ):
        (home / folder).mkdir(parents=True, mode=0o700)
        patch.setenv(name, str(home / folder))


def guard_network(patch: pytest.MonkeyPatch) -> None:
    """Let sockets connect to loopback addresses only."""
    for method in ("connect", "connect_ex"):
        patch.setattr(socket.socket, method, _only_loopback(getattr(socket.socket, method)))


def _only_loopback(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            text = f"a test may not connect to {address[0]}"
            raise NetworkOutOfReach(text)
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
