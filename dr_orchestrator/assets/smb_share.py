"""A Windows or Samba share, read by rclone (1.60 or newer) without being mounted.

rclone only ever lists the share and copies out of it: nothing here writes to the share, and nothing
lets rclone delete. Its own words never go into an error: they name files. The password reaches it
in a file of a private folder, since it reads its settings twice and refuses a pipe ("illegal
seek"); everything else in RCLONE_* variables, which need no quoting.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from dr_orchestrator.assets.files_exclude import Exclusion, components_expression
from dr_orchestrator.beneath import Parts
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import CaptureFailed, ProgramTimedOut, SpaceExhausted
from dr_orchestrator.plan.model import SmbAsset
from dr_orchestrator.process import Command, Completed, SystemLauncher, require_success

_ASKING = timedelta(seconds=20)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_GIVING_UP = 10
"""So many times without an answer, and the server is gone: each may cost a minute."""
_ALWAYS = (
    # Its retries within retries kept it a minute and a half at one file of a server that was gone.
    *("--contimeout", "20s", "--timeout", "60s", "--low-level-retries", "1"),
    *("--use-json-log", "--log-level", "NOTICE", "--stats", "0", "--ask-password=false"),
)
EQUAL, DIFFERS = "=", "*"
"""What rclone says of a file that it compared."""
_CONTROL = re.compile(r"[\x00-\x1f]")


class Item(NamedTuple):
    """A file or folder, as a listing of the share has it."""

    parts: Parts
    size: int
    modified_ms: int
    """Since 1970. rclone 1.60 lists no finer, whatever the server says."""
    is_folder: bool


class Cause(StrEnum):
    """Why rclone did not do what it was asked."""

    NAME_UNKNOWN = "name unknown"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NO_SHARE = "no share"
    NO_FOLDER = "no folder"
    FULL = "full"
    LOCKED = "locked"
    DENIED = "denied"
    OTHER = "other"


_SIGNS = (
    (Cause.NAME_UNKNOWN, ("no such host", "server misbehaving")),
    (
        Cause.REFUSED,
        (
            *("attempted logon is invalid", "logon failure", "account restriction"),
            *("automatically locked", "account is currently disabled", "account has expired"),
            *("password has expired", "must change", "must be changed"),
        ),
    ),
    (Cause.NO_SHARE, ("network name cannot be found", "network name not found", "share name")),
    (
        Cause.UNREACHABLE,
        (
            *("connection refused", "connection reset", "i/o timeout", "no route to host"),
            *("network is unreachable", "broken pipe", "couldn't connect smb", "eof"),
            *("connection error", "closed network connection", "connection timed out"),
        ),
    ),
    (Cause.NO_FOLDER, ("directory not found",)),
    (Cause.FULL, ("no space left", "disk quota", "not enough space")),
    # A share mode that lets nobody else read, and a lock on part of a file.
    (Cause.LOCKED, ("share access flags", "sharing violation", "conflicting file lock")),
    (Cause.DENIED, ("permission denied", "access denied", "access is denied")),
)
"""Phrases of Go, and of the SMB library in rclone 1.60, that tell a cause."""


class Complaints:
    """What rclone complained of on stderr, as numbers; names only of files that were locked."""

    def __init__(self) -> None:
        self.causes: Counter[Cause] = Counter()
        self.locked: set[Parts] = set()

    def take(self, line: bytes) -> None:
        """Take a line of stderr."""
        text = line.decode(errors="replace")
        try:
            entry = json.loads(text)
            name, message = entry["object"], entry["msg"]
        except (ValueError, TypeError, KeyError):
            # Its summaries repeat what was said of one file, the file's name in the midst.
            if self.causes:
                return
            name, message = "", text
        for spelling in {name, name.replace("/", "\\")} - {""}:
            message = message.replace(spelling, "")  # a name may hold the words of a cause
        cause = _cause(message)
        self.causes[cause] += 1
        if cause is Cause.LOCKED and name:
            self.locked.add(_parts(name))

    @property
    def worst(self) -> Cause:
        """The one that explains the others."""
        return next((cause for cause in Cause if self.causes[cause]), Cause.OTHER)


@dataclass(frozen=True)
class Share:
    """A folder on a share, which can be listed and copied from."""

    asset: SmbAsset
    launcher: SystemLauncher
    clock: Clock
    folder: Path
    """Where the password is, as rclone reads it and as it is."""
    deadline: float
    """On the monotonic clock: when the plan's timeout is over."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return share_name(self.asset)

    @property
    def identity(self) -> str:
        """What tells it from every other folder on a share."""
        asset = self.asset
        return json.dumps([asset.host, asset.port, asset.share, self.inside])

    @property
    def inside(self) -> str:
        """The folder on the share, with slashes and none at its ends; empty for all of it."""
        return "/".join(part for part in re.split(r"[\\/]", self.asset.path) if part)

    @property
    def password_file(self) -> Path:
        """The file that holds the password and nothing else."""
        return self.folder / "password"

    def list(self, take: Callable[[Item], None], *, only: Iterable[Parts] | None = None) -> None:
        """Hand over everything that is there and not excluded, or only these files, in any order.

        Raises:
            CaptureFailed: it could not be listed completely. What was handed over is then worth
                nothing.
        """

        def take_line(line: bytes) -> None:
            text = line.strip(b" ,\r\n")
            if text not in {b"[", b"]", b""}:
                take(_item(text))

        try:
            completed, complaints = self._run(
                *("lsjson", "--recursive", "--no-mimetype", self._remote),
                on_line=take_line,
                only=only,
            )
        except (ValueError, KeyError):
            raise self.failure("rclone listed it in a form that is not known here") from None
        if not completed.ok:
            raise self._explain(complaints)

    def require_reachable(self) -> None:
        """Make sure that the folder is there and can be listed, and look no deeper.

        Raises:
            CaptureFailed: it is not, or it cannot.
        """
        shallow = ("lsjson", "--max-depth", "1", "--no-mimetype", "--no-modtime")
        completed, complaints = self._run(*shallow, self._remote)
        if not completed.ok:
            raise self._explain(complaints)

    def size(self) -> int:
        """Return the bytes of everything that is there and not excluded.

        Raises:
            CaptureFailed: it could not be listed completely.
        """
        completed, complaints = self._run("size", "--json", self._remote)
        if not completed.ok:
            raise self._explain(complaints)
        return int(json.loads(completed.stdout)["bytes"])

    def copy(self, to: Path) -> Complaints:
        """Copy to the folder `to` what it lacks, and what has another size or time there.

        Deletes nothing there. Returns what could not be done: the caller looks at the result.

        Raises:
            CaptureFailed: the server went away.
            SpaceExhausted: the disk is full.
        """
        completed, complaints = self._run(
            # A second round for what was locked in the first. Names are compared as they are:
            # rclone takes two spellings of one umlaut for the same file unless told otherwise.
            *("copy", "--retries", "2", "--create-empty-src-dirs", "--no-unicode-normalization"),
            *(self._remote, f"mirror:{to}"),
        )
        if not completed.ok and complaints.worst is Cause.FULL:
            raise SpaceExhausted(
                f"the disk of {to} is too small for a copy of {self.name}",
                hint="free some space, or set `state` in the machine's settings to a larger disk",
            )
        self._require_answers(completed, complaints)
        return complaints

    def compare(self, names: Iterable[Parts], copy: Path) -> tuple[dict[Parts, str], Complaints]:
        """Read these files, and compare them with those of the same names in the folder `copy`.

        Returns what was found: `EQUAL`, `DIFFERS`, or that it could not be read; nothing of a file
        that is gone.

        Raises:
            CaptureFailed: the server went away.
        """
        found: dict[Parts, str] = {}

        def take_line(line: bytes) -> None:
            sign, _, name = line.decode().rstrip("\n").partition(" ")
            found[_parts(name)] = sign

        completed, complaints = self._run(
            *("check", "--download", "--one-way", "--no-unicode-normalization"),
            *("--combined", "-", self._remote, f"mirror:{copy}"),
            on_line=take_line,
            only=names,
        )
        self._require_answers(completed, complaints)
        return found, complaints

    def failure(self, reason: str, *, hint: str = "") -> CaptureFailed:
        """Return the error that says why it was not captured."""
        return CaptureFailed(f"{self.name} was not captured: {reason}", hint=hint)

    def remaining(self) -> timedelta:
        """Return how much of the plan's timeout is left.

        Raises:
            CaptureFailed: none is.
        """
        seconds = self.deadline - self.clock.monotonic()
        if seconds <= 0:
            raise self._late()
        return timedelta(seconds=seconds)

    @property
    def _remote(self) -> str:
        return f"share:{self.asset.share}/{self.inside}"

    def _require_answers(self, completed: Completed, complaints: Complaints) -> None:
        """Let pass what is wrong with single files only."""
        if not completed.ok and complaints.worst not in {Cause.LOCKED, Cause.DENIED, Cause.OTHER}:
            raise self._explain(complaints)

    def _run(
        self,
        *arguments: str,
        on_line: Callable[[bytes], None] | None = None,
        only: Iterable[Parts] | None = None,
    ) -> tuple[Completed, Complaints]:
        complaints = Complaints()

        def on_error_line(line: bytes) -> None:
            complaints.take(line)
            if complaints.causes[Cause.UNREACHABLE] >= _GIVING_UP:
                raise self._explain(complaints)

        chosen = rclone_filters(self.asset.exclude)
        names = None
        if only is not None:
            chosen = ("--files-from-raw", "-")
            names = b"".join(b"/".join(parts) + b"\n" for parts in only)
        command = Command(
            argv=("rclone", *arguments, *_ALWAYS, *chosen),
            timeout=self.remaining(),
            env=self._environment(),
        )
        try:
            completed = self.launcher.run(
                command, stdin=names, on_line=on_line, on_error_line=on_error_line
            )
        except ProgramTimedOut:
            raise self._late() from None
        return completed, complaints

    def _environment(self) -> dict[str, str]:
        asset = self.asset
        # Only `.` and `..` are spelled otherwise: by default rclone would copy a name with a wide
        # question mark, as some programs write it, under another name than it has on the share.
        spelling = "Dot"
        return {
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "RCLONE_CONFIG_SHARE_TYPE": "smb",
            "RCLONE_CONFIG_SHARE_HOST": asset.host,
            "RCLONE_CONFIG_SHARE_PORT": str(asset.port),
            "RCLONE_CONFIG_SHARE_USER": asset.user,
            "RCLONE_CONFIG_SHARE_DOMAIN": asset.domain,
            "RCLONE_CONFIG_SHARE_ENCODING": spelling,
            "RCLONE_CONFIG_MIRROR_TYPE": "local",
            "RCLONE_CONFIG_MIRROR_ENCODING": spelling,
        }

    def _late(self) -> CaptureFailed:
        limit = duration_words(self.asset.timeout)
        return self.failure(
            f"it was not copied within {limit}",
            hint="the next backup goes on where this one stopped; `timeout` allows it more",
        )

    def _explain(self, complaints: Complaints) -> CaptureFailed:
        reason, hint = _WORDS[complaints.worst]
        asset = self.asset
        values = {
            "host": asset.host,
            "port": asset.port,
            "share": asset.share,
            "user": asset.user,
            "path": self.inside,
        }
        return self.failure(reason.format_map(values), hint=hint.format_map(values))


_WORDS = {
    Cause.NAME_UNKNOWN: (
        "the name {host} is not known",
        "check the asset's `host`, and name resolution on this machine",
    ),
    Cause.UNREACHABLE: (
        "{host} does not answer on port {port}, or stopped answering",
        "is the file server running, and does a firewall let this machine in?",
    ),
    Cause.REFUSED: (
        "{host} refused {user}: wrong user or password, or the account is locked or expired",
        "check what the asset's `password` refers to, its `user` and its `domain`",
    ),
    Cause.NO_SHARE: (
        "{host} has no share {share}, or offers it to others only",
        "check the asset's `share`, and who may use it",
    ),
    Cause.NO_FOLDER: ("the share has no folder {path}", "check the asset's `path`"),
    Cause.FULL: ("this machine's disk is full", "free some space"),
    Cause.LOCKED: ("part of it is held open by another program", "try again later"),
    Cause.DENIED: (
        "{user} may not read all of it",
        "let {user} read all, or name in `exclude` what it may not: `System Volume Information`",
    ),
    Cause.OTHER: (
        "it could not be listed completely",
        "the file server's own log says why",
    ),
}


def share_name(asset: SmbAsset) -> str:
    """Return what messages call the share."""
    return f"the share //{asset.host}/{asset.share}"


@contextmanager
def opened_share(
    asset: SmbAsset,
    password: Secret,
    *,
    launcher: SystemLauncher,
    clock: Clock,
    runtime_folder: Path,
) -> Iterator[Share]:
    """Lend the share. The files with the password are gone when the block is left.

    Raises:
        CaptureFailed: the plan's words cannot name a share.
        ProgramMissing: rclone is not on this machine.
    """
    texts = (asset.host, asset.share, asset.path, asset.user, asset.domain)
    if any(_CONTROL.search(text) for text in texts) or ".." in re.split(r"[\\/]", asset.path):
        raise CaptureFailed(
            f"{share_name(asset)} was not captured: its name or path is none",
            hint="check the asset's `host`, `share`, `path`, `user` and `domain`",
        )
    Exclusion(asset.exclude)
    runtime_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="smb-", dir=runtime_folder))
    try:
        deadline = clock.monotonic() + asset.timeout.total_seconds()
        share = Share(asset, launcher, clock, folder, deadline)
        # Turned round by a key that everybody knows: to rclone this is no encryption either.
        obscure = Command(argv=("rclone", "obscure", "-"), timeout=_ASKING)
        obscured = launcher.run(obscure, stdin=f"{password.reveal()}\n".encode())
        require_success(obscured, "reading its password")
        _write_private(folder / "rclone.conf", f"[share]\npass = {obscured.stdout.decode()}")
        _write_private(share.password_file, password.reveal())
        yield share
    finally:
        shutil.rmtree(folder)


def rclone_filters(exclude: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options with which rclone leaves out what `Exclusion` covers in a tree at `/`.

    A folder that is left out is not even opened. Regular expressions in filters: rclone 1.59.
    """
    options: list[str] = []
    for pattern in exclude:
        parts = [part for part in pattern.split("/") if part]
        anywhere = not pattern.startswith("/")
        while parts[0] == "**":
            parts, anywhere = parts[1:], True
        within = components_expression(parts).removeprefix("/")
        expression = "{{" + ("(?:.*/)?" if anywhere else "") + within + "}}"
        options += ["--filter", f"- /{expression}", "--filter", f"- /{expression}/**"]
    return tuple(options)


def _item(text: bytes) -> Item:
    entry = json.loads(text)
    modified = datetime.fromisoformat(entry["ModTime"])
    return Item(
        _parts(entry["Path"]),
        entry["Size"],
        (modified - _EPOCH) // _MILLISECOND,
        entry["IsDir"],
    )


def _parts(path: str) -> Parts:
    return tuple(path.encode().split(b"/"))


def _cause(message: str) -> Cause:
    lowered = message.lower()
    return next(
        (cause for cause, signs in _SIGNS if any(sign in lowered for sign in signs)), Cause.OTHER
    )


def _write_private(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)
