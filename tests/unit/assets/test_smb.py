"""What is concluded from what rclone, smbclient and two listings say."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.assets.smb_mirror import FirstListing, Mirror, SecondListing
from dr_orchestrator.assets.smb_permissions import Permissions, _commands, _Reader, sddl
from dr_orchestrator.assets.smb_sample import Sample
from dr_orchestrator.assets.smb_share import Cause, Complaints, Item

# --- what rclone complains of ---


def _line(message: str, name: str | None = "Roe/Jane.pdf") -> bytes:
    entry = {"level": "error", "msg": message, **({} if name is None else {"object": name})}
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("couldn't connect SMB: response error: The attempted logon is invalid.", Cause.REFUSED),
        ("The referenced account is currently disabled and may not", Cause.REFUSED),
        ("couldn't initialize SMB: {Network Name Not Found} The specified", Cause.NO_SHARE),
        (
            "couldn't connect SMB: dial tcp: lookup nas on 10.0.0.1:53: no such host",
            Cause.NAME_UNKNOWN,
        ),
        ("couldn't connect SMB: dial tcp 10.0.0.5:445: i/o timeout", Cause.UNREACHABLE),
        ("read: connection error: EOF", Cause.UNREACHABLE),
        ("error listing: directory not found", Cause.NO_FOLDER),
        ("Failed to copy: write /m/x: no space left on device", Cause.FULL),
        ("A file cannot be opened because the share access flags are incompatible.", Cause.LOCKED),
        ("A requested read cannot be granted due to a conflicting file lock.", Cause.LOCKED),
        ("failed to open: open Roe\\Jane.pdf: permission denied", Cause.DENIED),
        ("corrupted on transfer: sizes differ 3 vs 4", Cause.OTHER),
    ],
)
def test_complaints_tell_the_cause(message: str, cause: Cause) -> None:
    complaints = Complaints()

    complaints.take(_line(message))

    assert complaints.worst is cause
    assert complaints.locked == ({(b"Roe", b"Jane.pdf")} if cause is Cause.LOCKED else set())


def test_complaints_take_no_name_of_a_file_for_a_cause() -> None:
    name = "Roe/no space left on device.pdf"
    spelled = name.replace("/", "\\")
    complaints = Complaints()

    complaints.take(_line(f"Failed to copy: open {spelled}: permission denied", name))
    complaints.take(_line(f"Attempt 1/2 failed with 1 errors and: open {spelled}: denied", None))
    complaints.take(f"2026/11/21 Failed to copy: open {spelled}: permission denied\n".encode())

    assert complaints.causes == {Cause.DENIED: 1}


def test_complaint_that_is_no_json_counts_when_it_is_the_only_one() -> None:
    complaints = Complaints()

    complaints.take(b'2026/11/21 Failed to create file system for "share:": no such host\n')

    assert complaints.worst is Cause.NAME_UNKNOWN


# --- two listings and a mirror ---


def _item(path: str, size: int = 1, modified_ms: int = 1_000, *, is_folder: bool = False) -> Item:
    return Item(tuple(os.fsencode(path).split(b"/")), size, modified_ms, is_folder)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    for name in ("a/same", "a/older", "a/shorter", "a/locked", "gone"):
        (tmp_path / name).write_text("1")
        os.utime(tmp_path / name, ns=(0, 1_000_900_000))
    os.utime(tmp_path / "a/older", ns=(0, 0))
    (tmp_path / "a/shorter").write_text("")
    os.utime(tmp_path / "a/locked", ns=(0, 0))
    return tmp_path


@pytest.fixture
def root(mirror: Path) -> Iterator[int]:
    descriptor = os.open(mirror, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_second_listing_tells_whatis_copied_changed_locked_and_missing(root: int) -> None:
    first = FirstListing("a/same")
    same = [_item(f"a/{name}") for name in ("same", "older", "shorter", "missing")]
    same.append(_item("a/" + "n" * 256))  # Windows counts characters, and not bytes
    locked = [_item("a/locked"), _item("b/Jane.PST")]
    for item in (*same, *locked, _item("a/grown"), _item("a/vanished"), _item("a", is_folder=True)):
        first.take(item)
    second = SecondListing(first, root, frozenset(item.parts for item in locked))

    for item in (*same, *locked, _item("a/grown", size=2), _item("a/new")):
        second.take(item)

    assert first.has_marker
    assert (first.files, second.files) == (9, 9)
    assert second.uncopied == 4
    assert second.held_open == {".pst": 1, "no ending": 1}
    assert second.changed == {(b"a", b"grown"), (b"a", b"new")}
    assert second.vanished == 2


def test_mirror_keeps_what_was_listed_and_nothing_else(mirror: Path) -> None:
    (mirror / "a/link").symlink_to("same")
    (mirror / "was a folder/deep").mkdir(parents=True)
    (mirror / "was a folder/deep/f").touch()
    listing = FirstListing(None)
    for item in (
        _item("a", is_folder=True),
        _item("a/same"),
        _item("was a folder"),
        _item("gone", is_folder=True),
    ):
        listing.take(item)

    Mirror(mirror).prune(listing)

    left = {str(path.relative_to(mirror)) for path in mirror.rglob("*")}
    assert left == {"a", "a/same"}


def test_mirror_is_of_nobody_once_emptying_it_began(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "files")
    mirror.files.mkdir()
    mirror.start_over("share 1")
    assert mirror.is_of("share 1")
    assert not mirror.is_of("share 2")
    mirror.files.rmdir()  # so that it fails

    with pytest.raises(FileNotFoundError):
        mirror.start_over("share 1")

    assert not mirror.is_of("share 1")


def test_sample_is_another_each_time_and_bounded() -> None:
    drawn = set()
    for _ in range(2):
        sample = Sample()
        for number in range(500):
            sample.offer(_item(f"{number}.pdf"))
        drawn.add(frozenset(item for _, item in sample._drawn))
    assert len(drawn) == 2
    assert [len(each) for each in drawn] == [30, 30]

    sample = Sample()
    for item in (
        *(_item("huge.zip", size=1 << 40), _item("empty", size=0), _item("open.PST")),
        *(_item("a\nb"), _item("folder", is_folder=True), _item("y2500", modified_ms=1 << 44)),
    ):
        sample.offer(item)
    assert sample._drawn == []


def test_endings_of_names_tell_no_more_than_a_kind(root: int) -> None:
    first = FirstListing(None)
    item = _item("Dr.Roe, Jane born 1970")
    first.take(item)
    second = SecondListing(first, root, frozenset({item.parts}))

    second.take(item)

    assert second.held_open == {"no ending": 1}


# --- permissions ---

_DESCRIBED = """MODE:D
revision: 1
type: 0x{control:04x}: SEC_DESC_DACL_PRESENT SEC_DESC_SELF_RELATIVE
DACL
\tACL\tNum ACEs:\t{number}\trevision:\t2
\t---
{entries}
\tOwner SID:\tS-1-5-32-544
\tGroup SID:\tS-1-5-18
"""
_ENTRY = """\tACE
\t\ttype: {kind} flags: 0x{flags:02x} SEC_ACE_FLAG_OBJECT_INHERIT
\t\tSpecific bits: 0x1ff
\t\tPermissions: 0x{rights:x}: SYNCHRONIZE_ACCESS WRITE_OWNER_ACCESS
\t\tSID: {sid}
"""


def _described(*entries: tuple[str, int, int, str], control: int = 0x8404) -> str:
    text = "\n".join(
        _ENTRY.format(kind=kind, flags=flags, rights=rights, sid=sid)
        for kind, flags, rights, sid in entries
    )
    return _DESCRIBED.format(control=control, number=len(entries), entries=text)


def test_sddl_says_what_smbclient_described() -> None:
    described = _described(
        ("ACCESS DENIED (1)", 0x00, 0x10000, "S-1-5-32-546"),
        ("ACCESS ALLOWED (0)", 0x1B, 0x1F01FF, "S-1-5-21-1-2-3-1001"),
        control=0x9504,
    )

    assert sddl(described) == (
        "D:PARAI(D;;0x10000;;;S-1-5-32-546)(A;OICIIOID;0x1f01ff;;;S-1-5-21-1-2-3-1001)"
    )


def test_sddl_is_none_where_part_of_the_list_is_not_understood() -> None:
    fine = ("ACCESS ALLOWED (0)", 0, 1, "S-1-1-0")

    assert sddl(_described(fine)) == "D:AI(A;;0x1;;;S-1-1-0)"
    assert sddl(_described(fine, ("ACCESS ALLOWED OBJECT (5)", 0, 1, "S-1-1-0"))) is None
    assert sddl("MODE:N\nSIZE:3\n") is None


def test_reader_gives_each_list_to_the_folder_that_the_server_says_it_is_in() -> None:
    listed = _described(("ACCESS ALLOWED (0)", 0, 1, "S-1-1-0"))
    reader = _Reader(len("\\\\nas\\docs\\in") + 1)
    printed = (
        "Current directory is \\\\nas\\docs\\in\\\n"
        f"FILENAME:FILENAME:odd\n{listed}\n"
        "FILENAME:denied\nMODE:N\n\t\t100 blocks of size 1024. 5 blocks available\n"
        "cd \\in\\gone\\: NT_STATUS_OBJECT_NAME_NOT_FOUND\n"
        f"Current directory is \\\\nas\\docs\\in\\ü\\\nFILENAME:f\n{listed}\n"
    )

    for line in printed.encode().splitlines(keepends=True):
        reader.take(line)
    content = gzip.decompress(reader.close()).decode("utf-16-le")

    assert content == (
        "FILENAME:odd\r\nD:AI(A;;0x1;;;S-1-1-0)\r\nü\\f\r\nD:AI(A;;0x1;;;S-1-1-0)\r\n"
    )
    assert (reader.folders, reader.saved, reader.unreadable) == (2, 2, 1)


def test_commands_go_to_every_folder() -> None:
    for inside, paths in (("", ("\\", "\\a\\b")), ("x/y", ("\\x\\y", "\\x\\y\\a\\b"))):
        lines = _commands(inside, ((), (b"a", b"b"))).decode().splitlines()
        asked = [line for line in lines if line.startswith("cd")]
        assert asked == [f'cd "{path.rstrip(chr(92))}\\"' for path in paths]


def test_commands_have_none_that_a_name_on_a_hostile_server_slipped_in() -> None:
    lines = _commands("x", ((b"a\n!touch /tmp/x #",), (b"b", b"c\r!id"), (b"d",))).splitlines()

    assert lines == [b"showacls", b'cd "\\x\\d\\"', b"pwd", b"ls"]


_ONE_ONLY = "Windows permissions of only 1 file or folder are in the backup"


@pytest.mark.parametrize(
    ("permissions", "condition"),
    [
        (Permissions(saved=3), None),
        (Permissions(), "Windows permissions are not in the backup"),
        (
            Permissions(stopped="there are too many"),
            "Windows permissions are not in the backup: there are too many",
        ),
        (
            Permissions(saved=1, unreadable=2, stopped="there are too many"),
            f"{_ONE_ONLY}: there are too many",
        ),
        (
            Permissions(saved=1, unreadable=9),
            f"{_ONE_ONLY}: those of 9 more could not be read",
        ),
    ],
)
def test_permissions_say_what_is_missing(permissions: Permissions, condition: str | None) -> None:
    assert permissions.conditions == (() if condition is None else (condition,))
