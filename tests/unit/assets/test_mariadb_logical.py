from __future__ import annotations

import pytest

from dr_orchestrator.assets.mariadb_logical import _cause, check_dump
from dr_orchestrator.assets.mariadb_physical import check_stream
from dr_orchestrator.errors import CaptureFailed

HEAD = b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
DUMP = HEAD + b"INSERT INTO `t` VALUES (1);\n/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;\n\n"
END = b"-- Dump completed\n"


def chunk(kind: bytes, path: bytes = b"./emr/t.ibd", payload: bytes = b"") -> bytes:
    head = b"XBSTCK01\x00" + kind + len(path).to_bytes(4, "little") + path
    return head + payload


def test_check_dump_takes_a_whole_one() -> None:
    for dump in (DUMP + END, b"/*M!999999\\- enable the sandbox mode */ \n" + DUMP + END):
        check_dump(dump[:4096], dump[-4096:], len(dump))


@pytest.mark.parametrize(
    "dump",
    [
        b"",
        DUMP,  # cut at the end of a statement: it loads without an error
        DUMP + b"-- Dump comp",
        DUMP + b"INSERT INTO `t` VALUES ('-- Dump completed');\n",
        END,
        b"mariadb-dump: Got error: 1045\n" + DUMP + END,
    ],
)
def test_check_dump_refuses_what_is_not_whole(dump: bytes) -> None:
    with pytest.raises(CaptureFailed):
        check_dump(dump[:4096], dump[-4096:], len(dump))


def test_check_stream_takes_one_that_ends_with_the_end_of_a_file() -> None:
    stream = chunk(b"P", payload=b"pages") + chunk(b"E")
    check_stream(stream[:4096], stream[-4096:])


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"not a stream" + chunk(b"E"),
        chunk(b"P", payload=b"pages"),
        chunk(b"P", payload=b"pages") + chunk(b"E")[:-1],
        chunk(b"E") + b"more",
    ],
)
def test_check_stream_refuses_one_that_was_cut(stream: bytes) -> None:
    with pytest.raises(CaptureFailed):
        check_stream(stream[:4096], stream[-4096:])


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "mariadb-dump: Error 1194: Table 'patient' is marked as crashed when dumping table",
            ": the table is damaged (1194)",
        ),
        ("mariadb-dump: Got error: 1045: \"Access denied for user 'x'\"", ": access denied (1045)"),
        (
            "mariadb-dump: Couldn't execute 'show create': Table definition has changed (1412)",
            ": the table is missing, or changed its definition (1412)",
        ),
        ("mariadb-dump: backup has insufficent privileges to SHOW", ": a right is missing"),
        (
            "mariadb-dump: Got errno 28 on write: No space left on device",
            ": no space left on device",
        ),
        ("INSERT INTO patient VALUES ('Zebedee Canaryson')", ""),
    ],
)
def test_cause_classifies_and_passes_nothing_on(stderr: str, words: str) -> None:
    assert _cause(stderr)[0] == words
