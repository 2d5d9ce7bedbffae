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

from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.whole_file import sync_folder, write_whole

_RANDOM_BYTES = 32
_EVIDENCE, _NEXT_EVIDENCE = "evidence", "evidence.next"


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

    def adopt_files_key(self, practice: str, key: bytes) -> None:
        """Go on with the key of keyed hashes that another machine had for a practice: by another
        one, no file would be the one that it was.
        """
        file = self.private("keys") / f"{practice}.files"
        if not file.exists() or file.read_bytes() != key:
            write_whole(file, key, mode=0o600)

    def evidence_signer(self) -> Signer:
        """Return the key that signs evidence; drawn once, by whoever first needs it."""
        return Signer(self.lasting_random(_EVIDENCE))

    def known_evidence_signer(self) -> Signer | None:
        """Return the key that signs evidence, `None` where none was drawn: draws none."""
        seed = self._lasting(_EVIDENCE)
        return Signer(seed) if seed else None

    def next_evidence_signer(self, *, draw: bool = False) -> Signer | None:
        """Return the key that is to come in its place, where it is being renewed."""
        seed = self.lasting_random(_NEXT_EVIDENCE) if draw else self._lasting(_NEXT_EVIDENCE)
        return Signer(seed) if seed else None

    def beginning_evidence_key(self) -> str:
        """Return the public key (hex) that a chain begins with: the one that is to come, where
        there is one, or that chain would be left with the old one.
        """
        return (self.next_evidence_signer() or self.evidence_signer()).public

    def take_next_evidence_signer(self) -> None:
        """Put the key that is to come in the place of the one before, at one instant."""
        keys = self.private("keys")
        (keys / _NEXT_EVIDENCE).replace(keys / _EVIDENCE)

    def lasting_random(self, name: str) -> bytes:
        """Return random bytes that were drawn once, and are the same ever after."""
        file = self.private("keys") / name
        if not file.exists() or file.stat().st_size != _RANDOM_BYTES:
            self._draw(file)
        return file.read_bytes()

    def _lasting(self, name: str) -> bytes | None:
        file = self.path / "keys" / name
        is_whole = file.exists() and file.stat().st_size == _RANDOM_BYTES
        return file.read_bytes() if is_whole else None

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
        sync_folder(file.parent)  # what is signed by it must not outlive it

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
