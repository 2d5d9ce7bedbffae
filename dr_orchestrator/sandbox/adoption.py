"""Handing a restored tree to the sandbox's user.

The tree is hostile. What it holds may look like anything: a device, a setuid copy of a shell, a
link to a file of ours. Nothing is changed but what lies in the tree itself: links are not followed,
and what has a name outside the tree as well (a hard link) is taken out, not handed over.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.beneath import Entry, Parts
from dr_orchestrator.process import RunAs
from dr_orchestrator.sandbox.base import Adopted

_PRIVILEGE = stat.S_ISUID | stat.S_ISGID


def adopt(path: Path, identity: RunAs | None) -> Adopted:
    """Hand the folder or file `path` to `identity`, or only make it harmless where that is us.

    Raises:
        OSError: it is not there, or cannot be changed; something is mounted in it (EXDEV).
    """
    adoption = _Adoption(identity)
    above = beneath.open_root(path.parent)
    try:
        name = os.fsencode(path.name)
        top = Entry(name, os.stat(name, dir_fd=above, follow_symlinks=False))
        adoption.take(above, (), top)
        if top.is_folder:
            beneath.change_mode(above, name, stat.S_IRWXU)
            root = beneath.open_folder(above, (name,))
            try:
                adoption.take_all(root)
            finally:
                os.close(root)
        elif adoption.links:
            raise OSError(errno.EMLINK, "it has other names")
    finally:
        os.close(above)
    return Adopted(adoption.entries, adoption.special, adoption.stripped)


@dataclass
class _Links:
    """A file that has several names, and those of them that were met in the tree."""

    expected: int
    names: list[Parts] = field(default_factory=list)


class _Adoption:
    """One tree on its way to another owner, and what was found in it so far."""

    def __init__(self, identity: RunAs | None) -> None:
        self._identity = identity
        self.entries = 0
        self.special = 0
        self.stripped = 0
        self.links: dict[int, _Links] = defaultdict(lambda: _Links(0))

    def take_all(self, root: int) -> None:
        mount = beneath.mount_of(root)
        for folder in beneath.folders(root):
            if beneath.mount_of(folder.descriptor) != mount:
                raise OSError(errno.EXDEV, "something is mounted in the restored tree")
            for entry in tuple(folder.entries()):
                self.take(folder.descriptor, (*folder.parts, entry.name), entry)
                if entry.is_folder:
                    folder.enter(entry.name)
        for links in self.links.values():
            self._take_links(root, links)

    def take(self, folder: int, parts: Parts, entry: Entry) -> None:
        """Hand over one entry of an open folder; a file with several names later, all at once."""
        self.entries += 1
        if not (entry.is_folder or entry.is_file or entry.is_link):
            os.unlink(entry.name, dir_fd=folder)
            self.special += 1
        elif not entry.is_folder and entry.stat.st_nlink > 1:
            links = self.links[entry.stat.st_ino]
            links.expected = entry.stat.st_nlink
            links.names.append(parts)
        else:
            self._hand_over(folder, entry)

    def _take_links(self, root: int, links: _Links) -> None:
        for parts in links.names:
            folder = beneath.open_folder(root, parts[:-1])
            try:
                if len(links.names) < links.expected:  # one of its names is outside the tree
                    os.unlink(parts[-1], dir_fd=folder)
                    self.special += 1
                else:
                    status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                    self._hand_over(folder, Entry(parts[-1], status))
            finally:
                os.close(folder)

    def _hand_over(self, folder: int, entry: Entry) -> None:
        if self._identity is not None:
            os.chown(
                entry.name,
                self._identity.uid,
                self._identity.gid,
                dir_fd=folder,
                follow_symlinks=False,
            )
        mode = stat.S_IMODE(entry.stat.st_mode)
        if entry.is_folder:
            wanted = mode & ~_PRIVILEGE | stat.S_IRWXU
            if wanted != mode:
                beneath.change_mode(folder, entry.name, wanted)
        elif entry.is_file and mode & _PRIVILEGE:
            beneath.change_mode(folder, entry.name, mode & ~_PRIVILEGE)
            self.stripped += 1
