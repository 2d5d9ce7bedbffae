"""The text of a dump in whole lines, a block at a time: memory stays bounded whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK = 1024 * 1024
"""Bytes to read at once."""
_LONGEST_HELD = 4 * BLOCK
"""Of a line. A longer one is passed on in pieces."""


def in_lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield whole lines (`True`), and pieces of lines that are too long to hold (`False`)."""
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
