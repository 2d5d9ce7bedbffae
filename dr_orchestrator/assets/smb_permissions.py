"""Windows permissions of what is on a share, saved beside the files.

restic on Linux saves none of them. smbclient (Samba 4.17) shows the access control list of every
name in a folder within one session; a program a file would take 25 ms each. They are kept in the
form that `icacls … /save` writes and `icacls … /restore` reads: the path, then the list in SDDL,
each ended by CR LF, in UTF-16LE. As with icacls, neither owners nor audit lists are in it.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dr_orchestrator.assets.smb_share import Share
from dr_orchestrator.beneath import Parts
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import ProgramMissing, ProgramTimedOut
from dr_orchestrator.process import Command

PERMISSIONS = "permissions.icacls.gz"
"""Name of the sidecar."""
_MOST_BYTES = 60 * 1024 * 1024
"""A sidecar may have 64 MiB."""

_LINE_END = re.compile(rb"[\x00-\x1f]")
_FOLDER, _FILE = b"Current directory is ", b"FILENAME:"
_LIST = re.compile(r"^type: 0x([0-9a-fA-F]+):", re.MULTILINE)
_NUMBER = re.compile(r"^\tACL\tNum ACEs:\t(\d+)\t", re.MULTILINE)
_ENTRY = re.compile(
    r"^\t\ttype: .*\(([01])\) flags: 0x([0-9a-fA-F]+).*\n"
    r"\t\tSpecific bits: .*\n"
    r"\t\tPermissions: 0x([0-9a-fA-F]+):.*\n"
    r"\t\tSID: (S-[0-9-]+)$",
    re.MULTILINE,
)
"""An entry that allows (0) or denies (1); others are of Active Directory's own objects."""
_LIST_FLAGS = ((0x1000, "P"), (0x0100, "AR"), (0x0400, "AI"))
_ENTRY_FLAGS = ((0x01, "OI"), (0x02, "CI"), (0x04, "NP"), (0x08, "IO"), (0x10, "ID"))


@dataclass(frozen=True)
class Permissions:
    """What could be saved of the permissions."""

    content: bytes = b""
    """The sidecar."""
    saved: int = 0
    """Files and folders."""
    unreadable: int = 0
    """Files and folders that were seen, and whose permissions were not."""
    stopped: str = ""
    """Why the rest was not asked for."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """What a reader must know of them."""
        unreadable = f"those of {self.unreadable:,} more could not be read"
        reason = self.stopped or (unreadable if self.unreadable else "")
        if not self.saved:
            return (": ".join(filter(None, ("Windows permissions are not in the backup", reason))),)
        if not reason:
            return ()
        names = count_words(self.saved, "file or folder", "files and folders")
        return (f"Windows permissions of only {names} are in the backup: {reason}",)


class _NoRoom(Exception):
    """The sidecar is full."""


def read_permissions(share: Share, folders: Sequence[Parts], budget: timedelta) -> Permissions:
    """Read the permissions of everything in these folders of the share, itself not included.

    Takes no longer than `budget`. What cannot be read is no failure: the files are worth saving
    without.
    """
    asset = share.asset
    host, name = asset.host, asset.share
    reader = _Reader(len(f"\\\\{host}\\{name}\\{share.inside}".rstrip("\\")) + 1)
    command = Command(
        argv=(
            *("smbclient", f"//{host}/{name}", f"--port={asset.port}"),
            f"--user={asset.domain}\\{asset.user}",
            # The machine's own smb.conf may ask for any protocol and any character set.
            "--configfile=/dev/null",
        ),
        timeout=budget,
        # An authentication file would cost a password its leading spaces.
        env={"PASSWD_FILE": str(share.password_file)},
    )
    commands = _commands(share.inside, folders)
    stopped = ""
    try:
        share.launcher.run(command, stdin=commands, on_line=reader.take)
    except ProgramMissing:
        stopped = "smbclient is not on this machine"
    except ProgramTimedOut:
        stopped = "reading them took too long"
    except _NoRoom:
        stopped = "there are too many"
    content = reader.close()
    if not stopped and reader.folders < len(folders):
        stopped = "the file server did not show the others"
    return Permissions(content, reader.saved, reader.unreadable, stopped)


def _commands(inside: str, folders: Sequence[Parts]) -> bytes:
    """Return what smbclient is to do.

    It says where it is before each list: a folder that cannot be entered is not taken for another.
    A name with a line end in it, which only a hostile server has, is left out: smbclient would take
    what follows for a command, and `!` runs one on this machine.
    """
    lines = [b"showacls"]
    for parts in folders:
        if _LINE_END.search(b"\\".join(parts)):
            continue
        path = b"\\".join((b"", *inside.encode().split(b"/"), *parts)).replace(b"\\\\", b"\\")
        lines += [b'cd "%s\\"' % path.removesuffix(b"\\"), b"pwd", b"ls"]
    return b"\n".join((*lines, b""))


class _Reader:
    """Makes the sidecar of what smbclient prints."""

    def __init__(self, above: int) -> None:
        """Take how many characters of each folder's name lead to the topmost one."""
        self._above = above
        self._buffer = io.BytesIO()
        # Without a time in it: the same permissions are the same bytes.
        self._packed = gzip.GzipFile(fileobj=self._buffer, mode="wb", mtime=0)
        self._folder = ""
        self._name = ""
        self._lines: list[str] = []
        self.folders = 0
        self.saved = 0
        self.unreadable = 0

    def take(self, line: bytes) -> None:
        """Take a line of its output."""
        if line.startswith((_FOLDER, _FILE)):
            self._end_name()
        text = line.decode(errors="replace").rstrip("\n")
        if line.startswith(_FOLDER):
            self._folder = text[len(_FOLDER) :][self._above :]
            self.folders += 1
        elif line.startswith(_FILE):
            self._name = text[len(_FILE) :]
        elif self._name:
            self._lines.append(text)

    def close(self) -> bytes:
        """Return the sidecar."""
        self._end_name()
        self._packed.close()
        return self._buffer.getvalue()

    def _end_name(self) -> None:
        name, self._name = self._name, ""
        described = "\n".join(self._lines)
        self._lines.clear()
        if not name:
            return
        listed = sddl(described)
        if listed is None:
            self.unreadable += 1
            return
        if self._buffer.tell() > _MOST_BYTES:
            raise _NoRoom
        self._packed.write(f"{self._folder}{name}\r\n{listed}\r\n".encode("utf-16-le"))
        self.saved += 1


def sddl(described: str) -> str | None:
    """Return the access control list that smbclient described, in SDDL (MS-DTYP 2.5.1).

    `None` where there is none, or one that has other entries than those that allow and deny.
    """
    kind, number = _LIST.search(described), _NUMBER.search(described)
    entries = _ENTRY.findall(described)
    if kind is None or number is None or int(number[1]) != len(entries):
        return None
    listed = (
        f"({'AD'[int(denies)]};{_flags(_ENTRY_FLAGS, bits)};0x{int(rights, 16):x};;;{sid})"
        for denies, bits, rights, sid in entries
    )
    return f"D:{_flags(_LIST_FLAGS, kind[1])}{''.join(listed)}"


def _flags(names: tuple[tuple[int, str], ...], bits: str) -> str:
    return "".join(name for bit, name in names if int(bits, 16) & bit)
