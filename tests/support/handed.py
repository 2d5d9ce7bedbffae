"""A memory with something of all that a practice leaves behind, and how it is handed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.problem import Occasion, Problem, ProblemKind, Telling
from dr_orchestrator.core.record import (
    ActionOpened,
    HandedOver,
    HoldPlaced,
    PointRecorded,
    ProblemSeen,
    PromiseRecorded,
    RepositorySeen,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
    SignedOff,
    SystemPaused,
    TakenOver,
    Told,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.evidence.bundle import write_bundle
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.plan.load import LoadedPlan, load_plan
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.runbook.shelf import own_folder
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import HandedRecord, JournalLine, Store
from dr_orchestrator.store.sqlite import open_store
from dr_orchestrator.takeover.folder import read_handed
from dr_orchestrator.takeover.handover import HandedOut, HandoverRequest, HandoverTools
from dr_orchestrator.takeover.handover import hand_over as hand_over_to_folder
from dr_orchestrator.takeover.take_over import Taken, TakeoverTools, take_over
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, SYSTEM, full_id, make_point, make_run, make_test
from tests.support.promises import make_action, make_promise, make_sign_off
from tests.support.site import ROOT

HOUR = timedelta(hours=1)
PROBLEM = "4k7q"
UNDER_WAY = "20261118-115900-open00"
SCHEDULE = f"{PRACTICE}/{SYSTEM}/backup/0123456789ab"


def fill(store: Store) -> None:
    """Record a week of a practice: it is proven and signed, something is paused, held and wrong."""
    point, promise = make_point(START - HOUR), make_promise(START - 3 * HOUR)
    run = make_run(START - HOUR, id=point.run)
    problem = Problem(
        key="failure/emr/backup",
        kind=ProblemKind.FAILURE,
        practice=PRACTICE,
        system=SYSTEM,
        what="the backup failed",
        next="look",
        since=START - HOUR,
    )
    told = Telling(
        practice=PRACTICE,
        problem=PROBLEM,
        channel="manager",
        occasion=Occasion.OPENED,
        at=START,
        delivered=True,
    )
    at_all = {"practice": PRACTICE, "by": "Ada", "why": "because"}
    store.record(
        PromiseRecorded(promise=promise),
        RunOpened(run=run),
        RepositorySeen(practice=PRACTICE, repository="onsite", restic_id=full_id(1), at=START),
        PointRecorded(point=point),
        RunClosed(run=run.id, finished_at=START - HOUR / 2, outcome=Outcome.DONE),
        RestoreTestRecorded(test=make_test(START - HOUR / 2)),
        SignedOff(sign_off=make_sign_off(START, promise=promise.id)),
        ActionOpened(action=make_action(START)),
        ProblemSeen(id=PROBLEM, problem=problem, at=START),
        Told(telling=told),
        SystemPaused(system="", at=START, until=START + 48 * HOUR, **at_all),
        HoldPlaced(point=point.id, at=START, until=None, **at_all),
        RunOpened(run=make_run(START, id=UNDER_WAY)),
    )
    store.ledger.see_schedules([SCHEDULE], START - HOUR)
    store.ledger.admit([due(START)])


def due(at: datetime) -> Occurrence:
    """Return a backup that came due."""
    return Occurrence(
        id=f"{SCHEDULE}@{at:%Y%m%dT%H%M%SZ}",
        schedule_id=SCHEDULE,
        due_at=at,
        practice=PRACTICE,
        operation=Operation.BACKUP,
        system=SYSTEM,
    )


def hand_over(store: Store, signer: Signer, to: str = "Lakeview IT") -> TakenOver:
    """Put it on record, sign it, and return what whoever takes it over records."""
    store.record(HandedOver(practice=PRACTICE, at=START, by="Ada", to=to, why=""))
    head = store.evidence.checkpoint(PRACTICE, signer)
    assert head is not None
    return TakenOver(
        practice=PRACTICE,
        at=START + HOUR,
        by="Grace",
        giver=f"the machine of chain {head.chain}",
        chain=head.chain,
        number=head.number,
        head=head.head,
    )


def handed(store: Store, journal: Iterable[JournalLine] | None = None) -> HandedRecord:
    """Return what a memory knows, as a folder brings it."""
    return HandedRecord(
        journal=store.journal(PRACTICE) if journal is None else journal,
        evidence=tuple(store.evidence.lines(PRACTICE)),
    )


# --- as a folder ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """A machine without any repository: a state folder, and plans."""

    folder: Path
    store: Store
    clock: FakeClock
    loaded: LoadedPlan

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.folder / "state")

    @property
    def plans(self) -> Path:
        return self.folder / "plans"

    def tools(self, **changes: Any) -> HandoverTools:
        """Return what handing over is done with, in its plainest form."""
        plain = HandoverTools(
            store=self.store,
            clock=self.clock,
            signer=self.state.evidence_signer,
            files_key=self.state.files_key,
            runbooks=lambda _loaded: {"emr-lost.yaml": b"version: 1\n"},
            packs=lambda _loaded: {},
            require_sound=lambda _plan: None,
            make_kit=lambda _loaded, out: _a_kit(out),
            keep_evidence=lambda _loaded: "",
            export_evidence=self._export,
            pages=lambda _loaded, giver, _notes: {"README.txt": giver.head.encode()},
            lock_wait=timedelta(0),
        )
        return replace(plain, **changes)

    def hand_over(self, out: Path, to: str = "Lakeview IT", **changes: Any) -> HandedOut:
        request = HandoverRequest(loaded=self.loaded, out=out, by="Ada", to=to, why="")
        return hand_over_to_folder(request, self.tools(**changes))

    def taking(self, **changes: Any) -> TakeoverTools:
        """Return what taking over is done with, likewise."""
        plain = TakeoverTools(
            store=self.store,
            adopt_files_key=self.state.adopt_files_key,
            runbooks_folder=own_folder,
            read_secret=lambda _reference: Secret("secret"),
            take_retention=lambda _plan, _name: None,
        )
        return replace(plain, **changes)

    def take_over(self, folder: Path, **changes: Any) -> Taken:
        return take_over(
            read_handed(folder),
            self.taking(**changes),
            plans=self.plans,
            by="Grace",
            at=START + HOUR,
        )

    def _export(self, plan: Plan, out: Path) -> None:
        log, practice = self.store.evidence, plan.practice.id
        log.checkpoint(practice, self.state.evidence_signer())
        write_bundle(log.lines(practice), out, practice=practice, is_altered=False)


def _a_kit(out: Path) -> str:
    (out / PRACTICE).mkdir()
    (out / PRACTICE / "kit.json").write_text("{}")
    return ""


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Open what lies in `folder` as a machine that has nothing, or what it had before."""
    (folder / "plans").mkdir(parents=True, exist_ok=True)
    clock = FakeClock(START)
    with open_store(folder / "state", clock) as store:
        yield Machine(folder, store, clock, load_plan(ROOT / "plans" / "least.yaml"))


@contextmanager
def giving(folder: Path) -> Iterator[Machine]:
    """Open a machine with a practice on which nothing runs."""
    with machine(folder) as found:
        fill(found.store)
        found.store.record(RunClosed(run=UNDER_WAY, finished_at=START, outcome=Outcome.INTERRUPTED))
        yield found
