"""The text of a dump as mariadb-dump writes it, on its way from a repository into a server.

In the repository every row is a statement of its own, or a changed row would shift all that comes
after it, and nothing would be stored only once. A server takes ten times as long for such text as
for many rows a statement, so rows are joined on the way. Nothing else of the text changes, but for
what says where to load it. Pure: it reads no file and starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dr_orchestrator.assets.script_lines import in_lines

_TRAILER = re.compile(rb"(?:\A|\n)-- Dump completed(?: on [^\n]*)?\n?\Z")
_DELIMITER = re.compile(rb"^DELIMITER (.*)\n", re.MULTILINE)
_NAME = rb"`(?:[^`\n]|``)++`"
_COLUMNS = rb"(?: \(%b(?:, ?%b)*+\))?" % (_NAME, _NAME)
_ROWS = rb"(INSERT INTO %b%b VALUES \().*\);\n(?:\1.*\);\n)++" % (_NAME, _COLUMNS)
_REFUSAL = rb"/\*M?!999999\\- .*\n"
"""The line by which a client refuses commands: an older one refuses the line, and `--binary-mode`
refuses the commands."""
_PLACE = rb"(?:CREATE DATABASE .*;|USE %b;)\n" % _NAME
"""What leads somewhere else than to the database we load into."""
_CHANGED = re.compile(rb"^(?:%b|%b|%b)" % (_ROWS, _REFUSAL, _PLACE), re.MULTILINE)
_CHANGED_ANYWHERE = re.compile(rb"^(?:%b|%b)" % (_ROWS, _REFUSAL), re.MULTILINE)


def is_complete(tail: bytes) -> bool:
    """Whether a dump that ends with `tail` was written to its end: the last line says so."""
    return _TRAILER.search(tail) is not None


def for_loading(blocks: Iterable[bytes], *, in_place: bool = False) -> Iterator[bytes]:
    """Yield a dump's text in pieces, rows joined to statements no longer than about a block. With
    `in_place` it goes on leading to the databases that it names itself.

    Only whole lines that begin and end as mariadb-dump writes rows are joined: it escapes every
    newline in a value. The bodies of triggers, routines and events are passed on as they are.
    """
    changed = _CHANGED_ANYWHERE if in_place else _CHANGED
    verbatim = False
    for lines, whole in in_lines(blocks):
        if not whole:
            yield lines
            continue
        begin = 0
        for section in _DELIMITER.finditer(lines) if b"DELIMITER " in lines else ():
            yield _piece(lines[begin : section.end()], changed, verbatim=verbatim)
            verbatim = section[1] != b";"
            begin = section.end()
        yield _piece(lines[begin:], changed, verbatim=verbatim)


def _piece(lines: bytes, changed: re.Pattern[bytes], *, verbatim: bool) -> bytes:
    return lines if verbatim else changed.sub(_changed, lines)


def _changed(found: re.Match[bytes]) -> bytes:
    start: bytes | None = found[1]
    if start is None:
        return b""
    return start + found[0][len(start) :].replace(b");\n" + start, b"),\n(")
