"""What of one tree a restore test of a share brings back, and what the repository lists of it all.

Fed with the repository's list of a snapshot as it comes. What does not come back is added up from
the list, so that afterwards number and sizes of all files can be held against the baseline, as far
as a list can prove them; only what came back proves content. Always brought back: links, and files
whose names are no UTF-8, since the list says neither where a link leads nor such a name.

Names are patient data: they are kept to be restored and to be looked up, and never get out of here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from dr_orchestrator.assets.files_look import Keyed, Listing
from dr_orchestrator.beneath import Parts
from dr_orchestrator.core.baseline import FilesBaseline
from dr_orchestrator.core.share import UNREADABLE, Listed, Share, as_listed
from dr_orchestrator.core.wording import count_words

_BLOCK_BYTES = 4096
"""What a file takes on disk beside its content, at most, on the usual file systems."""


class FilesShare:
    """The share of one tree that comes back, and the list of all of it."""

    def __init__(
        self,
        share: Share,
        path: str,
        baseline: FilesBaseline,
        *,
        whole_folders: Iterable[str] = (),
        keep_names: bool = False,
    ) -> None:
        """Take which share of the tree that was saved from `path`; also the folders in it that come
        back with all that lies in them, and whether somebody will look names up.

        Raises:
            ValueError: the baseline cannot be read.
        """
        self.share = share
        self.others = Listing(bytes.fromhex(baseline.key))
        """What does not come back and was the same all the while it was saved."""
        self.in_changed_folders: set[int] = set()
        """Elements of `others` in folders whose entries changed meanwhile."""
        self.listed = 0
        """Files and links in the list."""
        self.files = 0
        """Files in the list."""
        self.chosen_files = 0
        self.chosen_bytes = 0
        self._chosen: list[str] = []
        self._above = f"{path.rstrip('/')}/"
        self._whole = tuple(f"{folder.strip('/')}/" for folder in whole_folders)
        self._keyed = Keyed(bytes.fromhex(baseline.key))
        self._changed = frozenset(baseline.unsettled)
        self._dump = baseline.dump.path if baseline.dump else ""
        self._names: dict[bytes, int] | None = {} if keep_names else None
        self._smallest: Listed | None = None
        self._instead = ""

    # --- while the list comes ---

    def take(self, listed: Listed) -> None:
        """Take a line of the list."""
        if not listed.path.startswith(self._above):
            return
        self.listed += 1
        path = listed.path.removeprefix(self._above)
        if listed.is_link:
            self._chosen.append(listed.path)
            return
        self.files += 1
        if self._is_chosen(path):
            self._choose(listed)
        elif self._smallest is None:
            self._smallest = listed
        else:
            smaller, larger = sorted((listed, self._smallest), key=lambda each: each.size)
            self._smallest = smaller
            self._leave_out(larger)

    def finish(self) -> None:
        """Take note that the list is complete.

        Where nothing is in the share the smallest file comes back: without any, no folder would.
        """
        if self._smallest is None:
            return
        if self._chosen:
            self._leave_out(self._smallest)
        else:
            self._instead = self._smallest.path.removeprefix(self._above)
            self._choose(self._smallest)

    def _choose(self, listed: Listed) -> None:
        self._chosen.append(listed.path)
        self.chosen_files += 1
        self.chosen_bytes += listed.size

    def _leave_out(self, listed: Listed) -> None:
        name = listed.path.removeprefix(self._above).encode()
        if self._names is not None:
            self._names[name] = listed.size
        parts = tuple(name.split(b"/"))
        if self._keyed.path(parts).hex() in self._changed:
            return
        element = self.others.add_file(parts, listed.size)
        if self._keyed.folder(parts[:-1]).hex() in self._changed:
            self.in_changed_folders.add(element)

    def _is_chosen(self, path: str) -> bool:
        if UNREADABLE in path or path.startswith(self._whole):
            return True
        name = path.encode()
        return self.share.holds(name) or (
            bool(self._dump) and self._keyed.path(tuple(name.split(b"/"))).hex() == self._dump
        )

    # --- once it is complete ---

    @property
    def paths(self) -> tuple[str, ...]:
        """What is to be restored, full, as the repository listed it; nothing where the tree is
        empty.
        """
        return tuple(sorted(self._chosen))

    @property
    def sandbox_bytes(self) -> int:
        """An estimate of what that takes on disk."""
        return self.chosen_bytes + len(self._chosen) * _BLOCK_BYTES

    def brings_back(self, parts: Parts) -> bool:
        """Whether a file was to come back. Others may, whose names look alike in the list."""
        path = as_listed(b"/".join(parts))
        return path == self._instead or self._is_chosen(path)

    def size_of(self, parts: Parts, *, ignore_case: bool) -> int | None:
        """Return how large a file is that does not come back, in bytes; `None` where the list has
        no such file.
        """
        if self._names is None:
            raise RuntimeError("the names were not kept")
        path = b"/".join(parts)
        if path in self._names or not ignore_case:
            return self._names.get(path)
        return self._by_folded_name.get(_folded(path))

    def holds_folder(self, parts: Parts) -> bool:
        """Whether a file that does not come back lies in a folder."""
        start = b"".join(part + b"/" for part in parts)
        return any(name.startswith(start) for name in self._names or ())

    @cached_property
    def _by_folded_name(self) -> dict[str, int | None]:
        """Size by name without regard to case; `None` where several names differ in that only."""
        found: dict[str, int | None] = {}
        for name, size in (self._names or {}).items():
            found[_folded(name)] = None if _folded(name) in found else size
        return found

    def words(self) -> str:
        """Return what of the files came back, for a person."""
        return (
            f"{self.chosen_files:,} of {count_words(self.files, 'file')} restored, the others only "
            f"listed: {self.share}"
        )


def _folded(name: bytes) -> str:
    return name.decode(errors="surrogateescape").casefold()
