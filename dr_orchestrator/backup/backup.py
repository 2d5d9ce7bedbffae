"""Back up one system: hold its assets at one instant, save them side by side, make it a point.

What was captured is worth keeping even where something else failed: a point may lack an asset or a
repository, and then says so (`partial`). It never claims what it does not hold.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator.assets.base import CaptureRequest, Stream
from dr_orchestrator.assets.command_answer import argv_text
from dr_orchestrator.backup.pump import save_stream
from dr_orchestrator.backup.recovery_point import BackupRequest, Held, save_point
from dr_orchestrator.backup.staging import staging_folder
from dr_orchestrator.core.record import PointRecorded
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.errors import Busy, CaptureFailed, DroError, RepositoryLocked, SpaceExhausted
from dr_orchestrator.packs.choice import newest_row, pack_queries
from dr_orchestrator.plan.model import ExistingAsset, RunCheck, SqlCheck
from dr_orchestrator.repositories.base import Progress, Repository, Saved, StreamSave
from dr_orchestrator.repositories.manifests import asset_tags, point_of
from dr_orchestrator.store.base import repository_key, system_key
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.point import AssetKind, Manifest, PointCopy, RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.model import Asset, Plan, ProtectedSystem
    from dr_orchestrator.store.base import Store

OnAssetProgress = Callable[[str, Progress], None]
"""Called with an asset's id and how far its save is."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What did not make it into the point, and why."""

    system: str
    asset: str | None
    """`None` where a whole repository failed."""
    repository: str | None
    reason: str
    hint: str = ""
    busy: bool = False
    """Whether trying again later may be all it takes."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look at the points of another tool found."""

    points: int
    """On record now."""
    new: int
    gone: int
    left: int
    """Older ones that the next looks put on record."""


@dataclass(frozen=True, kw_only=True)
class BackupResult:
    """What came of backing up one system."""

    point: RecoveryPoint | None
    """The one that was made; of a system that another tool saves, the newest."""
    failures: tuple[Failure, ...]
    outcome: Outcome
    measure_seconds: float = 0.0
    """What taking the baselines cost; it runs beside the saving."""
    existing: Found | None = None
    """Where another tool saves it, and nothing was made."""


@dataclass(frozen=True, kw_only=True)
class BackupTools:
    """What a backup works with; made by `app.py`."""

    store: Store
    clock: Clock
    drivers: Mapping[AssetKind, AssetDriver]
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan for writing, creating it where there certainly is none."""
    staging: Path
    mirrors: Path
    """Folder of the copies of remote shares that are kept from one backup to the next."""
    files_key: Callable[[str], bytes]
    """Practice -> the key of its keyed hashes."""
    lock_wait: timedelta
    """How long to wait where somebody works alone on a repository."""
    on_progress: OnAssetProgress = field(default=lambda _asset, _progress: None)


def back_up(request: BackupRequest, tools: BackupTools) -> BackupResult:
    """Make one recovery point of one system. Always leaves a closed run behind.

    Raises:
        Busy: the system is being backed up or restored; nothing was attempted.
        DroError: nothing could be done at all (no repository answers, the store is unusable).
    """
    plan, name = request.plan, request.system
    practice, system = plan.practice.id, plan.protected[name]
    only_one = tools.store.locks.hold(
        {system_key(practice, name)},
        exclusive=True,
        wait=timedelta(),
        what=f"system {name} of {practice}",
    )
    with (
        only_one,
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.BACKUP,
            practice=practice,
            system=name,
            serves=request.serves,
        ) as run,
    ):
        result = _Backup(request, tools, system, run.id).make()
        reasons = "; ".join(_words(failure) for failure in result.failures)
        run.conclude(result.outcome, reasons)
    return result


def _words(failure: Failure) -> str:
    what = failure.asset or failure.repository or failure.system
    return f"{what}: {failure.reason}"


class _Backup:
    """One backup of one system, from the first look to the record."""

    def __init__(
        self, request: BackupRequest, tools: BackupTools, system: ProtectedSystem, run: str
    ) -> None:
        self._request = request
        self._plan = request.plan
        self._tools = tools
        self._system = system
        self._packs = {name: each.pack for name, each in request.packs.items()}
        self._run = run
        self._failures: list[Failure] = []
        self._staging = tools.staging / run

    def make(self) -> BackupResult:
        with (
            contextlib.ExitStack() as locks,
            staging_folder(self._staging),
            self._pool() as pool,
        ):
            repositories = self._open_repositories(pool, locks)
            with contextlib.ExitStack() as holds:
                held = self._hold_all(holds)
                self._save_all(held, repositories, pool)
                done = [each for each in held if each.captured is not None]
                seconds = sum(
                    each.captured.baseline.seconds
                    for each in done
                    if each.captured is not None and each.captured.baseline is not None
                )
            point = self._make_point(done, repositories) if done else None
        return BackupResult(
            point=point,
            failures=tuple(self._failures),
            outcome=self._outcome(point),
            measure_seconds=seconds,
        )

    def _outcome(self, point: RecoveryPoint | None) -> Outcome:
        if point is None:
            return Outcome.FAILED
        return Outcome.PARTIAL if self._failures else Outcome.DONE

    @contextlib.contextmanager
    def _pool(self) -> Iterator[concurrent.futures.ThreadPoolExecutor]:
        """Threads enough for every asset to be saved and measured at once."""
        width = 2 * len(self._system.assets) + len(self._system.backup.to)
        with concurrent.futures.ThreadPoolExecutor(width, "backup") as pool:
            yield pool

    def _open_repositories(
        self, pool: concurrent.futures.ThreadPoolExecutor, locks: contextlib.ExitStack
    ) -> dict[str, Repository]:
        """Open those that answer; raise the first error where none does."""
        opening = {
            name: pool.submit(self._open_repository, name, locks) for name in self._system.backup.to
        }
        repositories, errors = {}, []
        for name, future in opening.items():
            try:
                repositories[name] = future.result()
            except DroError as error:
                errors.append(error)
                self._fail(error, repository=name)
        if not repositories:
            raise errors[0]
        return repositories

    def _open_repository(self, name: str, locks: contextlib.ExitStack) -> Repository:
        """Open a repository, and share it with whoever writes there, until the locks are let go."""
        repository = self._tools.open_repository(self._plan, name)
        shared = self._tools.store.locks.hold(
            {repository_key(repository.identity())},
            exclusive=False,
            wait=self._tools.lock_wait,
            what=f"repository {name}",
        )
        locks.enter_context(shared)
        return repository

    def _fail(
        self, error: DroError, *, asset: str | None = None, repository: str | None = None
    ) -> None:
        self._failures.append(
            Failure(
                system=self._request.system,
                asset=asset,
                repository=repository,
                reason=error.message,
                hint=error.hint,
                busy=isinstance(error, RepositoryLocked | Busy),
            )
        )

    def _hold_all(self, holds: contextlib.ExitStack) -> list[Held]:
        """Fix the instant of every asset: databases first, so that each row has its file."""
        held = []
        for asset_id, asset in databases_first(self._system.assets):
            if isinstance(asset, ExistingAsset):
                raise TypeError(f"{asset_id} is another tool's to save")
            try:
                driver = self._tools.drivers[asset.kind]
                request = self._capture_request(asset_id, asset)
                _require_space(driver.staging_bytes(request), self._staging)
                capture = holds.enter_context(driver.capture(request))
            except DroError as error:
                self._fail(error, asset=asset_id)
            else:
                held.append(Held(asset_id, capture, asset.timeout))
        return held

    def _capture_request(self, asset_id: str, asset: Asset) -> CaptureRequest:
        staging = self._staging / asset_id
        staging.mkdir(mode=0o700)
        practice, packs = self._plan.practice, self._packs
        newest = newest_row(self._system, packs)
        asked = newest is not None and newest.asset == asset_id
        return CaptureRequest(
            practice=practice.id,
            system=self._request.system,
            asset_id=asset_id,
            asset=asset,
            queries=(
                *baseline_queries(self._system, asset_id),
                *pack_queries(self._system, asset_id, packs),
                *at_capture_programs(self._system, asset_id),
            ),
            newest=newest.sql if newest and asked else None,
            newest_zone=(newest.timezone if newest else None) or practice.timezone,
            staging=staging,
            mirror=self._tools.mirrors / practice.id / self._request.system / asset_id,
            files_key=self._tools.files_key(practice.id),
        )

    def _save_all(
        self,
        held: list[Held],
        repositories: dict[str, Repository],
        pool: concurrent.futures.ThreadPoolExecutor,
    ) -> None:
        """Save and measure every asset side by side; a failure of one does not stop another."""
        saving = {each.asset_id: pool.submit(self._save, each, repositories) for each in held}
        measuring = {each.asset_id: pool.submit(each.capture.measure) for each in held}
        for each in held:
            try:
                each.saved = saving[each.asset_id].result()
                measuring[each.asset_id].result()
                each.captured = each.capture.finish()
            except DroError as error:
                self._fail(error, asset=each.asset_id)
            for repository, saved in each.saved.items():
                if isinstance(saved, DroError):
                    self._fail(saved, asset=each.asset_id, repository=repository)

    def _save(self, held: Held, repositories: dict[str, Repository]) -> dict[str, Saved | DroError]:
        tags = asset_tags(self._plan.practice.id, self._request.system, self._run, held.asset_id)
        content, at = held.capture.content, held.capture.instant

        def report(progress: Progress) -> None:
            self._tools.on_progress(held.asset_id, progress)

        if isinstance(content, Stream):

            def start_in(repository: Repository) -> Callable[[int], StreamSave]:
                return lambda read_end: repository.save_stream(
                    content.name, read_end, tags=tags, time=at, timeout=held.timeout
                )

            return save_stream(
                content,
                {name: start_in(each) for name, each in repositories.items()},
                timeout=held.timeout,
                on_bytes=lambda count: report(Progress(count, None)),
            )
        results: dict[str, Saved | DroError] = {}
        for name, repository in repositories.items():
            try:
                saved = repository.save_tree(
                    content.path,
                    tags=tags,
                    time=at,
                    exclude=content.exclude,
                    parent=self._newest_of_ours(held.asset_id, name),
                    timeout=held.timeout,
                    on_progress=report,
                )
                _require_all_files(saved, content.expected_files)
                results[name] = saved
            except DroError as error:
                results[name] = error
        return results

    @cached_property
    def _record(self) -> PracticeRecord:
        return self._tools.store.practice_record(self._plan.practice.id)

    def _newest_of_ours(self, asset: str, repository: str) -> str | None:
        """Return the snapshot of an asset that is believed where a file looks unchanged."""
        copies = (
            copy
            for point in reversed(self._record.points)
            if point.system == self._request.system
            and (copy := point.copy_in(repository)) is not None
            and not copy.is_existing
            and asset in copy.snapshots
            and self._record.vouches_for(copy)
        )
        return next((copy.snapshots[asset] for copy in copies), None)

    def _make_point(
        self, done: list[Held], repositories: dict[str, Repository]
    ) -> RecoveryPoint | None:
        """Save a manifest in every repository that holds something, and record the point."""
        made: list[tuple[Manifest, PointCopy]] = []
        for name, repository in repositories.items():
            saved = tuple(each for each in done if isinstance(each.saved.get(name), Saved))
            if not saved:
                continue
            try:
                made.append(
                    save_point(
                        saved,
                        repository,
                        self._request,
                        run=self._run,
                        folder=self._staging / f"manifest-{name}",
                        clock=self._tools.clock,
                    )
                )
            except DroError as error:
                self._fail(error, repository=name)
        if not made:
            return None
        fullest = max((manifest for manifest, _ in made), key=lambda each: len(each.assets))
        point = point_of(fullest, tuple(copy for _, copy in made), self._first_saved(done))
        self._tools.store.record(PointRecorded(point=point))
        return point

    def _first_saved(self, done: list[Held]) -> dict[str, Saved]:
        """Return what the saves put into the first repository of the plan, by asset."""
        first = self._system.backup.to[0]
        saved = {each.asset_id: each.saved.get(first) for each in done}
        return {asset: each for asset, each in saved.items() if isinstance(each, Saved)}


def baseline_queries(system: ProtectedSystem, asset_id: str) -> tuple[str, ...]:
    """Return the SQL of the checks on one asset that are expected to answer as at capture."""
    return tuple(
        check.sql
        for check in system.verify
        if isinstance(check, SqlCheck) and check.asset == asset_id and check.expect.needs_baseline
    )


def at_capture_programs(system: ProtectedSystem, asset_id: str) -> tuple[str, ...]:
    """Return, as text, the programs that tell of production what a restore must answer too."""
    return tuple(
        argv_text(check.at_capture)
        for check in system.verify
        if isinstance(check, RunCheck) and check.asset == asset_id and check.at_capture
    )


def databases_first(assets: Mapping[str, Asset]) -> list[tuple[str, Asset]]:
    """Return the assets in the order of their capture: each row of a database has its file then."""
    return sorted(assets.items(), key=lambda item: not item[1].kind.is_database)


def _require_space(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SpaceExhausted(
            f"staging needs about {size_words(needed)}, {folder} has {size_words(free)} free",
            hint="free some space, or set `state` in the machine's settings to a larger disk",
        )


def _require_all_files(saved: Saved, expected: int | None) -> None:
    """Restic 0.14 exits 0 when a source folder vanished, so its own count is held against ours."""
    if expected is not None and saved.files < expected:
        raise CaptureFailed(
            f"restic saved {saved.files:,} files, but there were {expected:,} to save",
            hint="is the share still mounted, and readable for this user?",
        )
