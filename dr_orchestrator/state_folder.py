"""Our own folder: what in it is private, and random bytes that are drawn once.

What a memory is stays in `store/`; this is only where it and everything beside it lies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_RANDOM_BYTES = 32


class StateFolder:
    """The state folder of one installation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def private(self, name: str) -> Path:
        """Return a folder in it that only we can read; made where it is not there yet."""
        folder = self.path / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def files_key(self, practice: str) -> bytes:
        """Return the practice's key of keyed hashes; made once, so that hashes compare.

        It gets its name when it is whole and on disk: an empty key would hash names of files in a
        way that anybody can repeat.
        """
        return self.lasting_random(f"{practice}.files")

    def lasting_random(self, name: str) -> bytes:
        """Return random bytes that were drawn once, and are the same ever after."""
        file = self.private("keys") / name
        if not file.exists() or file.stat().st_size != _RANDOM_BYTES:
            self._draw(file)
        return file.read_bytes()

    def _draw(self, file: Path) -> None:
        new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as whole:  # noqa: PTH123 - a descriptor
                whole.write(secrets.token_bytes(_RANDOM_BYTES))
                whole.flush()
                os.fsync(whole.fileno())
            if file.exists():
                new.replace(file)
            else:
                with contextlib.suppress(FileExistsError):  # another process was first
                    file.hardlink_to(new)
        finally:
            new.unlink(missing_ok=True)

    @contextlib.contextmanager
    def only_one(self) -> Iterator[bool]:
        """Tell whether no other process is in such a block; wait for none."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first = True
        except BlockingIOError:
            first = False
        try:
            yield first
        finally:
            os.close(descriptor)
