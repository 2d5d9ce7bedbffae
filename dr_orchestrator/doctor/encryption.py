"""Whether a folder lies on an encrypted disk, as far as the kernel tells.

It knows what this machine encrypts. What a virtual machine's host, or the disk itself, encrypts it
cannot know: then nobody does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.doctor.complaint import Complaint, Kind
from dr_orchestrator.doctor.instruments import nearest_existing

if TYPE_CHECKING:
    from dr_orchestrator.settings import Settings

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_ENCRYPTED = frozenset({"ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"})
_VIRTUAL = ("vd", "xvd", "nbd", "loop", "ubd")
"""Disks that are somebody else's file or service."""
_CRYPT = "CRYPT-"
"""What device mapper's id of an encrypted volume begins with (cryptsetup's `dm.h`)."""


def look_at_encryption(settings: Settings) -> Iterator[Complaint]:
    """Complain of folders for patient data that lie on a disk which is not encrypted."""
    found: dict[bool | None, list[Path]] = {}
    for folder in (settings.state, settings.sandbox_directory):
        found.setdefault(is_encrypted(nearest_existing(folder)), []).append(folder)
    if clear := found.get(False):
        what = f"{_named(clear)} on a disk that is not encrypted"
        do = "put it on an encrypted one (LUKS), and name that in the machine's settings"
        yield Complaint(kind=Kind.IN_THE_CLEAR, what=what, do=do)
    if unknown := found.get(None):
        what = f"{_named(unknown)} on a disk of which nobody here can see whether it is encrypted"
        do = "see to it that the host, or the disk itself, encrypts it"
        yield Complaint(kind=Kind.ENCRYPTION_UNKNOWN, what=what, do=do)


def is_encrypted(folder: Path, *, root: Path = Path("/")) -> bool | None:
    """Return whether what is written to `folder` is encrypted on disk; `None` where nobody knows.

    `root` is where /proc and /sys are.
    """
    mount = _mount_of(folder, (root / "proc/self/mountinfo").read_text())
    if mount is None:
        return None
    device, kind, source = mount
    if kind in _IN_MEMORY or kind in _ENCRYPTED:
        return True
    if device.startswith("0:"):  # of no single disk: btrfs names one, overlay and NFS none
        block = root / "sys/class/block" / Path(source).name
    else:
        block = root / "sys/dev/block" / device
    return _is_crypt(block.resolve()) if block.exists() else None


def _named(folders: list[Path]) -> str:
    return f"{' and '.join(map(str, folders))} {'is' if len(folders) == 1 else 'are'}"


def _mount_of(folder: Path, mountinfo: str) -> tuple[str, str, str] | None:
    """Return device number, kind and source of what is mounted where `folder` is.

    proc(5): number, parent, major:minor, root, mount point, options …, `-`, kind, source.
    """
    found = None
    longest = -1
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words, after = fields.split(" "), rest.split(" ")
        point = Path(words[4].replace("\\040", " "))
        depth = len(point.parts)
        if folder.resolve().is_relative_to(point) and depth >= longest:
            longest = depth
            found = words[2], after[0], after[1]
    return found


def _is_crypt(block: Path) -> bool | None:
    uuid = block / "dm/uuid"
    if uuid.exists() and uuid.read_text().startswith(_CRYPT):
        return True
    below = [each.resolve() for each in (block / "slaves").glob("*")]
    if below:
        answers = [_is_crypt(each) for each in below]
        return None if None in answers else all(answers)
    return None if block.name.startswith(_VIRTUAL) else False
