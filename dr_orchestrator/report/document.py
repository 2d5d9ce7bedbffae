"""What stands in a report, already in words and in the practice's own time zone.

One document for every form: HTML, PDF and JSON arrange it and add nothing. The manager's page has a
form of its own (`model.py`); all others are documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dr_orchestrator.core.finding import Verdict


class Tone(StrEnum):
    """How something is marked; never by colour alone, its words say it too."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    """Not proven, not due yet, to be done."""
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One field of a table."""

    text: str
    tone: Tone = Tone.PLAIN
    detail: str = ""
    """Smaller, below."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of a column."""

    title: str
    is_number: bool = False
    share: int = 1
    """How wide it is beside the others."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells; the first cell of a row is its head."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    """What is said where there is no row."""


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Some sentences."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something with a name."""

    label: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A list of things with names."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Lines to be typed, in order."""

    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing. Whoever cannot see it reads `alt`, and the same numbers in `data`."""

    title: str
    alt: str
    """One or two sentences: what there is to see."""
    svg: str = field(repr=False)
    """Without script, address or font of its own; colours by the classes of `document.css`."""
    data: Table


Block = Paragraph | Facts | Table | Commands | Picture


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part under a heading."""

    id: str
    """Of the anchor; unique in the document."""
    title: str
    blocks: tuple[Block, ...]
    new_page: bool = False
    """Begins a sheet of its own on paper."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report."""

    reader: str
    """`auditor`, `insurer`, `engineer`, `fleet`."""
    practice: str
    """Its id; empty where it is about many."""
    name: str
    title: str
    made: str
    verdict: Verdict | None
    verdict_words: str
    summary: str
    """One to three sentences: the answer."""
    sections: tuple[Section, ...]
    footer: tuple[Fact, ...]
    head: str
    """What of the evidence's head stands on it; empty where there is none."""
    notice: str = ""
    """What comes before all else: that the record was altered; empty where it was not."""
