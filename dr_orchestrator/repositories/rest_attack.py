"""What somebody who holds the backup credential would do to a repository behind a REST server.

Tried with `rclone serve restic` 1.60; as of rest-server its source was read (repo/repo.go): with
`--append-only` both answer 403 to each DELETE but a lock's and to each POST over a file that is
there. Without it rclone does both; rest-server deletes, and still refuses to overwrite.

The address holds a user's name and password: nothing here shows it.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dr_orchestrator.core.immutability import Answer, Attempt, Deed
from dr_orchestrator.errors import RepositoryDamaged, StorageUnusable, UsageMistake
from dr_orchestrator.repositories.attack import (
    PROBE,
    Kept,
    Reply,
    Victim,
    attempt,
    withstood,
    worst,
)
from dr_orchestrator.repositories.manifests import tag_value

if TYPE_CHECKING:
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.repositories.base import Repository, Snapshot

_SECONDS = 30
_LARGEST = 16 * 1024 * 1024
"""Bytes; a snapshot's file has a few hundred."""
_DONE = range(200, 300)
_REFUSED = frozenset({403, 405})
_NOT_THERE = 404
_KINDS = ("data", "index", "keys", "snapshots")
"""What recovery points are made of, as restic names its folders; locks may be removed by anybody
(rest-server's and rclone's documentation of `--append-only`)."""
_NO_FILE = "0" * 64
"""The name of a file that nobody has: no content has this SHA-256."""
_SAVE_TIMEOUT = timedelta(minutes=15)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_request: Any) -> None:
        """Follow none: what is answered then counts as it is."""


class RestAccess:
    """A repository behind a REST server, reached with the backup credential: an `Access`."""

    def __init__(self, name: str, location: Secret) -> None:
        """Take the plan's name of it, and restic's location `rest:http…`.

        Raises:
            UsageMistake: it is no address of a web server.
        """
        parts = urlsplit(location.reveal().removeprefix("rest:"))
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageMistake(
                f"what the server of {name} lets be removed cannot be tried: its location is no "
                "http or https address"
            )
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
        self._name = name
        self._base = urlunsplit(bare).rstrip("/")
        self._headers = {"Content-Type": "application/octet-stream"}
        if parts.username is not None:
            said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(said).decode()}"

    def snapshot(self, identity: str) -> Victim:
        """Return the file of a snapshot.

        Raises:
            RepositoryDamaged: it is not there, or not what its name says.
            StorageUnusable: it could not be looked at.
        """
        path = f"snapshots/{identity}"
        content = self.find(path)
        # restic's design, "Repository Layout": a file's name is the SHA-256 of what it holds
        if content is None or hashlib.sha256(content).hexdigest() != identity:
            raise RepositoryDamaged(
                f"a snapshot that {self._name} lists is not there, or is not what its name says"
            )
        return Victim(path=path, content=content)

    def lets_remove(self, kind: str = "snapshots") -> tuple[bool | None, str]:
        """Return whether the server lets files of a kind be removed, `None` where it does not say
        so, and what it answers to the removal of one that nobody has.
        """
        try:
            status, _ = self._ask("DELETE", f"{kind}/{_NO_FILE}")
        except StorageUnusable as error:
            return None, error.code
        is_allowed = status == _NOT_THERE or status in _DONE
        return (is_allowed if is_allowed or status in _REFUSED else None), str(status)

    def delete(self, victim: Victim) -> Reply:
        return self._attack("DELETE", victim.path)

    def overwrite(self, victim: Victim) -> Reply:
        return self._attack("POST", victim.path, b"\0" * len(victim.content))

    def read(self, victim: Victim) -> bytes | None:
        return self.find(victim.path)

    def find(self, path: str) -> bytes | None:
        status, content = self._ask("GET", path)
        if status == _NOT_THERE:
            return None
        if status not in _DONE:
            raise self._unusable(str(status))
        return content

    def put(self, path: str, content: bytes) -> None:
        if self._ask("POST", path, content)[0] not in _DONE:
            self._ask("DELETE", path)  # rest-server writes over nothing that is there
            self._ask("POST", path, content)

    def _attack(self, method: str, path: str, body: bytes | None = None) -> Reply:
        try:
            status, _ = self._ask(method, path, body)
        except StorageUnusable as error:
            return Reply(Answer.UNKNOWN, error.code)
        if status in _DONE:
            return Reply(Answer.DONE, str(status))
        return Reply(Answer.REFUSED if status in _REFUSED else Answer.UNKNOWN, str(status))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and content of an answer.

        Raises:
            StorageUnusable: there is none.
        """
        asked = urllib.request.Request(  # noqa: S310 - http and https alone, see above
            f"{self._base}/{path}", data=body, headers=self._headers, method=method
        )
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(asked, timeout=_SECONDS) as answer:
                return answer.status, answer.read(_LARGEST)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, b""
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None)
            cause = reason if isinstance(reason, Exception) else error
            raise self._unusable(type(cause).__name__) from None

    def _unusable(self, code: str) -> StorageUnusable:
        return StorageUnusable(f"the server of {self._name} does not answer: {code}", code=code)


def attack_rest(
    access: RestAccess,
    kept: Kept,
    repository: Repository,
    practice: str,
    *,
    scratch: Path,
    at: datetime,
) -> tuple[Attempt, ...]:
    """Try each deed, and put right what was not refused.

    A real snapshot is attacked only where the one that was made for it withstood the same.
    `scratch` is a private folder of ours.

    Raises:
        StorageUnusable, RepositoryError: nothing was attempted.
    """
    listed = repository.snapshots({"practice": practice})
    real = next((each for each in listed if tag_value(each, "point")), None)
    attacked = access.snapshot(real.id) if real is not None else None
    made = access.snapshot(_probe(repository, listed, practice, scratch=scratch, at=at))
    attempts = [attempt(deed, made, access, kept) for deed in (Deed.OVERWRITE, Deed.DELETE_MADE)]
    if withstood(attempts):
        if attacked is not None:
            attempts.append(attempt(Deed.DELETE_REAL, attacked, access, kept))
        reply = worst(_of_kind(access, kind) for kind in _KINDS)
        attempts.append(Attempt(deed=Deed.DELETE_REAL, answer=reply.answer, said=reply.said))
    return tuple(attempts)


def _of_kind(access: RestAccess, kind: str) -> Reply:
    """Return whether the removal of a kind of files is refused. That it is not proves nothing:
    there was nothing to remove.
    """
    is_allowed, said = access.lets_remove(kind)
    return Reply(Answer.REFUSED if is_allowed is False else Answer.UNKNOWN, said)


def _probe(
    repository: Repository,
    listed: tuple[Snapshot, ...],
    practice: str,
    *,
    scratch: Path,
    at: datetime,
) -> str:
    """Return the id of the snapshot that is there to be attacked; save one where there is none."""
    for snapshot in listed:
        if tag_value(snapshot, "dro") == PROBE:
            return snapshot.id
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        Path(folder, "probe.txt").write_text("made to be attacked: no recovery point\n")
        saved = repository.save_tree(
            Path(folder),
            tags={"dro": PROBE, "practice": practice},
            time=at,
            timeout=_SAVE_TIMEOUT,
        )
    return saved.snapshot
