"""The folder that a recovery writes: a machine's of its own, to go on from.

    dro.yaml          the settings: `DRO_SETTINGS` names it
    plans/ runbooks/  as they were saved; keys/ and evidence/ beside them
    state/ cache/ sandbox/
    recovered.json    what it is of, and whether it is finished

Killed at any instant, the same command goes on: each file is whole, and is written again.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import SpaceExhausted, TargetRefused
from dr_orchestrator.whole_file import write_whole

_ORIGIN = "recovered.json"
_WRITTEN = ("plans", "plans/packs", "runbooks", "keys", "evidence")
_LEFT_ALONE = ("state", "cache")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a folder was recovered from, as it says itself."""

    location: str
    practice: str
    point: str
    """Of which plan and runbooks are."""
    finished: bool = False


@dataclass(frozen=True)
class RecoveredFolder:
    """Where all of it is."""

    path: Path

    @property
    def settings(self) -> Path:
        """What `DRO_SETTINGS` is to name."""
        return self.path / "dro.yaml"

    @property
    def keys(self) -> Path:
        """Below which keys lie."""
        return self.path / "keys"

    def key(self, name: str) -> Path:
        """Return where a key lies."""
        return self.keys / name

    def begun(self, location: str) -> Origin | None:
        """Return how far a recovery from `location` has come here; `None` where there is nothing.

        Raises:
            TargetRefused: there is something else, or from elsewhere, or it is finished.
        """
        origin = self._origin()
        if origin is not None and origin.location != location:
            raise TargetRefused(
                f"{self.path} is of a recovery from {printable(origin.location)}",
                hint="name a folder that does not exist yet, or remove that one",
            )
        if origin is not None and origin.finished:
            raise TargetRefused(
                f"{printable(origin.practice)} was recovered to {self.path} already",
                hint=f"export DRO_SETTINGS={self.settings}",
            )
        return origin

    def _origin(self) -> Origin | None:
        try:
            if not any(self.path.iterdir()):
                return None
            return Origin(**json.loads((self.path / _ORIGIN).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, FileNotFoundError) and not self.path.exists():
                return None
            raise TargetRefused(
                f"{self.path} is not empty, and no folder of a recovery",
                hint="name one that does not exist yet: nothing is ever written over",
            ) from None

    def write(self, origin: Origin, files: Mapping[str, bytes]) -> None:
        """Write `files` (relative name -> content), readable by this user only, in the place of
        what an earlier attempt wrote.

        Raises:
            TargetRefused, SpaceExhausted: it cannot be written.
        """
        with self._writing():
            self.path.mkdir(mode=0o711, exist_ok=True)
            self.path.chmod(0o711)  # the sandbox below has a user of its own, who has to pass
            self._say(origin)
            for name in _WRITTEN:
                if "/" not in name:
                    shutil.rmtree(self.path / name, ignore_errors=True)
                (self.path / name).mkdir(mode=0o700)
            for name in _LEFT_ALONE:
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
            for name, content in files.items():
                write_whole(self.path / name, content, mode=0o600)

    def finish(self, origin: Origin) -> None:
        """Say that there is nothing left to do.

        Raises:
            TargetRefused, SpaceExhausted: it cannot be written.
        """
        with self._writing():
            self._say(origin)

    def _say(self, origin: Origin) -> None:
        content = json.dumps(asdict(origin), indent=1, ensure_ascii=False)
        write_whole(self.path / _ORIGIN, f"{content}\n".encode(), mode=0o600)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise SpaceExhausted(
                    f"no space left to write {self.path}",
                    hint="free some: the same command goes on, or remove the folder",
                ) from None
            raise TargetRefused(
                f"{self.path} cannot be written: {(error.strerror or 'unknown reason').lower()}",
                hint=f"mkdir -p {self.path.parent}",
            ) from None
