"""What a responder works with: runbooks followed, drills, and a start from nothing.

Wires what `runbook` needs to one `App`: how things are restored, who is told, what is run. It
decides nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.record import (
    DrillRecorded,
    Entry,
    PointRecorded,
    RetentionFrozen,
    RunbookMoved,
    RunbookOpened,
)
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.runbook import Drill, DrillKind, Event, Mode, RunbookRun
from dr_orchestrator.errors import (
    PlanInvalid,
    PointNotFound,
    UsageMistake,
)
from dr_orchestrator.plan.load import effective_yaml, find_plan, load_plan
from dr_orchestrator.repositories.manifests import newest_manifest, read_runbooks
from dr_orchestrator.responder_tools import ResponderTools, this_host
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.restore_test import OUTCOMES
from dr_orchestrator.runbook.carried import plan_of, runbook_of
from dr_orchestrator.runbook.cold_start import ColdStart, ColdStartTools, Key, start_cold
from dr_orchestrator.runbook.drill import DrillRequest, drill_practice
from dr_orchestrator.runbook.elsewhere import people_work_again
from dr_orchestrator.runbook.follow import Following, follow
from dr_orchestrator.runbook.handover import OtherRun, State, read_state, write_state
from dr_orchestrator.runbook.load import LoadedRunbook
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.runbook.parted import doings, is_same_past, parted, shared_past
from dr_orchestrator.runbook.progress import chosen_before, progress_of
from dr_orchestrator.runbook.shelf import Shelf, saved_shelf, shelf_of
from dr_orchestrator.runbook.tools import InSandboxes
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.app import App
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.runbook import Move
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import Desk
    from dr_orchestrator.runbook.follow import Followed


class Responder:
    """The orchestrator of one machine, before which a responder sits."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tools = ResponderTools(app)

    def runbooks_in(self, loaded: LoadedPlan, repository: str) -> Shelf:
        """Return the runbooks that the newest recovery point in a repository holds: data, never
        trusted.

        Raises:
            PointNotFound, RepositoryError: there is none, or it cannot be read.
        """
        opened = self._app.repositories.open_for_reading(loaded.plan, repository)
        found = newest_manifest(opened, loaded.plan.practice.id)
        contents = read_runbooks(opened, found)
        return saved_shelf(contents, loaded.plan, Path(repository, found.manifest.point))

    def open(
        self,
        loaded: LoadedPlan,
        runbook: LoadedRunbook,
        *,
        mode: Mode,
        by: str,
        outage_at: datetime,
        system: str = "",
        lane: str = "",
        incident: str = "",
        folder: Path | None = None,
    ) -> RunbookRun:
        """Open a run of a runbook, and record it; `incident` is the id of the run that led to it.

        Raises:
            UsageMistake: the runbook is about a system and none is named, or has no such lane; or
                it restores, and `folder` is none that can be written to.
        """
        about = system if runbook.runbook.about == "system" else ""
        if runbook.runbook.about == "system":
            _check_system(loaded.plan, runbook.name, system)
        if lane:
            _check_lane(runbook, lane)
        restores = any(each.kind is Kind.RESTORE for each in runbook.runbook.of_lane(lane))
        lands = _checked_folder(folder) if restores and mode is Mode.INCIDENT else ""
        now, plan_text = self._app.clock.now(), effective_yaml(loaded)
        run_id = new_id(now)
        run = RunbookRun(
            id=run_id,
            practice=loaded.plan.practice.id,
            runbook=runbook.name,
            mode=mode,
            system=about,
            lane=lane,
            incident=incident or run_id,
            outage_at=outage_at,
            opened_at=now,
            opened_by=by,
            host=this_host(),
            runbook_text=runbook.text,
            runbook_sha256=runbook.sha256,
            plan_text=plan_text,
            plan_sha256=hashlib.sha256(plan_text.encode()).hexdigest(),
            trusted=runbook.trusted and self._is_trusted(loaded),
            folder=lands,
        )
        self._app.store.record(RunbookOpened(run=run))
        return run

    def follow(
        self, run: RunbookRun, desk: Desk, *, by: str, export: Path | None = None
    ) -> Followed:
        """Follow a run until it is over, keeping its state in `export` too; see `follow`.

        Raises:
            UsageMistake: `export` is something else, or knows what this machine does not.
        """
        if export is not None and os.path.lexists(export):
            self._require_nothing_lost(run, export)
        loaded = self._plan_of(run)
        if not loaded.commands_allowed:
            self._app.refuse_commands()
        store, clock = self._app.store, self._app.clock
        tools = replace(
            self._tools.of(
                loaded,
                by=by,
                live_folder=_live_folder(run),
                sender=run.id,
                why=f"incident {run.incident}, runbook {run.runbook}",
            ),
            elsewhere=lambda: tuple(people_work_again(run, store, clock.now())),
        )
        if export is not None:
            tools = replace(tools, export=partial(self._write_state, export, loaded))
        following = Following(
            run=run,
            runbook=runbook_of(run).runbook,
            plan=loaded.plan,
            moves=self._app.store.followed.moves(run.id),
            trusted=run.trusted,
        )
        return follow(following, tools, desk)

    def _require_nothing_lost(self, run: RunbookRun, export: Path) -> None:
        """Refuse to write over a file that holds what is not on record here."""
        state = read_state(export)
        if state.run.incident != run.incident:
            raise UsageMistake(
                f"{export} is the state of another incident: it is not written over",
                hint="name another file with --export",
            )
        for each in (OtherRun(state.run, state.moves), *state.others):
            told = self._apart(each)
            here = self._app.store.followed.moves(told.run.id)
            if len(here) < len(told.moves):
                raise UsageMistake(
                    f"{export} knows of more than this machine: somebody went on from it elsewhere",
                    hint=f"`dro runbook resume {export}` brings that here; or name another file",
                )

    def hand_over(self, run: RunbookRun, path: Path) -> None:
        """Write the state of a run to a file, for another person or machine."""
        moves = self._app.store.followed.moves(run.id)
        self._write_state(path, self._plan_of(run), run, moves)

    def take_over(self, path: Path, *, as_new: bool = False) -> RunbookRun:
        """Record the run of a state that was handed over, and its moves; return it.

        Where its past and what was done here have parted, `as_new` opens a run of its own with the
        past of the state, beside ours: neither is lost, and what must not happen twice counts as
        the state says. Other runs of the incident that have parted are kept like that unasked.

        Its commands may run unasked only where runbook and plan are, word for word, those of files
        of this machine, whatever the state says. Points that only the state tells of are recorded
        as what was read back from a repository is: nobody relies on them while there is another,
        and nothing is forgotten until a person looked.

        Raises:
            UsageMistake: it cannot be used, or somebody went on here beyond what it says.
            PlanInvalid, RunbookInvalid: plan or runbook in it are of a newer version.
        """
        state, followed = read_state(path), self._app.store.followed
        taken, *others = (
            self._apart(each) for each in (OtherRun(state.run, state.moves), *state.others)
        )
        new = list(self._new_of(taken))
        if taken.run.id != state.run.id and not as_new:
            raise _parted(state, followed.moves(state.run.id), path)
        if len(followed.moves(taken.run.id)) > len(taken.moves):
            raise _is_behind(taken, followed.moves(taken.run.id), path)
        for other in others:
            new += self._new_of(other)
        self._app.store.record(*new, *self._only_told_of(state.points))
        return followed.find(taken.run.id)

    def _apart(self, held: OtherRun) -> OtherRun:
        """Return what a state holds of a run: as a run of its own where ours has another past."""
        here = self._app.store.followed.moves(held.run.id)
        return held if is_same_past(here, held.moves) else parted(held, here)

    def _new_of(self, held: OtherRun) -> Iterator[Entry]:
        """Yield what this memory does not have of a run.

        Raises:
            UsageMistake: it cannot be gone on with, or another one is recorded under its id.
        """
        run, moves = held.run, held.moves
        _check_handed_over(run, moves)
        if _known(self._app.store.followed.runs(run.practice), run) is None:
            yield RunbookOpened(run=replace(run, trusted=self._is_ours(run)))
        here = self._app.store.followed.moves(run.id)
        yield from (RunbookMoved(move=each) for each in moves[len(here) :])

    def drill(
        self,
        loaded: LoadedPlan,
        *,
        by: str,
        systems: tuple[str, ...] = (),
        repository: str = "",
        on_moment: Callable[[str, str], None] = lambda _system, _text: None,
    ) -> Drill:
        """Drill a practice, all of it where no system is named; recorded when this returns.

        The newest point of each system is restored to a sandbox: out of `repository`, or else out
        of the first one that it is backed up to.

        Raises:
            UsageMistake: there is nothing to drill, or a runbook that the plan names is not there,
                or a system is not kept in that repository.
            RunbookInvalid: a runbook that the plan names cannot be followed.
            Interrupted: we were stopped; nothing is recorded but the interrupted run.
        """
        plan, shelf = loaded.plan, shelf_of(loaded)
        asked = waits_for(plan, systems or plan.protected)
        if not asked:
            raise UsageMistake(f"{plan.practice.id} protects no system: there is nothing to drill")
        request = DrillRequest(
            loaded=replace(loaded, commands_allowed=self._is_trusted(loaded)),
            systems=tuple(asked),
            runbooks={each: shelf.named(plan.protected[each].runbook) for each in asked},
            on_moment=on_moment,
        )
        sources = {each: plan.repositories_of(each)[0] for each in plan.protected}
        sources |= {each: _source(plan, each, repository) for each in asked}
        restore = self._tools.newest_to_sandbox(loaded, sources)
        tools = replace(self._tools.of(loaded, by=by), restoring=InSandboxes(restore))
        store, practice = self._app.store, plan.practice.id
        with run_in_ledger(
            store, self._app.clock, Operation.DRILL, practice=practice, system=""
        ) as run:
            drill = drill_practice(request, run.id, tools)
            store.record(DrillRecorded(drill=drill))
            run.conclude(OUTCOMES[drill.result], drill.reason)
        return drill

    def cold_start(
        self,
        loaded: LoadedPlan,
        system: str,
        repository: str,
        *,
        by: str,
        say: Callable[[str], None] = lambda _text: None,
    ) -> Drill:
        """Start cold: bring one system back with nothing but the kit and the key, in a place that
        has neither plan nor settings, nor this package; recorded when this returns.

        Raises:
            UsageMistake: the system is not kept in that repository.
            PointNotFound: there is no point of it.
            Busy: retention has that point just now, or its repository is being pruned.
            SandboxUnavailable, SpaceExhausted, SecretUnavailable: it did not come to a start.
            Interrupted: we were stopped; nothing is recorded but the interrupted run.
        """
        app, plan = self._app, loaded.plan
        practice, source = plan.practice.id, _source(plan, system, repository)
        newest = self._newest_in(source, practice, system)
        tools = ColdStartTools(
            launcher=app.launcher, sandboxes=app.sandboxes, clock=app.clock, say=say
        )
        with (
            held(newest, source, app.store, wait=app.settings.lock_wait),
            run_in_ledger(
                app.store,
                app.clock,
                Operation.DRILL,
                practice=practice,
                system=system,
                repository=source,
            ) as run,
        ):
            started = app.clock.now()
            drilled, seconds = start_cold(self._cold(loaded, newest, source), run.id, tools)
            drill = Drill(
                id=run.id,
                practice=practice,
                kind=DrillKind.COLD_START,
                started_at=started,
                finished_at=app.clock.now(),
                by=by,
                host=this_host(),
                result=drilled.result,
                reason=drilled.reason,
                seconds=seconds,
                systems=(drilled,),
                critical_path=(system,),
                plan_sha256=hashlib.sha256(effective_yaml(loaded).encode()).hexdigest(),
            )
            app.store.record(DrillRecorded(drill=drill))
            run.conclude(OUTCOMES[drill.result], drill.reason)
        return drill

    def _newest_in(self, repository: str, practice: str, system: str) -> RecoveryPoint:
        store = self._app.store
        record = store.practice_record(practice)
        found = [
            point
            for point in store.points(practice, system=system)
            if (copy := point.copy_in(repository)) is not None and record.vouches_for(copy)
        ]
        if not found:
            raise PointNotFound(f"{repository} holds no point of {system} that we vouch for")
        return max(found, key=lambda point: point.as_of)

    def _cold(self, loaded: LoadedPlan, newest: RecoveryPoint, repository: str) -> ColdStart:
        app, plan = self._app, loaded.plan
        key = app.repositories.key(plan, repository)
        rest, aws = key.rest_password, key.aws_credentials
        return ColdStart(
            system=newest.system,
            repository=repository,
            point=newest.id,
            key=Key(
                password=key.password,
                secrets={"RESTIC_REST_PASSWORD_FILE": rest} if rest else {},
                secret_files={"AWS_SHARED_CREDENTIALS_FILE": aws} if aws else {},
                environment=key.environment,
            ),
            bytes=sum(each.bytes for each in newest.assets.values()),
            put_kit=lambda folder: Path(app.make_kit(loaded, out=folder, paper=False).places[0]),
            programs=(*app.settings.postgres_programs, *app.settings.mariadb_programs),
        )

    # --- whose plan and runbook -----------------------------------------------------------------

    def _plan_of(self, run: RunbookRun) -> LoadedPlan:
        """Return the plan as it was when a run was opened; that of a file of this machine where it
        is the same.
        """
        local = self._local_plan(run.practice)
        if local is not None and effective_yaml(local) == run.plan_text:
            return local
        read = plan_of(run)
        path = local.path if local is not None else read.path
        return replace(read, path=path, commands_allowed=run.trusted)

    def _is_ours(self, run: RunbookRun) -> bool:
        """Return whether plan and runbook of a run are, word for word, files of this machine."""
        local = self._local_plan(run.practice)
        if local is None or effective_yaml(local) != run.plan_text:
            return False
        runbook = shelf_of(local).runbooks.get(run.runbook)
        if runbook is None or not (runbook.trusted and self._is_trusted(local)):
            return False
        return runbook.text == run.runbook_text

    def _is_trusted(self, loaded: LoadedPlan) -> bool:
        return loaded.commands_allowed and self._app.settings.commands_allowed

    def _local_plan(self, practice: str) -> LoadedPlan | None:
        try:
            return load_plan(find_plan(practice, self._app.settings.plans))
        except (UsageMistake, PlanInvalid):
            return None

    # --- from machine to machine ----------------------------------------------------------------

    def _write_state(
        self, path: Path, loaded: LoadedPlan, run: RunbookRun, moves: Sequence[Move]
    ) -> None:
        followed = self._app.store.followed
        others = [
            OtherRun(each, followed.moves(each.id))
            for each in followed.of_incident(run.incident)
            if each.id != run.id
        ]
        write_state(path, run, moves, self._points_for(loaded.plan, moves), others)

    def _points_for(self, plan: Plan, moves: Sequence[Move]) -> tuple[RecoveryPoint, ...]:
        """Return the points that whoever goes on may restore: the newest, and what was chosen."""
        chosen = {chosen_before(each) for each in moves if each.event is Event.CHOSEN}
        found = (each for before in {None, *chosen} for each in self._tools.points(plan, before))
        return tuple(sorted({each.id: each for each in found}.values(), key=lambda each: each.id))

    def _only_told_of(self, points: Sequence[RecoveryPoint]) -> Iterator[Entry]:
        """Yield entries for the copies that this memory does not have."""
        for point in points:
            known = {
                copy.repository
                for each in self._app.store.points(point.practice, point.system)
                if each.id == point.id
                for copy in each.copies
            }
            new = [copy for copy in point.copies if copy.repository not in known]
            if not new:
                continue
            copies = tuple(replace(copy, read_back=True) for copy in new)
            yield PointRecorded(point=replace(point, copies=copies))
            for copy in new:
                yield RetentionFrozen(
                    practice=point.practice,
                    repository=copy.repository,
                    at=self._app.clock.now(),
                    why="recovery points were told of by a runbook run that was handed over",
                )


def _check_handed_over(run: RunbookRun, moves: Sequence[Move]) -> None:
    """See that a run can be gone on with: once it is recorded, all that lists runs reads it.

    Raises:
        UsageMistake: its parts do not belong together.
        PlanInvalid, RunbookInvalid: plan or runbook cannot be read.
    """
    plan = plan_of(run).plan
    runbook = runbook_of(run).runbook
    try:
        progress_of(run, runbook, moves)
    except (ValueError, OverflowError) as error:
        why = str(error)
    else:
        systems = set(plan.protected) if runbook.about == "system" else {""}
        why = "" if run.system in systems else "its plan does not protect the system it is about"
    if run.mode is Mode.DRILL:
        why = "nobody takes over a drill"
    elif run.practice != plan.practice.id:
        why = f"its plan is that of {plan.practice.id}"
    if why:
        raise UsageMistake(
            f"run {run.id} of {run.practice} cannot be gone on with: {why}",
            hint="export the state anew, or take the copy of another place",
        )


def _check_system(plan: Plan, runbook: str, system: str) -> None:
    if system not in plan.protected:
        raise UsageMistake(
            f"there is no system {system} that is protected"
            if system
            else f"the runbook {runbook} is about one system: which one?",
            hint=f"--system is one of: {', '.join(plan.protected)}",
        )


def _source(plan: Plan, system: str, wanted: str) -> str:
    """Return the repository that a drill takes a system out of."""
    kept_in = plan.repositories_of(system)
    if wanted and wanted not in kept_in:
        raise UsageMistake(
            f"{system} is not kept in a repository {wanted}",
            hint=f"it is kept in: {', '.join(kept_in)}; --system names those to drill",
        )
    return wanted or kept_in[0]


def _check_lane(loaded: LoadedRunbook, lane: str) -> None:
    runbook = loaded.runbook
    if not runbook.side_by_side:
        raise UsageMistake(
            f"the runbook {loaded.name} is followed as a whole", hint="leave out --lane"
        )
    if lane not in runbook.lanes:
        raise UsageMistake(
            f"the runbook {loaded.name} has no lane {lane}",
            hint=f"--lane is one of: {', '.join(runbook.lanes)}",
        )


def _checked_folder(folder: Path | None) -> str:
    if folder is None:
        raise UsageMistake(
            "this runbook restores: where to?", hint="--to is a folder of yours with room for it"
        )
    place = folder.absolute()
    if not place.is_dir():
        raise UsageMistake(f"there is no folder {place}", hint=f"mkdir -p {place}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageMistake(
            f"the folder {place} cannot be written to", hint="name another one, or become root"
        )
    return str(place)


def _live_folder(run: RunbookRun) -> Path | None:
    """Return where an incident restores to; `None` is a rehearsal, whatever its run says."""
    return Path(run.folder) if run.mode is Mode.INCIDENT else None


def _is_behind(held: OtherRun, here: Sequence[Move], path: Path) -> UsageMistake:
    return UsageMistake(
        f"somebody went on with this runbook here, beyond what {path} says: "
        f"{doings(here[len(held.moves) :])}",
        hint=f"go on from there: dro runbook resume {held.run.id}",
    )


def _parted(state: State, here: Sequence[Move], path: Path) -> UsageMistake:
    shared = shared_past(here, state.moves)
    return UsageMistake(
        "somebody went on with this runbook here, and somebody else did where "
        f"{path} comes from. Here: {doings(here[shared:])}. "
        f"There: {doings(state.moves[shared:])}",
        hint=f"go on from here: dro runbook resume {state.run.id}\n"
        f"      go on from there, in a run of its own: dro runbook resume {path} --as-new",
    )


def _known(runs: Sequence[RunbookRun], run: RunbookRun) -> RunbookRun | None:
    """Return the run as it is on record here; whether it is trusted is for each machine to say.

    Raises:
        UsageMistake: another one is recorded under its id.
    """
    known = next((each for each in runs if each.id == run.id), None)
    if known is not None and replace(known, trusted=run.trusted) != run:
        raise UsageMistake(f"another runbook run is on record here under the id {run.id}")
    return known
