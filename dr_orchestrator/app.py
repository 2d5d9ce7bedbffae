"""The only place that builds the object graph: settings in, use cases out.

Also what every writing command does first: close the runs that a crash left open, and remove what
they left behind, since restored patient data must not outlive its run by more than that.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.backup.backup import BackupResult, BackupTools, back_up
from dr_orchestrator.backup.copy import CopyRequest, CopyResult, CopyTools, Keeps, copy_points
from dr_orchestrator.backup.existing import ExistingRequest, ExistingTools, note_existing
from dr_orchestrator.backup.recovery_point import BackupRequest
from dr_orchestrator.backup.staging import sweep_staging
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import (
    DroError,
    EvidenceKeyChanged,
    PlanInvalid,
    SandboxNotRemoved,
    UsageMistake,
)
from dr_orchestrator.fleet.metrics import write_metrics
from dr_orchestrator.fleet.publication import fingerprint
from dr_orchestrator.fleet.publish import publish
from dr_orchestrator.fleet.room import room
from dr_orchestrator.fleet.site import look_at, site_status
from dr_orchestrator.fleet.status import SiteStatus
from dr_orchestrator.maintenance.check import CheckResult, check
from dr_orchestrator.maintenance.disturbances import Disturbances, disturbances
from dr_orchestrator.maintenance.evidence_key import Renewed, finish_renewal, renew_key
from dr_orchestrator.maintenance.evidence_tools import EvidenceTools
from dr_orchestrator.maintenance.export_evidence import (
    Exported,
    ExportRequest,
    export_evidence,
    require_sound_evidence,
)
from dr_orchestrator.maintenance.extend import ExtendResult, extend_locks
from dr_orchestrator.maintenance.forget import ForgetResult, forget
from dr_orchestrator.maintenance.immutability import (
    AttackTools,
    ImmutabilityResult,
    try_to_destroy,
)
from dr_orchestrator.maintenance.keep_evidence import (
    EvidenceRequest,
    KeptEvidence,
    keep_evidence,
)
from dr_orchestrator.maintenance.look import Insight, look_into
from dr_orchestrator.maintenance.ownership import take_over
from dr_orchestrator.maintenance.prune import PruneResult, prune
from dr_orchestrator.maintenance.release import Released, release
from dr_orchestrator.maintenance.survey import decide
from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
from dr_orchestrator.maintenance.undelete import (
    UndeletePlan,
    UndeleteResult,
    UndeleteTools,
    plan_undelete,
    undelete,
)
from dr_orchestrator.maintenance.verify_evidence import (
    EvidenceVerified,
    look_at_evidence,
    verify_evidence,
)
from dr_orchestrator.packs.choice import own_packs, packs_of
from dr_orchestrator.plan.first import SYSTEM
from dr_orchestrator.plan.load import effective_yaml, find_plan, find_plans, load_plan
from dr_orchestrator.process import Command, ProcessIdentity, SystemLauncher
from dr_orchestrator.process_folder import (
    make_process_folder,
    remove_process_folder,
    sweep_process_folders,
)
from dr_orchestrator.repositories.owner import Installation
from dr_orchestrator.repository_access import RepositoryAccess
from dr_orchestrator.restore.rebuild import RebuildResult, rebuild_points
from dr_orchestrator.restore.restore import (
    RestoreResult,
    RestoreToDirectory,
    RestoreTools,
    restore_point,
)
from dr_orchestrator.restore.restore_test import RestoreTestRequest, RestoreTestTools, prove
from dr_orchestrator.restore.unfinished import sweep_unfinished
from dr_orchestrator.runbook.shelf import (
    blanks_on,
    files_to_keep,
    own_files,
    own_folder,
    plan_problems,
    shelf_of,
)
from dr_orchestrator.schedule.plan_shelf import (
    KEPT,
    PlansRead,
    kept_plan,
    kept_version,
    read_plans,
)
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.ledger import close_dead_runs, require_not_handed_over
from dr_orchestrator.takeover.recover import remember

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from dr_orchestrator.adopt.address import Named
    from dr_orchestrator.adopt.probe import Found
    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.letter import Letter
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.run import Run
    from dr_orchestrator.custody.tools import CustodyTools
    from dr_orchestrator.doctor.examine import Examination
    from dr_orchestrator.doctor.instruments import DoctorTools
    from dr_orchestrator.doctor.runbooks import RunbooksSeen
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.plan.schedule import Schedule
    from dr_orchestrator.process import Child
    from dr_orchestrator.report.deliver import Delivered
    from dr_orchestrator.report.subject import StepsDone, Subject
    from dr_orchestrator.repositories.base import Progress, Repository
    from dr_orchestrator.restore.find import Fits, SearchRequest, SearchResult
    from dr_orchestrator.restore.into import RestoredDatabase, RestoreIntoDatabase
    from dr_orchestrator.restore.open_point import Opened, OpenRequest
    from dr_orchestrator.runbook.kit.make import MadeKit
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.sandbox.lab import LabDriver
    from dr_orchestrator.sandbox.live import LiveAddress
    from dr_orchestrator.settings import Settings
    from dr_orchestrator.store.base import Store
    from dr_orchestrator.takeover.folder import Giver, Handed
    from dr_orchestrator.takeover.found import FoundPractice
    from dr_orchestrator.takeover.handover import HandedOut, HandoverRequest, HandoverTools
    from dr_orchestrator.takeover.take_over import Taken

OnProgress = Callable[[str, "Progress"], None]


_DAY, _MONTH = timedelta(days=1), timedelta(days=30)
_CLEAN_UP = timedelta(minutes=1)
"""For removing what was restored, before somebody else does."""
_RANDOM_BYTES = 32
_SITE_KEY = "site"
"""An Ed25519 private key is any 32 bytes (RFC 8032); no other name here is without a dot."""
_INSTALLATION = "installation"
_WORKERS = ("backup_", "restore_", "look_")
"""How the threads of our pools are named; they end soon once no program runs any more."""
_WORKER_SECONDS = 30.0


def seen_of_runbooks(loaded: LoadedPlan) -> RunbooksSeen:
    """Return what the doctor looks at: what is wrong with the runbooks of a practice."""
    from dr_orchestrator.doctor.runbooks import RunbooksSeen

    shelf = shelf_of(loaded)
    with_commands = (
        each for each in shelf.runbooks.values() if any(step.command for step in each.runbook.steps)
    )
    return RunbooksSeen(
        problems=shelf.problems,
        misled=plan_problems(loaded, shelf),
        not_trusted={each.origin: each.why_not for each in with_commands if not each.trusted},
        blanks=blanks_on(shelf, loaded.plan),
    )


def _silent(_asset: str, _progress: Progress) -> None:
    pass


def _by_retention(
    plan: Plan, record: PracticeRecord, repository: str, now: datetime
) -> Collection[str]:
    return decide(plan, record, repository, now).kept


def _every_point(
    _plan: Plan, record: PracticeRecord, _repository: str, _now: datetime
) -> Collection[str]:
    return {point.id for point in record.points}


@dataclass(frozen=True)
class Swept:
    """What crashes had left behind, and is gone now."""

    runs: tuple[Run, ...] = field(default=())
    sandboxes: int = 0
    staging: int = 0
    left: DroError | None = None
    """What could not be removed: for a person to see, and no reason not to back up or restore."""


class App:
    """The orchestrator on one machine. `close` ends every program it started."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.launcher = SystemLauncher(settings.path)
        self.state = StateFolder(settings.state)
        self._runtime = settings.state / "runtime"
        self._lab_notes = settings.state / "labs"
        self._restore_notes = settings.state / "unfinished"
        # a cached property may be made twice by two threads (Python 3.12 and later)
        self._making = threading.Lock()
        self._noted: dict[str, str] = {}
        """Practice -> sha256 of the plan whose promise this process last saw on record."""
        self._commands_allowed = settings.commands_allowed

    @property
    def scratch(self) -> Path:
        """A private folder that is gone when this process is."""
        return make_process_folder(self._runtime)

    @property
    def _cache(self) -> Path:
        self.settings.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.settings.cache

    def close(self, *, stopped: bool = False) -> None:
        """End what still runs, remove what must not outlive us, and close the store.

        With `stopped`, a signal may have kept us from cleaning up: what is left is left to this.

        Raises:
            SandboxNotRemoved: something could not be removed.
        """
        self.stop()
        for thread in threading.enumerate():
            if thread.name.startswith(_WORKERS):
                thread.join(_WORKER_SECONDS)
        remove_process_folder(self._runtime)
        with contextlib.ExitStack() as leaving:  # each has its turn, whatever becomes of another
            if "store" in self.__dict__:
                leaving.callback(self._close_store)
            if "labs" in self.__dict__:
                leaving.callback(self.labs.sweep_ours)
            if "sandboxes" in self.__dict__:
                leaving.callback(self.sandboxes.sweep, only_ours=True)
        if stopped:
            self._remove_our_locks()

    def stop(self) -> None:
        """End every program that runs, and every wait for a lock, so that whoever waits goes on."""
        self.launcher.close()
        if "store" in self.__dict__:
            self.store.locks.stop_waiting()

    def _close_store(self) -> None:
        close_dead_runs(self.store, self.clock, ours_too=True)
        # also of a run that was closed: a worker may have written there while it was removed
        sweep_staging(self.settings.state / "staging", self._living_runs)
        self.store.close()

    def _remove_our_locks(self) -> None:
        """Remove the locks of restic's that were stopped before they knew their own lock.

        Our launcher starts nothing any more, so another one does. What fails here is no loss: the
        next start looks again.
        """
        with contextlib.closing(App(self.settings, self.clock)) as another:
            for plan, name in self.repositories.written:
                with contextlib.suppress(DroError):
                    another.repositories.at(plan, name).locks_of_the_dead()

    # --- what the machine has -------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """Our own record, on this machine."""
        from dr_orchestrator.store.sqlite import open_store

        return open_store(self.settings.state, self.clock)

    @cached_property
    def secrets(self) -> SecretReader:
        """The reader of secret references."""
        return SecretReader(
            self.launcher,
            self.settings.environment_value,
            commands_allowed=self._commands_allowed,
        )

    @cached_property
    def repositories(self) -> RepositoryAccess:
        """The ways to the repositories of all plans."""
        return RepositoryAccess(
            self.settings,
            self.clock,
            launcher=self.launcher,
            secrets=self.secrets,
            store=lambda: self.store,
            cache=self._cache,
            runtime=self._runtime,
        )

    @cached_property
    def sandboxes(self) -> SandboxDriver:
        """The maker of throw-away places."""
        from dr_orchestrator.sandbox.bubblewrap import BubblewrapDriver

        settings = self.settings
        return BubblewrapDriver(
            self.launcher,
            settings.sandbox_directory,
            settings.sandbox_uid,
            self.clock,
            programs_outside_usr(
                (
                    *settings.postgres_programs,
                    *settings.mariadb_programs,
                    *settings.command_programs,
                )
            ),
        )

    @cached_property
    def labs(self) -> LabDriver:
        """The lab servers that restore tests may load into."""
        from dr_orchestrator.sandbox.lab import LabDriver

        return LabDriver(
            self.settings.lab_servers,
            secrets=self.secrets,
            notes=self._lab_notes,
            owner=lambda: self.state.lasting_random("lab.owner").hex(),
            plans=self._all_plans,
        )

    @cached_property
    def drivers(self) -> Mapping[AssetKind, AssetDriver]:
        """The asset drivers by kind."""
        from dr_orchestrator.assets.registry import asset_drivers

        return asset_drivers(
            launcher=self.launcher,
            clock=self.clock,
            secrets=self.secrets,
            postgres_programs=self.settings.postgres_programs,
            mariadb_programs=self.settings.mariadb_programs,
            commands_allowed=self._commands_allowed,
            runtime=self.scratch,
        )

    def refuse_commands(self) -> None:
        """From now on run no program that a plan names: one that is no file of this machine is
        worked with.
        """
        self._commands_allowed = False
        self.secrets.refuse_commands()
        self.__dict__.pop("drivers", None)

    def plans(self, practices: tuple[str, ...] = ()) -> tuple[LoadedPlan, ...]:
        """Return the plans of these practices (ids or files); all of the plans folder where none
        is named.

        Raises:
            PlanInvalid: one is not valid, or there is none.
        """
        return tuple(load_plan(path) for path in self._plan_files(practices))

    def plans_and_mistakes(self, practices: tuple[str, ...] = ()) -> PlansRead:
        """Return the plans of these practices, all where none is named, and what is wrong with
        others: where a scheduler keeps the version before of one that is invalid, that version.

        Raises:
            UsageMistake, PlanInvalid: there is no such plan, or none at all.
        """
        return read_plans(self._plan_files(practices), self.kept_plans)

    def plan_at_hand(self, practice: str) -> tuple[LoadedPlan, str]:
        """Return the plan of a practice for somebody who cannot wait until it is mended: where its
        file cannot be used, the version that a scheduler keeps, and a clause that says so.

        Raises:
            UsageMistake, PlanInvalid: there is neither.
        """
        try:
            return self.plans((practice,))[0], ""
        except (UsageMistake, PlanInvalid) as error:
            before = self._kept_plan(practice)
            if before is None:
                raise
            return before, f"{error.message.splitlines()[0]}: the version before is used instead"

    def _kept_plan(self, practice: str) -> LoadedPlan | None:
        """Return what a scheduler keeps of a plan: of its id, or of the path of a file."""
        with contextlib.suppress(PlanInvalid):
            if practice_plan := kept_plan(self.kept_plans, practice, self.settings.plans):
                return practice_plan
        return kept_version(self.kept_plans, Path(practice))

    def _plan_files(self, practices: tuple[str, ...]) -> tuple[Path, ...]:
        folder = self.settings.plans
        named = tuple(find_plan(practice, folder) for practice in practices)
        paths = named or find_plans(folder)
        if not paths:
            raise PlanInvalid(
                f"there is no plan in {folder}", hint="`dro init ID` writes a first one"
            )
        return paths

    def _all_plans(self) -> tuple[Plan, ...]:
        """Return the plans of the plans folder, none where there is no such folder."""
        folder = self.settings.plans
        paths = find_plans(folder) if folder.exists() else ()
        return tuple(load_plan(path).plan for path in paths)

    # --- use cases ------------------------------------------------------------------------------

    def sweep(self) -> Swept:
        """Close the runs of processes that are gone, and remove what they left behind."""
        closed = close_dead_runs(self.store, self.clock)
        staging = 0
        with self.state.only_one() as first:
            if first:  # else another process removes it just now
                sweep_process_folders(self._runtime)
                staging = sweep_staging(self.settings.state / "staging", self._living_runs)
        left: list[SandboxNotRemoved] = []
        sandboxes = 0
        try:
            sweep_unfinished(self._restore_notes, self._living_runs)
        except SandboxNotRemoved as error:
            left.append(error)
        try:
            sandboxes = self.sandboxes.sweep()
        except SandboxNotRemoved as error:
            left.append(error)
        try:
            if self._lab_notes.is_dir():
                self.labs.sweep(self._living_runs())
        except SandboxNotRemoved as error:
            left.append(error)
        return Swept(
            runs=closed, sandboxes=sandboxes, staging=staging, left=left[0] if left else None
        )

    def _living_runs(self) -> frozenset[str]:
        return frozenset(run.id for run in self.store.open_runs())

    def back_up(
        self,
        loaded: LoadedPlan,
        system: str,
        *,
        label: str | None = None,
        on_progress: OnProgress = _silent,
        drivers: Mapping[AssetKind, AssetDriver] | None = None,
        serves: Serves | None = None,
    ) -> BackupResult:
        """Make one recovery point of one system, or look for those that another tool makes of it.

        Raises:
            UsageMistake: a label was given that nobody could keep.
        """
        if loaded.plan.protected[system].is_existing:
            if label is not None:
                raise UsageMistake(
                    f"{system} is saved by another tool: a label keeps nothing there",
                    hint="leave --label out",
                )
            return self._note_existing(loaded.plan, system, serves)
        request = BackupRequest(
            plan=loaded.plan,
            plan_text=effective_yaml(loaded),
            runbooks=files_to_keep(loaded),
            system=system,
            label=label,
            packs=packs_of(loaded),
            serves=serves,
        )
        tools = BackupTools(
            store=self.store,
            clock=self.clock,
            drivers=drivers or self.drivers,
            open_repository=self.repositories.open_for_writing,
            staging=self.state.private("staging"),
            mirrors=self.state.private("mirrors"),
            files_key=self.state.files_key,
            lock_wait=self.settings.lock_wait,
            on_progress=on_progress,
        )
        return back_up(request, tools)

    def _note_existing(self, plan: Plan, system: str, serves: Serves | None) -> BackupResult:
        tools = ExistingTools(
            store=self.store,
            clock=self.clock,
            open_repository=self.repositories.open_for_reading,
        )
        return note_existing(ExistingRequest(plan=plan, system=system, serves=serves), tools)

    def copy(
        self,
        plan: Plan,
        system: str,
        repository: str,
        *,
        serves: Serves | None = None,
        on_point: Callable[[str, int, int], None] = lambda _point, _done, _all: None,
    ) -> CopyResult:
        """Bring the recovery points of one system to another repository."""
        request = CopyRequest(plan=plan, system=system, repository=repository, serves=serves)
        return copy_points(request, self._copying(_by_retention, on_point))

    def _copying(self, keeps: Keeps, on_point: Callable[[str, int, int], None]) -> CopyTools:
        return CopyTools(
            store=self.store,
            clock=self.clock,
            open_source=self.repositories.open_to_copy_from,
            open_target=self.repositories.open_for_writing,
            keeps=keeps,
            lock_wait=self.settings.lock_wait,
            on_point=on_point,
        )

    def copy_all(
        self,
        plan: Plan,
        system: str,
        repository: str,
        *,
        on_point: Callable[[str, int, int], None] = lambda _point, _done, _all: None,
    ) -> CopyResult:
        """Bring every recovery point of one system to another repository, whatever retention would
        keep there.
        """
        request = CopyRequest(plan=plan, system=system, repository=repository)
        return copy_points(request, self._copying(_every_point, on_point))

    def prove(
        self, request: RestoreTestRequest, on_progress: OnProgress = _silent
    ) -> tuple[RestoreTest, ...]:
        """Test one recovery point of one system from one repository; where another tool saves it,
        of those that are there now.
        """
        if request.plan.protected[request.system].is_existing:
            with contextlib.suppress(DroError):  # it is on record, and what is known is tested
                self._note_existing(request.plan, request.system, None)
        with self._making:
            tools = RestoreTestTools(
                store=self.store,
                clock=self.clock,
                drivers=self.drivers,
                open_repository=self.repositories.open_for_reading,
                sandboxes=self.sandboxes,
                labs=self.labs,
                jobs=self.settings.work_jobs,
                lock_wait=self.settings.lock_wait,
                on_progress=on_progress,
            )
        return prove(request, tools)

    def restore(self, request: RestoreToDirectory, on_progress: OnProgress) -> RestoreResult:
        """Restore a recovery point to a directory that was just created."""
        return restore_point(request, self._restore_tools(on_progress))

    def _restore_tools(self, on_progress: OnProgress) -> RestoreTools:
        with self._making:
            return RestoreTools(
                store=self.store,
                clock=self.clock,
                drivers=self.drivers,
                open_repository=self.repositories.open_for_reading,
                lock_wait=self.settings.lock_wait,
                notes=self._restore_notes,
                on_progress=on_progress,
            )

    def open_point(
        self, request: OpenRequest, on_open: Callable[[Opened], None], on_progress: OnProgress
    ) -> None:
        """Serve a database of a recovery point read-only, until its time is over."""
        from dr_orchestrator.restore.open_point import OpenTools, open_point

        with self._making:
            tools = OpenTools(
                store=self.store,
                clock=self.clock,
                drivers=self.drivers,
                open_repository=self.repositories.open_for_reading,
                sandboxes=self.sandboxes,
                start_watcher=self._start_watcher,
                jobs=self.settings.work_jobs,
                lock_wait=self.settings.lock_wait,
                on_progress=on_progress,
            )
        open_point(request, tools, on_open)

    def _start_watcher(self, source: int, lasts: timedelta) -> Child:
        """Start the process that cleans up after `open_point` where this one cannot any more."""
        ours = ProcessIdentity.ours()
        patience = lasts + _CLEAN_UP
        watch = ("open_watch", "--opener", str(ours.pid), "--started", ours.started)
        command = Command(
            argv=(
                *(sys.executable, "-P", "-m", "dr_orchestrator"),
                *(*watch, "--seconds", str(patience.total_seconds())),
            ),
            timeout=_DAY + patience,
            env=self.settings.own_environment(),
            cwd=Path("/"),
            label="dro open_watch",
        )
        return self.launcher.start_apart(command, stdin=source)

    def database_to_load(
        self, plan: Plan, point: RecoveryPoint, asset: str, address: LiveAddress
    ) -> str:
        """Return which asset `restore_into` is to load there, as `into.database_to_load` says."""
        from dr_orchestrator.restore.into import database_to_load

        return database_to_load(point, asset, address, (*self._all_plans(), plan))

    def restore_into(
        self, request: RestoreIntoDatabase, on_progress: OnProgress
    ) -> RestoredDatabase:
        """Restore a database into a new one on a live server, which a person confirmed."""
        from dr_orchestrator.restore.into import IntoTools, restore_into

        tools = IntoTools(
            restore=self._restore_tools(on_progress),
            sandboxes=self.sandboxes,
            plans=self._all_plans,
            jobs=self.settings.work_jobs,
        )
        return restore_into(request, tools)

    def find(
        self, request: SearchRequest, fits: Fits, on_listing: Callable[[int, int], None]
    ) -> SearchResult:
        """Look for files by name in the recovery points of a system."""
        from dr_orchestrator.restore.find import search

        return search(request, fits, self._restore_tools(_silent), on_listing)

    def rebuild(self, plan: Plan, repository: str) -> RebuildResult:
        """Record every recovery point that a repository holds.

        Raises:
            UsageMistake: it holds none of ours.
        """
        if plan.only_reads(repository):
            raise UsageMistake(
                f"{repository} holds no points of ours: another tool saves there",
                hint=f"`dro backup {plan.practice.id}` looks for what it saves",
            )
        return rebuild_points(
            plan,
            repository,
            store=self.store,
            clock=self.clock,
            open_repository=self.repositories.open_for_reading,
        )

    def remember_recovered(self, found: FoundPractice, *, by: str) -> tuple[str, ...]:
        """Take in what else a repository told of a practice that was recovered from it; return
        what could not be, a sentence each.
        """
        return remember(found, store=self.store, clock=self.clock, by=by)

    # --- looking after repositories ---------------------------------------------------------------

    def check(
        self, plan: Plan, repository: str, *, part: int | None = None, serves: Serves | None = None
    ) -> CheckResult:
        """Read back a share of a repository: the one that was read least recently, or `part`."""
        return check(self._look_after(plan, repository, serves), self._maintenance, part=part)

    def forget(self, plan: Plan, repository: str, *, serves: Serves | None = None) -> ForgetResult:
        """Let go of what retention no longer keeps in a repository."""
        return forget(self._look_after(plan, repository, serves), self._maintenance)

    def prune(self, plan: Plan, repository: str, *, serves: Serves | None = None) -> PruneResult:
        """Free the space of what was forgotten in a repository, and renew the locks of what stays:
        a round of it, as `extend_locks` is.
        """
        pruned = prune(self._look_after(plan, repository, serves), self._maintenance)
        if pruned.outcome is not Outcome.DONE or plan.repositories[repository].object_lock is None:
            return pruned
        extended = self.extend_locks(plan, repository)
        return PruneResult(outcome=extended.outcome, reason=extended.reason)

    def extend_locks(
        self, plan: Plan, repository: str, *, serves: Serves | None = None
    ) -> ExtendResult:
        """Renew the object locks of a repository that would run out."""
        return extend_locks(self._look_after(plan, repository, serves), self._maintenance)

    def try_to_destroy(
        self, plan: Plan, repository: str, *, serves: Serves | None = None
    ) -> ImmutabilityResult:
        """Try to destroy what a repository holds, and want to be refused."""
        return try_to_destroy(
            self._look_after(plan, repository, serves),
            self._maintenance,
            AttackTools(
                location=self.repositories.location, put_back=self.state.private("put-back")
            ),
        )

    def plan_undelete(self, plan: Plan, repository: str, before: datetime) -> UndeletePlan:
        """Return what makes a repository what it was just before an instant; change nothing."""
        return plan_undelete(self._look_after(plan, repository, None), self._undelete, before)

    def undelete(self, plan: Plan, repository: str, planned: UndeletePlan) -> UndeleteResult:
        """Make a repository what it was."""
        return undelete(self._look_after(plan, repository, None), self._undelete, planned)

    def disturbances(self, plan: Plan, repository: str) -> Disturbances:
        """Return when something was deleted or overwritten in a repository, and whether by us."""
        return disturbances(self._look_after(plan, repository, None), self._undelete)

    @property
    def _undelete(self) -> UndeleteTools:
        return UndeleteTools(
            maintenance=self._maintenance,
            open_folder=self.repositories.open_folder,
            cache=self._cache,
        )

    def look_into_retention(self, plan: Plan, repository: str) -> Insight:
        """Return what is kept in a repository and why, and what would go; change nothing."""
        return look_into(self._look_after(plan, repository, None), self._maintenance)

    def release_retention(self, plan: Plan, repository: str, *, by: str, why: str) -> Released:
        """Let retention go on in a frozen repository; return what that lets stand."""
        request = self._look_after(plan, repository, None)
        return release(request, self._maintenance, by=by, why=why)

    def take_retention(self, plan: Plan, repository: str, *, why: str) -> None:
        """Make this machine the one that forgets in a repository."""
        take_over(self._look_after(plan, repository, None), self._maintenance, why)

    @staticmethod
    def _look_after(plan: Plan, repository: str, serves: Serves | None) -> RepositoryRequest:
        return RepositoryRequest(plan=plan, repository=repository, serves=serves)

    @cached_property
    def _maintenance(self) -> MaintenanceTools:
        return MaintenanceTools(
            store=self.store,
            clock=self.clock,
            open_repository=self.repositories.open_to_look_after,
            open_as_backup=self.repositories.open_for_reading,
            open_place=lambda plan, name: self.repositories.place(plan, name, directly=True),
            open_place_as_backup=self.repositories.place,
            installation=Installation(
                self.state.lasting_random(_INSTALLATION).hex(), self.settings.site
            ),
            scratch=self.scratch,
            lock_wait=self.settings.lock_wait,
        )

    # --- keys -----------------------------------------------------------------------------------

    @property
    def custody(self) -> CustodyTools:
        """What keys are made, tried, listed and taken back with."""
        from dr_orchestrator.custody.tools import CustodyTools

        return CustodyTools(
            store=self.store,
            clock=self.clock,
            open_repository=self.repositories.open_to_copy_from,
            open_to_remove=self.repositories.open_to_look_after,
            open_by=self.repositories.opened_by,
        )

    # --- evidence -------------------------------------------------------------------------------

    @property
    def evidence_signer(self) -> Signer:
        """The key that this machine signs evidence with, as it is now.

        Raises:
            EvidenceKeyChanged: a renewal was cut short, and cannot be finished.
        """
        finish_renewal(self.state, self.store)
        return self.state.evidence_signer()

    def keep_evidence(
        self, loaded: LoadedPlan, *, serves: Serves | None = None, anchor_now: bool = False
    ) -> KeptEvidence:
        """Save the evidence of a practice into its repositories, and anchor its head where due."""
        finish_renewal(self.state, self.store)
        request = EvidenceRequest(plan=loaded.plan, serves=serves, anchor_now=anchor_now)
        return keep_evidence(request, self._evidence(self.repositories.open_for_writing))

    def look_at_evidence(
        self,
        plan: Plan,
        *,
        repositories: tuple[str, ...] = (),
        expect: tuple[str, ...] = (),
        fingerprints: tuple[str, ...] = (),
    ) -> EvidenceVerified | None:
        """Verify the evidence of a practice on this machine; `None` where there is none."""
        return look_at_evidence(
            plan,
            self._evidence(self.repositories.open_for_reading),
            repositories=repositories,
            expect=expect,
            fingerprints=fingerprints,
        )

    def export_evidence(self, request: ExportRequest) -> Exported:
        """Write the evidence of a practice to one file."""
        finish_renewal(self.state, self.store)
        return export_evidence(request, self._evidence(self.repositories.open_for_reading))

    def renew_evidence_key(self) -> Renewed:
        """Let a new key sign the evidence of all practices from now on."""
        return renew_key(self.state, self.store, wait=self.settings.lock_wait)

    def _evidence(self, open_repository: Callable[[Plan, str], Repository]) -> EvidenceTools:
        return EvidenceTools(
            store=self.store,
            clock=self.clock,
            signer=self.state.evidence_signer,
            open_repository=open_repository,
            send=self.send,
            has_mail=self.settings.mail is not None,
            last_due=self._last_due,
            scratch=self.scratch,
            lock_wait=self.settings.lock_wait,
        )

    def _evidence_keys(self) -> frozenset[str]:
        signers = self.state.known_evidence_signer(), self.state.next_evidence_signer()
        return frozenset(each.public for each in signers if each)

    def _last_due(self, schedule: Schedule, zone: tzinfo) -> datetime | None:
        from dr_orchestrator.schedule.occurrence import occurrences

        now = self.clock.now()
        meant = occurrences(schedule, zone, now - schedule.period - _DAY, now)
        return max(meant, default=None)

    # --- the last day ---------------------------------------------------------------------------

    def hand_over(self, request: HandoverRequest, *, although_altered: bool = False) -> HandedOut:
        """Hand a practice over to another machine, and write the folder that it is taken over from.

        With `although_altered` also where the record is not as it was written; no machine takes
        that over.
        """
        from dr_orchestrator.takeover.handover import hand_over

        finish_renewal(self.state, self.store)
        if request.practice not in self.store.handed_over():
            self.note_promise(request.loaded)
            self.note_standing(request.loaded)
        return hand_over(request, self._handover_tools(although_altered=although_altered))

    def gone_on_elsewhere(self, plan: Plan) -> Mapping[str, DroError | None]:
        """Return the repositories in which another machine went on with a practice that was handed
        over from here; with why, those that could not be looked into.
        """
        from dr_orchestrator.takeover.handover import gone_on_in

        return gone_on_in(plan, self.store, self.repositories.open_for_reading)

    def withdraw_handover(self, loaded: LoadedPlan, *, by: str) -> bool:
        """Go on with a practice that was handed over from here, and that nobody took; whether it
        was handed over.
        """
        from dr_orchestrator.takeover.handover import withdraw

        return withdraw(loaded.plan.practice.id, self.store, by=by, at=self.clock.now())

    def _handover_tools(self, *, although_altered: bool) -> HandoverTools:
        from dr_orchestrator.takeover.handover import HandoverTools

        def export(plan: Plan, out: Path) -> None:
            self.export_evidence(
                ExportRequest(plan=plan, out=out, although_altered=although_altered)
            )

        def require_sound(plan: Plan) -> None:
            if not although_altered:
                require_sound_evidence(plan, self._evidence(self.repositories.open_for_reading))

        return HandoverTools(
            store=self.store,
            clock=self.clock,
            signer=self.state.evidence_signer,
            files_key=self.state.files_key,
            runbooks=own_files,
            packs=own_packs,
            require_sound=require_sound,
            make_kit=lambda loaded, out: str(self.make_kit(loaded, out=out).reason),
            keep_evidence=lambda loaded: self.keep_evidence(loaded).reason,
            export_evidence=export,
            pages=self._handover_pages,
            lock_wait=self.settings.lock_wait,
        )

    def _handover_pages(
        self, loaded: LoadedPlan, giver: Giver, notes: tuple[str, ...]
    ) -> dict[str, bytes]:
        from dr_orchestrator.plan.credentials import credentials_of
        from dr_orchestrator.report.handover import Handover, handover_document, handover_text
        from dr_orchestrator.report.html import render_document
        from dr_orchestrator.sheet.pdf import pdf_of

        said = {
            name: getattr(giver, name) for name in vars(giver) if name not in {"key", "practice"}
        }
        handover = Handover(
            **said,
            fingerprint=giver.fingerprint,
            credentials=tuple(credentials_of(loaded.plan)),
            of_machine=tuple(credentials_of(self.settings)),
            problems=self.store.problems(giver.practice),
            notes=notes,
        )
        subject = self._subject(loaded)
        html = render_document(handover_document(subject, handover))
        pdf = pdf_of(html, subject.now)
        return {
            "README.txt": handover_text(subject, handover).encode(),
            "handover.html": html,
            **({"handover.pdf": pdf} if pdf is not None else {}),
        }

    def take_over(self, handed: Handed, *, plans: Path, by: str) -> Taken:
        """Go on with a practice that another machine handed over."""
        from dr_orchestrator.takeover.take_over import TakeoverTools, take_over

        tools = TakeoverTools(
            store=self.store,
            adopt_files_key=self.state.adopt_files_key,
            runbooks_folder=own_folder,
            read_secret=self.secrets.read,
            take_retention=lambda plan, name: self.take_retention(
                plan, name, why=f"taken over from {handed.giver.host}"
            ),
        )
        return take_over(handed, tools, plans=plans, by=by, at=self.clock.now())

    # --- who looks after many ------------------------------------------------------------------

    def site_status(self, plans: Iterable[Plan]) -> SiteStatus:
        """Return how this machine and these practices stand now."""
        now = self.clock.now()
        statuses = (
            look_at(plan, self.store.practice_record(plan.practice.id), self.settings, now)
            for plan in plans
        )
        return site_status(self.settings.site, statuses, self.store, now)

    def publish(self, plans: Iterable[Plan]) -> None:
        """Publish this machine's status, where its settings say where to.

        Raises:
            StorageUnusable: it cannot be written there.
            SpaceExhausted, StoreUnusable: see there.
        """
        if self.settings.publish is not None:
            seed = self.state.lasting_random(_SITE_KEY)
            publish(self.site_status(plans), self.settings.publish, seed)

    def write_metrics(self, plans: Iterable[Plan]) -> None:
        """Write this machine's metrics for Prometheus, where its settings say where to.

        Raises:
            StorageUnusable: the file cannot be written.
            SpaceExhausted, StoreUnusable: see there.
        """
        if self.settings.metrics is not None:
            write_metrics(self.site_status(plans), self.settings.metrics)

    def site_fingerprint(self) -> str:
        """Return the fingerprint of the key that what this machine publishes is signed with."""
        return fingerprint(self.state.lasting_random(_SITE_KEY))

    # --- what is on a schedule ------------------------------------------------------------------

    def prove_scheduled(
        self, loaded: LoadedPlan, system: str, repository: str, *, point: str, serves: Serves | None
    ) -> tuple[RestoreTest, ...]:
        """Test one recovery point as a plan's schedule asks for it."""
        from dr_orchestrator.schedule.planner import parts_asked

        packs = {name: each.pack for name, each in packs_of(loaded).items()}
        parts = parts_asked(loaded.plan, system, serves.schedule_id) if serves else 1
        request = RestoreTestRequest(
            plan=loaded.plan,
            system=system,
            repository=repository,
            point=point,
            packs=packs,
            parts=parts,
            serves=serves,
        )
        return self.prove(request)

    def note_promise(self, loaded: LoadedPlan) -> None:
        """Record what a plan promises, where that changed; before anything is done by it.

        A version that this process saw on record is not looked up again: by whichever plan
        something is done, that one is recorded, and nobody else's is put back without cause.

        Raises:
            PracticeHandedOver: another machine looks after this practice.
        """
        from dr_orchestrator.maintenance.plan_author import author_of
        from dr_orchestrator.maintenance.standing import record_promise

        practice = loaded.plan.practice.id
        require_not_handed_over(self.store, practice)
        if self._noted.get(practice) != loaded.sha256:
            author = partial(author_of, launcher=self.launcher)
            record_promise(loaded, self.store, self.clock, author)
            self._noted[practice] = loaded.sha256

    def note_standing(self, loaded: LoadedPlan) -> None:
        """Record the verdicts that changed, and the corrective actions that follow.

        Raises:
            PracticeHandedOver: another machine looks after this practice.
        """
        from dr_orchestrator.maintenance.standing import record_standing

        require_not_handed_over(self.store, loaded.plan.practice.id)
        record_standing(loaded.plan, self.store, self.clock)

    def subject(self, loaded: LoadedPlan) -> Subject:
        """Return all that reports on one practice are made of, as of now. What the plan promises is
        recorded first: a limit that was raised a minute ago must not stand there as the old one.

        Raises:
            PracticeHandedOver: another machine knows how it stands.
        """
        self.note_promise(loaded)
        return self._subject(loaded)

    def _subject(self, loaded: LoadedPlan) -> Subject:
        from dr_orchestrator.report.gather import Beside, gather
        from dr_orchestrator.schedule.occurrence import quiet_until

        plan, now = loaded.plan, self.clock.now()
        zone, wanted = plan.practice.timezone, plan.report
        beside = Beside(
            next_page=quiet_until(wanted.schedule, zone, now) if wanted else None,
            steps=self._steps_done(loaded, now),
            disks=room(plan, self.settings),
            faults=self._evidence_faults(plan.practice.id),
        )
        return gather(self.store, loaded, now, beside)

    def _evidence_faults(self, practice: str) -> tuple[str, ...]:
        """Return where the record of a practice is not as it was written, by what is here."""
        with contextlib.suppress(EvidenceKeyChanged):  # then the key does not fit: that is said
            finish_renewal(self.state, self.store)
        found = verify_evidence(self.store.evidence, practice, self.state.evidence_signer())
        return found.faults if found else ()

    def _steps_done(self, loaded: LoadedPlan, now: datetime) -> tuple[StepsDone, ...]:
        from dr_orchestrator.report.subject import StepsDone
        from dr_orchestrator.runbook.coverage import Standing, covers_of

        exercised = self.store.followed.exercised(loaded.plan.practice.id)
        return tuple(
            StepsDone(
                runbook=each.runbook,
                system=each.system,
                steps=len(each.steps),
                done=sum(1 for step in each.steps if step.standing is Standing.VERIFIED),
            )
            for each in covers_of(shelf_of(loaded), loaded.plan, exercised, now)
        )

    def deliver_reports(self, loaded: LoadedPlan, *, serves: Serves | None = None) -> Delivered:
        """Make the reports of a practice, and bring them to where the plan wants them."""
        from dr_orchestrator.report.deliver import DeliveryTools, deliver_reports

        tools = DeliveryTools(
            store=self.store,
            clock=self.clock,
            subject=self.subject,
            send=self.send,
            takes_answers=self.settings.mail is not None and bool(self.settings.mail.reply_to),
            lock_wait=self.settings.lock_wait,
        )
        return deliver_reports(loaded, tools, serves=serves)

    def make_kit(
        self,
        loaded: LoadedPlan,
        *,
        out: Path | None = None,
        serves: Serves | None = None,
        paper: bool = True,
    ) -> MadeKit:
        """Make the kit of a practice, and bring it to where the plan wants it, or to `out`; without
        the PDF, which takes seconds, where it is not for people.
        """
        from dr_orchestrator.runbook.kit.make import KitRequest, KitTools, make_kit
        from dr_orchestrator.runbook.kit.paper import paper_pdf

        tools = KitTools(
            store=self.store,
            clock=self.clock,
            open_repository=self.repositories.open_for_reading,
            programs=self.settings.kit_programs,
            send=self.send,
            lock_wait=self.settings.lock_wait,
            make_paper=paper_pdf if paper else lambda _page, _made: None,
        )
        return make_kit(KitRequest(loaded=loaded, out=out, serves=serves), tools)

    def send(self, contact: Contact, letter: Letter) -> None:
        """Send an e-mail to a contact, through the machine's mail server.

        Raises:
            NotDelivered: it did not arrive; the text holds no secret.
            SecretUnavailable: the mail server's password is not there.
        """
        from dr_orchestrator.notify.deliver import Post, deliver_by_mail
        from dr_orchestrator.notify.message import Message

        now = self.clock.now()
        message = Message(
            id=new_id(now),
            subject=letter.subject,
            text=letter.text,
            facts={},
            attachments=letter.attachments,
        )
        post = Post(mail=self.settings.mail, read_secret=self.secrets.read)
        deliver_by_mail(message, contact.email or "", post, now)

    def probe(self, practice: str, named: Named) -> Found:
        """Look at what somebody wants to protect, without changing anything."""
        from dr_orchestrator.adopt.probe import ProbeTools, probe

        tools = ProbeTools(
            drivers=self.drivers, secrets=self.secrets, clock=self.clock, scratch=self.scratch
        )
        return probe(practice, SYSTEM, named, tools)

    def examine(self, practices: tuple[str, ...]) -> Examination:
        """Return what would make tonight's run of these practices fail; of all where none is named.

        Raises:
            UsageMistake, PlanInvalid: there is no such plan, or none at all.
        """
        from dr_orchestrator.doctor.examine import examine

        return examine(
            practices,
            self.settings,
            self._doctor_tools,
            self._times_a_month,
            lambda path: kept_version(self.kept_plans, path) is not None,
        )

    def _doctor_tools(self) -> DoctorTools:
        from dr_orchestrator.assets.loadable import LoadingPrograms
        from dr_orchestrator.doctor.instruments import DoctorTools
        from dr_orchestrator.runbook.kit.make import kit_due
        from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
        from dr_orchestrator.servers.postgres_programs import PostgresPrograms
        from dr_orchestrator.store.sqlite import FILE_NAME

        state = self.settings.state
        recorded = (state / FILE_NAME).exists()
        loading = LoadingPrograms(
            PostgresPrograms(self.launcher, self.settings.postgres_programs),
            MariadbPrograms(self.launcher, self.settings.mariadb_programs),
        )
        return DoctorTools(
            settings=self.settings,
            clock=self.clock,
            launcher=self.launcher,
            secrets=self.secrets,
            drivers=self.drivers,
            missing_to_load=loading.missing_for,
            sandboxes=self.sandboxes,
            labs=self.labs,
            repository=self.repositories.at,
            direct_repository=partial(self.repositories.at, directly=True),
            location=self.repositories.location,
            place=partial(self.repositories.place, directly=True),
            runbooks=seen_of_runbooks,
            is_kit_due=lambda loaded: kit_due(loaded, self.store) is not None,
            evidence_keys=self._evidence_keys,
            store=lambda: self.store if recorded else None,
            staging=state / "staging",
            mirrors=state / "mirrors",
        )

    def _times_a_month(self, schedule: Schedule, zone: tzinfo) -> float:
        from dr_orchestrator.schedule.occurrence import occurrences

        now = self.clock.now()
        return sum(1 for _ in occurrences(schedule, zone, now, now + _MONTH))

    # --- our own folders ------------------------------------------------------------------------

    @property
    def kept_plans(self) -> Path:
        """Where a scheduler keeps the plans that run; nobody else makes the folder."""
        return self.settings.state / KEPT


def programs_outside_usr(patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the folders a sandbox must show beside /usr: those above a `bin`, with the libraries
    that lie there, and any other as it is.
    """
    folders = (Path(each) for pattern in patterns for each in glob(pattern))  # noqa: PTH207 - absolute patterns
    found = {each.parent if each.name in {"bin", "sbin"} else each for each in folders}
    return tuple(
        sorted(each for each in found if each != Path("/") and not each.is_relative_to("/usr"))
    )
