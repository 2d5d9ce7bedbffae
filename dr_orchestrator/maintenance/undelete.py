"""Make a repository in a bucket what it was at an earlier time, after an attack or a mistake.

Nothing of it destroys anything: what was not there then is only set aside, and comes back when the
repository is made what it was at a later time. What is recorded was looked for afterwards.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import PointForgotten
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import (
    RepositoryAbsent,
    RepositoryChanged,
    RepositoryDamaged,
    RepositoryError,
    StorageUnusable,
)
from dr_orchestrator.maintenance.holdings import Holdings, sort_snapshots
from dr_orchestrator.maintenance.tools import require_ours
from dr_orchestrator.repositories.object_history import (
    CONFIG,
    FILES,
    KEYS,
    LOCKS,
    AsOf,
    Change,
    Step,
    Version,
    as_of,
    carry_out,
    histories,
    read_version,
    require_versions,
)
from dr_orchestrator.store.base import reading_key, repository_key
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.repositories.s3_place import S3Place

_OF_ONE_OBJECT = frozenset(
    {
        *("AccessDenied", "InvalidArgument", "InvalidObjectState", "InvalidRequest"),
        *("NoSuchKey", "NoSuchVersion", "ObjectLocked"),
    }
)
"""Codes that say nothing of other objects (S3's API reference, "Error responses"): `InvalidRequest`
is what it answers for one that is encrypted with a key it was not given."""
_AT_ONCE = 8
"""Requests; a bucket takes thousands a second, each of which takes it 30 ms or more."""
_LARGEST_FILE = 64 * 1024
"""Bytes; restic's own key files, and its snapshots of ours, are of half a KiB."""
_OPENS = re.compile(rf"{CONFIG}|{KEYS}[0-9a-f]{{64}}")
_SNAPSHOT = re.compile(r"snapshots/[0-9a-f]{64}")
"""No other name reaches a path of this machine: whoever can write to a bucket can name an object
`keys/../…`."""
_LAYOUT = ("data", "index", "keys", "locks", "snapshots")


@dataclass(frozen=True, kw_only=True)
class UndeleteTools:
    """What bringing a repository back works with; made by `app.py`."""

    maintenance: MaintenanceTools
    open_folder: Callable[[Plan, str, Path], Repository]
    """Opens what lies in a folder `repository` of a folder with the key of a repository of the
    plan, and keeps what it reads there too."""
    cache: Path
    """Where restic keeps what it has read, in a folder of each repository's id."""


@dataclass(frozen=True, kw_only=True)
class UndeletePlan:
    """What makes a repository what it was, and what that means."""

    before: datetime
    restic_id: str
    """restic's own id of the repository, as it was then."""
    changes: tuple[Change, ...]
    """In the order in which no snapshot is ever listed whose data is not there."""
    lost: int
    """Files that were deleted since, and of which the bucket no longer keeps any version."""
    doubtful: int
    """Files that had been overwritten already by then."""
    back: tuple[RecoveryPoint, ...]
    """Points on record that are all there afterwards, oldest first."""
    aside: tuple[RecoveryPoint, ...]
    """Points on record of which nothing is there afterwards but what they share with others: they
    were made since."""
    missing: tuple[RecoveryPoint, ...]
    """Points on record that were not all there at that time either."""

    @property
    def counts(self) -> Mapping[Step, int]:
        """How many files each step is done to."""
        return Counter(change.step for change in self.changes)

    @property
    def copied_bytes(self) -> int:
        """How much more the bucket holds afterwards."""
        copied = (each.versions[0] for each in self.changes if each.step is Step.COPY)
        return sum(version.size or 0 for version in copied)


@dataclass(frozen=True, kw_only=True)
class UndeleteResult:
    """What came of it."""

    forgotten: tuple[str, ...] = ()
    """Ids of the points that were set aside, and are on record as such."""
    unknown: int = 0
    """Points of the practice that are there, and not on record."""
    outcome: Outcome = Outcome.DONE
    """`partial` where the repository is not all it was."""
    reason: str = ""


@dataclass
class _Survey:
    """What the files of a repository were, gathered one by one."""

    changes: list[Change] = field(default_factory=list)
    snapshots: set[str] = field(default_factory=set)
    """Ids of those that were there then: the names of their files."""
    newer: set[str] = field(default_factory=set)
    """Ids of those that were made since."""
    opening: dict[str, Version] = field(default_factory=dict)
    """The files that open the repository, as they were then."""
    lost: int = 0
    doubtful: int = 0

    def add(self, file: AsOf) -> None:
        self.lost += file.is_lost
        self.doubtful += file.is_doubtful
        if file.change is not None:
            self.changes.append(file.change)
        folder, _, name = file.path.partition("/")
        if folder == "snapshots":
            if file.then is not None:
                self.snapshots.add(name)
            elif file.is_newer:
                self.newer.add(name)
        elif file.then is not None and opens(file.path):
            self.opening[file.path] = file.then

    def in_order(self) -> tuple[Change, ...]:
        """Return what goes first, snapshots before what they are made of, then what comes back,
        snapshots last.
        """
        aside = [each for each in self.changes if each.step is Step.SET_ASIDE]
        back = [each for each in self.changes if each.step is not Step.SET_ASIDE]
        return (*reversed(aside), *back)


def plan_undelete(
    request: RepositoryRequest, tools: UndeleteTools, before: datetime
) -> UndeletePlan:
    """Return what makes a repository what it was just before an instant. Changes nothing.

    Raises:
        RepositoryAbsent, RepositoryChanged, RepositoryDamaged: what was there then is not the
            repository we know.
        StorageUnusable: the bucket cannot be read, or keeps no versions.
        UsageMistake: it is in no bucket, or only read.
    """
    require_ours(request)
    place = tools.maintenance.open_place(request.plan, request.repository)
    require_versions(place)
    survey = _survey(place, before)
    restic_id = _identity(request, tools, place, survey, before)
    back, aside, missing = [], [], []
    for point in tools.maintenance.store.points(request.practice, repository=request.repository):
        copy = point.copy_in(request.repository)
        snapshots = set(copy.all_snapshots) if copy else set()
        if snapshots <= survey.snapshots:
            back.append(point)
        elif copy and copy.manifest_snapshot in survey.newer:
            aside.append(point)
        else:
            missing.append(point)
    return UndeletePlan(
        before=before,
        restic_id=restic_id,
        changes=survey.in_order(),
        lost=survey.lost,
        doubtful=survey.doubtful,
        back=tuple(back),
        aside=tuple(aside),
        missing=tuple(missing),
    )


def undelete(
    request: RepositoryRequest, tools: UndeleteTools, planned: UndeletePlan
) -> UndeleteResult:
    """Make a repository what it was. Nobody else works there meanwhile, or restores from there.

    Cut short it is gone on with when it is done again; done twice it changes nothing.

    Raises:
        Busy: somebody else works in it.
        StorageUnusable: the bucket refused, or did not answer.
        RepositoryError: by its class: what was brought back does not open.
    """
    maintenance = tools.maintenance
    restic_id = planned.restic_id
    with (
        maintenance.store.locks.hold(
            {repository_key(restic_id), reading_key(restic_id)},
            exclusive=True,
            wait=maintenance.lock_wait,
            what=f"the repository {request.repository}",
        ),
        run_in_ledger(
            maintenance.store,
            maintenance.clock,
            Operation.UNDELETE,
            practice=request.practice,
            system="",
            repository=request.repository,
        ) as run,
    ):
        place = maintenance.open_place(request.plan, request.repository)
        require_versions(place)
        refused = _carry_out_all(place, planned.changes)
        _drop(tools.cache / restic_id, request.repository)
        left = len(_survey(place, planned.before).changes)
        result = _recorded(request, maintenance, planned, left=left, refused=refused)
        run.conclude(result.outcome, result.reason)
        return result


def opens(path: str) -> bool:
    """Return whether a file of a repository is one of those that open it."""
    return _OPENS.fullmatch(path) is not None


@contextmanager
def opened_from(
    request: RepositoryRequest,
    tools: UndeleteTools,
    place: S3Place,
    files: Mapping[str, Version],
) -> Iterator[Repository]:
    """Put the small files among these versions, those that open a repository and its snapshots,
    into a folder of ours, and open that for a block.

    Raises:
        RepositoryError: by its class, as restic is asked.
        StorageUnusable: the bucket cannot be read.
    """
    small = {
        path: version
        for path, version in files.items()
        if (opens(path) or _SNAPSHOT.fullmatch(path))
        and version.size is not None
        and version.size <= _LARGEST_FILE
    }
    with tempfile.TemporaryDirectory(dir=tools.maintenance.scratch) as scratch:
        root = Path(scratch, "repository")
        for folder in _LAYOUT:
            (root / folder).mkdir(parents=True)

        def fetch(path: str) -> None:
            (root / path).write_bytes(read_version(place, path, small[path]))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(fetch, small):
                pass
        yield tools.open_folder(request.plan, request.repository, Path(scratch))


def _survey(place: S3Place, before: datetime) -> _Survey:
    survey = _Survey()
    for history in histories(place, LOCKS):  # whoever held them holds none as of an earlier time
        survey.add(as_of(history, None))
    for history in histories(place, FILES):
        survey.add(as_of(history, before))
    return survey


def _identity(
    request: RepositoryRequest,
    tools: UndeleteTools,
    place: S3Place,
    survey: _Survey,
    before: datetime,
) -> str:
    """Return restic's id of what was there, asked of restic itself: the few files that say so are
    put into a folder of ours.
    """
    name = request.repository
    moment = f"{before.astimezone(request.plan.practice.timezone):%Y-%m-%d %H:%M:%S %Z}"
    if CONFIG not in survey.opening:
        raise RepositoryAbsent(
            f"there was no repository in {name} just before {moment}",
            hint="choose a later time, at which it held what you need",
        )
    try:
        with opened_from(request, tools, place, survey.opening) as repository:
            found = repository.identity()
    except RepositoryError as error:
        raise RepositoryDamaged(
            f"what {name} was just before {moment} does not open: {error.message}",
            hint="if it had been overwritten by then, choose an earlier time: "
            f"`dro repository undelete {request.practice} --repository {name} --show`",
        ) from error
    known = tools.maintenance.store.repository_id(request.practice, name)
    if known not in {None, found}:
        raise RepositoryChanged(
            f"just before {moment} another repository was at the place of {name}: it had the id "
            f"{found[:8]}, the one we know has {str(known)[:8]}",
            hint="choose a time before that one was put there",
        )
    return found


def _carry_out_all(place: S3Place, changes: Iterable[Change]) -> Counter[str]:
    """Carry changes out, several at once within one folder, folder after folder; return which codes
    single ones were refused with. Somebody may have put an object there to be a stumbling block, as
    one encrypted with a key of his own: it must not keep all others from coming back.

    Raises:
        StorageUnusable: the bucket does not answer, or none of the first folder could be carried
            out.
    """
    stages: list[list[Change]] = []
    for change in changes:
        if not stages or _stage(stages[-1][0]) != _stage(change):
            stages.append([])
        stages[-1].append(change)
    refused: Counter[str] = Counter()

    def carried_out(change: Change) -> StorageUnusable | None:
        try:
            carry_out(place, change)
        except StorageUnusable as error:
            if error.code not in _OF_ONE_OBJECT:
                raise
            return error
        return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for stage in stages:
            errors = [error for error in pool.map(carried_out, stage) if error]
            if len(errors) == len(stage) and stage is stages[0]:
                raise errors[0]
            refused.update(error.code for error in errors)
    return refused


def _stage(change: Change) -> tuple[bool, str]:
    return change.step is Step.SET_ASIDE, change.path.partition("/")[0]


def _drop(cache: Path, repository: str) -> None:
    """Remove what restic keeps of the files it has read: restic 0.14 looks at a file's name only,
    and would go on with what had been written over it.
    """
    shutil.rmtree(cache, ignore_errors=True)
    if cache.exists():
        raise StorageUnusable(
            f"what was read of {repository} before cannot be removed from {cache}",
            hint="remove the folder: it holds nothing that is not in the repository",
        )


def _recorded(
    request: RepositoryRequest,
    tools: MaintenanceTools,
    planned: UndeletePlan,
    *,
    left: int,
    refused: Counter[str],
) -> UndeleteResult:
    """Look at what is there now, and record which points were set aside."""
    name = request.repository
    repository = tools.open_repository(request.plan, name)
    holdings = sort_snapshots(repository.snapshots({"practice": request.practice}))
    gone = [
        point.id
        for point in planned.aside
        if (copy := point.copy_in(name))
        and not copy.is_existing
        and copy.manifest_snapshot not in holdings.ids
    ]
    at = tools.clock.now()
    moment = f"{planned.before:%Y-%m-%d %H:%M:%S} UTC"
    tools.store.record(
        *(
            PointForgotten(
                practice=request.practice,
                point=point,
                repository=name,
                at=at,
                why=f"set aside when the repository was made what it was before {moment}",
            )
            for point in gone
        )
    )
    known = {point.id for point in tools.store.points(request.practice, repository=name)}
    found = {point for point, remains in holdings.points.items() if remains.manifests}
    lacking = _lacking(planned.back, name, holdings)
    reason = "; ".join(_doubts(planned, left=left, refused=refused, lacking=lacking))
    return UndeleteResult(
        forgotten=tuple(gone),
        unknown=len(found - known),
        outcome=Outcome.PARTIAL if reason else Outcome.DONE,
        reason=reason,
    )


def _lacking(points: Iterable[RecoveryPoint], name: str, holdings: Holdings) -> int:
    copies = (point.copy_in(name) for point in points)
    return sum(holdings.lacks(copy) for copy in copies if copy)


def _doubts(
    planned: UndeletePlan, *, left: int, refused: Counter[str], lacking: int
) -> Iterator[str]:
    """Yield why the repository is not all it was."""
    if refused:
        files, codes = count_words(refused.total(), "file"), ", ".join(sorted(refused))
        yield f"the bucket refused what {files} needed ({codes})"
    if planned.lost:
        lost = count_words(planned.lost, "file")
        yield f"{lost} could not be brought back: the bucket no longer keeps any version"
    if left > refused.total():
        changed = count_words(left - refused.total(), "file")
        yield f"{changed} changed while it was done: do it again"
    if lacking:
        yield f"{count_words(lacking, 'recovery point')} should be there, and restic lists them not"
    if planned.missing:
        missing = count_words(len(planned.missing), "recovery point")
        yield f"{missing} on record had not all been there by then"
