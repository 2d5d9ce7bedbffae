"""What the data was at capture, in numbers: the measure every restore is held against.

A baseline holds names of tables, counts, checksums, times; never a value out of a row that could
be text. Names of files are patient data, so they appear only as keyed hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Value = bool | int | float | datetime | None
"""The only kinds of value a check may bring out of a sandbox. `None` is SQL's null."""


class Level(StrEnum):
    """How closely a baseline looked."""

    FULL = "full"
    """Every row, or every byte, is in the checksum."""
    SAMPLED = "sampled"
    """All rows (files) are counted; a stated part is in the checksum."""
    COUNTS = "counts"
    """Counted only."""
    NONE = "none"
    """Not looked at: the budget was used up, or it cannot be compared (unlogged, foreign)."""

    @property
    def depth(self) -> int:
        """0 for `none` to 3 for `full`."""
        return ("none", "counts", "sampled", "full").index(self.value)


@dataclass(frozen=True, kw_only=True)
class TableBaseline:
    """One table at capture."""

    rows: int | None
    """Number of rows; `None` where it was not counted."""
    checksum: str | None = None
    """Order-free checksum, over what `level` says; `None` where there is none."""
    level: Level
    settled: bool = True
    """False where the table changed while it was captured, so that only a range is known."""
    rows_after: int | None = None
    """Number of rows when the capture ended; set only where `settled` is false."""


@dataclass(frozen=True, kw_only=True)
class DatabaseBaseline:
    """One database at capture."""

    level: Level
    """The lowest level of any table: what may be said of the whole."""
    algorithm: str
    """How the checksums were made, with what they depend on: `hashtextextended/15`."""
    tables: Mapping[str, TableBaseline]
    """By qualified name."""
    objects: Mapping[str, int] = field(default_factory=dict)
    """Counts by kind: views, routines, triggers, indexes, constraints …"""
    sequences: Mapping[str, int] = field(default_factory=dict)
    """The last value handed out; a restored sequence may be ahead of it, never behind."""
    queries: Mapping[str, Value] = field(default_factory=dict)
    """By SQL text: the answer at capture to each check that is expected to equal it."""
    newest: datetime | None = None
    """The newest row, as the plan's `newest` query answered."""
    sha256: str | None = None
    """Of the whole database file, where it is one file (SQLite), or of a `command` dump."""
    seconds: float = 0.0
    """What taking this baseline cost."""


@dataclass(frozen=True, kw_only=True)
class FileBaseline:
    """One file at capture."""

    path: str
    """Keyed hash of its path."""
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FilesBaseline:
    """One tree of files at capture.

    `files`, `bytes` and `listing` speak of the settled files only: those that were the same before
    and after they were saved. `unsettled` names the others, as keyed hashes, so that a restore can
    leave them out of the comparison instead of raising a false alarm.
    """

    level: Level
    files: int
    bytes: int
    listing: str
    """Tally over relative path and size of each settled file (and link): order-free, and where two
    differ in little it can be told in what."""
    key: str
    """The key of the keyed hashes, hex. Kept inside the repository only."""
    unsettled: tuple[str, ...] = ()
    """Keyed hashes of the files that changed, and of the folders whose entries changed, between the
    two looks."""
    samples: Mapping[str, str] = field(default_factory=dict)
    """Keyed hash of a path -> SHA-256 of its content, for those that were read."""
    content: str = ""
    """Tally over relative path and SHA-256 of every settled file, where all were read and are too
    many to name all of them in `samples`."""
    dump: FileBaseline | None = None
    """The newest file that somebody else's job wrote, where the plan says which. Since schema 2."""
    seconds: float = 0.0


Baseline = DatabaseBaseline | FilesBaseline
