from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.evidence import bundle
from dr_orchestrator.evidence.bundle import LINES, lines_in, write_bundle
from dr_orchestrator.evidence.chain import LONGEST_LINE, verify
from tests.support.chains import STAND_ALONE, WrittenChain, stand_alone

CHAIN = WrittenChain("site").closed_runs(3).checkpoint()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    file = tmp_path / "evidence.zip"
    write_bundle(CHAIN.texts, file, practice="riverside")
    return file


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, inside in files.items():
            archive.writestr(name, inside)
    return content.getvalue()


def test_export_holds_the_lines_a_verifier_and_a_text(export: Path) -> None:
    with zipfile.ZipFile(export) as archive:
        assert archive.namelist() == ["__main__.py", "READ-ME.txt", LINES]
        assert archive.read("__main__.py") == STAND_ALONE.read_bytes()
        assert b'practice "riverside"' in archive.read("READ-ME.txt")
        assert archive.read(LINES).decode().splitlines() == CHAIN.texts
        assert archive.testzip() is None
    assert stat.S_IMODE(export.stat().st_mode) == 0o600
    assert verify(lines_in(export), fingerprints=[CHAIN.fingerprint], expect=[CHAIN.head]).is_sound


def test_export_of_the_same_lines_is_the_same_bytes(export: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    write_bundle(iter(CHAIN.texts), again, practice="riverside")
    assert again.read_bytes() == export.read_bytes()


def test_export_that_fails_leaves_what_was_there(export: Path) -> None:
    def failing() -> Iterator[str]:
        yield CHAIN.texts[0]
        raise KeyError("the store")

    before = export.read_bytes()
    with pytest.raises(KeyError):
        write_bundle(failing(), export, practice="riverside")
    assert (export.read_bytes(), [*export.parent.iterdir()]) == (before, [export])


def test_export_to_no_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="cannot be written: No such file"):
        write_bundle([], tmp_path / "none" / "e.zip", practice="riverside")


def test_bare_lines_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / LINES
    file.write_text("\n".join(CHAIN.texts))
    assert verify(lines_in(file)).is_sound


def test_far_too_long_line_is_one_fault(tmp_path: Path) -> None:
    file = tmp_path / LINES
    rest = "".join(f"{line}\n" for line in CHAIN.texts)
    file.write_text("x" * (2 * LONGEST_LINE) + "\n" + rest)
    lines = [*lines_in(file)]
    assert (len(lines), max(map(len, lines))) == (6, LONGEST_LINE + 2)
    assert len(verify(lines).faults) == 1


def encrypted() -> bytes:
    """Return an archive whose one member says that it is encrypted."""
    content = bytearray(zipped(**{LINES: b"x"}))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        struct.pack_into("<H", content, content.index(mark) + place, 1)
    return bytes(content)


def compressed_otherwise() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(LINES, b"x" * 100)
    return content.getvalue()


def twice() -> bytes:
    """Return an archive with two members of one name: one was made with another, and renamed."""
    return zipped(**{LINES: b"one", "evidence.jsonX": b"other"}).replace(b"jsonX", b"jsonl")


def damaged() -> bytes:
    content = bytearray(zipped(**{LINES: b"x" * 100}))
    content[content.index(b"xxxx")] = 0
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: zipped(other=b"x"), "no export of evidence: evidence.jsonl is in it 0 times"),
        (twice, "no export of evidence: evidence.jsonl is in it 2 times"),
        (
            lambda: zipped(**{LINES: b"x", f"./{LINES}": b"y"}),
            "no export of evidence: evidence.jsonl is in it 2 times",
        ),
        (
            lambda: zipped(**{LINES: b"x", LINES.upper(): b"y"}),
            "no export of evidence: evidence.jsonl is in it 2 times",
        ),
        (
            lambda: zipped(**{LINES: b"x"}) + zipped(**{LINES: b"y"}),
            "no export of evidence: something stands before it",
        ),
        (encrypted, "is encrypted, or compressed in a way that exports are not"),
        (compressed_otherwise, "is encrypted, or compressed in a way that exports are not"),
        (damaged, "is a damaged ZIP file"),
        (lambda: zipped(**{LINES: b"x"})[:-9], "is a damaged ZIP file"),
        (lambda: b"PK", "is a damaged ZIP file"),
    ],
)
def test_archive_that_is_no_export_is_a_mistake(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    file = tmp_path / "hostile.zip"
    file.write_bytes(content())
    with pytest.raises(UsageMistake, match=message):
        list(lines_in(file))
    with pytest.raises((zipfile.BadZipFile, zlib.error, RuntimeError)):
        list(stand_alone().lines_of(str(file)))


def test_lines_before_an_archive_are_read_and_not_what_is_in_it(tmp_path: Path) -> None:
    """Whoever opens it with an editor reads the lines; tools for archives find the other ones."""
    file = tmp_path / "both"
    file.write_bytes(b"x\n" + zipped(**{LINES: b"y"}))
    assert next(lines_in(file)) == b"x\n"
    assert next(stand_alone().lines_of(str(file))) == b"x\n"


def test_no_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="cannot be read: No such file"):
        list(lines_in(tmp_path / "none.zip"))


def test_only_the_lines_are_read_out_of_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "hostile.zip"
    file.write_bytes(zipped(**{"../../evil": b"x", LINES: b"one\ntwo"}))
    assert list(lines_in(file)) == [b"one\n", b"two"]
    assert [*tmp_path.iterdir()] == [file]


def test_lines_may_be_more_than_are_compressed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "evidence.zip"
    count = bundle._AT_ONCE * 2 + 1
    write_bundle(map(str, range(count)), file, practice="riverside")
    assert list(lines_in(file)) == [f"{each}\n".encode() for each in range(count)]
