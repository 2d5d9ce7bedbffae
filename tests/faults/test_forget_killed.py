"""Forgetting is killed at any instant: nothing looks whole that is not; the next night mends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.maintenance.forget import forget
from dr_orchestrator.process import Command, Completed, SystemLauncher
from dr_orchestrator.store.ledger import close_dead_runs
from tests.support.clock import START as NOW
from tests.support.keeper import WHOLE, Keeper, at_work, new_keeper
from tests.support.restic import PATH

ROOT = Path(__file__).parents[2]
DAYS = 6


class KilledLauncher(SystemLauncher):
    """Ends its own process with SIGKILL before, while or after the nth `restic forget` runs."""

    def __init__(self, call: int, moment: str) -> None:
        super().__init__(PATH)
        self._left, self._moment = call, moment

    def run(self, command: Command, **how: Any) -> Completed:
        self._left -= command.argv[1] == "forget"
        if command.argv[1] != "forget" or self._left:
            return super().run(command, **how)
        if self._moment == "while":
            self.start(command)
            time.sleep(0.15)
        elif self._moment == "after":
            super().run(command, **how)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.fixture(scope="module")
def aged() -> Iterator[Keeper]:
    with new_keeper() as keeper:
        for age in range(DAYS):
            keeper.back_up(NOW - age * timedelta(days=1))
        yield keeper


@pytest.mark.parametrize("moment", ["before", "while", "after"])
@pytest.mark.parametrize("call", [1, 2])
def test_forget_killed_leaves_no_point_that_looks_whole_and_the_next_one_ends_it(
    aged: Keeper, call: int, moment: str
) -> None:
    folder = aged.folder.with_name(f"{aged.folder.name}-{call}-{moment}")
    shutil.copytree(aged.folder, folder)
    try:
        killed = subprocess.run(
            (sys.executable, "-c", _SCRIPT, str(ROOT), str(folder), str(call), moment),
            timeout=60,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        with at_work(folder) as keeper:
            _wait_for_restic_to_end(keeper)
            known = keeper.on_record()
            assert len(known) == DAYS
            for point, held in keeper.listed().items():
                assert point in known
                assert held == WHOLE or "manifest" not in held
            (run,) = close_dead_runs(keeper.store, SystemClock())
            assert (run.operation, run.outcome) == (Operation.FORGET, Outcome.INTERRUPTED)

            result = forget(keeper.request, keeper.tools)

            assert (result.outcome, result.reason) == (Outcome.DONE, "")
            assert len(result.forgotten) == DAYS - 3
            assert keeper.listed() == dict.fromkeys(keeper.on_record(), WHOLE)
            assert keeper.raw.lock_ids() == []
            keeper.raw.run("check")
    finally:
        shutil.rmtree(folder)


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from datetime import timedelta
from pathlib import Path
from tests.faults.test_forget_killed import forget_and_die
forget_and_die(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


def forget_and_die(folder: Path, call: int, moment: str) -> None:
    """Do what the test above kills, in a process of its own."""
    with at_work(folder, KilledLauncher(call, moment)) as keeper:
        forget(keeper.request, keeper.tools)


def _wait_for_restic_to_end(keeper: Keeper) -> None:
    """Give the kernel a moment to end what the killed process had started."""
    needle = os.fsencode(keeper.folder)
    for _ in range(200):
        if not any(needle in _environment(each) for each in Path("/proc").glob("[0-9]*")):
            return
        time.sleep(0.05)
    raise AssertionError("restic outlived the process that started it")


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
