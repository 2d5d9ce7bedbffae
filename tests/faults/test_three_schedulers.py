"""Three schedulers on one memory, 500 occurrences at once; one is killed, one stops for a while."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Progress
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.schedule.planner import scheduled_operations
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.ledger import close_dead_runs
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.small_scheduler import LIMITS

PRACTICES = ("hillside", "riverside")
REPOSITORIES = 10
SYSTEMS = 11
BACKUPS_EACH = 20
AT_ONCE = len(PRACTICES) * (SYSTEMS * BACKUPS_EACH + 3 * REPOSITORIES)
ROOT = Path(__file__).parents[2]
_MAINTAINED = frozenset({Operation.CHECK, Operation.FORGET, Operation.PRUNE})


@dataclass(frozen=True)
class Held:
    """A stretch of time in which an operation held its repository."""

    occurrence: str
    attempt: int
    pid: int
    repository: str
    exclusive: bool
    start: int
    end: int | None


@dataclass(frozen=True)
class Yard:
    """One memory, two practices whose plans reach the same repositories at two addresses each."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "work.log"

    def held(self) -> list[Held]:
        """Return what the log says so far."""
        begun: dict[tuple[str, str, str], Held] = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            at, what, pid, occurrence, attempt, repository, exclusive = line.split()
            key = (pid, occurrence, attempt)
            if what == "start":
                assert key not in begun
                begun[key] = Held(
                    occurrence,
                    int(attempt),
                    int(pid),
                    repository,
                    exclusive == "1",
                    int(at),
                    None,
                )
            else:
                begun[key] = Held(**{**vars(begun[key]), "end": int(at)})
        return list(begun.values())

    def is_at_work(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether a scheduler holds a repository just now."""
        return any(each.pid == process.pid and each.end is None for each in self.held())

    def may_write(self) -> bool:
        """Whether nobody is in the midst of a transaction."""
        try:
            memory = sqlite3.connect(self.folder / "state" / FILE_NAME, timeout=0.2)
            with closing(memory):
                memory.execute("begin immediate")
                memory.rollback()
        except sqlite3.OperationalError:
            return False
        return True


def write_plan(folder: Path, practice: str) -> Path:
    systems = "".join(
        f"  s{number}:\n"
        "    {rto: 4h, rpo: 1h, restore_tests: [],\n"
        f"    backup: {{schedule: every 1h, catch_up: all, to: [r{number % REPOSITORIES}]}},\n"
        f"    assets: {{a: {{kind: files, path: {folder}/data, marker: m}}}}}}\n"
        for number in range(SYSTEMS)
    )
    repositories = "".join(
        f"  r{number}: {{location: {folder}/{practice}/r{number}, password: {{file: /key}},\n"
        "    maintenance: {check: every 1h, forget: every 1h, prune: every 1h}}\n"
        for number in range(REPOSITORIES)
    )
    path = folder / "plans" / f"{practice}.yaml"
    path.write_text(
        "version: 1\n"
        f"practice: {{id: {practice}, name: {practice}, timezone: America/Chicago}}\n"
        f"repositories:\n{repositories}systems:\n{systems}"
    )
    return path


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Lay everything out so that 500 operations have come due."""
    (tmp_path / "plans").mkdir()
    clock = SystemClock()
    now = clock.now()
    with open_store(tmp_path / "state", clock, LIMITS) as store:
        for practice in PRACTICES:
            plan = load_plan(write_plan(tmp_path, practice)).plan
            for number in range(REPOSITORIES):
                seen = RepositorySeen(
                    practice=practice, repository=f"r{number}", restic_id=f"id{number}", at=now
                )
                store.record(seen)
            for each in scheduled_operations(plan):
                hours = BACKUPS_EACH if each.operation is Operation.BACKUP else 1
                if each.operation in {Operation.BACKUP, *_MAINTAINED}:
                    store.ledger.see_schedules([each.id], now - timedelta(hours=hours))
    return Yard(tmp_path)


@contextmanager
def schedulers(yard: Yard, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    argv = (sys.executable, "-m", "tests.support.small_scheduler")
    folders = (yard.folder / "state", yard.folder / "plans", yard.log)
    started = []
    for number in range(count):
        with (yard.folder / f"scheduler{number}.log").open("wb") as log:
            started.append(subprocess.Popen((*argv, *folders), cwd=ROOT, stderr=log))
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.wait()


@pytest.mark.timeout(150)
def test_three_schedulers_run_everything_once_while_one_is_killed_and_one_is_stopped(
    yard: Yard,
) -> None:
    with schedulers(yard, 3) as (steady, killed, stopped):
        wait_until(lambda: len(yard.held()) > AT_ONCE // 10 and yard.is_at_work(killed))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        killed_at = time.monotonic_ns()
        stop_at_work(yard, stopped)
        time.sleep(LIMITS.claim.total_seconds() + 2.5)
        stopped.send_signal(signal.SIGCONT)
        with open_store(yard.folder / "state", SystemClock(), LIMITS) as store:
            wait_until(lambda: is_drained(store), seconds=90)
            for each in (steady, stopped):
                each.send_signal(signal.SIGTERM)
            assert [each.wait(20) for each in (steady, stopped)] == [0, 0]
            close_dead_runs(store, SystemClock())  # as any next start does
            check_nobody_overlapped(yard.held(), killed_at)
            check_each_ran_once(store, yard.held())


def stop_at_work(yard: Yard, process: subprocess.Popen[bytes]) -> None:
    """Stop it while it holds a repository, and is not in the midst of a transaction: that would
    have everybody wait for it, and lose nothing.
    """

    def is_stopped_well() -> bool:
        if not yard.is_at_work(process):
            return False
        process.send_signal(signal.SIGSTOP)
        if yard.is_at_work(process) and yard.may_write():
            return True
        process.send_signal(signal.SIGCONT)
        return False

    wait_until(is_stopped_well)


def is_drained(store: Store) -> bool:
    stats = store.ledger.stats()
    return not stats.waiting and not stats.running and not stats.delayed


def check_each_ran_once(store: Store, held: list[Held]) -> None:
    """Each has one attempt that was completed, and all others it had are recorded as lost."""
    since = SystemClock().now() - timedelta(days=2)
    states = [
        each
        for each in store.occurrences(since=since, limit=10_000)
        if each.progress is not Progress.SKIPPED
    ]
    assert len(states) >= AT_ONCE
    assert {each.progress for each in states} == {Progress.SETTLED}
    assert {each.outcome for each in states} == {Outcome.DONE}
    runs = attempts(store)
    completed = {(each.occurrence, each.attempt) for each in held if each.end is not None}
    lost = 0
    for each in states:
        of_it = runs.pop((each.occurrence.schedule_id, each.occurrence.due_at))
        (done,) = (run for run in of_it if run.outcome is Outcome.DONE)
        assert (each.occurrence.id, done.attempt) in completed
        others = [run for run in of_it if run is not done]
        assert {run.outcome for run in others} <= {Outcome.INTERRUPTED}
        lost += len(others)
    assert runs == {}
    assert lost > 0, "nothing was lost, so nothing was shown"


def attempts(store: Store) -> dict[tuple[str | None, datetime | None], list[Run]]:
    since = SystemClock().now() - timedelta(days=2)
    history = store.runs(since=since, limit=100_000)
    assert history.open == ()
    found = defaultdict(list)
    for run in history.closed:
        found[run.schedule_id, run.due_at].append(run)
    return found


def check_nobody_overlapped(held: list[Held], killed_at: int) -> None:
    """No exclusive stretch of a repository may touch any other one of it, whoever's it was."""
    of_repository = defaultdict(list)
    for each in held:
        of_repository[each.repository].append(each)
    assert len(of_repository) == REPOSITORIES
    for stretches in of_repository.values():
        assert {each.occurrence.split("/")[0] for each in stretches} == set(PRACTICES)
        for one in (each for each in stretches if each.exclusive):
            for other in stretches:
                apart = (one.end or killed_at) <= other.start or (
                    other.end or killed_at
                ) <= one.start
                assert one is other or apart, (one, other)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 60) -> None:
    last = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < last
        time.sleep(0.02)
