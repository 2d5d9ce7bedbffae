"""The text of a dump as mariadb-dump writes it, on its way from a repository into a server.

In the repository every row is a statement of its own, or a changed row would shift all that comes
after it, and nothing would be stored only once. A server takes ten times as long for such text as
for many rows a statement, so rows are joined on the way. Nothing else of the text changes, but for
what says where to load it. Pure: it reads no file and starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BLOCK = 1024 * 1024
"""Bytes to read at once, and so the size of the statements that rows are joined to."""
_LONGEST_HELD = 4 * BLOCK
"""Of a line. A longer one is passed on in pieces: memory stays bounded."""
_TRAILER = re.compile(rb"(?:\A|\n)-- Dump completed(?: on [^\n]*)?\n?\Z")
_DELIMITER = re.compile(rb"^DELIMITER (.*)\n", re.MULTILINE)
_NAME = rb"`(?:[^`\n]|``)++`"
_COLUMNS = rb"(?: \(%b(?:, ?%b)*+\))?" % (_NAME, _NAME)
_ROWS = rb"(INSERT INTO %b%b VALUES \().*\);\n(?:\1.*\);\n)++" % (_NAME, _COLUMNS)
_PLACE = rb"(?:/\*M?!999999\\- .*|CREATE DATABASE .*;|USE %b;)\n" % _NAME
"""What leads somewhere else than to the database we load into, and the line by which a client
refuses commands (an older one refuses the line; `--binary-mode` refuses the commands)."""
_CHANGED = re.compile(rb"^(?:%b|%b)" % (_ROWS, _PLACE), re.MULTILINE)


def is_complete(tail: bytes) -> bool:
    """Whether a dump that ends with `tail` was written to its end: the last line says so."""
    return _TRAILER.search(tail) is not None


def for_loading(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump's text in pieces, rows joined to statements no longer than about a block.

    Only whole lines that begin and end as mariadb-dump writes rows are joined: it escapes every
    newline in a value. The bodies of triggers, routines and events are passed on as they are.
    """
    verbatim = False
    for lines, whole in _in_lines(blocks):
        if not whole:
            yield lines
            continue
        begin = 0
        for section in _DELIMITER.finditer(lines) if b"DELIMITER " in lines else ():
            yield _piece(lines[begin : section.end()], verbatim=verbatim)
            verbatim = section[1] != b";"
            begin = section.end()
        yield _piece(lines[begin:], verbatim=verbatim)


def _in_lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield whole lines, and pieces of lines that are too long to hold."""
    held = b""
    torn = False
    for block in blocks:
        held += block
        if torn and (end := held.find(b"\n") + 1):
            yield held[:end], False
            held, torn = held[end:], False
        if whole := held.rfind(b"\n") + 1:
            yield held[:whole], True
            held = held[whole:]
        if torn or len(held) > _LONGEST_HELD:
            yield held, False
            held, torn = b"", True
    if held:
        yield held, not torn


def _piece(lines: bytes, *, verbatim: bool) -> bytes:
    return lines if verbatim else _CHANGED.sub(_changed, lines)


def _changed(found: re.Match[bytes]) -> bytes:
    start: bytes | None = found[1]
    if start is None:
        return b""
    return start + found[0][len(start) :].replace(b");\n" + start, b"),\n(")
