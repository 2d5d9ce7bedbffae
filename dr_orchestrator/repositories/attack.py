"""Trying to destroy a file of a repository, and putting right what was destroyed.

The same for every kind of place; an `Access` says how one is reached. Nothing is attacked that
is not on our own disk meanwhile, so that it can be put back even by another process, later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from dr_orchestrator.core.immutability import Answer, Attempt, Deed
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.whole_file import write_whole

PROBE = "probe"
"""What the tag `dro` says of a snapshot that was made to be attacked: no point is made of it."""
_SLASH = "~"
"""Stands for a slash in the names of kept files; restic's own names are hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A file of a repository that is attacked."""

    path: str
    """Within the repository: `snapshots/12ab…`."""
    content: bytes = field(repr=False)
    version: str | None = None
    """Of S3, where the bucket has versions."""
    is_missed: bool = True
    """Whether it must be put back: what was made for the attack alone need not be."""


@dataclass(frozen=True)
class Reply:
    """What became of one attempt; `said` is as in `Attempt`."""

    answer: Answer
    said: str = ""


class Access(Protocol):
    """The files of a repository, as whoever holds the backup credential reaches them.

    `delete` and `overwrite` raise nothing: what is not known is an answer too.
    """

    def delete(self, victim: Victim) -> Reply:
        """Try to remove it for good."""
        ...

    def overwrite(self, victim: Victim) -> Reply:
        """Try to put something else in its place."""
        ...

    def read(self, victim: Victim) -> bytes | None:
        """Return what is there now of this version of it; `None` where it certainly is gone.

        Raises:
            StorageUnusable: unknown.
        """
        ...

    def find(self, path: str) -> bytes | None:
        """Return what restic reads there now; `None` where there certainly is nothing.

        Raises:
            StorageUnusable: unknown.
        """
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write a file, whatever is there.

        Raises:
            StorageUnusable: it could not be written.
        """
        ...


class Kept:
    """Files that were attacked, on our own disk until they are certainly in the repository.

    They are as restic stores them: encrypted.
    """

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, one repository's alone, which must outlive this process."""
        self._folder = folder

    def keep(self, victim: Victim) -> None:
        """Write it to disk."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._file(victim.path), victim.content, mode=0o600)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each."""
        if self._folder.is_dir():
            for file in sorted(self._folder.iterdir()):
                if not file.name.startswith("."):  # else it was never written to its end
                    yield file.name.replace(_SLASH, "/"), file.read_bytes()

    def drop(self, path: str) -> None:
        """Forget one: it is where it was."""
        self._file(path).unlink()

    def _file(self, path: str) -> Path:
        return self._folder / path.replace("/", _SLASH)


def attempt(deed: Deed, victim: Victim, access: Access, kept: Kept) -> Attempt:
    """Overwrite or delete something, and put it right where that was not refused.

    What could not be put right stays in `kept`.
    """
    if victim.is_missed:
        kept.keep(victim)
    attack = access.overwrite if deed is Deed.OVERWRITE else access.delete
    reply = _held_against_what_is_there(deed, attack(victim), victim, access)
    with suppress(StorageUnusable):
        put_right(access, kept)
    return Attempt(deed=deed, answer=reply.answer, said=reply.said)


def put_right(access: Access, kept: Kept) -> None:
    """Put back each kept file that is not there as it was.

    Raises:
        StorageUnusable: one could not be put back, or it cannot be known; it stays kept.
    """
    for path, content in kept.files():
        if access.find(path) != content:
            access.put(path, content)
            if access.find(path) != content:
                raise StorageUnusable("what an attempt destroyed could not be put back")
        kept.drop(path)


def withstood(attempts: Iterable[Attempt]) -> bool:
    """Return whether what was made for it could certainly be neither overwritten nor deleted, so
    that something real may be attacked.
    """
    made = {each.answer for each in attempts if each.deed in {Deed.OVERWRITE, Deed.DELETE_MADE}}
    return made == {Answer.REFUSED}


def worst(replies: Iterable[Reply]) -> Reply:
    """Return the reply that says most: done, else unknown, else refused."""
    order = (Answer.DONE, Answer.UNKNOWN, Answer.REFUSED)
    return min(replies, key=lambda each: order.index(each.answer))


def _held_against_what_is_there(deed: Deed, reply: Reply, victim: Victim, access: Access) -> Reply:
    """Return the reply, or what is true instead.

    Something may be put over a file and the file still be there, as in a bucket with versions: that
    is no destruction. One that is gone was destroyed, whatever was answered.
    """
    if reply.answer is Answer.DONE and deed is not Deed.OVERWRITE:
        return reply
    try:
        is_there = access.read(victim) == victim.content
    except StorageUnusable as error:
        return Reply(Answer.UNKNOWN, error.code)
    if not is_there:
        return replace(reply, answer=Answer.DONE)
    return replace(reply, answer=Answer.REFUSED) if reply.answer is Answer.DONE else reply
