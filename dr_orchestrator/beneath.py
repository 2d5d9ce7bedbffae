"""Looking at and changing what lies beneath a folder, without ever leaving it.

Restored trees are hostile: a name in them may be a symbolic link out, a device, or nested deeper
than a path can be long. So nothing here takes a path below the folder: each component is opened by
its own name from the descriptor of the one above, and links are never followed. Only one descriptor
is open at a time, however deep the tree.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Parts = tuple[bytes, ...]
"""A relative path, component by component; `()` is the folder itself."""

IMPOSSIBLE_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP})
"""What the system says of a name that nothing beneath any folder can have."""

_OCTAL = re.compile(rb"\\([0-7]{3})")
"""How the kernel writes a space, and what else would break its lines, in mountinfo."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe that somebody put in a file's place must not wait for a writer.
_CONTENT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Entry(NamedTuple):
    """A name in a folder, and what it stands for; a link stands for itself."""

    name: bytes
    stat: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.stat.st_mode)


class Folder:
    """A folder that is open while it is being visited."""

    def __init__(self, parts: Parts, descriptor: int, pending: list[Parts]) -> None:
        self.parts = parts
        self.descriptor = descriptor
        self._pending = pending

    def entries(self) -> Iterator[Entry]:
        """Yield what is in it. A name that vanishes meanwhile is left out."""
        with os.scandir(self.descriptor) as found:
            for item in found:
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Entry(os.fsencode(item.name), status)

    def enter(self, name: bytes) -> None:
        """Have the folder `name` in it visited later."""
        self._pending.append((*self.parts, name))


def open_root(path: Path) -> int:
    """Open a folder and return its descriptor, for the caller to close.

    Raises:
        OSError: it is not there, is no folder, or is a link.
    """
    return os.open(path, _FOLDER)


def folders(root: int, *, may_vanish: bool = False) -> Iterator[Folder]:
    """Visit the folder `root`, and every folder that the visitor asks to enter.

    With `may_vanish` a folder that is gone (or no folder any more) when its turn comes is skipped.
    """
    pending: list[Parts] = [()]
    while pending:
        parts = pending.pop()
        try:
            descriptor = open_folder(root, parts)
        except (FileNotFoundError, NotADirectoryError):
            if may_vanish:
                continue
            raise
        try:
            yield Folder(parts, descriptor, pending)
        finally:
            os.close(descriptor)


def open_folder(root: int, parts: Parts) -> int:
    """Open a folder beneath `root` and return its descriptor, for the caller to close.

    Raises:
        OSError: there is none; a link to one counts as none (NotADirectoryError).
    """
    descriptor = os.open(b".", _FOLDER, dir_fd=root)
    for part in parts:
        try:
            below = os.open(_plain(part), _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def open_file(root: int, parts: Parts) -> int:
    """Open a regular file beneath `root` for reading and return its descriptor.

    Raises:
        OSError: there is none. A link, a folder, a device or a pipe counts as none
            (FileNotFoundError).
    """
    if not parts:
        raise FileNotFoundError
    folder = open_folder(root, parts[:-1])
    try:
        descriptor = open_in(folder, parts[-1])
    finally:
        os.close(folder)
    return descriptor


def status(root: int, parts: Parts) -> os.stat_result:
    """Return what stands beneath `root` under that path; a link stands for itself.

    Raises:
        OSError: nothing does (FileNotFoundError, NotADirectoryError).
    """
    if not parts:
        return os.fstat(root)
    folder = open_folder(root, parts[:-1])
    try:
        return os.stat(_plain(parts[-1]), dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(folder)


def open_in(folder: int, name: bytes) -> int:
    """Open the regular file `name` of an open folder; see `open_file`."""
    found = os.stat(_plain(name), dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):  # do not even open a device: a tape would rewind
        raise FileNotFoundError
    descriptor = os.open(name, _CONTENT, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError
    return descriptor


def change_mode(folder: int, name: bytes, mode: int) -> None:
    """Set the mode of the file or folder `name` of an open folder; never of what a link names."""
    handle = os.open(_plain(name), _HANDLE, dir_fd=folder)
    try:
        if not stat.S_ISLNK(os.fstat(handle).st_mode):
            # fchmod refuses such a handle, and fchmodat cannot be told not to follow.
            os.chmod(f"/proc/self/fd/{handle}", mode)  # noqa: PTH101 - no path is resolved
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove the folder `path` and everything in it, whatever its modes and however deep.

    Nothing that links name is touched. Does nothing where there is no such folder.

    Raises:
        OSError: something could not be removed; something is mounted in it (EBUSY), and then
            nothing was.
    """
    if mounted_in(path):
        raise OSError(errno.EBUSY, "something is mounted in it")
    try:
        above = os.open(path.parent, _FOLDER & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    name = os.fsencode(path.name)
    try:
        change_mode(above, name, stat.S_IRWXU)
        root = os.open(name, _FOLDER, dir_fd=above)
        try:
            _empty(root)
        finally:
            os.close(root)
        os.rmdir(name, dir_fd=above)
    except FileNotFoundError:
        return
    finally:
        os.close(above)


def mounted_in(path: Path) -> bool:
    """Whether anything is mounted at or beneath `path`."""
    place = os.path.realpath(os.fsencode(path))
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        point = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4])
        if point == place or point.startswith(place + b"/"):
            return True
    return False


def mount_of(descriptor: int) -> int:
    """Return the kernel's number of the mount that an open file or folder lies in."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.partition(":")[2])
    raise OSError(errno.ENOSYS, "the kernel does not tell mounts apart")


def _empty(root: int) -> None:
    """Empty an open folder. Folders in folders are moved up first, so that no depth matters."""
    mount = mount_of(root)
    while names := _names(root):
        for name in names:
            if not _unlink(root, name):
                _lift_folders(root, name, mount)
                os.rmdir(name, dir_fd=root)


def _lift_folders(root: int, name: bytes, mount: int) -> None:
    """Unlink the files of the folder `name` in `root`, and move the folders in it up to `root`."""
    change_mode(root, name, stat.S_IRWXU)
    folder = os.open(name, _FOLDER, dir_fd=root)
    try:
        if mount_of(folder) != mount:
            raise OSError(errno.EXDEV, "something is mounted in it")
        for inner in _names(folder):
            if not _unlink(folder, inner):
                change_mode(folder, inner, stat.S_IRWXU)  # moving a folder writes its `..`
                lifted = b".lifted-" + os.urandom(12).hex().encode()
                os.rename(inner, lifted, src_dir_fd=folder, dst_dir_fd=root)
    finally:
        os.close(folder)


def _names(folder: int) -> list[bytes]:
    with os.scandir(folder) as found:
        return [os.fsencode(item.name) for item in found]


def _unlink(folder: int, name: bytes) -> bool:
    """Remove anything but a folder; return whether it is gone."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    except FileNotFoundError:
        return True
    return True


def _plain(name: bytes) -> bytes:
    """Return `name` if it is the name of something in a folder, and of nothing else."""
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
        raise FileNotFoundError
    return name
