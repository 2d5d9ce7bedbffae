"""What a dump is, told by its first bytes and by nothing else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dr_orchestrator.assets import mariadb_dump_restoration, postgres_dump_restoration
from dr_orchestrator.assets.foreign_dump import (
    Format,
    Packing,
    archive_header,
    look_at,
    require_whole_tar,
)
from dr_orchestrator.errors import (
    CouldNotVerify,
    DroError,
    LoadFailed,
    SpaceExhausted,
    TargetRefused,
)
from tests.support.dumps import MARIADB, POSTGRES

REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def number(value: int) -> bytes:
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def text(value: str) -> bytes:
    return number(len(value)) + value.encode()


def archive(version: tuple[int, int] = (1, 14), kind: int = 1) -> bytes:
    """Return the head of an archive as pg_dump writes it."""
    compression = b"\1" if version >= (1, 15) else number(-1)
    texts = b"".join(map(text, ("emr", "15.4 (Debian 15.4-1)", "16.1")))
    date = number(0) * 7
    head = b"PGDMP" + bytes([*version, 0, 4, 8, kind]) + compression + date + texts
    return head + b"\0\1\2\xff" * 400


def tar(name: str, content: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as made:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        made.addfile(member, io.BytesIO(content))
    return whole.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "emr.sql"  # whatever it is: names are not trusted


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (POSTGRES.encode(), Format.SQL),
        (MARIADB.encode("latin-1"), Format.SQL),
        ("-- Müller".encode("latin-1") + b"\r\nselect 1;", Format.SQL),
        (archive(), Format.CUSTOM),
        (tar("toc.dat", archive(kind=3)), Format.TAR),
    ],
)
@pytest.mark.parametrize(
    ("pack", "packing"),
    [
        (bytes, Packing.NONE),
        (gzip.compress, Packing.GZIP),
        (bz2.compress, Packing.BZIP2),
        (lzma.compress, Packing.XZ),
    ],
)
def test_look_at_tells_format_and_packing_by_the_content(
    path: Path, content: bytes, expected: Format, pack: type[bytes], packing: Packing
) -> None:
    path.write_bytes(pack(content))
    found = look_at(path)
    assert (found.format, found.packing) == (expected, packing)
    assert b"".join(found.blocks()) == content


def test_script_with_a_hole_is_damaged_though_psql_would_load_the_rest(path: Path) -> None:
    rows = b"".join(b"%d\tZebedee Canaryson\n" % number for number in range(10_000))
    hole = rows[:160_000] + b"\0" * 4096 + rows[164_096:]
    path.write_bytes(gzip.compress(POSTGRES.encode().replace(b"1\tZebedee Canaryson\n", hole)))
    with pytest.raises(LoadFailed, match="zero bytes"):
        list(look_at(path).blocks())


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", LoadFailed, "empty"),
        (b" \r\n", LoadFailed, "empty"),
        (gzip.compress(b"", mtime=0), LoadFailed, "empty"),
        (b"pg_dump: error: connection to server failed", LoadFailed, "message of pg_dump"),
        (b"\nmysqldump: Got error: 1045: Access denied", LoadFailed, "message of mysqldump"),
        (b"mysqldump: [Warning] Using a password\n-- MySQL dump", LoadFailed, "mysqldump"),
        (rb"C:\Program Files\MariaDB\bin\mariadb-dump.exe: x", LoadFailed, "mariadb-dump"),
        (b"/bin/sh: 1: pg_dump: not found", LoadFailed, "message of sh"),
        (gzip.compress(b"pg_dump: error: x", mtime=0), LoadFailed, "message of pg_dump"),
        ("-- PostgreSQL".encode("utf-16"), LoadFailed, "UTF-16"),
        (b"\0" * 5000, LoadFailed, "no dump"),
        (bytes(range(256)) * 20, LoadFailed, "no dump"),
        (gzip.compress(gzip.compress(b"select 1;" * 99, mtime=0), mtime=0), LoadFailed, "no dump"),
        (b"\x28\xb5\x2f\xfd\0\0", CouldNotVerify, "zstd"),
        (b"PK\x03\x04emr.sql", CouldNotVerify, "zip"),
        (b"-----BEGIN PGP MESSAGE-----\n", CouldNotVerify, "GnuPG"),
        (b"\x85\x02\x0c\x03" + bytes(range(200)), CouldNotVerify, "GnuPG"),
        (b"age-encryption.org/v1\n", CouldNotVerify, "age"),
        (tar("base.sql", b"select 1;"), CouldNotVerify, "none that pg_dump made"),
    ],
)
def test_look_at_says_what_is_no_dump_and_what_is_only_not_read_here(
    path: Path, content: bytes, kind: type[DroError], words: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(kind, match=words):
        look_at(path)


def test_look_at_follows_no_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(POSTGRES.encode())
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LoadFailed, match="holds no dump"):
        look_at(path)


def test_a_mark_of_the_byte_order_is_no_part_of_the_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + POSTGRES.encode())
    assert b"".join(look_at(path).blocks()) == POSTGRES.encode()


@REUSED
@given(st.binary(max_size=300), st.sampled_from([bytes, gzip.compress, archive]))
def test_look_at_names_a_reason_for_whatever_it_is_given(
    path: Path, content: bytes, pack: type[bytes]
) -> None:
    path.write_bytes(pack(content) if pack is not archive else archive()[:20] + content)
    try:
        found = look_at(path)
    except (LoadFailed, CouldNotVerify):
        return
    archive_header(found.head)


@REUSED
@given(st.data(), st.sampled_from([gzip.compress, bz2.compress, lzma.compress]))
def test_packed_dump_cut_off_anywhere_is_never_read_as_whole(
    path: Path, data: st.DataObject, pack: type[bytes]
) -> None:
    packed = pack(POSTGRES.encode() * 3)
    cut = data.draw(st.integers(7, len(packed) - 1))
    path.write_bytes(packed[:cut])
    with pytest.raises(LoadFailed, match=r"cut off|damaged"):
        list(look_at(path).blocks())


def test_several_gzip_members_are_one_dump_and_what_follows_them_is_damage(path: Path) -> None:
    half = len(POSTGRES) // 2
    halves = (POSTGRES[:half].encode(), POSTGRES[half:].encode())
    whole = b"".join(gzip.compress(each, mtime=0) for each in halves)
    path.write_bytes(whole)
    assert b"".join(look_at(path).blocks()) == POSTGRES.encode()
    path.write_bytes(whole + b"garbage")
    with pytest.raises(LoadFailed, match="damaged"):
        list(look_at(path).blocks())


def test_a_bomb_is_unpacked_no_further_than_there_is_room(path: Path) -> None:
    path.write_bytes(gzip.compress(b"-- x\n" * 10_000_000, compresslevel=1, mtime=0))
    read: list[int] = []
    with pytest.raises(SpaceExhausted, match="larger unpacked"):
        read.extend(len(block) for block in look_at(path).blocks(at_most=3_000_000))
    assert sum(read) <= 3_000_000


@pytest.mark.parametrize("version", [(1, 13), (1, 14), (1, 15), (1, 16)])
def test_archive_header_tells_database_and_versions(version: tuple[int, int]) -> None:
    for head in (archive(version), tar("toc.dat", archive(version, kind=3))):
        header = archive_header(head)
        assert header is not None
        assert (header.database, header.server, header.tool) == (
            "emr",
            "15.4 (Debian 15.4-1)",
            "16.1",
        )


@given(st.binary(max_size=200))
def test_archive_header_is_none_or_text_whatever_follows_the_mark(rest: bytes) -> None:
    header = archive_header(b"PGDMP" + rest)
    assert header is None or "\0" not in header.database


@REUSED
@given(st.data(), st.binary(max_size=1500))
def test_tar_cut_off_anywhere_is_not_whole(data: st.DataObject, content: bytes) -> None:
    whole = tar("toc.dat", content)
    require_whole_tar(io.BytesIO(whole))
    end = 512 + -(-len(content) // 512) * 512
    cut = data.draw(st.integers(0, end + 511))
    with pytest.raises(LoadFailed, match="cut off"):
        require_whole_tar(io.BytesIO(whole[:cut]))


def test_tar_with_a_size_that_is_no_number_is_damaged() -> None:
    whole = bytearray(tar("toc.dat", b"x"))
    whole[124:136] = b"9" * 12
    with pytest.raises(LoadFailed, match="damaged"):
        require_whole_tar(io.BytesIO(whole))


@pytest.mark.parametrize("restore", [postgres_dump_restoration, mariadb_dump_restoration])
def test_a_dump_is_never_loaded_into_a_server_that_people_work_with(restore: Any) -> None:
    request = SimpleNamespace(live=object(), lab=None)
    with pytest.raises(TargetRefused, match="people work with"):
        restore.restore_dump(request, programs=None, clock=None).__enter__()
