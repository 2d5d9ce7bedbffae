"""A folder that came back, and how it compares with what it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import NOT_LOADED, RestoreRequest
from dr_orchestrator.assets.files_capture import cause
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import (
    Keyed,
    Listing,
    Seen,
    content_fact,
    sha256_of,
    walk,
)
from dr_orchestrator.assets.files_tally import Tally
from dr_orchestrator.core.baseline import FileBaseline, FilesBaseline, Level, Value
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words, size_words
from dr_orchestrator.errors import CouldNotVerify, LoadFailed

_LISTING = "every file is there, in its size"
_CONTENT = "files have the content they had at capture"
_DUMP = "the newest file of the job that writes them came back as it was"
_UNCOUNTED = "too many differences to count"


@dataclass
class _Found:
    """What there is in a restored tree, as far as it is to be compared."""

    listing: Listing
    content: Tally
    equal_samples: set[str] = field(default_factory=set)
    dump: FileBaseline | None = None
    """What lies where the baseline has the newest file of somebody else's job."""


@dataclass(frozen=True)
class _Before:
    """A baseline, read."""

    baseline: FilesBaseline
    keyed: Keyed
    listing: Tally
    content: Tally | None

    @classmethod
    def read(cls, baseline: FilesBaseline) -> _Before:
        key = bytes.fromhex(baseline.key)
        content = Tally.parse(baseline.content, key) if baseline.content else None
        return cls(baseline, Keyed(key), Tally.parse(baseline.listing, key), content)


class FilesRestoration:
    """A folder that is coming back. Keeps the promises of `Restoration`."""

    def __init__(self, request: RestoreRequest) -> None:
        self._request = request
        self._root: Path | None = None

    def prepare(self) -> None:
        """Do nothing: files need nothing before they are there."""

    def load(self, restored: Path) -> None:
        if restored.is_symlink() or not restored.is_dir():
            raise LoadFailed("what came back from the repository is not the folder that was saved")
        self._root = restored

    @property
    def loading_proof_seconds(self) -> float:
        return 0.0

    @property
    def depth(self) -> Depth:
        return Depth.L0

    @property
    def root(self) -> Path:
        if self._root is None:
            raise RuntimeError("not loaded yet")
        return self._root

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        del sql, zone
        raise CouldNotVerify(f"{self._request.asset_id} is a folder and answers no query")

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        del sql
        raise CouldNotVerify(f"{self._request.asset_id} is a folder and answers no query")

    @property
    def conditions(self) -> tuple[str, ...]:
        baseline = self._request.state.baseline
        if not isinstance(baseline, FilesBaseline) or baseline.dump is None:
            return ()
        return (f"{self._request.asset_id}: {NOT_LOADED}",)

    def compare(self) -> tuple[Verification, ...]:
        baseline = self._request.state.baseline
        if not isinstance(baseline, FilesBaseline):
            return (self._judge(_LISTING, Result.UNPROVEN, reason="this point has no baseline"),)
        try:
            before = _Before.read(baseline)
        except ValueError:
            reason = "the baseline of this point cannot be read"
            return (self._judge(_LISTING, Result.UNPROVEN, reason=reason),)
        try:
            return tuple(self._compare(before))
        except OSError as error:
            raise CouldNotVerify(f"the restored files cannot be read: {cause(error)}") from None

    def _compare(self, before: _Before) -> Iterator[Verification]:
        found = self._look(before)
        if before.baseline.dump:
            yield self._compare_dump(before.baseline.dump, found.dump)
        if before.baseline.level is Level.NONE:
            yield self._compare_number(before, found.listing)
            return
        yield self._compare_listing(before, found.listing)
        if before.content is not None:
            yield self._compare_contents(before.content, found.content)
        elif before.baseline.samples:
            yield self._compare_samples(before.baseline, found.equal_samples)

    # --- what is there ---

    def _look(self, before: _Before) -> _Found:
        found = _Found(Listing(before.keyed.key), Tally(before.keyed.key))
        dump = before.baseline.dump.path if before.baseline.dump else ""
        for path, seen in self._comparable(before):
            found.listing.add(seen)
            expected = before.baseline.samples.get(path)
            if not seen.entry.is_file or not (before.content or expected or path == dump):
                continue
            sha256 = _hash(seen)
            if path == dump:
                found.dump = FileBaseline(path=path, bytes=seen.entry.stat.st_size, sha256=sha256)
            if before.content:
                found.content.add(content_fact(seen.parts, sha256))
            elif sha256 == expected:
                found.equal_samples.add(path)
        return found

    def _comparable(self, before: _Before) -> Iterator[tuple[str, Seen]]:
        """Yield each restored file and link that did not change while it was saved, with the keyed
        hash of its path.
        """
        changed = frozenset(before.baseline.unsettled)
        root = beneath.open_root(self.root)
        try:
            for seen in walk(root, excluded=Exclusion(()), above=(), may_vanish=False):
                path = before.keyed.path(seen.parts).hex()
                if (seen.entry.is_file or seen.entry.is_link) and path not in changed:
                    yield path, seen
        finally:
            os.close(root)

    def _holds_files(self) -> bool:
        root = beneath.open_root(self.root)
        try:
            names = walk(root, excluded=Exclusion(()), above=(), may_vanish=False)
            return any(seen.entry.is_file for seen in names)
        finally:
            os.close(root)

    # --- what that means ---

    def _compare_number(self, before: _Before, after: Listing) -> Verification:
        expected, actual = before.baseline.files, f"{count_words(after.files, 'file')} restored"
        if after.files < expected:
            return self._judge(
                _LISTING, Result.FAILED, expected, actual, "fewer files than there were at capture"
            )
        return self._judge(
            _LISTING, Result.UNPROVEN, expected, actual, "too many files changed while saved"
        )

    def _compare_dump(self, before: FileBaseline, after: FileBaseline | None) -> Verification:
        if after == before:
            result, reason = Result.PASSED, ""
            actual = f"{size_words(before.bytes)}, hashed and equal"
        else:
            result = Result.FAILED
            actual = "another content" if after else "missing"
            reason = "the file that tells how old the data is came back damaged, or not at all"
        return Verification(
            title=_DUMP,
            asset=self._request.asset_id,
            result=result,
            expected=f"{size_words(before.bytes)} as at capture",
            actual=actual,
            reason=reason,
            proves=Depth.L2,
        )

    def _compare_listing(self, before: _Before, after: Listing) -> Verification:
        total = before.listing.count
        if before.listing.equals(after.tally):
            if not total and self._holds_files():
                reason = "every file in the folder changed while it was saved"
                return self._judge(_LISTING, Result.UNPROVEN, total, "none to compare", reason)
            return self._judge(_LISTING, Result.PASSED, total, f"{total:,} of {total:,} equal")
        difference = before.listing.difference(after.tally)
        if difference is None:
            return self._judge(
                _LISTING,
                Result.FAILED,
                total,
                _UNCOUNTED,
                "many files are missing, have another size, or were not there at capture",
            )
        if missing := len(difference.only_before):
            verb = "is missing or has" if missing == 1 else "are missing or have"
            return self._judge(
                _LISTING,
                Result.FAILED,
                total,
                f"{total - missing:,} of {total:,} equal",
                f"{missing:,} of {count_words(total, 'file')} {verb} another size",
            )
        return self._judge_extra(before, difference.only_after)

    def _judge_extra(self, before: _Before, extra: frozenset[int]) -> Verification:
        """Judge files that were not there at capture, where nothing else is wrong.

        They came and went while the tree was saved, unless the folder they are in had the same
        entries before and after.
        """
        changed = frozenset(before.baseline.unsettled)
        listing = Listing(before.keyed.key)
        foreign = sum(
            1
            for _, seen in self._comparable(before)
            if listing.add(seen) in extra
            and before.keyed.folder(seen.parts[:-1]).hex() not in changed
        )
        total = before.listing.count
        if not foreign:
            actual = f"{total:,} of {total:,} equal, {len(extra):,} more came and went meanwhile"
            return self._judge(_LISTING, Result.PASSED, total, actual)
        verb = "was" if foreign == 1 else "were"
        return self._judge(
            _LISTING,
            Result.FAILED,
            total,
            f"{foreign:,} more than at capture",
            f"{count_words(foreign, 'file')} came back that {verb} not there at capture",
        )

    def _compare_contents(self, before: Tally, after: Tally) -> Verification:
        total = before.count
        difference = before.difference(after)
        if difference is None:
            reason = "many files have another content than at capture, or are missing"
            return self._judge(_CONTENT, Result.FAILED, total, _UNCOUNTED, reason)
        return self._judge_contents(_CONTENT, total, total, len(difference.only_before))

    def _compare_samples(self, baseline: FilesBaseline, equal: set[str]) -> Verification:
        read, total = len(baseline.samples), baseline.files
        title = _CONTENT if read == total else f"{_CONTENT} (a sample of {read:,} of {total:,})"
        return self._judge_contents(title, read, total, read - len(equal))

    def _judge_contents(self, title: str, read: int, total: int, different: int) -> Verification:
        if not different:
            return self._judge(title, Result.PASSED, read, f"{read:,} of {read:,} hashed and equal")
        verb = "is missing or has" if different == 1 else "are missing or have"
        return self._judge(
            title,
            Result.FAILED,
            read,
            f"{read - different:,} of {read:,} equal",
            f"{different:,} of {count_words(read, 'hashed file')} ({total:,} in all) {verb} "
            "another content",
        )

    def _judge(
        self,
        title: str,
        result: Result,
        expected: int | None = None,
        actual: str | None = None,
        reason: str = "",
    ) -> Verification:
        return Verification(
            title=title,
            asset=self._request.asset_id,
            result=result,
            expected=None if expected is None else f"{count_words(expected, 'file')} as at capture",
            actual=actual,
            reason=reason,
            proves=Depth.L2,
        )


def _hash(seen: Seen) -> str:
    descriptor = beneath.open_in(seen.folder, seen.entry.name)
    try:
        return sha256_of(descriptor, lambda: False) or ""
    finally:
        os.close(descriptor)
