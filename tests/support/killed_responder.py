"""A program that follows a runbook of twelve steps and is killed: for tests that count its effects.

`python -m tests.support.killed_responder FOLDER`: for each instant of the run in turn, in a folder
of its own, a process follows the run and kills itself with SIGKILL at that instant; another one
goes on from what the store holds, to the end. `again` is one more run, in which process after
process is killed.

Instants are after each record and after each effect. That is also before each record, and before
each effect: nothing that lasts happens in between.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from dr_orchestrator.core.record import Entry, RunbookOpened
from dr_orchestrator.core.runbook import Move, RunbookRun
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import Contact
from dr_orchestrator.runbook.desk import Question, Report, View
from dr_orchestrator.runbook.follow import Following, follow
from dr_orchestrator.runbook.handover import write_state
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.runbook.tools import (
    CommandEnded,
    RestoredSystem,
    RunbookTools,
    ToNewDirectories,
)
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.practices import plan, system
from tests.support.responder import CONTACTS, Silence, run_of, runbook_of

RUN = run_of()
PLAN = plan(
    {
        "directory": system("Directory"),
        "emr": system("Medical record", depends_on=["directory"]),
        "shares": system("Shared files"),
    },
    contacts=CONTACTS,
)
BOOK = runbook_of(
    {"id": "look", "kind": "manual", "critical": True},
    {"id": "clock", "kind": "timer", "timer": {"limit": "24h", "of": "tell the insurer"}},
    {
        "id": "tell",
        "kind": "notify",
        "notify": {"to": ["office", "insurer"], "subject": "s", "text": "t"},
    },
    {"id": "agree", "kind": "approval"},
    {"id": "change", "kind": "command", "command": ["change"], "expect": "it changed"},
    {"id": "wait", "kind": "timer", "timer": {"wait": "10m"}},
    {"id": "back", "kind": "restore", "restore": {"systems": ["all"]}},
    {"id": "see", "kind": "check", "command": ["see"], "expect": "it answers"},
    {
        "id": "which",
        "kind": "decide",
        "decide": [{"answer": "on"}, {"answer": "x", "go_to": "see"}],
    },
    {
        "id": "wipe",
        "kind": "command",
        "command": ["wipe"],
        "destructive": True,
        "two_persons": True,
        "undo": "nothing can",
    },
    {"id": "ask", "kind": "command", "command": ["ask"], "repeatable": True},
    {"id": "people", "kind": "manual", "people_confirm": True},
)
AGAIN = "again"
"""Name of the run in which process after process is killed, and the state is exported."""
ONCE = ("tell office", "tell insurer", "run change", "tell manager", "run wipe")
"""Effects that must not happen twice, in order."""


class Follower:
    """One process that follows the run in a folder; it kills itself at an instant."""

    def __init__(self, folder: Path, dies_at: int | None) -> None:
        self._folder = folder
        self._left = dies_at
        self._lock = threading.Lock()
        self._store = open_store(folder / "state", FakeClock())

    def follow(self) -> None:
        """Follow the run to its end."""
        following = Following(
            run=RUN,
            runbook=BOOK,
            plan=PLAN,
            moves=self._store.followed.moves(RUN.id),
            trusted=True,
        )
        follow(following, self._tools(), Person(self._folder))
        self._store.close()

    def _tools(self) -> RunbookTools:
        return RunbookTools(
            clock=FakeClock(),
            by="Ada",
            host="desk-1",
            record=self._record,
            export=self._export,
            run_command=self._run_command,
            tell=self._tell,
            restoring=ToNewDirectories(self._restore),
            points=lambda _systems, _before: (),
            waits_for=lambda systems: waits_for(PLAN, systems),
            at_once=2,
        )

    def _instant(self) -> None:
        with self._lock:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if self._left is not None:
                self._left -= 1

    def _record(self, entry: Entry) -> None:
        self._store.record(entry)
        self._instant()

    def _export(self, run: RunbookRun, moves: Sequence[Move]) -> None:
        if self._folder.name == AGAIN:
            write_state(self._folder / "state.json", run, moves, ())

    def _have_an_effect(self, line: str) -> None:
        with (self._folder / "effects").open("a") as effects:
            effects.write(f"{line}\n")
            effects.flush()
            os.fsync(effects.fileno())
        self._instant()

    def _run_command(self, argv: tuple[str, ...], limit: timedelta) -> CommandEnded:
        self._have_an_effect(f"run {argv[0]}")
        return CommandEnded(exit_code=0, reason="", output_sha256="c" * 64, seconds=1.0, output=())

    def _tell(self, contact: Contact, subject: str, text: str) -> None:
        name = next(name for name, each in PLAN.contacts.items() if each == contact)
        self._have_an_effect(f"tell {name}")

    def _restore(self, system: str, report: Report, before: datetime | None) -> RestoredSystem:
        self._have_an_effect(f"restore {system}")
        return RestoredSystem(
            system=system,
            result=Result.PASSED,
            reason="",
            point=f"point-of-{system}",
            repository="onsite",
            seconds=1.0,
            place=f"/srv/restored/{system}",
            next_steps=("start it",),
        )


class Person(Silence):
    """Somebody who goes through every step, alone, and looks when asked whether it was done."""

    def __init__(self, folder: Path) -> None:
        self._effects = folder / "effects"

    def output(self, view: View, lines: tuple[str, ...]) -> None: ...

    def over(self, view: View, words: tuple[str, ...]) -> None: ...

    def ask(self, view: View, question: Question) -> str:
        keys = [each.key for each in question.choices]
        if "LOOK" in question.text:
            return "d" if self._was_done(question.text, view.step) else "n"
        if "b" in keys:
            return "b"
        if keys:
            return keys[0]
        return "riverside" if "practice's id" in question.text else "Carla"

    def _was_done(self, text: str, step: str) -> bool:
        done = self._effects.read_text().splitlines() if self._effects.exists() else []
        names = ("manager", "office", "insurer")
        told = next((name for name in names if f"telling {name}" in text), "")
        told = "manager" if "the manager" in text else told
        return (f"tell {told}" if told else f"run {step}") in done


def in_a_process(folder: Path, dies_at: int | None) -> bool:
    """Follow the run in a process of its own; return whether it came to the end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Follower(folder, dies_at).follow()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{folder}: the follower failed")
    return True


def new_folder(folders: Path, name: str) -> Path:
    """Return a new folder with a store in which the run was just opened."""
    opened = folders / "opened"
    if not opened.exists():
        with open_store(opened / "state", FakeClock()) as store:
            store.record(RunbookOpened(run=RUN))
    return Path(shutil.copytree(opened, folders / name))


def at_every_instant(folders: Path, follower: Callable[[Path, int | None], bool]) -> None:
    """Kill the run at each of its instants in turn, once each."""
    for instant in count():
        folder = new_folder(folders, f"{instant:03}")
        if follower(folder, instant):
            shutil.rmtree(folder)
            return
        if not follower(folder, None):
            raise SystemExit(f"{folder}: nobody came to the end")


def again_and_again(folders: Path, follower: Callable[[Path, int | None], bool]) -> None:
    """Kill process after process, each after a few instants, until one comes to the end."""
    folder = new_folder(folders, AGAIN)
    for turn in range(500):
        if follower(folder, 6 + turn % 5):
            return
    raise SystemExit("nobody ever comes to the end")


if __name__ == "__main__":
    # once here: processes that are forked need not look up again what never changes
    Follower(new_folder(Path(sys.argv[1]), "whole"), None).follow()
    at_every_instant(Path(sys.argv[1]), in_a_process)
    again_and_again(Path(sys.argv[1]), in_a_process)
