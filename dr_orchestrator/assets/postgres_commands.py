r"""Commands for psql in what it is fed: a dump has none, and any could make a load pass that failed
(`\set ON_ERROR_STOP off`).

psql's own restricted mode refuses them, where it has one. This reads as psql does, whatever its
version: a backslash that is neither in quotes, nor in a comment, nor in a row of `COPY`, is one.
Where the two might read differently it refuses.

Pure: it reads pieces, and starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dr_orchestrator.errors import LoadFailed

HOLDS_COMMANDS = (
    "the dump holds commands for psql, as none of pg_dump's does: it is not only a dump"
)
WHO_WRITES = "who can write to the place where it lay?"

_LONGEST_HELD = 4 * 1024 * 1024
"""Of a line. A longer one is read in pieces."""
_PLAIN = re.compile(
    rb"(?:[A-DF-Za-df-z_\x80-\xff][\w$\x80-\xff]*+|[Ee](?!')[\w$\x80-\xff]*+"
    rb"|[^A-Za-z_\x80-\xff'\"$\\/;()-]|-(?!-)|/(?!\*))++"
)
"""Names, numbers, signs: all that begins nothing."""
_BEGINS = re.compile(rb"[Ee]'|--|/\*|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*+)?\$|.", re.DOTALL)
_ENDS = {
    b"'": re.compile(rb"'"),
    b'"': re.compile(rb'"'),
    b"--": re.compile(rb"[\r\n]"),
    b"rows": re.compile(rb"^\\\.\r?(?:\n|\Z)", re.MULTILINE),
}
"""What begins -> what ends it. A quote that is written twice ends a text and begins another."""
_ESCAPED = re.compile(rb"\\.|(')", re.DOTALL)
_COMMENTS = re.compile(rb"/\*|\*/")
_COPY = re.compile(rb"\s*COPY\s", re.IGNORECASE)
_FROM_STDIN = re.compile(rb"\sFROM\s+stdin\s*\Z", re.IGNORECASE)
_LINE_END = re.compile(rb"[ \t]*\r?(?:\n|\Z)")
_OFF = re.compile(rb"\s*SET\s+standard_conforming_strings\s*=\s*off\s*", re.IGNORECASE)


def without_commands(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces as they are.

    Raises:
        LoadFailed: there is a command for psql in them.
    """
    reading = _Reading()
    for piece in pieces:
        reading.take(piece)
        yield piece
    reading.end()


class _Reading:
    """How far the pieces were read, and what of it is open."""

    def __init__(self) -> None:
        self._held = b""
        self._inside = b""
        """What has begun and has no end yet: as `_BEGINS` finds it, or `rows`."""
        self._comments = 0
        """How many begin in the one that is open."""
        self._brackets = 0
        self._is_new = True
        """Whether nothing of a statement was read yet."""
        self._copies = False
        self._last = b""
        """The plain text just before."""
        self._all_escape = False
        """Whether a backslash means something in all quotes, as it did before PostgreSQL 9.1."""

    def take(self, piece: bytes) -> None:
        """Read on, to the end of the last line that is whole."""
        self._held += piece
        end = self._held.rfind(b"\n") + 1
        if not end and len(self._held) > _LONGEST_HELD:
            end = len(self._held)
        if end:
            text, self._held = self._held[:end], self._held[end:]
            self._read(text)

    def end(self) -> None:
        """Read what is left."""
        self._read(self._held)

    def _read(self, text: bytes) -> None:
        at = 0
        while at < len(text):
            at = self._leave(text, at) if self._inside else self._go_on(text, at)

    def _leave(self, text: bytes, at: int) -> int:
        """Return where what is open ends."""
        if self._inside == b"/*":
            for found in _COMMENTS.finditer(text, at):
                self._comments += 1 if found[0] == b"/*" else -1
                if not self._comments:
                    self._inside = b""
                    return found.end()
            return len(text)
        if self._inside in {b"E'", b"e'"}:
            end = next((each.end() for each in _ESCAPED.finditer(text, at) if each[1]), 0)
        elif self._inside.startswith(b"$"):
            found_at = text.find(self._inside, at)
            end = found_at + len(self._inside) if found_at >= 0 else 0
        else:
            found_end = _ENDS[self._inside].search(text, at)
            end = found_end.end() if found_end else 0
        if not end:
            return len(text)
        if self._inside in {b"E'", b"e'"} and text[end : end + 1] == b"'":
            return end + 1  # a quote in the text
        self._inside = b""
        return end

    def _go_on(self, text: bytes, at: int) -> int:
        """Return where the next of a statement ends."""
        if plain := _PLAIN.match(text, at):
            self._last = plain[0]
            if self._is_new and plain[0].strip():
                self._is_new, self._copies = False, _COPY.match(plain[0]) is not None
            return plain.end()
        found = _BEGINS.match(text, at)
        assert found is not None  # noqa: S101 - the last choice fits any byte
        sign = found[0]
        if sign == b"\\":
            raise LoadFailed(HOLDS_COMMANDS, hint=WHO_WRITES)
        if sign == b";":
            return self._end_statement(text, found.end())
        if sign in {b"--", b"/*"}:
            self._inside, self._comments = sign, 1
            return found.end()
        self._is_new, self._last = False, b""
        if sign == b"(":
            self._brackets += 1
        elif sign == b")":
            self._brackets = max(self._brackets - 1, 0)
        elif sign != b"$":
            self._inside = b"E'" if sign == b"'" and self._all_escape else sign
        return found.end()

    def _end_statement(self, text: bytes, at: int) -> int:
        """Return where the next statement begins, or the rows that follow this one."""
        if self._brackets:
            return at
        if _OFF.fullmatch(self._last):
            self._all_escape = True
        copies = self._copies and _FROM_STDIN.search(self._last)
        self._is_new, self._copies, self._last = True, False, b""
        if copies and (end := _LINE_END.match(text, at)):
            self._inside = b"rows"
            return end.end()
        return at
