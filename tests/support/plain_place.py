"""A place without walls, for tests of what runs in a place: another user, and nothing more."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dr_orchestrator.process import Child, Command, Completed, RunAs, SystemLauncher

_USER = pwd.getpwnam("nobody")  # initdb wants a user with a name; a real sandbox makes one up


@dataclass(frozen=True)
class PlainAdopted:
    removed_special: int = 0
    stripped_privilege: int = 0


class OtherUser:
    """Runs programs as another user, where we may; as ourselves otherwise."""

    def __init__(self, system: SystemLauncher) -> None:
        self._system = system
        self.commands: list[Command] = []

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        return self._system.run(self._changed(command), stdin=stdin, on_line=on_line)

    def start(
        self, command: Command, *, stdin: int | None = None, stdout: int | None = None
    ) -> Child:
        return self._system.start(self._changed(command), stdin=stdin, stdout=stdout)

    def _changed(self, command: Command) -> Command:
        self.commands.append(command)
        if os.getuid() != 0:
            return command
        return replace(command, run_as=RunAs(_USER.pw_uid, _USER.pw_gid))


class PlainPlace:
    """A folder that another user owns."""

    def __init__(self, root: Path, system: SystemLauncher) -> None:
        self.root = root
        self._inside = OtherUser(system)

    @property
    def inside(self) -> OtherUser:
        return self._inside

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        _own(path)
        return path

    def adopt(self, path: Path) -> PlainAdopted:
        """Hand over what lies at `path`, as a real sandbox does."""
        for folder, _, files in os.walk(path):
            _own(Path(folder))
            Path(folder).chmod(stat.S_IRWXU)
            for name in files:
                _own(Path(folder) / name)
        if path.is_file():
            _own(path)
        return PlainAdopted()


@contextmanager
def plain_place(system: SystemLauncher) -> Iterator[PlainPlace]:
    """Make a place for the block."""
    root = Path(tempfile.mkdtemp(prefix="dro-"))
    root.chmod(0o755)
    try:
        yield PlainPlace(root, system)
    finally:
        shutil.rmtree(root)


def _own(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, _USER.pw_uid, _USER.pw_gid, follow_symlinks=False)
