"""Which snapshots in a repository are not ours. Pure.

The ids on record decide. What a snapshot says of itself (its tags, its time) decides nothing in its
favour: whoever can write to a repository can write any of that. Ours, and on no record, is only
what a run of ours left that did not end well, what is on the way from one repository to another,
and what is no point and never taken for one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.repositories.attack import PROBE
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.evidence import EVIDENCE
from dr_orchestrator.repositories.manifests import ASSET, MANIFEST, tag_value
from dr_orchestrator.repositories.owner import OWNER

_NO_POINT = frozenset({OWNER, PROBE, EVIDENCE})


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """A snapshot that we did not make, as far as anybody remembers."""

    snapshot: Snapshot
    why: str
    """What it is, in words of ours."""
    second: bool = False
    """Whether it says that it is a manifest, or a snapshot, that we have here already."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What this memory knows of a repository, of all practices that keep points in it."""

    practices: frozenset[str]
    here: frozenset[str]
    """Ids of the snapshots on record in it."""
    elsewhere: frozenset[str]
    """Ids of the snapshots of the same points in other repositories."""
    manifests: frozenset[tuple[str, str]]
    """(practice, point) of those on record in it."""
    shared: bool = False
    """Whether the plan tests what another tool saves there: it goes on to do so."""


def known_in(
    names: Collection[tuple[str, str]], points: Iterable[RecoveryPoint], *, shared: bool = False
) -> Known:
    """Return what is known of the repository that goes by these names: (practice, its plan's name).
    `points` are those of these practices, of any repository; `shared` is as in `Known`.
    """
    copies = [(point, copy) for point in points for copy in point.copies]
    is_here = [(each[0].practice, each[1].repository) in names for each in copies]
    here = [each for each, inside in zip(copies, is_here, strict=True) if inside]
    there = [each for each, inside in zip(copies, is_here, strict=True) if not inside]
    return Known(
        practices=frozenset(practice for practice, _ in names),
        here=frozenset(each for _, copy in here for each in _ids(copy)),
        elsewhere=frozenset(each for _, copy in there for each in _ids(copy)),
        manifests=frozenset((point.practice, point.id) for point, _ in here),
        shared=shared,
    )


def strangers(
    listed: Sequence[Snapshot],
    known: Known,
    runs: Mapping[str, Run],
    accepted: Collection[str],
) -> tuple[Stranger, ...]:
    """Return the snapshots among `listed`, which is all that the repository lists, that are not
    ours. `runs` are the backups of ours by the id of the point they would have made; `accepted`
    are ids that a person has seen.
    """
    trees: dict[str, set[str]] = {}
    for each in listed:
        for name in (each.id, each.first_id):
            trees.setdefault(name, set()).add(each.tree)
    found = (
        _judge(each, known, runs, trees)
        for each in listed
        if each.id not in known.here and each.id not in accepted
    )
    return tuple(each for each in found if each is not None)


def unrecorded(listed: Iterable[Snapshot], known: Known) -> frozenset[str]:
    """Return the points that snapshots on no record say they are of: the caller asks for their
    runs.
    """
    points = (tag_value(each, "point") for each in listed if each.id not in known.here)
    return frozenset(point for point in points if point)


def _judge(
    snapshot: Snapshot,
    known: Known,
    runs: Mapping[str, Run],
    trees: Mapping[str, Collection[str]],
) -> Stranger | None:
    kind, point = tag_value(snapshot, "dro"), tag_value(snapshot, "point")
    practice = tag_value(snapshot, "practice")
    if snapshot.original in known.here or snapshot.original in known.elsewhere:
        # restic gives what is tagged anew, or copied, an id of its own, and names the first one
        if len(trees[snapshot.first_id]) == 1:
            return None
        why = "says it is a snapshot of ours that is here already, and holds something else"
        return Stranger(snapshot=snapshot, why=why, second=True)
    if known.shared and not kind:
        return None  # theirs, and it cannot be taken for ours
    if practice not in known.practices:
        return Stranger(
            snapshot=snapshot,
            why="says it is of a practice that nothing of is kept here"
            if practice
            else "does not say what it is",
        )
    if kind in _NO_POINT:
        return None
    if kind == MANIFEST and (practice, point) in known.manifests:
        why = f"another manifest of recovery point {point}"
        return Stranger(snapshot=snapshot, why=why, second=True)
    if _was_left_by(runs.get(point), kind, practice):
        return None
    return Stranger(snapshot=snapshot, why="says it is of a recovery point that is on no record")


def _was_left_by(run: Run | None, kind: str, practice: str) -> bool:
    """Return whether a backup of ours saved this and did not live to record it, or saved it twice:
    a point is on record before its run ends well, and all that it holds is.
    """
    if run is None or run.practice != practice:
        return False
    return kind == ASSET or (kind == MANIFEST and run.outcome is not Outcome.DONE)


def _ids(copy: PointCopy) -> tuple[str, ...]:
    return copy.all_snapshots
