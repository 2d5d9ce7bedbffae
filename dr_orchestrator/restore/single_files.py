"""Single files of a tree: those that a person named, and nothing else of it.

Names of files are names of patients. They are held against the repository's list, which says before
anything comes back what is not there; and what had to come back beside them, since restic's
arguments must not tell names, is removed. No name gets out of here but to whoever typed it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.core.share import as_listed
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import RepositoryDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dr_orchestrator.core.share import Listed
    from dr_orchestrator.repositories.base import Repository

LIST_TIMEOUT = timedelta(hours=2)


@dataclass
class SingleFiles:
    """The files of one tree that are to come back."""

    root: str
    """Where the tree lies in the snapshot."""
    named: tuple[str, ...]
    """Files, or folders with all in them: relative to the tree, or full as they once were."""
    from_windows: bool = False
    """Whether people part folders by a backslash there."""
    listed: dict[str, Listed] = field(default_factory=dict)
    """What the repository has of these, by its path in the tree."""
    found: set[str] = field(default_factory=set)
    """The names that something is there for."""

    def look(self, repository: Repository, snapshot: str) -> None:
        """Find out what of it a snapshot has.

        Raises:
            RepositoryError: by its class.
        """
        wanted: dict[str, set[str]] = {}
        for name in self.named:
            path = name.replace("\\", "/") if self.from_windows else name
            wanted.setdefault(in_tree(self.root, path), set()).add(name)

        def take(listed: Listed) -> None:
            path = path_in_tree(self.root, listed)
            for above in _folders_of(path, itself=True) if path else ():
                if above in wanted:
                    self.found |= wanted[above]
                    self.listed[path] = listed

        repository.list_files(snapshot, take, timeout=LIST_TIMEOUT)

    @property
    def paths(self) -> tuple[str, ...]:
        """What is to be restored, full, as the repository lists it."""
        return tuple(each.path for each in self.listed.values())

    def keep_only_these(self, tree: Path) -> int:
        """Remove all else from the tree that came back; return how many files stay. That are more
        than are listed where names that are no UTF-8 are listed alike.

        Raises:
            RepositoryDamaged: one of these did not come back, or not all of it.
        """
        if not tree.is_dir():  # it is the one file
            return 1
        stay, whole = 0, set[str]()
        folders = set(_all_folders(self.listed))
        root = beneath.open_root(tree)
        try:
            for folder in beneath.folders(root):
                for entry in list(folder.entries()):
                    parts = (*folder.parts, entry.name)
                    path = as_listed(b"/".join(parts))
                    if entry.is_folder and path in folders:
                        folder.enter(entry.name)
                    elif entry.is_folder:
                        beneath.remove(tree.joinpath(*map(os.fsdecode, parts)))
                    elif (listed := self.listed.get(path)) is None:
                        os.unlink(entry.name, dir_fd=folder.descriptor)
                    else:
                        stay += 1
                        if entry.is_link or entry.stat.st_size == listed.size:
                            whole.add(path)
        finally:
            os.close(root)
        if len(whole) < len(self.listed):
            raise RepositoryDamaged(
                f"{len(self.listed) - len(whole)} of {count_words(len(self.listed), 'file')} did "
                "not come back as the repository lists them",
                hint="try the same point from another repository",
            )
        return stay


def in_tree(root: str, name: str) -> str:
    """Return a path that somebody typed as it is in the tree; a full one as it once was counts."""
    below = name.removeprefix(f"{root.rstrip('/')}/")
    return "/".join(part for part in below.split("/") if part not in {"", "."})


def path_in_tree(root: str, listed: Listed) -> str:
    """Return the path in the tree of what a snapshot has; nothing of what lies beside the tree."""
    if listed.path == root:
        return root.rpartition("/")[2]
    above = f"{root.rstrip('/')}/"
    return listed.path.removeprefix(above) if listed.path.startswith(above) else ""


def _folders_of(path: str, *, itself: bool = False) -> Iterator[str]:
    parts = path.split("/")
    for end in range(1, len(parts) + itself):
        yield "/".join(parts[:end])


def _all_folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from _folders_of(path)
