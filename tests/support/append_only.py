"""Repositories behind two REST servers on loopback: one lets nothing be removed, one anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.quick_repository import put_quick_repository
from tests.support.rclone import rest_server
from tests.support.restic import PASSWORD


@dataclass(frozen=True)
class Served:
    """A repository, and three ways to it."""

    folder: Path
    """Where it lies: the way of who looks after it."""
    append_only: str
    """restic's location of it behind `rclone serve restic --append-only`."""
    open: str
    """The same without that option: as before somebody thought of attackers."""


@dataclass(frozen=True)
class Servers:
    """Both of them, over one folder."""

    root: Path
    append_only: str
    open: str

    def repository(self, name: str, password: str = PASSWORD) -> Served:
        """Put a new, empty repository there."""
        put_quick_repository(self.root / name, password)
        return Served(self.root / name, f"{self.append_only}/{name}", f"{self.open}/{name}")


@contextmanager
def rest_servers(root: Path) -> Iterator[Servers]:
    """Serve a folder for a block."""
    root.mkdir()
    with rest_server(root, "--append-only") as append_only, rest_server(root) as everything:
        yield Servers(root, append_only.rpartition("/")[0], everything.rpartition("/")[0])
