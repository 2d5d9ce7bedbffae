"""Ask a living recovery point what a pack wants to know.

Rows that a pack asks for are patient data, and names of files are too: they are counted, hashed and
compared here, and only numbers come out. What a person reads are the pack's sentences and ours.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator import beneath
from dr_orchestrator.assets.files_listed import Closely, check_listed
from dr_orchestrator.assets.files_sealed import Seal, Sealed, digest_of, read_keys
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError
from dr_orchestrator.packs.model import FilesFact, HashedFact, SealedFact, SqlFact
from dr_orchestrator.restore.outcome import result_of
from dr_orchestrator.restore.pack_coverage import uncovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import tzinfo
    from pathlib import Path

    from dr_orchestrator.assets.base import Restoration
    from dr_orchestrator.assets.files_listed import ListedFiles
    from dr_orchestrator.core.baseline import Value
    from dr_orchestrator.packs.model import EmrVersion, Pack, Question, Reference
    from dr_orchestrator.plan.model import Asset
    from dr_orchestrator.restore.living_point import LivingPoint

_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,3}", re.ASCII)
"""What may leave the sandbox as a version: nothing that could be a person's number."""
_KEY_FILE = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """All of a verification but its title and asset."""

    result: Result
    expected: Value | str
    actual: Value | str
    reason: str = ""
    proves: Depth = Depth.L4


@dataclass(frozen=True, kw_only=True)
class PackChecks:
    """What one pack asks of one system's living recovery point."""

    pack: Pack
    title: str
    """Stands before the title of each fact."""
    roles: Mapping[str, str]
    """Role -> asset."""
    point: LivingPoint
    zone: tzinfo
    """Of times that carry none."""
    planned: tuple[Asset, ...]
    """Every asset of the plan, to say what is covered somewhere."""

    @property
    def asked(self) -> frozenset[str]:
        """The assets that some fact looks at."""
        return frozenset(self.roles.values())

    def service(self) -> Iterator[Verification]:
        """Answer the version and every SQL fact; only the version, where it is another program."""
        version = self.pack.emr_version
        if version is not None:
            title = "its version is one that these checks were tried on"
            yield self._answered(title, version.asset, partial(self._version, version))
        if not self._tells_its_version():
            return
        for fact in self.pack.checks:
            if isinstance(fact, SqlFact) and self._applies(fact):
                yield self._answered(fact.title, fact.asset, partial(self._sql, fact))

    def proof(self) -> Iterator[Verification]:
        """Answer what reads files and rows, and what the EMR refers to that no asset covers."""
        if not self._tells_its_version():
            return
        for fact in self.pack.checks:
            if isinstance(fact, FilesFact):
                yield self._answered(fact.title, fact.files.asset, partial(self._files, fact))
            elif isinstance(fact, HashedFact):
                yield self._answered(fact.title, fact.hashed.asset, partial(self._hashed, fact))
            elif isinstance(fact, SealedFact):
                yield self._answered(fact.title, fact.sealed.asset, partial(self._sealed, fact))
        if self.pack.coverage:
            title = "all that it refers to is backed up"
            yield self._answered(title, self.pack.coverage[0].asset, self._coverage)

    def _tells_its_version(self) -> bool:
        """Whether its version can be asked for; if not, twenty checks would say what one says."""
        version = self.pack.emr_version
        if version is None:
            return True
        try:
            next(self._rows(version), None)
        except DroError:
            return False
        return True

    def _answered(self, title: str, role: str, ask: Callable[[], _Answer]) -> Verification:
        """Ask; an error becomes an answer that is not green."""
        title, asset = f"{self.title}: {title}", self.roles.get(role, "")
        try:
            found = ask()
        except DroError as error:
            return Verification(
                title=title, asset=asset, result=result_of(error), reason=error.message
            )
        return Verification(
            title=title,
            asset=asset,
            result=found.result,
            expected=found.expected,
            actual=found.actual,
            reason="" if found.result is Result.PASSED else found.reason,
            proves=found.proves,
        )

    def _asset(self, role: str) -> str:
        if role not in self.roles:
            raise CouldNotVerify(f"no asset of this system can be the pack's {role}")
        return self.roles[role]

    def _rows(self, question: Question) -> Iterator[tuple[object, ...]]:
        return self._living_role(question.asset).rows(question.sql)

    def _applies(self, fact: SqlFact) -> bool:
        """Whether a fact is asked for. What cannot be found out is asked for, and then says why."""
        if fact.only_if is None or fact.asset not in self.roles:
            return True
        try:
            answer = self._living_role(fact.asset).value(fact.only_if, zone=self.zone)
        except DroError:
            return True
        return isinstance(answer, int | float) and answer > 0

    # --- kinds of facts ---

    def _version(self, version: EmrVersion) -> _Answer:
        if not self._tells_its_version():
            raise CouldNotVerify(
                f"is this {self.pack.title}? it does not tell its version, so no more was asked"
            )
        rows = list(self._rows(version))
        text = ".".join(str(cell).strip() for cell in rows[0]) if len(rows) == 1 else ""
        if not _VERSION.fullmatch(text):
            raise CouldNotVerify("the database does not tell the program's version")
        fits = any(text == tried or text.startswith(f"{tried}.") for tried in version.tried)
        tried = ", ".join(version.tried)
        return _Answer(
            result=Result.PASSED if fits else Result.UNPROVEN,
            expected=tried,
            actual=text,
            reason=f"these checks were tried on version {tried}, and this is {text}: what they "
            "say may not hold for it",
            proves=Depth.L3,
        )

    def _sql(self, fact: SqlFact) -> _Answer:
        value, judgement = self.point.judged(
            self._asset(fact.asset), fact.sql, fact.expect, zone=self.zone
        )
        failed = judgement.result is Result.FAILED
        return _Answer(
            result=judgement.result,
            expected=judgement.expected,
            actual=value,
            reason=_sentence(fact.otherwise, value) if failed else judgement.reason,
        )

    def _files(self, fact: FilesFact) -> _Answer:
        files = fact.files
        root, folder = self._folder(files.asset)
        closely = Closely(
            columns=4,
            hashes=files.hashes,
            seal=self._seal(),
            read_at_most=files.read_at_most,
            ignore_case=files.ignore_case,
        )
        share = self.point.shares.get(self._asset(files.asset))
        rows = self._rows(files.listed_by)
        found = check_listed(rows, {"": folder}, root, closely, share=share)
        read = found.hashed + found.opened + found.unsealed
        return _Answer(
            result=found.result,
            expected=f"{found.listed:,} there, as stored",
            actual=f"{found.listed - found.missing:,} of {found.listed:,} there{found.how_there}, "
            f"{read:,} of {read + found.unread:,} read and compared",
            reason=_what_of_files(found, files.are, self.pack.title),
        )

    def _hashed(self, fact: HashedFact) -> _Answer:
        total = different = unknown = 0
        for row in self._rows(fact.hashed):
            if len(row) != 2:  # noqa: PLR2004 - hash and text
                raise CouldNotVerify("the query must answer two columns: hash, and text")
            total += 1
            digest, text = digest_of(fact.hashed.hashes, row[0]), row[1]
            if digest is None or text is None:
                unknown += 1
                continue
            content = (
                text if isinstance(text, bytes) else str(text).encode(errors="surrogateescape")
            )
            different += hashlib.new(digest[0], content).digest() != digest[1]
        result = Result.UNPROVEN if unknown else Result.PASSED
        unread = f"{count_words(unknown, 'row')} with a checksum of an unknown kind"
        return _Answer(
            result=Result.FAILED if different else result,
            expected=f"{total:,} equal",
            actual=f"{total - different - unknown:,} of {total:,} equal",
            reason=_sentence(fact.otherwise, different) if different else unread,
        )

    def _sealed(self, fact: SealedFact) -> _Answer:
        seal, sealed = self._seal(), fact.sealed
        if seal is None:
            raise CouldNotVerify("the pack does not say how files are sealed")
        root, above = self._folder(sealed.asset)
        found = _look_at_keys(root, f"{above}/{sealed.folder}", seal)
        needed = {str(row[0]) for row in self._rows(sealed.needed_by)}
        missing = sum(not _KEY_FILE.fullmatch(name) or name not in found for name in needed)
        broken = sum(each is Sealed.BROKEN for each in found.values())
        alone = sum(each is Sealed.KEY_MISSING for each in found.values())
        wrong = [
            f"{what}: {count:,}"
            for what, count in (
                ("key halves missing from the files, though the database needs them", missing),
                ("key halves of another generation than those in the database", broken),
                ("key halves whose other half is not in the database", alone),
            )
            if count
        ]
        return _Answer(
            result=Result.FAILED if wrong else Result.PASSED,
            expected="complete, and of one generation",
            actual=f"{count_words(len(found), 'key file')}, {len(needed):,} needed",
            reason=f"what {self.pack.title} encrypted cannot be read: {', '.join(wrong)}",
        )

    def _coverage(self) -> _Answer:
        gaps = [gap for reference in self.pack.coverage if (gap := self._uncovered(reference))]
        return _Answer(
            result=Result.UNPROVEN if gaps else Result.PASSED,
            expected="nothing that no asset covers",
            actual=count_words(len(gaps), "gap") if gaps else "no gap",
            reason=f"not covered by any asset of the plan: {'; '.join(gaps)}",
        )

    def _uncovered(self, reference: Reference) -> str:
        database = self._living_role(reference.asset)
        kind = self.point.manifest.assets[self._asset(reference.asset)].kind
        return uncovered(reference, database, self.planned, kind=kind, zone=self.zone)

    # --- what the kinds need ---

    def _living_role(self, role: str) -> Restoration:
        return self.point.living(self._asset(role))

    def _seal(self) -> Seal | None:
        seal = self.pack.seal
        if seal is None:
            return None
        return Seal(seal.by, seal.hash, read_keys(self._rows(seal.keys)))

    def _folder(self, role: str) -> tuple[Path, str]:
        """Return the root of a role's asset, and the role's own folder beneath it."""
        root = self._living_role(role).root
        share = self.point.shares.get(self._asset(role))
        descriptor = beneath.open_root(root)
        try:
            for folder in self.pack.roles[role].within:
                listed = share is not None and share.holds_folder(_parts(folder))
                if listed or _is_folder(descriptor, folder):
                    return root, folder
        finally:
            os.close(descriptor)
        return root, "."


def _is_folder(root: int, folder: str) -> bool:
    try:
        os.close(beneath.open_folder(root, _parts(folder)))
    except OSError:
        return False
    return True


def _parts(folder: str) -> beneath.Parts:
    return tuple(os.fsencode(part) for part in folder.split("/") if part not in {"", "."})


def _look_at_keys(root: Path, folder: str, seal: Seal) -> dict[str, Sealed]:
    """Return what is to be said of each key file; nothing where there is no such folder."""
    above = beneath.open_root(root)
    try:
        descriptor = beneath.open_folder(above, _parts(folder))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    finally:
        os.close(above)
    try:
        with os.scandir(descriptor) as entries:
            names = [each.name for each in entries if each.is_file(follow_symlinks=False)]
        found = {}
        for name in filter(_KEY_FILE.fullmatch, names):
            with os.fdopen(beneath.open_in(descriptor, name.encode()), "rb") as file:
                found[name] = seal.look(file)
        return found
    finally:
        os.close(descriptor)


def _sentence(otherwise: str, count: Value) -> str:
    shown = f"{count:,}" if isinstance(count, int | float) else str(count)
    return otherwise.replace("{count}", shown)


def _what_of_files(found: ListedFiles, are: str, emr: str) -> str:
    wrong = (
        (found.missing, "is missing from the files", "are missing from the files"),
        (
            found.different + found.resized,
            f"is not what {emr} stored: the content is another",
            f"are not what {emr} stored: their content is another",
        ),
        (
            found.unsealed,
            "is encrypted and does not open with the keys that came back",
            "are encrypted and do not open with the keys that came back",
        ),
        (
            found.unknown_hashes + found.unknown_seals,
            "cannot be compared: its hash or seal is of an unknown kind",
            "cannot be compared: their hash or seal is of an unknown kind",
        ),
    )
    return "; ".join(
        f"1 of the {are} {is_so}" if count == 1 else f"{count:,} {are} {are_so}"
        for count, is_so, are_so in wrong
        if count
    )
