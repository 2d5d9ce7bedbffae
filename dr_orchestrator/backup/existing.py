"""The recovery points that another tool makes: looked for in its repository, and put on record.

Nothing is saved, locked or removed there. What the tool itself removes is forgotten here too; what
it saves counts from the next look on. Nobody compared anything when it was saved, so a restore test
finds no baseline, and only what the plan asks in `verify` tells whether the data is right.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from glob import escape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.backup.backup import BackupResult, Failure, Found, databases_first
from dr_orchestrator.backup.pairing import Pair, pair
from dr_orchestrator.backup.recovery_point import oldest_data, say_skew
from dr_orchestrator.core.identity import derived_id
from dr_orchestrator.core.manifest_codec import decode_manifest, encode_manifest
from dr_orchestrator.core.point import AssetState, Manifest, Method, PointCopy, Recoverable
from dr_orchestrator.core.record import PointForgotten, PointRecorded
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.plan.effective import written
from dr_orchestrator.plan.model import ExistingAsset
from dr_orchestrator.repositories.manifests import point_of
from dr_orchestrator.repositories.others import candidates, existing_words
from dr_orchestrator.store.base import system_key
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.share import Listed
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository, Snapshot
    from dr_orchestrator.store.base import Store

_AT_ONCE = 30
"""Points that one look puts on record, the newest first: for each, restic lists files for a second
or so, and a repository may have thousands."""
_LIST_TIMEOUT = timedelta(hours=2)
_CLOCKS_APART = timedelta(days=1)
"""How far ahead the clock that a file was written by may have been, or its time zone."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SCOPES = {Method.TREE: "tree", Method.COPY: "file", Method.DUMP: "file"}
_LOGS = {
    "wal": "that were not in it yet (its write-ahead log) and do not come back",
    "journal": "by which half a change is taken back (its rollback journal), and without them it "
    "may be half done",
}
"""What SQLite keeps beside a database that is written to -> what it means that it stays behind."""
_NOTHING_NOTED = "another tool saved it, and noted nothing that it could be compared with"
_REMOVED = "whoever saves there let go of it"
_PAIRED_ANEW = "its parts belong to other points, by what is there now or by what the plan says"


@dataclass(frozen=True, kw_only=True)
class ExistingRequest:
    """Which system's points are looked for."""

    plan: Plan
    system: str
    serves: Serves | None = None
    """What of a schedule this is an attempt at."""


@dataclass(frozen=True, kw_only=True)
class ExistingTools:
    """What looking works with; made by `app.py`."""

    store: Store
    clock: Clock
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan for reading; never creates one."""


def note_existing(request: ExistingRequest, tools: ExistingTools) -> BackupResult:
    """Put on record what a repository holds of a system that another tool saves, and forget what it
    no longer holds. Always leaves a closed run behind, as a backup does, and stands for one.

    Raises:
        Busy: somebody looks just now.
        DroError: the repository cannot be read.
    """
    practice, system = request.plan.practice.id, request.system
    only_one = tools.store.locks.hold(
        {system_key(practice, system)},
        exclusive=True,
        wait=timedelta(),
        what=f"system {system} of {practice}",
    )
    with (
        only_one,
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.BACKUP,
            practice=practice,
            system=system,
            serves=request.serves,
        ) as run,
    ):
        result = _Look(request, tools, run.id).make()
        reasons = "; ".join(f"{each.asset}: {each.reason}" for each in result.failures)
        run.conclude(result.outcome, reasons)
    return result


@dataclass(frozen=True)
class _Lying:
    """What a snapshot holds of an asset."""

    path: str
    bytes: int
    changed_at: datetime | None
    """Of a file: when its content was last changed."""
    beside: Mapping[str, int] = field(default_factory=dict)
    """Of the logs of SQLite that lie beside it: name's ending -> bytes."""


@dataclass
class _Look:
    """One look, and what came of it so far."""

    request: ExistingRequest
    tools: ExistingTools
    run: str
    seen: dict[tuple[str, str], _Lying | None] = field(default_factory=dict)
    """(tree of a snapshot, asset) -> what it holds of it."""

    @cached_property
    def repository(self) -> Repository:
        return self.tools.open_repository(self.request.plan, self.name)

    @property
    def name(self) -> str:
        return self.request.plan.protected[self.request.system].backup.to[0]

    @property
    def practice(self) -> str:
        return self.request.plan.practice.id

    @cached_property
    def assets(self) -> dict[str, ExistingAsset]:
        planned = self.request.plan.protected[self.request.system].assets
        return {
            name: asset
            for name, asset in databases_first(planned)
            if isinstance(asset, ExistingAsset)
        }

    def make(self) -> BackupResult:
        listed = self.repository.snapshots({})
        held = {name: candidates(each.existing, listed) for name, each in self.assets.items()}
        pairs = {self._id(each): each for each in pair(held)}
        known = {point.id for point in self._on_record()}
        lacking = sorted((point for point in pairs if point not in known), reverse=True)
        new, asked = self._record_some(lacking, pairs)
        gone = self._forget(pairs, {each.id for each in listed})
        points = self._on_record()
        failures = tuple(self._failures(held, points))
        outcome = Outcome.PARTIAL if failures else Outcome.DONE
        return BackupResult(
            point=points[-1] if points else None,
            failures=failures,
            outcome=outcome if points else Outcome.FAILED,
            existing=Found(points=len(points), new=new, gone=gone, left=len(lacking) - asked),
        )

    def _on_record(self) -> tuple[RecoveryPoint, ...]:
        """Return the points of others that are known here, oldest first."""
        found = self.tools.store.points(self.practice, self.request.system, repository=self.name)
        return tuple(each for each in found if _copy(each, self.name).is_existing)

    def _id(self, each: Pair) -> str:
        """Return the id of a point: another one where the plan says that it is of other things."""
        parts = [
            (asset, snapshot.id, self.assets[asset].kind.value, self.assets[asset].existing.path)
            for asset, snapshot in sorted(each.snapshots.items())
        ]
        return derived_id(each.as_of, json.dumps([self.request.system, each.led_by, parts]))

    # --- what is new ----------------------------------------------------------------------------

    def _record_some(self, lacking: Sequence[str], pairs: Mapping[str, Pair]) -> tuple[int, int]:
        """Put the newest that are lacking on record; return how many are points, and how many were
        looked into. Where none of these is one, as they were not at the look before, any of the
        older ones are looked into: what is no point is remembered nowhere.
        """
        chosen, older = list(lacking[:_AT_ONCE]), lacking[_AT_ONCE:]
        new = sum(self._record(point, pairs[point]) for point in chosen)
        if older and not new:
            more = secrets.SystemRandom().sample(older, min(len(older), _AT_ONCE))
            new = sum(self._record(point, pairs[point]) for point in more)
            chosen += more
        return new, len(chosen)

    def _record(self, point: str, each: Pair) -> bool:
        """Put a point on record; tell whether it is one: its snapshots may hold something else."""
        content = self.tools.store.kept_manifest(self.practice, point)
        if content is None:
            manifest = self._manifest(point, each)
            if manifest is None:
                return False
            content = encode_manifest(manifest).decode()
        manifest = decode_manifest(content.encode())
        copy = PointCopy(
            repository=self.name,
            manifest_snapshot="",
            manifest_sha256=hashlib.sha256(content.encode()).hexdigest(),
            snapshots={asset: state.snapshot for asset, state in manifest.assets.items()},
            recorded_at=self.tools.clock.now(),
        )
        self.tools.store.record(PointRecorded(point=point_of(manifest, (copy,)), manifest=content))
        return True

    def _manifest(self, point: str, each: Pair) -> Manifest | None:
        assets = {
            asset: self._state(asset, snapshot, lying, each.as_of)
            for asset, snapshot in each.snapshots.items()
            if (lying := self._lying(asset, snapshot)) is not None
        }
        if not assets:
            return None
        plan = self.request.plan
        skew = say_skew(assets, plan.protected[self.request.system].max_skew)
        return Manifest(
            point=point,
            practice=self.practice,
            practice_name=plan.practice.name,
            system=self.request.system,
            run=self.run,
            as_of=each.as_of,
            finished=max(state.captured_at for state in assets.values()),
            data_as_of=oldest_data(assets),
            skew_seconds=skew.total_seconds(),
            repository=self.repository.identity(),
            assets=assets,
            recoverable=Recoverable(start=each.as_of, end=each.as_of),
            plan_sha256=self._plan_sha256,
            made_by=f"dr-orchestrator {__version__}",
        )

    @cached_property
    def _plan_sha256(self) -> str:
        return hashlib.sha256(written(self.request.plan).encode()).hexdigest()

    def _state(self, asset: str, snapshot: Snapshot, lying: _Lying, as_of: datetime) -> AssetState:
        planned = self.assets[asset]
        conditions = [_NOTHING_NOTED]
        conditions += [
            f"beside {asset} lay {size_words(size)} {_LOGS[log]}: have it saved as "
            "`sqlite3 .backup` does"
            for log, size in lying.beside.items()
            if size
        ]
        if lying.changed_at and lying.changed_at > snapshot.time + _CLOCKS_APART:
            conditions.append(
                f"{asset} says that it was written after it was saved: nobody knows how old it is"
            )
        is_made = planned.method is Method.DUMP or "*" in planned.existing.path
        written_at = lying.changed_at if is_made and lying.changed_at else snapshot.time
        return AssetState(
            kind=planned.kind,
            method=planned.method,
            scope=_SCOPES[planned.method],
            snapshot=snapshot.id,
            path=lying.path,
            bytes=lying.bytes,
            captured_at=snapshot.time,
            data_as_of=age if (age := min(written_at, snapshot.time)) < as_of else None,
            conditions=tuple(conditions),
        )

    def _lying(self, asset: str, snapshot: Snapshot) -> _Lying | None:
        """Return what a snapshot holds of an asset; `None` where it holds nothing."""
        key = snapshot.tree, asset
        if not snapshot.tree or key not in self.seen:
            planned = self.assets[asset]
            look = self._tree if planned.method is Method.TREE else self._file
            self.seen[key] = look(snapshot, planned.existing.path)
        return self.seen[key]

    def _tree(self, snapshot: Snapshot, path: str) -> _Lying | None:
        files = size = 0

        def take(listed: Listed) -> None:
            nonlocal files, size
            if listed.path != path:
                files, size = files + 1, size + listed.size

        within = path if path != "/" else ""
        self.repository.list_files(snapshot.id, take, within=within, timeout=_LIST_TIMEOUT)
        return _Lying(path, size, None) if files else None

    def _file(self, snapshot: Snapshot, path: str) -> _Lying | None:
        """Return the file, or of those that fit a pattern the one that was written last; one that
        says it was written after it was saved would otherwise be the newest for years.
        """
        folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
        found: dict[str, Listed] = {}

        def take(listed: Listed) -> None:
            if not listed.is_link:
                found[PurePosixPath(listed.path).name] = listed

        self.repository.list_files(
            snapshot.id, take, within=folder, deep=False, timeout=_LIST_TIMEOUT
        )
        fitting = [each for each in found if fnmatchcase(each, _as_pattern(name))]
        latest = snapshot.time + _CLOCKS_APART
        newest = max(
            fitting, key=lambda each: (_changed_at(found[each], latest), each), default=None
        )
        if newest is None:
            return None
        file = found[newest]
        logs = {each: log.size for each in _LOGS if (log := found.get(f"{newest}-{each}"))}
        return _Lying(file.path, file.size, file.changed_at, logs)

    # --- what is gone, or missing ---------------------------------------------------------------

    def _forget(self, pairs: Mapping[str, Pair], listed: set[str]) -> int:
        """Forget the points that are not there any more, or not as points."""
        gone = [point for point in self._on_record() if point.id not in pairs]
        at = self.tools.clock.now()
        self.tools.store.record(
            *(
                PointForgotten(
                    practice=self.practice,
                    point=point.id,
                    repository=self.name,
                    at=at,
                    why=_PAIRED_ANEW
                    if listed.issuperset(_copy(point, self.name).all_snapshots)
                    else _REMOVED,
                )
                for point in gone
            )
        )
        return len(gone)

    def _failures(
        self, held: Mapping[str, Sequence[Snapshot]], points: Sequence[RecoveryPoint]
    ) -> Iterator[Failure]:
        """Yield what the newest point lacks."""
        there = _copy(points[-1], self.name).snapshots if points else {}
        for asset, planned in self.assets.items():
            if asset in there:
                continue
            which = "the newest snapshot of it" if held[asset] else "no snapshot"
            holds = "does not hold" if held[asset] else "holds"
            yield Failure(
                system=self.request.system,
                asset=asset,
                repository=self.name,
                reason=f"{which} in {self.name} {holds} {existing_words(planned.existing)}",
                hint="`restic snapshots` and `restic ls` show what is there, with which tag and of "
                "which host: say it so in the plan",
            )


def _copy(point: RecoveryPoint, repository: str) -> PointCopy:
    return next(copy for copy in point.copies if copy.repository == repository)


def _as_pattern(name: str) -> str:
    return "*".join(map(escape, name.split("*")))


def _changed_at(listed: Listed, latest: datetime) -> datetime:
    changed = listed.changed_at
    return changed if changed and changed <= latest else _LONG_AGO
