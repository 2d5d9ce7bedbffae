from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.assets.mariadb_dump import for_loading, is_complete
from dr_orchestrator.assets.script_lines import BLOCK

SIGNS = [
    ");",
    "),",
    "(",
    ")",
    ";",
    "'",
    "`",
    "\\n",
    ",\\n(",
    " VALUES (",
    "INSERT INTO `a` VALUES (",
    "é",
]


def loaded(text: bytes, block: int = BLOCK) -> bytes:
    pieces = (text[at : at + block] for at in range(0, len(text), block))
    return b"".join(for_loading(pieces))


def test_rows_of_one_table_become_one_statement() -> None:
    text = b"INSERT INTO `a` VALUES (1,');');\nINSERT INTO `a` VALUES (2,'\\n');\n"
    assert loaded(text) == b"INSERT INTO `a` VALUES (1,');'),\n(2,'\\n');\n"


def test_rows_of_two_tables_stay_apart() -> None:
    text = (
        b"INSERT INTO `a` VALUES (1);\nINSERT INTO `b` VALUES (1);\nINSERT INTO `a` VALUES (2);\n"
    )
    assert loaded(text) == text


def test_rows_with_other_columns_stay_apart() -> None:
    same = b"INSERT INTO `a` (`x`, `y`) VALUES (1,2);\n"
    other = b"INSERT INTO `a` (`y`, `x`) VALUES (1,2);\n"
    joined = b"INSERT INTO `a` (`x`, `y`) VALUES (1,2),\n(1,2);\n"
    assert loaded(same + same + other) == joined + other


def test_bodies_of_routines_are_left_as_they_are() -> None:
    body = b"begin\nINSERT INTO `a` VALUES (1);\nINSERT INTO `a` VALUES (2);\nUSE `x`;\nend\n;;\n"
    text = b"DELIMITER ;;\nCREATE PROCEDURE p()\n" + body + b"DELIMITER ;\nUSE `emr`;\nselect 1;\n"
    for block in (7, BLOCK):
        assert loaded(text, block) == text.replace(b"DELIMITER ;\nUSE `emr`;\n", b"DELIMITER ;\n")


@pytest.mark.parametrize(
    "line",
    [
        b"/*M!999999\\- enable the sandbox mode */ \n",
        b"/*!999999\\- enable the sandbox mode */\n",
        b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `emr` /*!40100 DEFAULT CHARACTER SET utf8 */;\n",
        b"USE `we``ird`;\n",
    ],
)
def test_what_leads_elsewhere_is_left_out(line: bytes) -> None:
    assert loaded(line + b"-- Host: x\n" + line) == b"-- Host: x\n"


def test_a_row_longer_than_is_held_passes_in_pieces() -> None:
    short = b"INSERT INTO `a` VALUES (1);\n"
    long = b"INSERT INTO `a` VALUES ('" + b"x" * (6 * BLOCK) + b"');\n"
    pieces = list(for_loading(iter([short + long[:99], *_blocks(long[99:]), short + short])))
    assert b"".join(pieces) == short + long + b"INSERT INTO `a` VALUES (1),\n(1);\n"
    assert max(map(len, pieces)) < 6 * BLOCK


def test_the_rest_of_a_long_row_is_taken_for_no_row_of_its_own() -> None:
    begin = b"INSERT INTO `a` VALUES ('" + b"x" * (5 * BLOCK)
    rest = b"INSERT INTO `b` VALUES (');\n"
    row = b"INSERT INTO `b` VALUES (1);\n"
    assert b"".join(for_loading(iter([begin, rest + row]))) == begin + rest + row


def test_statements_stay_near_the_size_of_a_block() -> None:
    row = b"INSERT INTO `a` VALUES ('" + b"x" * 1000 + b"');\n"
    text = loaded(row * 5000)
    assert text.count(b"INSERT INTO") == 5
    assert text.count(b"x" * 1000) == 5000


@st.composite
def dumps(draw: st.DrawFn) -> bytes:
    """Lines as mariadb-dump writes them: no newline is left in a value."""
    value = st.lists(
        st.sampled_from(SIGNS)
        | st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=3)
    )
    row = st.builds(
        lambda table, parts: f"INSERT INTO {table} VALUES ('{''.join(parts)}');",
        st.sampled_from(["`a`", "`b`", "`a` (`x`,`y`)", "`we``ird`"]),
        value,
    )
    other = st.sampled_from(["UNLOCK TABLES;", "-- INSERT INTO `a` VALUES (1);", "", ") x (1);"])
    lines = draw(st.lists(row | row | other, max_size=12))
    return b"".join(line.encode() + b"\n" for line in lines)


@settings(max_examples=60)
@given(text=dumps(), block=st.integers(1, 200))
def test_joining_keeps_every_row_in_its_statement(text: bytes, block: int) -> None:
    assert _apart(loaded(text, block)) == text.splitlines(keepends=True)


@given(text=st.binary() | dumps(), block=st.integers(1, 50))
def test_nothing_is_lost_of_any_bytes(text: bytes, block: int) -> None:
    def letters(of: bytes) -> bytes:
        return re.sub(rb"(?m)^INSERT INTO .*? VALUES |[;,\s]", b"", of)

    assert letters(loaded(text, block)) == letters(text)


def test_is_complete_tells_a_dump_that_ends_early() -> None:
    assert is_complete(b"x;\n\n-- Dump completed\n")
    assert is_complete(b"x;\n\n-- Dump completed on 2026-11-21 22:38:09\n")
    assert not is_complete(b"x;\n\n-- Dump completed\nUNLOCK TABLES;\n")
    assert not is_complete(b"INSERT INTO `a` VALUES ('-- Dump completed');\n")
    assert not is_complete(b"")


def _blocks(text: bytes) -> list[bytes]:
    return [text[at : at + BLOCK] for at in range(0, len(text), BLOCK)]


def _apart(text: bytes) -> list[bytes]:
    """Take joined statements apart again, as a server reads them."""
    lines: list[bytes] = []
    start = b""
    for line in text.splitlines(keepends=True):
        if start and line.startswith(b"(") and lines[-1].endswith(b"),\n"):
            lines[-1] = lines[-1][:-2] + b";\n"
            lines.append(start + line)
            continue
        found = re.match(rb"(INSERT INTO (?:`(?:[^`]|``)+`)(?: \([^)]*\))? VALUES )\(", line)
        start = found[1] if found else b""
        lines.append(line)
    return lines
