"""Where a kit lies: a folder, or a bucket of S3. In a folder is a whole kit at any time. In a
bucket, hashes and contents come last, so that half of one is told from a whole one; what a new kit
no longer has stays there, so that a login which may remove nothing is enough.

A folder above it is never made: that of a disk or share that is not mounted would take the kit, and
nobody would find it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dr_orchestrator.aws import BucketObjects
from dr_orchestrator.errors import SpaceExhausted, UsageMistake
from dr_orchestrator.runbook.kit.build import CONTENTS, SCRIPT, SUMS
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import BucketPlace
    from dr_orchestrator.runbook.kit.build import Kit

_PROGRAMS = (SCRIPT, "restore.sh")
_RESTIC = "restic/"


def write_kit(kit: Kit, folder: Path) -> None:
    """Put a kit at `folder`, in the place of the one before, which stays whole until then.

    Between the two it is called `NAME.before` for an instant, and may stay so if we are killed.

    Raises:
        SpaceExhausted: the disk is full.
        UsageMistake: this user cannot write there, or what is there is no kit.
    """
    new, before = (folder.with_name(name) for name in (f".{folder.name}.new", _before(folder)))
    try:
        _require_kit_or_nothing(folder)
        _remove(new)
        new.mkdir()
        for name, content in kit.files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            is_program = name in _PROGRAMS or name.startswith(_RESTIC)
            write_whole(path, content, mode=0o755 if is_program else 0o644)
        if folder.exists():
            _remove(before)
            folder.rename(before)
        new.rename(folder)
        _remove(before)
    except OSError as error:
        with contextlib.suppress(OSError):
            _remove(new)
        message = f"the kit {folder} cannot be written: {(error.strerror or 'unknown').lower()}"
        if error.errno == errno.ENOSPC:
            raise SpaceExhausted(message) from None
        hint = f"is {folder.parent} mounted? it is not made here"
        raise UsageMistake(
            message, hint=hint if error.errno == errno.ENOENT else "may this user write there?"
        ) from None


def _before(folder: Path) -> str:
    return f"{folder.name}.before"


def _require_kit_or_nothing(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not (folder / CONTENTS).is_file()):
        raise UsageMistake(
            f"there is something at {folder} that is no kit", hint="name another folder"
        )


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.exists():
        shutil.rmtree(folder)


def put_kit(kit: Kit, bucket: BucketPlace, practice: str) -> None:
    """Put a kit into a bucket, below the practice's id; what says that it is whole comes last.

    Raises:
        StorageUnusable: the bucket did not take it.
    """
    objects = BucketObjects(bucket, practice)
    last = (SUMS, CONTENTS)
    for name in (*(each for each in kit.files if each not in last), *last):
        objects.put(name, kit.files[name], is_text=not name.startswith(_RESTIC))


Hash = Callable[[str], str | None]
"""Returns SHA-256 of a file of a kit by its name, `None` where there is none."""
ReadSmall = Callable[[str], bytes | None]


@dataclass(frozen=True)
class KitFiles:
    """The files of a kit that lies somewhere."""

    where: str
    read: ReadSmall
    """Returns a file, `None` where there is none."""
    sha256: Hash


def in_folder(folder: Path) -> KitFiles:
    """Return the kit in a folder, or in the only one below it that is one."""

    def path(name: str) -> Path | None:
        found = folder / _inside(name)
        return found if found.is_file() else None

    def read(name: str) -> bytes | None:
        found = path(name)
        return found.read_bytes() if found else None

    def sha256(name: str) -> str | None:
        found = path(name)
        if found is None:
            return None
        with found.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return KitFiles(str(folder), read, sha256)


def in_bucket(bucket: BucketPlace, practice: str) -> KitFiles:
    """Return the kit in a bucket. Its files may raise `StorageUnusable`."""
    objects = BucketObjects(bucket, practice)
    return KitFiles(
        objects.where,
        lambda name: objects.get(str(_inside(name))),
        lambda name: objects.sha256(str(_inside(name))),
    )


def _inside(name: str) -> PurePosixPath:
    """Return a name of a list of hashes, which somebody else may have written, as a path.

    Raises:
        ValueError: it leads out of the kit.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(name)
    return path
