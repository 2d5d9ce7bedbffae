"""Who may forget in a repository: one installation, by a record in the repository itself.

Two machines with the same plan would each let go of what the other one keeps. The record is a small
snapshot, so it is there for whoever can read the repository, and it costs no look into a file: what
matters is in its tags. The file in it tells a person.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dr_orchestrator.errors import RemovalRefused, RepositoryError
from dr_orchestrator.repositories.base import Repository, Snapshot
from dr_orchestrator.repositories.manifests import tag_value

OWNER = "owner"
_FILE = "owner.json"
_FILE_LIMIT = 64 * 1024
_SAVE_TIMEOUT = timedelta(minutes=15)
_FIRST, _TAKEN = "first", "taken"


@dataclass(frozen=True)
class Installation:
    """One memory of ours: a state folder, wherever it is."""

    id: str
    site: str
    """What people call the machine."""


@dataclass(frozen=True)
class Owner:
    """The installation that may forget in a repository, as the repository says."""

    installation: str
    since: datetime
    snapshot: Snapshot


def owner_among(snapshots: Iterable[Snapshot]) -> Owner | None:
    """Return the owner that the snapshots of a practice name: whoever took it over last, else
    whoever was first.
    """
    records = [each for each in snapshots if tag_value(each, "dro") == OWNER]
    if not records:
        return None
    taken = [each for each in records if tag_value(each, "how") == _TAKEN]
    found = max(taken, key=_age) if taken else min(records, key=_age)
    return Owner(tag_value(found, "owner"), found.time, found)


def record_owner(
    repository: Repository,
    practice: str,
    installation: Installation,
    *,
    scratch: Path,
    at: datetime,
    why: str,
    instead_of: Iterable[Snapshot] | None = None,
) -> None:
    """Record `installation` as the owner: the first, or instead of what these snapshots say.

    Older records are removed where the place lets anything be removed. `scratch` is a private
    folder of ours.

    Raises:
        RepositoryError: by its class; then nothing has changed.
    """
    how = _FIRST if instead_of is None else _TAKEN
    content = {"schema": 1, "site": installation.site, "since": at.isoformat(), "why": why}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        Path(folder, _FILE).write_text(json.dumps(content, ensure_ascii=False))
        repository.save_tree(
            Path(folder),
            tags={"dro": OWNER, "practice": practice, "owner": installation.id, "how": how},
            time=at,
            timeout=_SAVE_TIMEOUT,
        )
    old = [each.id for each in instead_of or () if tag_value(each, "dro") == OWNER]
    if old:
        with suppress(RemovalRefused):  # the newest record counts
            repository.forget(old)


def site_of(repository: Repository, owner: Owner) -> str:
    """Return what people call the owner's machine; empty where its record cannot be read."""
    folder = owner.snapshot.paths[0].rstrip("/") if owner.snapshot.paths else ""
    try:
        content = repository.read_file(
            owner.snapshot.id, f"{folder}/{_FILE}", limit_bytes=_FILE_LIMIT
        )
        return str(json.loads(content)["site"])
    except (RepositoryError, ValueError, KeyError, TypeError):
        return ""


def _age(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.time, snapshot.id
