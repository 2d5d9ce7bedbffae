"""Looking for files by name in all recovery points of a system, and in which of them each version
is.

What is looked for, and what is found, may be names of patients: both pass through here in memory
and are given back to whoever asked. On record is only that somebody looked, when and why, as it is
where something is restored.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dr_orchestrator.core.manifest_codec import decode_manifest
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.share import UNREADABLE
from dr_orchestrator.core.wording import count_words, some_names
from dr_orchestrator.errors import PointNotFound, UsageMistake
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.single_files import LIST_TIMEOUT, path_in_tree
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.share import Listed
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Snapshot
    from dr_orchestrator.restore.restore import RestoreTools
    from dr_orchestrator.store.base import Store

_LISTED_AT_ONCE = 40
"""Different states of trees that one search lists: of a small tree each takes restic a second."""
_MOST_VERSIONS = 1000
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

Fits = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """Where to look. What for is handed over beside it, and kept nowhere."""

    plan: Plan
    system: str
    repository: str
    points: tuple[RecoveryPoint, ...]
    """That are held there."""
    assets: tuple[str, ...] = ()
    """All of the system's where empty."""
    no_limit: bool = False
    """Look through all of the points, however long that takes."""
    by: str = ""
    why: str = ""


@dataclass(kw_only=True)
class Version:
    """One content of one file, and the recovery points that have it."""

    asset: str
    path: str
    """In the asset's folder; as `Listed.path` has it."""
    listed: Listed
    points: list[RecoveryPoint]
    """Newest first."""
    is_newest: bool = False
    """Whether the newest point that has its asset has it: then it is still there."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What was found, and where it was looked for."""

    versions: tuple[Version, ...]
    """By asset and path, of each the newest first."""
    searched: tuple[RecoveryPoint, ...]
    """Newest first."""
    left_out: tuple[RecoveryPoint, ...]
    """Older ones that were not looked through, newest first."""
    databases: tuple[str, ...]
    """Assets of the system that have no files to look for."""


class _Tree(NamedTuple):
    """One state of one tree; the same in all points where nothing of it changed."""

    asset: str
    root: str
    content: str


@dataclass
class _Listing:
    """A list to be read, and the points it is of."""

    snapshot: str
    points: list[RecoveryPoint]
    """Newest first."""


@dataclass
class _Search:
    """What is known while it goes on."""

    fits: Fits
    versions: dict[tuple[str, Listed], Version] = field(default_factory=dict)

    def take(self, tree: _Tree, points: Sequence[RecoveryPoint], listed: Listed) -> None:
        """Take one line of a list."""
        path = path_in_tree(tree.root, listed)
        if not path or not self.fits(path):
            return
        known = self.versions.get((tree.asset, listed))
        if known is not None:
            known.points.extend(points)
            return
        if len(self.versions) == _MOST_VERSIONS:
            raise UsageMistake(
                f"more than {_MOST_VERSIONS:,} versions of files fit",
                hint="give more of the name",
            )
        version = Version(asset=tree.asset, path=path, listed=listed, points=list(points))
        self.versions[tree.asset, listed] = version


def name_pattern(text: str) -> Fits:
    """Return whether a path in a tree fits what somebody typed, capital letters or not: a part of
    the path; or with `*` and `?` all of the file's name, and of the path where it has a slash. Of a
    name that is no UTF-8, as old programs wrote it, the letters that can be read have to fit.

    Raises:
        UsageMistake: there is nothing to look for.
    """
    wanted = _folded(text.strip())
    if not wanted.strip("*?/"):
        raise UsageMistake("there is nothing to look for", hint="type a name, or a part of it")
    fits = _folded_pattern(wanted)
    # of one that is no UTF-8 each sign beyond ASCII is listed as the same one
    listed = _folded(_NOT_ASCII.sub(UNREADABLE, unicodedata.normalize("NFC", text.strip())))
    if listed == wanted or not listed.strip(f"*?/{UNREADABLE}"):
        return lambda path: fits(_folded(path))
    fits_listed = _folded_pattern(listed)
    return lambda path: fits(folded := _folded(path)) or fits_listed(folded)


def _folded_pattern(wanted: str) -> Fits:
    if not {"*", "?"} & set(wanted):
        return lambda path: wanted in path
    # no sign but these two means anything: names hold brackets
    fit = re.compile(fnmatch.translate(wanted.replace("[", "[[]"))).match
    if "/" in wanted:
        return lambda path: fit(path) is not None
    return lambda path: fit(path.rpartition("/")[2]) is not None


def _folded(text: str) -> str:
    """Return text without what differs between two spellings of one name: capitals, and accents
    that a Mac writes as signs of their own.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def search(
    request: SearchRequest,
    fits: Fits,
    tools: RestoreTools,
    on_listing: Callable[[int, int], None] = lambda _done, _all: None,
) -> SearchResult:
    """Look for files whose paths fit, in the newest points first; what is the same in several is
    listed once. `on_listing` is told how many lists are read, of how many.

    A version is told by path, size and time of change; of two contents that are alike in these the
    newest is meant.

    Raises:
        UsageMistake: no asset that is asked for has files; or too many fit.
        Busy: retention has a point just now, or the repository is being pruned.
        RepositoryError: by its class.
    """
    trees, databases = _sorted_assets(request)
    with run_in_ledger(
        tools.store,
        tools.clock,
        Operation.FIND,
        practice=request.plan.practice.id,
        system=request.system,
        repository=request.repository,
    ) as run:
        repository = tools.open_repository(request.plan, request.repository)
        there = {each.id: each for each in repository.snapshots({})}
        listings, searched, left_out = _to_list(request, trees, there, tools.store)
        found = _Search(fits)
        for done, (tree, listing) in enumerate(listings.items()):
            on_listing(done, len(listings))
            with held(listing.points[0], request.repository, tools.store, wait=tools.lock_wait):
                take = functools.partial(found.take, tree, listing.points)
                repository.list_files(listing.snapshot, take, timeout=LIST_TIMEOUT)
        if searched:
            tools.store.record(_as_recorded(request, trees, searched, run.id, tools.clock.now()))
    return SearchResult(
        versions=_in_order(found.versions.values(), searched, request.repository),
        searched=searched,
        left_out=left_out,
        databases=databases,
    )


def _sorted_assets(request: SearchRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the assets to look through, and those that have no files.

    Raises:
        UsageMistake: there is none to look through.
    """
    kinds = {name: asset.kind for each in request.points for name, asset in each.assets.items()}
    unknown = [each for each in request.assets if each not in kinds]
    if unknown:
        raise UsageMistake(
            f"no recovery point of {request.system} holds an asset {unknown[0]}",
            hint=f"they hold: {', '.join(sorted(kinds))}",
        )
    wanted = request.assets or tuple(sorted(kinds))
    trees = tuple(each for each in wanted if not kinds[each].is_database)
    databases = tuple(each for each in wanted if kinds[each].is_database)
    if not trees:
        raise UsageMistake(
            f"{some_names(databases)}: files are looked for in folders and shares only",
            hint=f"`dro open {request.plan.practice.id} --system {request.system}` lets you look "
            "into a database",
        )
    return trees, databases


def _to_list(
    request: SearchRequest, trees: Sequence[str], there: Mapping[str, Snapshot], store: Store
) -> tuple[dict[_Tree, _Listing], tuple[RecoveryPoint, ...], tuple[RecoveryPoint, ...]]:
    """Return the lists to read, the points they tell of, and the older ones that are left out."""
    listings: dict[_Tree, _Listing] = {}
    searched: list[RecoveryPoint] = []
    left_out: list[RecoveryPoint] = []
    for point in sorted(request.points, key=lambda each: each.as_of, reverse=True):
        states = dict(_states(point, request.repository, trees, there, store))
        more = sum(tree not in listings for tree in states)
        if left_out or (len(listings) + more > _LISTED_AT_ONCE and not request.no_limit):
            left_out += [point] if states else []
            continue
        for tree, snapshot in states.items():
            listings.setdefault(tree, _Listing(snapshot, [])).points.append(point)
        searched += [point] if states else []
    return listings, tuple(searched), tuple(left_out)


def _states(
    point: RecoveryPoint,
    repository: str,
    trees: Sequence[str],
    there: Mapping[str, Snapshot],
    store: Store,
) -> Iterator[tuple[_Tree, str]]:
    """Yield the trees of a point with the snapshot of each.

    Raises:
        PointNotFound: a snapshot is gone.
    """
    copy = point.copy_in(repository)
    kept = store.kept_manifest(point.practice, point.id) if copy and copy.is_existing else None
    manifest = decode_manifest(kept.encode()) if kept else None
    for asset in trees:
        snapshot = copy.snapshots.get(asset) if copy else None
        if snapshot is None:
            continue
        if snapshot not in there:
            raise PointNotFound(
                f"{repository} does not hold all of recovery point {point.id} any more",
                hint=f"`dro repository check {point.practice} --repository {repository}` looks "
                "what is there; --since leaves older points out",
            )
        root = manifest.assets[asset].path if manifest else there[snapshot].paths[0]
        yield _Tree(asset, root, there[snapshot].tree or snapshot), snapshot


def _as_recorded(
    request: SearchRequest,
    trees: Sequence[str],
    searched: Sequence[RecoveryPoint],
    run: str,
    now: datetime,
) -> Restored:
    """Return the record of names that came back: somebody may have read them."""
    names = f"names of files only, out of {count_words(len(searched), 'recovery point')}"
    return Restored(
        practice=request.plan.practice.id,
        run=run,
        at=now,
        system=request.system,
        point=searched[0].id,
        repository=request.repository,
        assets=tuple(trees),
        place=f"{names}, to a person on {os.uname().nodename}",
        by=request.by,
        why=request.why,
    )


def _in_order(
    versions: Collection[Version], searched: Sequence[RecoveryPoint], repository: str
) -> tuple[Version, ...]:
    newest: dict[str, str] = {}
    for point in searched:
        copy = point.copy_in(repository)
        for asset in copy.snapshots if copy else ():  # a newer point may lack one of several
            newest.setdefault(asset, point.id)
    for version in versions:
        version.points.sort(key=lambda each: each.as_of, reverse=True)
        version.is_newest = version.points[0].id == newest[version.asset]
    by_age = sorted(versions, key=lambda each: each.points[0].as_of, reverse=True)
    return tuple(sorted(by_age, key=lambda each: (each.asset, each.path)))
