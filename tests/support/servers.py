"""Who the servers of tests run as, and on which port: some refuse to run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from pathlib import Path


def server_user(account: str) -> pwd.struct_passwd:
    """Return who runs a server: this account where there is one; without root, whoever tests."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(account)
    return pwd.getpwnam("nobody")


def as_user(account: str) -> tuple[str, ...]:
    """Return what goes before a program so that it runs as its user, and ends with us."""
    if os.getuid() != 0:
        return ()
    user = server_user(account)
    identity = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    return ("setpriv", "--pdeathsig", "KILL", *identity, "--")


def give_away(path: Path, account: str) -> None:
    """Let a server's user own a path, where we may decide that."""
    if os.getuid() == 0:
        user = server_user(account)
        os.chown(path, user.pw_uid, user.pw_gid)


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
