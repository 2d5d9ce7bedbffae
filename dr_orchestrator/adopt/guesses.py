"""What the jobs of another tool save, guessed from names and sizes alone. Pure.

Nobody opens what is patient data for this, so a guess may be wrong, and the plan says of each what
it rests on. It must not be silent about what it left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.share import UNREADABLE
from dr_orchestrator.core.wording import count_words, size_words

if TYPE_CHECKING:
    from dr_orchestrator.adopt.snapshots import Group
    from dr_orchestrator.core.share import Listed

_DUMP = re.compile(r"\.(sql|dump|pgdump|pg_dump|mysqldump)(\.(gz|bz2|xz))?$", re.IGNORECASE)
_SQLITE = re.compile(r"\.(sqlite3?|db3?)$", re.IGNORECASE)
_NO_SQLITE = re.compile(r"^thumbs\.db$|^\.", re.IGNORECASE)
_MARIADB = re.compile(r"mysql|maria", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+(?:[-_.:T]?\d+)*")
_DATED = 6
"""So many digits in a name are taken for a date: the next file has others."""
_MOST = 3
"""Databases that one tree is taken to hold: programs bring many files of such names with them."""
_ENDING = re.compile(r"[.*].*$")
_NO_NAME = re.compile(r"[^a-z0-9_-]+")
_LONGEST_NAME = 40


@dataclass(frozen=True, kw_only=True)
class Guess:
    """An asset that a job seems to save."""

    kind: AssetKind
    path: str
    """Where it lies in the snapshots; `*` stands for what is another one each time."""
    bytes: int
    why: str
    """What the guess rests on, or what is there."""
    certain: bool
    """Whether it is a folder: that much can be seen."""


@dataclass
class Root:
    """One of the paths that a job saves, as it lies in the snapshot."""

    path: str
    files: int = 0
    bytes: int = 0
    telling: list[Listed] = field(default_factory=list)
    """The files whose names say that a database is in them."""
    is_file: bool = False


class Contents:
    """What the newest snapshot of a job holds."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the paths that were saved: a relative one begins anywhere within."""
        self._paths = [tuple(_possible_roots(path)) for path in paths]
        self._roots = {root: Root(root) for possible in self._paths for root in possible}

    def take(self, listed: Listed) -> None:
        """Count a file."""
        if listed.is_link:
            return
        for root in self._roots.values():
            if listed.path == root.path or listed.path.startswith(f"{root.path.rstrip('/')}/"):
                root.files += 1
                root.bytes += listed.size
                root.is_file = listed.path == root.path
                if _kind_of(listed.path) is not None:
                    root.telling.append(listed)

    def roots(self) -> tuple[Root, ...]:
        """Return what was saved, as it lies there; nothing of what holds no file."""
        found: dict[str, Root] = {}
        for possible in self._paths:
            root = next((self._roots[path] for path in possible if self._roots[path].files), None)
            if root is not None:
                found[root.path] = root
        return tuple(found.values())


def guesses(roots: Iterable[Root]) -> Iterator[Guess]:
    """Yield the assets in what a job saves: databases first, and the trees they lie in. What has a
    name that no plan can say is left out.
    """
    for root in roots:
        if not _can_be_said(root.path):
            continue
        patterns = _patterns(file for file in root.telling if _can_be_said(file.path))
        for path, files in patterns[:_MOST]:
            yield _database(path, files, among=len(patterns) - _MOST)
        if len(root.telling) == root.files and len(patterns) <= _MOST:
            continue  # nothing lies there but these
        if not root.is_file:
            what = f"{count_words(root.files, 'file')}, {size_words(root.bytes)}"
            yield Guess(
                kind=AssetKind.FILES, path=root.path, bytes=root.bytes, why=what, certain=True
            )


def names_for(found: Sequence[tuple[Guess, Group]]) -> list[str]:
    """Return a name for each asset, none twice."""
    databases = sum(guess.kind.is_database for guess, _ in found)
    names: list[str] = []
    for guess, group in found:
        is_database = guess.kind.is_database
        is_only_one = (databases if is_database else len(found) - databases) == 1
        usual = "database" if is_database else "documents"
        names.append(
            next(n for n in _names(guess, group, usual if is_only_one else "") if n not in names)
        )
    return names


def _names(guess: Guess, group: Group, usual: str) -> Iterator[str]:
    """Yield names that fit an asset, the best first."""
    path = PurePosixPath(guess.path)
    name = usual or _name(_ENDING.sub("", path.name) if guess.kind.is_database else path.name)
    yield name
    for other in filter(None, (path.parent.name, group.host)):
        yield _name(f"{name}-{other}")
    yield from (f"{name[: _LONGEST_NAME - 4]}-{number}" for number in count(2))


def _name(text: str) -> str:
    name = _NO_NAME.sub("-", text.lower()).strip("-_0123456789.")
    return name[:_LONGEST_NAME].rstrip("-_") or "asset"


def _possible_roots(saved: str) -> Iterator[str]:
    """Yield where a path may begin in a snapshot: it all, what is left where restic was given a
    relative one, and the root, where it was given `.`.
    """
    parts = PurePosixPath(saved).parts[1:]
    yield from (str(PurePosixPath("/", *parts[start:])) for start in range(len(parts)))
    yield "/"


def _can_be_said(path: str) -> bool:
    return path.isprintable() and UNREADABLE not in path and "*" not in path


def _kind_of(path: str) -> AssetKind | None:
    name = PurePosixPath(path).name
    if _DUMP.search(name):
        return AssetKind.MARIADB if _MARIADB.search(path) else AssetKind.POSTGRES
    if _SQLITE.search(name) and not _NO_SQLITE.search(name):
        return AssetKind.SQLITE
    return None


def _patterns(telling: Iterable[Listed]) -> list[tuple[str, list[Listed]]]:
    """Return the files by what their names have alike, the largest first."""
    alike: dict[str, list[Listed]] = {}
    for listed in telling:
        alike.setdefault(_pattern(listed.path), []).append(listed)
    found = [
        (path if len(files) > 1 or _is_dated(files[0].path) else files[0].path, files)
        for path, files in alike.items()
    ]
    return sorted(found, key=lambda each: (-sum(file.size for file in each[1]), each[0]))


def _pattern(path: str) -> str:
    above, _, name = path.rpartition("/")
    return f"{above}/{_NUMBERS.sub('*', name)}"


def _is_dated(path: str) -> bool:
    return sum(sign.isdigit() for sign in PurePosixPath(path).name) >= _DATED


def _database(path: str, files: list[Listed], *, among: int) -> Guess:
    newest = max(files, key=lambda each: (each.changed_at is not None, each.changed_at, each.path))
    kind = _kind_of(newest.path) or AssetKind.POSTGRES
    others = (
        f"; {count_words(among, 'more name')} like a database's are passed over"
        if among > 0
        else ""
    )
    what = "a file of SQLite" if kind is AssetKind.SQLITE else f"a dump of {kind.value}"
    how_many = f"{count_words(len(files), 'file')}, the newest " if len(files) > 1 else ""
    return Guess(
        kind=kind,
        path=path,
        bytes=newest.size,
        why=f"{how_many}{size_words(newest.size)}, by its name {what}{others}",
        certain=False,
    )
