"""A recovery point, and the manifest that makes it one.

The manifest is the longest-lived format of this project: `docs/reference/manifest.md` describes it
with an example of each version, and readers accept all older versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dr_orchestrator.core.baseline import DatabaseBaseline, FilesBaseline

MANIFEST_SCHEMA = 2


class AssetKind(StrEnum):
    """What can be protected."""

    POSTGRES = "postgres"
    MARIADB = "mariadb"
    SQLITE = "sqlite"
    COMMAND = "command"
    FILES = "files"
    SMB = "smb"

    @property
    def is_database(self) -> bool:
        """Whether it is captured before the files that its rows refer to."""
        return self not in {AssetKind.FILES, AssetKind.SMB}


class Method(StrEnum):
    """How an asset is captured."""

    LOGICAL = "logical"
    PHYSICAL = "physical"
    COPY = "copy"
    """SQLite's online backup."""
    TREE = "tree"
    STREAM = "stream"
    """What a program of the practice's own prints."""
    DUMP = "dump"
    """What somebody else's job wrote: plain SQL or an archive, told apart when it comes back."""


@dataclass(frozen=True, kw_only=True)
class AssetState:
    """One asset as a recovery point holds it, in one repository."""

    kind: AssetKind
    method: Method
    scope: str
    """What of the server it holds: `database`, `cluster`, `tree` or `file`."""
    snapshot: str
    """restic's full id, 64 hex digits, in the manifest's own repository."""
    path: str
    """Where it lies inside the snapshot, absolute."""
    bytes: int
    """Of the data itself, before restic's compression and deduplication."""
    captured_at: datetime
    """The instant its content is of."""
    data_as_of: datetime | None = None
    """How old the data was then, where another tool made it. Since schema 2."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Program -> version, of what captured it."""
    server: Mapping[str, str] = field(default_factory=dict)
    """What a server must offer to take it back: version, encoding, locale, extensions …"""
    baseline: DatabaseBaseline | FilesBaseline | None = None
    conditions: tuple[str, ...] = ()
    """What is not as one would expect, each a sentence: unlogged tables, tables without key …"""
    sidecars: tuple[str, ...] = ()
    """Names of small files of this asset that lie beside the manifest: `globals.sql`."""


@dataclass(frozen=True, kw_only=True)
class Recoverable:
    """The stretch of time to which a point can bring its system back."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a recovery point consists of in one repository. Saved last; without it there is none."""

    schema: int = MANIFEST_SCHEMA
    point: str
    practice: str
    practice_name: str
    system: str
    run: str
    label: str | None = None
    as_of: datetime
    """When capture began: no asset is older."""
    finished: datetime
    data_as_of: datetime | None = None
    """How old the oldest data was at `as_of`, where another tool made any of it."""
    skew_seconds: float
    """Between the instants that the oldest and the newest of its data are of."""
    repository: str
    """restic's own id of the repository this manifest was written for."""
    assets: Mapping[str, AssetState]
    recoverable: Recoverable
    plan_sha256: str
    runbooks: Mapping[str, str] = field(default_factory=dict)
    """File name -> sha256 of the runbooks saved beside this manifest."""
    made_by: str
    """`dr-orchestrator 0.1.0`."""


@dataclass(frozen=True, kw_only=True)
class PointCopy:
    """A recovery point as one repository holds it."""

    repository: str
    """The plan's name of the repository."""
    manifest_snapshot: str
    """restic's full id of the snapshot that holds the manifest; empty where the manifest is kept by
    us alone, since somebody else saved what the point is made of."""
    manifest_sha256: str
    snapshots: Mapping[str, str]
    """Asset -> restic's full snapshot id."""
    recorded_at: datetime
    read_back: bool = False
    """Whether the repository told us of it: this memory did not see it being made."""

    @property
    def is_existing(self) -> bool:
        """Whether somebody else saved it: it is theirs to keep and to remove."""
        return not self.manifest_snapshot

    @property
    def all_snapshots(self) -> tuple[str, ...]:
        """All that the repository holds of it: the manifest's snapshot, and those of its assets."""
        return tuple(filter(None, (self.manifest_snapshot, *self.snapshots.values())))


@dataclass(frozen=True, kw_only=True)
class AssetSummary:
    """What the record keeps of one asset of a point: enough to judge and to list."""

    kind: AssetKind
    method: Method
    bytes: int
    level: str
    """Baseline level, `none` without one."""
    data_as_of: datetime | None = None
    """How old its data was at capture, where another tool made it."""
    files: int | None = None
    """How many were saved; `None` for what is no tree, and where nobody counted."""
    changed_files: int | None = None
    """Those that were new or not as the point before had them."""
    added_bytes: int | None = None
    """What was new to the repository that was saved to first, before compression on 0.14."""
    server: str = ""
    """What served it, as `postgres 15.18` or `mysql 8.0.36`: as new its loading has to be. Empty
    for what no server serves, where nobody knows, and of points of before this was kept."""


@dataclass(frozen=True, kw_only=True)
class RecoveryPoint:
    """One state of one system that can be restored, wherever it is kept."""

    id: str
    practice: str
    system: str
    run: str
    label: str | None
    as_of: datetime
    finished: datetime
    data_as_of: datetime | None
    skew_seconds: float
    assets: Mapping[str, AssetSummary]
    copies: tuple[PointCopy, ...]

    def copy_in(self, repository: str) -> PointCopy | None:
        """Return this point's copy in `repository`, or `None`."""
        return next((copy for copy in self.copies if copy.repository == repository), None)
