"""What there is to protect, at a glance: for whoever writes its first plan.

Sizes and counts are the server's own estimates. Names of tables, columns and databases are no
patient data; nothing that is in a row, and no name of a file, is ever part of an outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class TimeColumn:
    """A column that holds instants, or days with a time of day."""

    name: str
    """As SQL writes it."""
    has_zone: bool
    """Whether its values are instants; else their time zone has to be declared."""
    indexed: bool
    """Whether its newest value is found without reading the table."""


@dataclass(frozen=True, kw_only=True)
class OutlinedTable:
    """A table that holds rows."""

    name: str
    """As the catalog has it, without a schema."""
    label: str
    """As SQL writes it."""
    rows: int
    """About; 0 where nobody knows."""
    times: tuple[TimeColumn, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatabaseOutline:
    """A database."""

    engine: str
    """With its version, as `PostgreSQL 15.18`."""
    bytes: int
    tables: tuple[OutlinedTable, ...]
    remarks: tuple[str, ...] = ()
    """What whoever plans its backup should know, each a clause."""

    @property
    def rows(self) -> int:
        """In all tables, about."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, kw_only=True)
class FolderOutline:
    """A folder of files."""

    files: int
    bytes: int
    newest: datetime | None
    """When a file in it was last changed, of those dated until now."""
    is_whole: bool
    """Whether all of it was looked at: there may not have been time."""
    special: int
    """Devices, sockets and pipes."""
    is_mounted: bool
    """Whether something that may be missing one day is mounted at it, or above it."""
