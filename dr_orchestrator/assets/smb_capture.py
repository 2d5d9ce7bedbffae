"""Copying a share into its mirror, and holding the mirror while it is saved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import Capture, Captured, Stream, Tree
from dr_orchestrator.assets.smb_mirror import FirstListing, Mirror, SecondListing, marker_parts
from dr_orchestrator.assets.smb_permissions import PERMISSIONS, Permissions, read_permissions
from dr_orchestrator.assets.smb_sample import Compared, Sample
from dr_orchestrator.assets.smb_share import Item, Share
from dr_orchestrator.beneath import Parts
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.process import Command

_ASKING = timedelta(seconds=20)
_FEW_FILES = 20
"""Files that others may hold open without the backup being given up, or one in a hundred."""


@dataclass(frozen=True)
class Copied:
    """What came of copying a share."""

    instant: datetime
    """Before the share was listed first."""
    changed: frozenset[Parts]
    conditions: tuple[str, ...]


def copy_share(share: Share, mirror: Mirror, clock: Clock) -> Copied:
    """Make the mirror what the share is.

    Raises:
        CaptureFailed: the share is not what the plan says, or could not be copied completely.
        SpaceExhausted: the disk is full.
    """
    instant = clock.now()
    first = FirstListing(share.asset.marker)
    sample = Sample()

    def take(item: Item) -> None:
        first.take(item)
        sample.offer(item)

    share.list(take)
    _require(share, first.files, has_marker=first.has_marker)
    compared = Compared()
    if mirror.is_of(share.identity):
        compared = sample.compare(share, mirror)
    if compared.stale or not mirror.is_of(share.identity):
        mirror.start_over(share.identity)
    mirror.prune(first)
    complaints = share.copy(mirror.files)
    root = beneath.open_root(mirror.files)
    try:
        second = SecondListing(first, root, frozenset(complaints.locked))
        share.list(second.take)
    finally:
        os.close(root)
    _require_complete(share, second)
    conditions = (*_sample_conditions(compared), *_conditions(second))
    return Copied(instant, frozenset(second.changed), conditions)


def look_briefly(share: Share) -> None:
    """See that the share can be listed and is the right one, and look no deeper than that takes.

    Raises:
        CaptureFailed: it cannot, or is not.
    """
    share.require_reachable()
    if share.asset.marker is not None:
        first = FirstListing(share.asset.marker)
        share.list(first.take, only=[marker_parts(share.asset.marker)])
        _require(share, share.asset.require_files, has_marker=first.has_marker)


def _require(share: Share, files: int, *, has_marker: bool = True) -> None:
    asset = share.asset
    if not has_marker:
        raise share.failure(
            f"its marker {asset.marker} is not there, so it is not the right folder",
            hint="check `share` and `path`; `marker` names a file that lies in the folder",
        )
    if files < asset.require_files:
        raise share.failure(
            f"it holds {count_words(files, 'file')}, and the plan requires at least "
            f"{asset.require_files:,}",
            hint="was it emptied, or may the user not see all of it? `require_files` says how "
            "many there must be at least",
        )


def _require_complete(share: Share, second: SecondListing) -> None:
    """Refuse a copy that lacks what was on the share all the while."""
    _require(share, second.files)
    before = second.first.files
    if 2 * second.files < before:
        raise share.failure(
            f"of {count_words(before, 'file')} only {second.files:,} were left when it was copied",
            hint="is somebody moving or deleting them?",
        )
    if second.uncopied:
        raise share.failure(
            f"{count_words(second.uncopied, 'file')} on it could not be copied",
            hint=f"may {share.asset.user} read every file, or is it a link, a pipe or a name that "
            "SMB cannot carry? `exclude` leaves files out",
        )
    held_open = second.held_open.total()
    if held_open > max(_FEW_FILES, second.files // 100):
        raise share.failure(
            f"{held_open:,} of its {second.files:,} files are held open by other programs "
            f"({_by_ending(second.held_open)})",
            hint="end these programs before the backup, or name the files in `exclude`",
        )


def _sample_conditions(compared: Compared) -> Iterator[str]:
    sampled = f"of {count_words(compared.files, 'sampled file')}"
    if stale := compared.stale.total():
        yield (
            f"{stale:,} {sampled} had changed without a new time ({_by_ending(compared.stale)}): "
            "the whole share was read again, and earlier backups may lack such changes"
        )
    if compared.unread:
        yield f"{compared.unread:,} {sampled} could not be compared with the share"


def _conditions(second: SecondListing) -> Iterator[str]:
    if held_open := second.held_open.total():
        words = "file was held open by another program: it is"
        many = "files were held open by other programs: they are"
        yield (
            f"{count_words(held_open, words, many)} not in the backup, or as at an earlier one "
            f"({_by_ending(second.held_open)})"
        )
    if changing := max(second.vanished, len(second.changed)):
        words = "file changed, came or went while the share was copied: it is"
        many = "files changed, came or went while the share was copied: they are"
        yield f"{count_words(changing, words, many)} not compared"
    if second.first.in_use:
        words = "file is of a kind that a program writes to while it is open: a copy"
        many = "files are of kinds that a program writes to while they are open: copies"
        yield (
            f"{count_words(second.first.in_use.total(), words, many)} may be unusable "
            f"({_by_ending(second.first.in_use)})"
        )


def _by_ending(counts: Counter[str]) -> str:
    return ", ".join(f"{ending}: {number:,}" for ending, number in counts.most_common(5))


class SmbCapture:
    """A mirror that is being saved. Keeps the promises of `Capture`."""

    def __init__(
        self, held: Capture, share: Share, mirror: Mirror, copied: Copied, budget: timedelta
    ) -> None:
        self._held = held
        self._share = share
        self._mirror = mirror
        self._copied = copied
        self._budget = budget
        self._permissions = Permissions()

    @property
    def instant(self) -> datetime:
        return self._held.instant

    @property
    def content(self) -> Tree | Stream:
        return self._held.content

    def measure(self) -> None:
        self._held.measure()
        if self._share.asset.permissions == "save":
            budget = min(self._budget, self._share.remaining())
            folders = tuple(self._mirror.folders())
            self._permissions = read_permissions(self._share, folders, budget)

    def finish(self) -> Captured:
        captured = self._held.finish()
        asset, permissions = self._share.asset, self._permissions
        return replace(
            captured,
            kind=AssetKind.SMB,
            tools={"rclone": self._rclone_version()},
            server={
                "host": asset.host,
                "port": str(asset.port),
                "share": asset.share,
                "path": self._share.inside,
                "user": asset.user,
                "domain": asset.domain,
            },
            conditions=(
                *self._copied.conditions,
                *captured.conditions,
                *permissions.conditions,
            ),
            sidecars={PERMISSIONS: permissions.content} if permissions.saved else {},
        )

    def _rclone_version(self) -> str:
        command = Command(argv=("rclone", "version"), timeout=_ASKING)
        words = self._share.launcher.run(command).stdout.split()
        return words[1].decode(errors="replace") if len(words) > 1 else ""
