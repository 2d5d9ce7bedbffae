"""The evidence that lies in a repository, and what it vouches for.

A chain proves what it says by its signatures, and whose key signed only somebody outside can tell.
Each chain is judged by itself: whoever adds one that is altered spoils no other. That there is
none, or that it cannot be read, keeps nobody from recovering.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.record import PointRecorded
from dr_orchestrator.errors import EvidenceConflict, RepositoryDamaged
from dr_orchestrator.evidence.chain import Verification, VerifiedChain, verify
from dr_orchestrator.evidence.facts import KINDS
from dr_orchestrator.evidence.line import CHAIN_STARTED
from dr_orchestrator.repositories.evidence import read_evidence

if TYPE_CHECKING:
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.repositories.manifests import FoundManifest

_POINT = KINDS[PointRecorded]


@dataclass(frozen=True, kw_only=True)
class SavedChain:
    """One chain as a repository holds it."""

    practice: str
    lines: tuple[bytes, ...]
    verification: Verification

    @property
    def verified(self) -> VerifiedChain | None:
        """What it is; `None` where none of it can be read."""
        return next(iter(self.verification.chains), None)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is as it was written, by whoever signed it; and it is of this practice
        alone.
        """
        chains = self.verification.chains
        return (
            not self.verification.is_altered
            and len(chains) == 1
            and chains[0].practice == self.practice
        )

    @property
    def host(self) -> str:
        """The machine that began it, by its own word; empty where it does not say."""
        started = next(self.about(CHAIN_STARTED), {})
        return str(started.get("host", ""))

    def about(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """Yield what its lines of a kind say; nothing where it is not whole."""
        if self.is_whole:
            for line in self.lines:
                said = json.loads(line)
                if said["kind"] == kind and isinstance(said["about"], dict):
                    yield said["about"]


@dataclass(frozen=True, kw_only=True)
class SavedEvidence:
    """All chains of a practice in one repository."""

    chains: tuple[SavedChain, ...] = ()
    """The one that was written to last is the first."""
    trouble: str = ""
    """Why they cannot be read."""

    @cached_property
    def _copies(self) -> tuple[tuple[str, str, str, str], ...]:
        """Point, SHA-256 of its manifest, the snapshot that holds it, and the repository."""
        sound = (each for each in self.chains if each.verification.is_sound)
        return tuple(copy for chain in sound for copy in _copies_in(chain.about(_POINT)))

    @property
    def until(self) -> datetime | None:
        """When the newest line of a sound chain was written."""
        ends = (each.verified for each in self.chains if each.verification.is_sound)
        return max((datetime.fromisoformat(each.last_at) for each in ends if each), default=None)

    @property
    def points(self) -> frozenset[str]:
        """The recovery points that sound chains speak of."""
        return frozenset(point for point, *_ in self._copies)

    def vouches_for(self, found: FoundManifest) -> bool:
        """Return whether a sound chain speaks of this very manifest."""
        wanted = (found.manifest.point, found.sha256)
        return any((point, sha256) == wanted for point, sha256, *_ in self._copies)

    def called(self, snapshots: Collection[str]) -> frozenset[str]:
        """Return what plans called the repository that holds these snapshots of manifests."""
        return frozenset(name for *_, snapshot, name in self._copies if snapshot in snapshots)


def saved_evidence(
    repository: Repository, practice: str, keys: Collection[str] = ()
) -> SavedEvidence:
    """Read and verify the evidence of a practice. With `keys`, fingerprints that are known from
    outside, a chain is sound only where one of them signed it.

    Raises:
        RepositoryError: by its class, where nothing can be read there.
    """
    try:
        chains = read_evidence(repository, practice)
    except (EvidenceConflict, RepositoryDamaged) as error:
        return SavedEvidence(trouble=error.message)
    saved = (
        SavedChain(practice=practice, lines=lines, verification=verify(lines, fingerprints=keys))
        for lines in chains.values()
    )
    return SavedEvidence(chains=tuple(sorted(saved, key=_last_written, reverse=True)))


def _last_written(chain: SavedChain) -> tuple[bool, str, str]:
    verified = chain.verified
    return chain.is_whole, verified.last_at if verified else "", verified.chain if verified else ""


def _copies_in(points: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what lines say of copies. They are signed, by whomever: their facts may be anything."""
    for about in points:
        copies = about.get("copies")
        for copy in copies if isinstance(copies, list) else ():
            said = copy if isinstance(copy, dict) else {}
            keys = ("manifest_sha256", "manifest_snapshot", "repository")
            sha256, snapshot, name = (str(said.get(key, "")) for key in keys)
            yield str(about.get("id", "")), sha256, snapshot, name
