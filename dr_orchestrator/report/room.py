"""How much of everything the manager's page shows, so that it prints on one sheet.

Nothing is ever cut: where a list does not fit, the page says how many more there are. It is told by
an estimate of lines, not by drawing, so that the same page comes out wherever it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from dr_orchestrator.report.model import PrintSize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.report.model import Note, Page, SystemVerdict


ALL = 1000


@dataclass(frozen=True, kw_only=True)
class Room:
    """The most of each list."""

    tests: int
    checks: int
    """Of each system; those that did not pass come first, and all of them where there is room."""
    notes: int = ALL
    """Of what was not covered."""
    changes: int = ALL
    actions: int = ALL
    shortfalls: int = ALL
    """Of each system."""
    title: int = ALL
    """Signs of a system's title; of a longer one its middle is left out."""
    details: bool = True
    """Whether what was kept is named, not counted, and the newest entry is told."""
    is_small: bool = False
    """Whether it is printed smaller."""


_CROWDED = Room(
    tests=3, checks=0, notes=5, changes=4, actions=2, shortfalls=4, details=False, is_small=True
)
ROOMS = (
    Room(tests=12, checks=8),
    Room(tests=12, checks=3),
    Room(tests=8, checks=3),
    Room(tests=8, checks=3, is_small=True),
    Room(tests=6, checks=2, is_small=True),
    Room(tests=6, checks=1, notes=8, changes=6, actions=4, shortfalls=8, is_small=True),
    Room(tests=5, checks=1, notes=8, changes=6, actions=4, shortfalls=8, is_small=True),
    Room(tests=4, checks=1, notes=6, changes=5, actions=3, shortfalls=6, is_small=True),
    Room(tests=3, checks=1, notes=6, changes=5, actions=3, shortfalls=6, is_small=True),
    _CROWDED,
    replace(_CROWDED, tests=1, notes=4, changes=3, actions=1, shortfalls=2),
    replace(_CROWDED, tests=0, notes=2, changes=2, actions=1, shortfalls=1),
    replace(_CROWDED, tests=0, notes=2, changes=2, actions=1, shortfalls=1, title=48),
    replace(_CROWDED, tests=0, notes=1, changes=1, actions=1, shortfalls=1, title=32),
)
"""From all to the least; the first that fits is taken."""

_WIDE, _COLUMN, _NARROW = 128, 65, 86
"""Signs in a line of the normal print: across the sheet, in one of its columns, beside the lines
for a signature. In DejaVu Sans, the widest font that is likely, they are 7 % less."""
_LINES = {PrintSize.LARGE: 56, PrintSize.NORMAL: 71, PrintSize.SMALL: 85}
"""Lines of the normal print that fit on US Letter, the shorter of both sheets, in each size, less
what a wide font takes."""
_HEADING = 2.0
_CODE = "-" * 42
"""As long as what is said of the check code."""


def fits(page: Page, size: PrintSize) -> bool:
    """Return whether a page prints on one sheet, A4 or US Letter, in a size."""
    return _lines(page) <= _LINES[size]


def _lines(page: Page) -> float:
    sign = page.signature
    code = f"{sign.statement} {_CODE}" if sign.code else sign.statement
    signed = (code, " ".join(sign.also), *sign.how, sign.last)
    parts = (
        1.5 + _count(page.notice, _WIDE * 0.85) if page.notice else 0,
        3 if len(page.systems) == 1 else 5,
        sum(map(_system, page.systems)),
        _changed(page) if page.changed else 0,
        0.5 * (_left(page) + _right(page)) + 1,
        _HEADING + (1 + len(page.trend) if page.trend else 0) + bool(page.more_tests),
        _HEADING + sum(_count(f"1. {need.text} {need.by}", _WIDE) for need in page.needs),
        _count(page.next_page, _WIDE) + 0.5,
        _HEADING + max(5.5, sum(_count(each, _NARROW) for each in signed)),
        1.5 + 0.85 * _count("".join(f"{n.label}: {n.text}   " for n in page.footer), _WIDE * 1.2),
    )
    return sum(parts)


def _system(system: SystemVerdict) -> float:
    lines = (
        1.3 * _count(system.sentence, _WIDE * 0.88),
        _count(" ".join(system.more), _WIDE),
        *(_count(line, _WIDE) for line in (*system.recovery, *system.protection)),
        *(
            _count(f"– {each.objective}: {each.verdict_words} – {each.text}", _WIDE)
            for each in system.shortfalls
        ),
        bool(system.more_shortfalls),
        _count(", ".join((*system.kept, *system.in_order)), _WIDE * 0.9),
    )
    return 1.3 + sum(lines)


def _left(page: Page) -> float:
    losses = (f"{each.title} ({each.verdict_words}) – {each.text}" for each in page.losses)
    compared = (
        _count(f"{part.title} – {part.text}", _COLUMN)
        + sum(_count(f"    {check.title}: {check.text}", _COLUMN) for check in part.checks)
        + bool(part.more)
        for part in page.compared
    )
    return 3 * _HEADING + sum((*map(_note, losses), *compared, _notes(page.rehearsals, _COLUMN)))


def _right(page: Page) -> float:
    gaps = _notes(page.not_covered, _COLUMN) + bool(page.more_not_covered)
    to_do = _notes(page.actions, _COLUMN) + bool(page.more_actions)
    return 3 * _HEADING + gaps + _notes(page.keys, _COLUMN) + max(to_do, 1)


def _changed(page: Page) -> float:
    return _HEADING + 2.7 + _notes(page.changed, _WIDE) + bool(page.more_changed)


def _notes(notes: Iterable[Note], width: float) -> float:
    return sum(_note(f"{note.label} – {note.text}", width) for note in notes)


def _note(text: str, width: float = _COLUMN) -> float:
    return _count(text, width) + 0.15


def _count(text: str, width: float) -> int:
    return ceil(_length(text) / width)


def _length(text: str) -> int:
    """Return how many signs wide a text is: those of East Asia take the room of two."""
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for sign in text if east_asian_width(sign) in {"W", "F"})
