"""A folder that came back, or a share of it, and how it compares with what it was.

Of a share that came back the rest is compared as the repository lists it: names and sizes of all
files, and content of what is here. A title says so wherever not all was here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
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
from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.assets.files_tally import Tally
from dr_orchestrator.core.baseline import FileBaseline, FilesBaseline, Level, Value
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result, Verification
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
    in_changed_folders: set[int] = field(default_factory=set)
    """Elements of `listing` in folders whose entries changed while they were saved."""
    samples: int = 0
    """Files here that the baseline has a hash of."""
    equal_samples: int = 0
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
        self._share = request.share
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
        asset, baseline = self._request.asset_id, self._request.state.baseline
        said = [f"{asset}: {self._share.words()}"] if self._share else []
        if isinstance(baseline, FilesBaseline) and baseline.dump is not None:
            said.append(f"{asset}: {NOT_LOADED}")
        return tuple(said)

    def compare(self) -> tuple[Verification, ...]:
        baseline = self._request.state.baseline
        if not isinstance(baseline, FilesBaseline):
            return (self._uncompared(),)
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
        yield self._compare_listing(before, found)
        if before.content is not None and self._share is None:
            yield self._compare_contents(before.content, found.content)
        elif self._share is None and before.baseline.samples:
            yield self._compare_samples(before.baseline, found)
        elif self._share is not None and found.samples:
            yield self._compare_samples_here(self._share, found)

    def _uncompared(self) -> Verification:
        """Say what came back where nobody can tell what should have."""
        files = size = 0
        root = beneath.open_root(self.root)
        try:
            for seen in walk(root, excluded=Exclusion(()), above=(), may_vanish=False):
                if seen.entry.is_file:
                    files, size = files + 1, size + seen.entry.stat.st_size
        finally:
            os.close(root)
        actual = f"{count_words(files, 'file')}, {size_words(size)}"
        return self._judge(_LISTING, Result.UNPROVEN, actual=actual, reason=NO_BASELINE)

    # --- what is there ---

    def _look(self, before: _Before) -> _Found:
        found = _Found(Listing(before.keyed.key), Tally(before.keyed.key))
        if self._share is not None:
            found.listing = deepcopy(self._share.others)
            found.in_changed_folders |= self._share.in_changed_folders
        all_hashed = before.content is not None and self._share is None
        changed = frozenset(before.baseline.unsettled)
        dump = before.baseline.dump.path if before.baseline.dump else ""
        for path, seen in self._comparable(before):
            element = found.listing.add(seen)
            if before.keyed.folder(seen.parts[:-1]).hex() in changed:
                found.in_changed_folders.add(element)
            expected = before.baseline.samples.get(path)
            if not seen.entry.is_file or not (all_hashed or expected or path == dump):
                continue
            sha256 = _hash(seen)
            if path == dump:
                found.dump = FileBaseline(path=path, bytes=seen.entry.stat.st_size, sha256=sha256)
            if all_hashed:
                found.content.add(content_fact(seen.parts, sha256))
            elif expected:
                found.samples += 1
                found.equal_samples += sha256 == expected
        return found

    def _comparable(self, before: _Before) -> Iterator[tuple[str, Seen]]:
        """Yield each restored file and link that did not change while it was saved, with the keyed
        hash of its path; without what came back beside the share.
        """
        changed = frozenset(before.baseline.unsettled)
        root = beneath.open_root(self.root)
        try:
            for seen in walk(root, excluded=Exclusion(()), above=(), may_vanish=False):
                path = before.keyed.path(seen.parts).hex()
                if path not in changed and (seen.entry.is_link or self._is_asked_for(seen)):
                    yield path, seen
        finally:
            os.close(root)

    def _is_asked_for(self, seen: Seen) -> bool:
        if not seen.entry.is_file:
            return False
        return self._share is None or self._share.brings_back(seen.parts)

    def _holds_files(self) -> bool:
        if self._share is not None:
            return self._share.files > 0
        root = beneath.open_root(self.root)
        try:
            names = walk(root, excluded=Exclusion(()), above=(), may_vanish=False)
            return any(seen.entry.is_file for seen in names)
        finally:
            os.close(root)

    # --- what that means ---

    def _compare_number(self, before: _Before, after: Listing) -> Verification:
        expected = before.baseline.files
        came = "restored" if self._share is None else "restored or listed"
        actual = f"{count_words(after.files, 'file')} {came}"
        if after.files < expected:
            reason = "fewer files than there were at capture"
            return self._judge_listing(Result.FAILED, expected, actual, reason)
        reason = "too many files changed while saved"
        return self._judge_listing(Result.UNPROVEN, expected, actual, reason)

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

    def _compare_listing(self, before: _Before, found: _Found) -> Verification:
        total = before.listing.count
        if before.listing.equals(found.listing.tally):
            if not total and self._holds_files():
                reason = "every file in the folder changed while it was saved"
                return self._judge_listing(Result.UNPROVEN, total, "none to compare", reason)
            return self._judge_listing(Result.PASSED, total, f"{total:,} of {total:,} equal")
        difference = before.listing.difference(found.listing.tally)
        if difference is None:
            reason = "many files are missing, have another size, or were not there at capture"
            return self._judge_listing(Result.FAILED, total, _UNCOUNTED, reason)
        if missing := len(difference.only_before):
            verb = "is missing or has" if missing == 1 else "are missing or have"
            return self._judge_listing(
                Result.FAILED,
                total,
                f"{total - missing:,} of {total:,} equal",
                f"{missing:,} of {count_words(total, 'file')} {verb} another size",
            )
        return self._judge_extra(total, difference.only_after, found)

    def _judge_extra(self, total: int, extra: frozenset[int], found: _Found) -> Verification:
        """Judge files that were not there at capture, where nothing else is wrong.

        They came and went while the tree was saved, unless the folder they are in had the same
        entries before and after.
        """
        foreign = len(extra - found.in_changed_folders)
        if not foreign:
            actual = f"{total:,} of {total:,} equal, {len(extra):,} more came and went meanwhile"
            return self._judge_listing(Result.PASSED, total, actual)
        verb = "was" if foreign == 1 else "were"
        return self._judge_listing(
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

    def _compare_samples(self, baseline: FilesBaseline, found: _Found) -> Verification:
        read, total = len(baseline.samples), baseline.files
        title = _CONTENT if read == total else f"{_CONTENT} (a sample of {read:,} of {total:,})"
        return self._judge_contents(title, read, total, read - found.equal_samples)

    def _compare_samples_here(self, share: FilesShare, found: _Found) -> Verification:
        """Compare what came back and was hashed at capture: what did not come back of the share is
        missing from the listing.
        """
        read, here = found.samples, share.chosen_files
        title = f"{_CONTENT} (a sample of {read:,} of the {here:,} restored)"
        return self._judge_contents(title, read, here, read - found.equal_samples)

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

    def _judge_listing(
        self, result: Result, expected: int, actual: str, reason: str = ""
    ) -> Verification:
        title = _LISTING
        if self._share is not None:
            here, all_files = self._share.chosen_files, self._share.files
            title += (
                f" ({here:,} of {all_files:,} restored, the others as the repository lists them)"
            )
        return self._judge(title, result, expected, actual, reason)

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
