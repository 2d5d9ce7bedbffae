"""Who changed a plan, as far as anybody can tell: git, or else the owner of its file.

Neither is proof: who may write the file may write a name too. It tells the practice whom to ask.
Nothing here fails because of git, and nothing that a repository's own settings name is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import pwd
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, PlanInvalid
from dr_orchestrator.plan.document import read_file
from dr_orchestrator.plan.extend import Source
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.process import Command

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.process import Launcher

_LIMIT = timedelta(seconds=10)
_OUTPUT_LIMIT = 64 * 1024
_LONGEST_NAME = 80
_SHA1_DIGITS = 40
_SHOWN = 12
"""Digits of a commit: enough to find it again."""
_BLOB = re.compile(r"^:\d{6} \d{6} [0-9a-f]+ ([0-9a-f]+) ", re.MULTILINE)
_GIT = (
    # the folder may be another user's, as that of whoever keeps the plans
    *("git", "-c", "safe.directory=*", "--literal-pathspecs", "--no-pager"),
    *("log", "-1", "--format=%H%x09%ct%x09%an", "--no-show-signature", "--no-ext-diff"),
    *("--raw", "--no-abbrev", "--no-renames", "--"),
)
_GIT_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "none",  # what is not there is not fetched
    "GIT_OPTIONAL_LOCKS": "0",
}


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who changed a plan."""

    name: str
    """Empty where nobody can tell."""
    known_by: str
    """How that is known, in words."""


def author_of(loaded: LoadedPlan, launcher: Launcher) -> Author:
    """Return who changed a plan to what it says now; of one with templates, who changed any of
    these files last.

    That is the author of the last commit on a file, if that commit has it say what it says; else
    the owner of the file, if the file still does.
    """
    found = [_committed(each, launcher) or _owner(each) for each in _sources(loaded)]
    return max(found, key=lambda each: each.at).author


def _sources(loaded: LoadedPlan) -> tuple[Source, ...]:
    """Return the files of a plan where a person edits them: what runs is read from a copy, and
    that has its templates in it.
    """
    own, *templates = loaded.sources
    own = Source(loaded.path, own.content)
    if read_file(own.path)[0] != own.content:
        with contextlib.suppress(PlanInvalid):
            at_hand = load_plan(loaded.path)
            if at_hand.sha256 == loaded.sha256:
                return at_hand.sources
    return (own, *templates)


@dataclass(frozen=True)
class _Change:
    """Who changed one file, and when, in seconds since 1970."""

    author: Author
    at: float


def _committed(source: Source, launcher: Launcher) -> _Change | None:
    path = source.path.absolute()
    command = Command(
        argv=(*_GIT, path.name),
        timeout=_LIMIT,
        env=_GIT_ENV,
        cwd=path.parent,
        output_limit=_OUTPUT_LIMIT,
    )
    try:
        done = launcher.run(command)
    except DroError:
        return None
    said = done.stdout.decode(errors="replace")
    blob = _BLOB.search(said)
    if not done.ok or blob is None or blob[1] != _blob_id(source.content, len(blob[1])):
        return None
    commit, at, name = said.partition("\n")[0].split("\t", 2)
    author = Author(name=printable(name)[:_LONGEST_NAME], known_by=f"git commit {commit[:_SHOWN]}")
    return _Change(author, float(at))


def _blob_id(content: bytes, digits: int) -> str:
    """Return the name under which git keeps a file's content."""
    algorithm = "sha1" if digits == _SHA1_DIGITS else "sha256"
    named = hashlib.new(algorithm, b"blob %d\0" % len(content), usedforsecurity=False)
    named.update(content)
    return named.hexdigest()


def _owner(source: Source) -> _Change:
    path = source.path
    try:
        status = path.stat()
        if path.read_bytes() != source.content:
            author = Author(name="", known_by="its file says something else by now")
        else:
            known_by = f"owner of the file {_shown(path)}"
            author = Author(name=_user(status.st_uid), known_by=known_by)
    except OSError:
        return _Change(Author(name="", known_by="its file is gone"), 0.0)
    return _Change(author, status.st_mtime)


def _shown(path: Path) -> str:
    return printable(str(path.absolute()))


def _user(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"
