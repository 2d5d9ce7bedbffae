"""What restic prints, read into types. Whatever cannot be read is skipped, never guessed.

Between the JSON lines may stand plain text, and later versions add kinds of messages (both happened
to peers), so an unknown line is no error. What must not be missing is asked for by the caller.
Names of files never get out of here.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dr_orchestrator.core.share import Listed
from dr_orchestrator.process import known_cause
from dr_orchestrator.repositories.base import ListedKey, OnProgress, Progress, Saved, Snapshot

FULL_ID = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{8,64}")
_SHORT_ID_LENGTH = 8
_SKIPPED = re.compile(r"does not exist, skipping\s*$", re.MULTILINE)
_LONGEST_KNOWN = 4096
_YEARS = range(1970, 9000)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Lock:
    """A lock in a repository."""

    id: str
    time: datetime
    """When it was made, or last refreshed: restic does so every 5 minutes."""
    hostname: str
    pid: int
    exclusive: bool


@dataclass(frozen=True)
class Unread:
    """What a save could not read."""

    items: int
    causes: tuple[str, ...]
    """In words of the operating system; empty where restic 0.14 lost the reason."""
    vanished: bool
    """Nothing worse than files that were gone when their turn came."""
    snapshot: str | None = None
    """What holds all the others, where restic said so."""


class BackupReader:
    """Takes the lines of `backup --json`, stdout and stderr, as they come."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._errors = 0
        self._causes: dict[str, None] = {}  # in the order they came
        self._others = False
        self.saved: Saved | None = None

    def take(self, line: bytes) -> None:
        """Take a line of stdout."""
        message = _message(line)
        match message.get("message_type"):
            case "status":
                self._report(message)
            case "summary":
                self.saved = _saved(message)
            case "error":
                self.take_error(line)

    def take_error(self, line: bytes) -> None:
        """Take a line of stderr."""
        message = _message(line)
        if message.get("message_type") == "error":
            self._errors += 1
            cause = _cause(message.get("error"))
            self._causes[cause] = None
            self._others |= cause != os.strerror(errno.ENOENT).lower()
        elif _SKIPPED.search(line[-_LONGEST_KNOWN:].decode(errors="replace")):
            self._errors += 1  # exit code 0 until restic 0.19
            self._causes["does not exist"] = None
            self._others = True

    def unread(self, returncode: int) -> Unread | None:
        """Return what could not be read, or `None` where the save is complete."""
        if not self._errors and returncode != 3:  # noqa: PLR2004 - a snapshot, but incomplete
            return None
        causes = tuple(cause for cause in self._causes if cause)
        return Unread(
            max(self._errors, 1),
            causes,
            vanished=self._errors > 0 and not self._others,
            snapshot=self.saved.snapshot if self.saved else None,
        )

    def _report(self, message: dict[str, Any]) -> None:
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    _count(message.get("bytes_done")), _count(message.get("total_bytes")) or None
                )
            )


def report_restore(line: bytes, on_progress: OnProgress) -> None:
    """Pass on the progress in a line of `restore --json` (0.16 and later)."""
    message = _message(line)
    if message.get("message_type") == "status":
        done, total = _count(message.get("bytes_restored")), _count(message.get("total_bytes"))
        on_progress(Progress(done, total or None))


def repository_id(stdout: bytes) -> str | None:
    """Return the id in a repository's config, or `None` where it cannot be read."""
    identity = _message(stdout).get("id")
    return identity if isinstance(identity, str) and FULL_ID.fullmatch(identity) else None


def snapshots(stdout: bytes) -> tuple[Snapshot, ...] | None:
    """Return the listed snapshots, oldest first, or `None` where the list cannot be read."""
    try:
        return tuple(sorted((_snapshot(each) for each in json.loads(stdout)), key=_age))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def listed_file(line: bytes) -> Listed | None:
    """Return the file or link in a line of `ls --json`, or `None` where it is of something else.

    0.14: `{"name":…,"type":"file","path":…,"size":…,"mtime":…,"struct_type":"node"}`; of an empty
    file no size. Each byte of a name that is no UTF-8 is U+FFFD (Go's encoding/json).
    """
    node = _message(line)
    path, kind = node.get("path"), node.get("type")
    if not isinstance(path, str) or kind not in {"file", "symlink"}:
        return None
    is_link = kind == "symlink"
    changed_at = _time(str(node.get("mtime", "")))
    return Listed(
        path,
        is_link,
        0 if is_link else _count(node.get("size")),
        None if changed_at == _NO_TIME else changed_at,
    )


def listed_ids(stdout: bytes) -> tuple[str, ...]:
    """Return the ids that `list locks` or `list index` prints, one a line."""
    lines = stdout.decode(errors="replace").split()
    return tuple(line for line in lines if FULL_ID.fullmatch(line))


def keys(stdout: bytes) -> tuple[ListedKey, ...] | None:
    """Return what `key list --json` prints, or `None` where it cannot be read.

    0.14: `[{"current":true,"id":"c4f7d66c","userName":…,"hostName":…,"created":"2026-11-21 …"}]`,
    in the zone TZ, which the launcher sets to UTC; later versions print longer ids.
    """
    try:
        return tuple(_key(each) for each in json.loads(stdout))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def key(identity: str, stdout: bytes, *, is_current: bool) -> ListedKey:
    """Return the key that `cat key` prints; whether it is the current one, that does not say."""
    message = _message(stdout)
    made = _time(str(message.get("created", "")))
    return ListedKey(
        id=identity[:_SHORT_ID_LENGTH],
        user=str(message.get("username", "")),
        host=str(message.get("hostname", "")),
        made_at=None if made == _NO_TIME else made,
        is_current=is_current,
    )


def lock(identity: str, stdout: bytes) -> Lock | None:
    """Return the lock that `cat lock` prints, or `None` where it cannot be read."""
    message = _message(stdout)
    try:
        return Lock(
            identity,
            datetime.fromisoformat(message["time"]).astimezone(UTC),
            str(message["hostname"]),
            _positive(message["pid"]),
            exclusive=bool(message.get("exclusive")),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _positive(value: object) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError("0 and negative numbers mean groups of processes to kill(2)")
    return value


def _saved(message: dict[str, Any]) -> Saved | None:
    identity = message.get("snapshot_id")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        return None
    return Saved(
        snapshot=identity,
        files=_count(message.get("total_files_processed")),
        bytes=_count(message.get("total_bytes_processed")),
        added_bytes=_count(message.get("data_added")),
        changed_files=_count(message.get("files_new")) + _count(message.get("files_changed")),
    )


def _cause(error: object) -> str:
    """Return one of a few known phrases; the rest may hold the file's name.

    0.14 gives the errno, `{"Op":…,"Path":…,"Err":13}`, or an empty object; 0.17.1 a `message`.
    """
    if not isinstance(error, dict):
        return ""
    number = error.get("Err")
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number).lower()
    return known_cause(str(error.get("message", ""))).removeprefix(": ")


def _key(listed: dict[str, Any]) -> ListedKey:
    if not _ID.fullmatch(listed["id"]):
        raise ValueError("no id of a key")
    made = _time(f"{listed.get('created', '')}+00:00")
    return ListedKey(
        id=listed["id"][:_SHORT_ID_LENGTH],
        user=str(listed.get("userName", "")),
        host=str(listed.get("hostName", "")),
        made_at=None if made == _NO_TIME else made,
        is_current=listed["current"] is True,
    )


def _snapshot(listed: dict[str, Any]) -> Snapshot:
    if not FULL_ID.fullmatch(listed["id"]):
        raise ValueError("no snapshot id")
    return Snapshot(
        id=listed["id"],
        time=_time(listed["time"]),
        hostname=str(listed.get("hostname", "")),
        tags=frozenset(listed.get("tags") or ()),
        paths=tuple(listed.get("paths") or ()),
        original=listed.get("original"),
        tree=str(listed.get("tree", "")),
    )


def _time(said: str) -> datetime:
    """Return the time a snapshot says it is of; one that cannot be reckoned with (restic takes the
    year 0) is 1970, so that who saves such a one keeps nobody from the others.
    """
    try:
        time = datetime.fromisoformat(said).astimezone(UTC)
    except (ValueError, OverflowError):
        return _NO_TIME
    return time if time.year in _YEARS else _NO_TIME


def _age(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.time, snapshot.id


def packs(output: bytes) -> set[str] | None:
    """Return the ids of the packs that an index, as `cat index` prints it, names; `None` where it
    cannot be read.

    restic's design, "Indexing": `{"packs": [{"id": …, "blobs": […]}]}`.
    """
    try:
        return {str(pack["id"]) for pack in json.loads(output).get("packs") or ()}
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
