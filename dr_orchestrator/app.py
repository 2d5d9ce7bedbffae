"""The only place that builds the object graph: settings in, use cases out.

Also what every writing command does first: close the runs that a crash left open, and remove what
they left behind, since restored patient data must not outlive its run by more than that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.backup.backup import BackupResult, BackupTools, back_up
from dr_orchestrator.backup.recovery_point import BackupRequest
from dr_orchestrator.backup.staging import sweep_staging
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.errors import (
    DroError,
    Interrupted,
    PlanInvalid,
    RepositoryAbsent,
    RepositoryChanged,
    SandboxNotRemoved,
)
from dr_orchestrator.packs.choice import packs_of
from dr_orchestrator.plan.load import effective_yaml, find_plan, find_plans, load_plan
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.process_folder import (
    make_process_folder,
    remove_process_folder,
    sweep_process_folders,
)
from dr_orchestrator.restore.rebuild import RebuildResult, rebuild_points
from dr_orchestrator.restore.restore import (
    RestoreResult,
    RestoreToDirectory,
    RestoreTools,
    restore_point,
)
from dr_orchestrator.restore.restore_test import RestoreTestRequest, RestoreTestTools, prove
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.store.ledger import close_dead_runs

if TYPE_CHECKING:
    from dr_orchestrator.assets.base import AssetDriver
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.run import Run
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Progress
    from dr_orchestrator.repositories.restic import ResticRepository
    from dr_orchestrator.sandbox.base import SandboxDriver
    from dr_orchestrator.sandbox.lab import LabDriver
    from dr_orchestrator.settings import Settings
    from dr_orchestrator.store.base import Store

OnProgress = Callable[[str, "Progress"], None]


_RANDOM_BYTES = 32
_WORKERS = ("backup_", "restore_", "look_")
"""How the threads of our pools are named; they end soon once no program runs any more."""
_WORKER_SECONDS = 30.0


def _silent(_asset: str, _progress: Progress) -> None:
    pass


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
        self._repositories: dict[tuple[str, str], ResticRepository] = {}
        self._written: list[tuple[Plan, str]] = []
        self._lock = threading.Lock()
        self._runtime = settings.state / "runtime"
        self._lab_notes = settings.state / "labs"

    def close(self, *, stopped: bool = False) -> None:
        """End what still runs, remove what must not outlive us, and close the store.

        With `stopped`, a signal may have kept us from cleaning up: what is left is left to this.

        Raises:
            SandboxNotRemoved: something could not be removed.
        """
        self.launcher.close()
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
            for plan, name in self._written:
                with contextlib.suppress(DroError):
                    another._repository(plan, name).locks_of_the_dead()  # noqa: SLF001 - it is us

    # --- what the machine has -------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """Our own record, on this machine."""
        from dr_orchestrator.store.sqlite import open_store

        return open_store(self.settings.state, self.clock)

    @cached_property
    def secrets(self) -> SecretReader:
        """The reader of secret references."""
        return SecretReader(self.launcher, self.settings.environment_value)

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
            owner=lambda: self._lasting_random("lab.owner").hex(),
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
            commands_allowed=True,  # plans come from files of this machine only
            runtime=make_process_folder(self._runtime),
        )

    def plans(self, practices: tuple[str, ...] = ()) -> tuple[LoadedPlan, ...]:
        """Return the plans of these practices (ids or files); all of the plans folder where none
        is named.

        Raises:
            PlanInvalid: one is not valid, or there is none.
        """
        folder = self.settings.plans
        paths = (
            tuple(find_plan(practice, folder) for practice in practices)
            if practices
            else find_plans(folder)
        )
        if not paths:
            raise PlanInvalid(
                f"there is no plan in {folder}", hint="`dro init ID` writes a first one"
            )
        return tuple(load_plan(path) for path in paths)

    def _all_plans(self) -> tuple[Plan, ...]:
        """Return the plans of the plans folder, none where there is no such folder."""
        folder = self.settings.plans
        paths = find_plans(folder) if folder.exists() else ()
        return tuple(load_plan(path).plan for path in paths)

    # --- repositories ---------------------------------------------------------------------------

    def _repository(self, plan: Plan, name: str) -> ResticRepository:
        from dr_orchestrator.repositories.restic import ResticRepository

        key = (plan.practice.id, name)
        with self._lock:
            if key not in self._repositories:
                spec, settings = plan.repositories[name], self.settings
                self._repositories[key] = ResticRepository(
                    name,
                    spec.location,
                    self.secrets.read(spec.password),
                    launcher=self.launcher,
                    clock=self.clock,
                    cache=self._private_folder("cache"),
                    tmp=make_process_folder(self._runtime),
                    hostname=plan.practice.id,
                    extra_env=settings.storage_environment(spec.credentials.aws_profile),
                    lock_wait=settings.lock_wait,
                )
            return self._repositories[key]

    def look_ahead(self, plan: Plan, names: Iterable[str]) -> None:
        """Ask repositories who they are while we still prepare: each answer takes restic a while.

        An error is not lost: whoever opens the repository asks again, and gets it.
        """

        def ask(name: str) -> None:
            with contextlib.suppress(DroError, Interrupted):
                self._repository(plan, name).identity()

        for name in dict.fromkeys(names):
            threading.Thread(target=ask, args=(name,), daemon=True).start()

    def open_for_reading(self, plan: Plan, name: str) -> ResticRepository:
        """Open a repository of the plan, and make sure it is the one we know.

        Raises:
            RepositoryChanged: another repository answers at its place.
            RepositoryError: by its class.
        """
        practice = plan.practice.id
        repository = self._repository(plan, name)
        answered, known = repository.identity(), self.store.repository_id(practice, name)
        if known is None:
            self._seen(practice, name, answered)
        elif known != answered:
            raise RepositoryChanged(
                f"another repository is at the place of {name}: it has the id {answered[:8]}, "
                f"the one we know has {known[:8]}",
                hint="is the right disk mounted? if the change was meant, give the new repository "
                "a new name in the plan",
            )
        return repository

    def open_for_writing(self, plan: Plan, name: str) -> ResticRepository:
        """Open a repository of the plan; make it where there certainly is none and never was.

        Raises:
            RepositoryAbsent: there was one, and it is gone.
            RepositoryError: by its class; "unreachable" never leads to making one.
        """
        practice = plan.practice.id
        self._written.append((plan, name))
        try:
            repository = self.open_for_reading(plan, name)
        except RepositoryAbsent as absent:
            known = self.store.repository_id(practice, name)
            if known is not None:
                raise RepositoryAbsent(
                    f"the repository {name} was here ({known[:8]}) and is gone",
                    hint="is its disk mounted? it is not made anew, so that nobody takes an empty "
                    "one for yours",
                ) from absent
            repository = self._repository(plan, name)
            self._seen(practice, name, repository.create())
        repository.locks_of_the_dead()  # a backup that was stopped or killed may have left one
        return repository

    def _seen(self, practice: str, name: str, restic_id: str) -> None:
        at = self.clock.now()
        self.store.record(
            RepositorySeen(practice=practice, repository=name, restic_id=restic_id, at=at)
        )

    # --- use cases ------------------------------------------------------------------------------

    def sweep(self) -> Swept:
        """Close the runs of processes that are gone, and remove what they left behind."""
        closed = close_dead_runs(self.store, self.clock)
        staging = 0
        with _only_one(self.settings.state) as first:
            if first:  # else another process removes it just now
                sweep_process_folders(self._runtime)
                staging = sweep_staging(self.settings.state / "staging", self._living_runs)
        left: list[SandboxNotRemoved] = []
        sandboxes = 0
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
    ) -> BackupResult:
        """Make one recovery point of one system."""
        request = BackupRequest(
            plan=loaded.plan,
            plan_text=effective_yaml(loaded),
            runbooks=runbooks_of(loaded),
            system=system,
            label=label,
            packs=packs_of(loaded),
        )
        tools = BackupTools(
            store=self.store,
            clock=self.clock,
            drivers=drivers or self.drivers,
            open_repository=self.open_for_writing,
            staging=self._private_folder("staging"),
            mirrors=self._private_folder("mirrors"),
            files_key=self.files_key,
            on_progress=on_progress,
        )
        return back_up(request, tools)

    def prove(
        self, request: RestoreTestRequest, on_progress: OnProgress = _silent
    ) -> tuple[RestoreTest, ...]:
        """Test one recovery point of one system from one repository."""
        tools = RestoreTestTools(
            store=self.store,
            clock=self.clock,
            drivers=self.drivers,
            open_repository=self.open_for_reading,
            sandboxes=self.sandboxes,
            labs=self.labs,
            jobs=self.settings.work_jobs,
            on_progress=on_progress,
        )
        return prove(request, tools)

    def restore(self, request: RestoreToDirectory, on_progress: OnProgress) -> RestoreResult:
        """Restore a recovery point to a directory that was just created."""
        tools = RestoreTools(
            store=self.store,
            clock=self.clock,
            drivers=self.drivers,
            open_repository=self.open_for_reading,
            on_progress=on_progress,
        )
        return restore_point(request, tools)

    def rebuild(self, plan: Plan, repository: str) -> RebuildResult:
        """Record every recovery point that a repository holds."""
        return rebuild_points(
            plan,
            repository,
            store=self.store,
            clock=self.clock,
            open_repository=self.open_for_reading,
        )

    # --- our own folders ------------------------------------------------------------------------

    def _private_folder(self, name: str) -> Path:
        folder = self.settings.cache if name == "cache" else self.settings.state / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def files_key(self, practice: str) -> bytes:
        """Return the practice's key of keyed hashes; made once, so that hashes compare.

        It gets its name when it is whole and on disk: an empty key would hash names of files in a
        way that anybody can repeat.
        """
        return self._lasting_random(f"{practice}.files")

    def _lasting_random(self, name: str) -> bytes:
        """Return random bytes that were drawn once, and are the same ever after."""
        file = self._private_folder("keys") / name
        if not file.exists() or file.stat().st_size != _RANDOM_BYTES:
            self._draw(file)
        return file.read_bytes()

    def _draw(self, file: Path) -> None:
        new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as whole:  # noqa: PTH123 - a descriptor
                whole.write(secrets.token_bytes(_RANDOM_BYTES))
                whole.flush()
                os.fsync(whole.fileno())
            if file.exists():
                new.replace(file)
            else:
                with contextlib.suppress(FileExistsError):  # another process was first
                    file.hardlink_to(new)
        finally:
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    """Tell whether no other process is in such a block on `folder`; wait for none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first = True
    except BlockingIOError:
        first = False
    try:
        yield first
    finally:
        os.close(descriptor)


def programs_outside_usr(patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the folders a sandbox must show beside /usr: those above a `bin`, with the libraries
    that lie there, and any other as it is.
    """
    folders = (Path(each) for pattern in patterns for each in glob(pattern))  # noqa: PTH207 - absolute patterns
    found = {each.parent if each.name in {"bin", "sbin"} else each for each in folders}
    return tuple(
        sorted(each for each in found if each != Path("/") and not each.is_relative_to("/usr"))
    )


def runbooks_of(loaded: LoadedPlan) -> dict[str, bytes]:
    """Return the runbooks that are saved with the plan, by name.

    They are the files of `runbooks/` beside the plan or beside its folder, and of
    `runbooks/PRACTICE/`; never those of another practice.
    """
    above = loaded.path.resolve().parent
    places = (above / "runbooks", above.parent / "runbooks")
    folder = next((each for each in places if each.is_dir()), None)
    if folder is None:
        return {}
    own = folder / loaded.plan.practice.id
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for place in (folder, own)
        if place.is_dir()
        for each in sorted(place.iterdir())
        if each.is_file() and each.suffix in {".yaml", ".yml", ".md"}
    }
