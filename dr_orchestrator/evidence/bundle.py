"""The export: one ZIP file that an auditor keeps, and checks without us.

In it: `evidence.jsonl` (the lines, chain after chain), `__main__.py` (the verifier: `python3
FILE.zip` runs it), and `READ-ME.txt`. The same lines give the same bytes.
"""

from __future__ import annotations

import errno
import io
import zipfile
import zlib
from contextlib import contextmanager
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from dr_orchestrator.errors import SpaceExhausted, UsageMistake
from dr_orchestrator.evidence.chain import LONGEST_LINE
from dr_orchestrator.whole_file import writing_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINES = "evidence.jsonl"
_BEGINS_A_ZIP = b"PK"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can say."""
_AT_ONCE = 1000
"""Lines that are handed to the compressor together."""
_ALTERED = """\
THIS RECORD WAS FOUND ALTERED, or could not be vouched for, when it was handed out. It was handed
out nevertheless, because somebody asked for it as it is. It proves nothing until it is known what
was altered: what the machine says of that, whoever sent this file can tell.

"""
_ENCRYPTED = 0x1
"""Bit of a member's flags."""


def write_bundle(
    lines: Iterable[str], file: Path, *, practice: str, is_altered: bool = False
) -> None:
    """Write an export to `file`, whole or not at all, readable by this user only. Where the record
    was found altered, its text for people begins with that.

    Raises:
        SpaceExhausted: the disk is full.
        UsageMistake: this user cannot write there.
    """
    text = _beside("READ-ME.txt").replace("PRACTICE", practice, 1)
    text = _ALTERED + text if is_altered else text
    try:
        with writing_whole(file, mode=0o600) as new, zipfile.ZipFile(new, "w") as export:
            export.writestr(_member("__main__.py"), _beside("verify_evidence.py"))
            export.writestr(_member("READ-ME.txt"), text)
            with export.open(_member(LINES), "w", force_zip64=True) as member:
                rest = iter(lines)
                while portion := list(islice(rest, _AT_ONCE)):
                    member.write("".join(f"{line}\n" for line in portion).encode())
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise SpaceExhausted(f"no space left to write {file}") from None
        raise UsageMistake(f"{file} cannot be written: {error.strerror}") from None


def lines_in(file: Path) -> Iterator[bytes]:
    """Yield the lines of an export, or of a bare `evidence.jsonl`, in memory that does not grow.

    What is in them is for `verify` to judge. Of a line that is far too long only the beginning is
    yielded.

    Raises:
        UsageMistake: there is none, or it is a ZIP file that is broken or no export.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(len(_BEGINS_A_ZIP)) != _BEGINS_A_ZIP:
                stream.seek(0)
                yield from _lines(stream)
            else:
                with zipfile.ZipFile(stream) as export, _evidence_in(export, file) as lines:
                    yield from _lines(lines)
    except OSError as error:
        raise UsageMistake(f"{file} cannot be read: {error.strerror or 'damaged'}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise UsageMistake(f"{file} is a damaged ZIP file", hint="ask for it once more") from None


@contextmanager
def _evidence_in(export: zipfile.ZipFile, file: Path) -> Iterator[BinaryIO]:
    hint = "name the file as `dro evidence export` wrote it"
    # Whatever else unpacks it has to get what is verified here.
    members = [each for each in export.infolist() if each.filename.lower().endswith(LINES)]
    if [each.filename for each in members] != [LINES]:
        raise UsageMistake(
            f"{file} is no export of evidence: {LINES} is in it {len(members)} times", hint=hint
        )
    if min(each.header_offset for each in export.infolist()):
        raise UsageMistake(
            f"{file} is no export of evidence: something stands before it", hint=hint
        )
    is_plain = members[0].compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if members[0].flag_bits & _ENCRYPTED or not is_plain:
        raise UsageMistake(
            f"{file} is encrypted, or compressed in a way that exports are not",
            hint=hint,
        )
    with export.open(members[0]) as member, io.BufferedReader(member, 1 << 20) as lines:  # type: ignore[type-var]
        yield lines


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    most = LONGEST_LINE + 2
    while line := stream.readline(most):
        yield line
        while len(line) == most and not line.endswith(b"\n"):
            line = stream.readline(most)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3  # Unix, wherever it is made
    member.external_attr = 0o644 << 16
    return member


def _beside(name: str) -> str:
    return (resources.files("dr_orchestrator.evidence") / "stand_alone" / name).read_text()
