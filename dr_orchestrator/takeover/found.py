"""What a repository alone tells of a practice: its plan, runbooks, packs and evidence.

Whoever can write to a repository can write any of it, and date it as they like. So all of it is
data: names are checked before they lead anywhere, nothing is run, and what nobody else vouches for
is said to be so. Nothing in the repository is changed, and no lock is left there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import (
    DroError,
    ManifestInvalid,
    PlanInvalid,
    PointNotFound,
    RepositoryDamaged,
    RepositoryError,
)
from dr_orchestrator.packs.load import find_packs
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.plan.model import PackCheck
from dr_orchestrator.repositories.manifests import (
    FoundManifest,
    manifests_among,
    read_manifest,
    read_runbooks,
    tag_value,
)
from dr_orchestrator.takeover.saved_evidence import SavedEvidence, saved_evidence

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository, Snapshot

_PRACTICE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Of systems and points, as in a manifest."""
_RUNBOOK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}\.(yaml|yml|md)")
"""Of a file: nothing that leads to another folder."""
_LARGEST = 1024 * 1024
"""Bytes of a plan or a pack; far more than any has."""


@dataclass(frozen=True, kw_only=True)
class ListedPoint:
    """A recovery point as the tags of its manifest tell it: the word of whoever saved that."""

    id: str
    system: str
    as_of: datetime


@dataclass(frozen=True, kw_only=True)
class FoundPractice:
    """What is taken out of a repository: that of one point, and all of the evidence."""

    manifest: FoundManifest
    loaded: LoadedPlan
    """As it was when the point was made; none of its commands runs."""
    runbooks: Mapping[str, bytes]
    """File name -> content."""
    packs: Mapping[str, bytes]
    """Likewise; those that we do not ship."""
    evidence: SavedEvidence
    points: tuple[ListedPoint, ...]
    """Oldest first."""
    manifests: frozenset[str]
    """Ids of all snapshots that say they hold a manifest of it."""
    doubts: tuple[str, ...]
    """What somebody should know before they rely on it, a sentence each."""

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.loaded.plan.practice.id


def practices_in(snapshots: Iterable[Snapshot]) -> dict[str, tuple[ListedPoint, ...]]:
    """Return the points of each practice, oldest first, as the tags of manifests tell them. What
    has a name that is none is passed over.
    """
    found: dict[str, dict[tuple[str, str], ListedPoint]] = {}
    for each in manifests_among(snapshots):
        practice, system, point = (tag_value(each, key) for key in ("practice", "system", "point"))
        if _PRACTICE.fullmatch(practice) and _NAME.fullmatch(system) and _NAME.fullmatch(point):
            listed = ListedPoint(id=point, system=system, as_of=each.time)
            found.setdefault(practice, {})[system, point] = listed
    return {
        practice: tuple(sorted(points.values(), key=lambda each: (each.as_of, each.id)))
        for practice, points in sorted(found.items())
    }


def read_practice(
    repository: Repository,
    practice: str,
    now: datetime,
    *,
    point: str = "",
    keys: Collection[str] = (),
) -> FoundPractice:
    """Read a practice back out of a repository: by the newest manifest that can be read, of
    whichever system, or by that of `point` (the beginning of an id). `keys`: see `saved_evidence`.

    One that is dated ahead of `now` is the newest only where there is no other.

    Raises:
        PointNotFound: there is none that can be read.
        RepositoryError: by its class, where nothing can be read.
    """
    listed = repository.snapshots({"practice": practice})
    evidence = saved_evidence(repository, practice, keys)
    doubts: list[str] = []
    passed_over: set[str] = set()
    for snapshot in _newest_first(listed, now, point):
        try:
            manifest = read_manifest(repository, snapshot, listed)
            loaded = _plan_beside(repository, manifest)
            doubts += _doubts(repository, manifest, listed, evidence, now, passed_over=passed_over)
            return FoundPractice(
                manifest=manifest,
                loaded=loaded,
                runbooks=_runbooks_beside(repository, manifest, doubts),
                packs=_packs_beside(repository, manifest, loaded.plan, doubts),
                evidence=evidence,
                points=practices_in(listed).get(practice, ()),
                manifests=frozenset(each.id for each in manifests_among(listed)),
                doubts=tuple(doubts),
            )
        except (ManifestInvalid, RepositoryError, PlanInvalid) as error:
            if not _is_of_one(error):
                raise
            why = "; ".join(error.message.splitlines()[:2])
            passed_over.add(snapshot.id)
            doubts.append(f"passed over the manifest in snapshot {snapshot.id[:8]}: {why}")
    which = f"of point {point}" if point else f"of {practice}"
    raise PointNotFound(
        f"the repository holds no manifest {which} that can be used",
        hint="; ".join(doubts) or "`dro recover LOCATION` lists what it holds",
    )


def _newest_first(listed: Iterable[Snapshot], now: datetime, point: str) -> tuple[Snapshot, ...]:
    wanted = [
        each for each in manifests_among(listed) if tag_value(each, "point").startswith(point)
    ]
    believed = now + CLOCK_TOLERANCE
    return tuple(
        sorted(wanted, key=lambda each: (each.time <= believed, each.time, each.id), reverse=True)
    )


def _plan_beside(repository: Repository, found: FoundManifest) -> LoadedPlan:
    """Return the plan that was saved with a point.

    Raises:
        ManifestInvalid: it is not the one that the manifest names, or another practice's.
        PlanInvalid: it cannot be used.
    """
    content = _file(repository, found, "plan.yaml")
    manifest = found.manifest
    if hashlib.sha256(content).hexdigest() != manifest.plan_sha256:
        raise ManifestInvalid("the plan beside it is not the one that it names")
    loaded = read_plan(content, f"plan of point {manifest.point}")
    if loaded.plan.practice.id != manifest.practice:
        raise ManifestInvalid("the plan beside it is of another practice")
    return loaded


def _runbooks_beside(
    repository: Repository, found: FoundManifest, doubts: list[str]
) -> dict[str, bytes]:
    manifest = found.manifest
    # earlier versions saved those of the practice's own folder below its id
    short = {name: name.removeprefix(f"{manifest.practice}/") for name in manifest.runbooks}
    usable = {name for name in short if _RUNBOOK.fullmatch(short[name])}
    if refused := len(short) - len(usable):
        doubts.append(f"{count_words(refused, 'runbook')} left out: the name is none")
    named = {name: manifest.runbooks[name] for name in sorted(usable, key=len)}
    try:
        saved = read_runbooks(
            repository, replace(found, manifest=replace(manifest, runbooks=named))
        )
    except (ManifestInvalid, RepositoryError) as error:
        if not _is_of_one(error):
            raise
        doubts.append(f"the runbooks cannot be used, those that we ship are there: {error.message}")
        return {}
    return {short[name]: content for name, content in saved.items()}


def _packs_beside(
    repository: Repository, found: FoundManifest, plan: Plan, doubts: list[str]
) -> dict[str, bytes]:
    ours = find_packs(None)
    named = {
        check.pack
        for system in plan.protected.values()
        for check in system.verify
        if isinstance(check, PackCheck) and check.pack not in ours
    }
    packs = {}
    for name in sorted(named):
        try:
            packs[f"{name}.yaml"] = _file(repository, found, f"packs/{name}.yaml")
        except RepositoryError as error:
            if not _is_of_one(error):
                raise
            doubts.append(f"the pack {name} of the plan is not there: nothing is tested without it")
    return packs


def _file(repository: Repository, found: FoundManifest, name: str) -> bytes:
    return repository.read_file(found.snapshot, f"{found.folder}/{name}", limit_bytes=_LARGEST)


# --- what vouches for it --------------------------------------------------------------------------


def _doubts(
    repository: Repository,
    found: FoundManifest,
    listed: Collection[Snapshot],
    evidence: SavedEvidence,
    now: datetime,
    *,
    passed_over: Collection[str],
) -> Iterator[str]:
    """Yield what a person should know of the point that plan and runbooks are taken from."""
    manifest = found.manifest
    if manifest.as_of > now + CLOCK_TOLERANCE:
        yield f"point {manifest.point} is dated ahead of now: a wrong clock, or somebody forged it"
    listed_manifests = manifests_among(listed)
    claims = [each for each in listed_manifests if tag_value(each, "point") == manifest.point]
    if len({each.tree for each in claims}) > 1:
        yield f"{len(claims)} manifests that differ say that they are of point {manifest.point}"
    if evidence.vouches_for(found):
        return
    if evidence.until is not None and manifest.finished < evidence.until:
        yield (
            f"the evidence, which is newer, does not speak of point {manifest.point}, made by "
            f"{manifest.made_by}: another machine saved it, or somebody forged it"
        )
    others = _others(repository, listed, found, now, among=evidence.points)
    if not evidence.points:
        usable = (each for each in others if each.snapshot not in passed_over)
        before, which = next(usable, None), "the one before it"
    else:
        before = next(filter(evidence.vouches_for, others), None)
        which = "the newest that the evidence speaks of"
        if before is None:
            yield "the evidence speaks of no recovery point that is here"
    if before is not None and _texts(before) != _texts(found):
        yield other_texts(before, which, is_usable=before.snapshot not in passed_over)


def other_texts(other: FoundManifest, which: str, *, is_usable: bool) -> str:
    """Return the doubt that another point has other texts, and what to do about it: to take its
    own is no advice where they are not usable.
    """
    point = other.manifest.point
    told = f"plan or runbooks are not those of point {point}, {which}"
    if not is_usable:
        return f"{told}, which cannot be used: look through them before you rely on them"
    return f"{told}: compare them, or take those: --point {point}"


def _texts(found: FoundManifest) -> tuple[str, Mapping[str, str]]:
    return found.manifest.plan_sha256, found.manifest.runbooks


def _others(
    repository: Repository,
    listed: Collection[Snapshot],
    found: FoundManifest,
    now: datetime,
    *,
    among: Collection[str],
) -> Iterator[FoundManifest]:
    """Yield the other manifests that can be read, newest first: of these points, where any are
    named.
    """
    for snapshot in _newest_first(listed, now, ""):
        is_asked = not among or tag_value(snapshot, "point") in among
        if snapshot.id == found.snapshot or not is_asked:
            continue
        try:
            yield read_manifest(repository, snapshot, listed)
        except (ManifestInvalid, RepositoryError) as error:
            if not _is_of_one(error):
                raise


def _is_of_one(error: DroError) -> bool:
    """Whether it says nothing of other snapshots."""
    return not isinstance(error, RepositoryError) or type(error) in {
        RepositoryError,
        RepositoryDamaged,
    }
