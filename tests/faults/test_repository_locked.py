"""Locks: a living one is never touched, whatever its number and name look like."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import RepositoryLocked
from dr_orchestrator.process import SystemLauncher
from tests.support.clock import FakeClock
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, PATH, Bench, RawRestic, bench
from tests.support.tools import require_tool

__all__ = ["bench"]
ROOT = Path(__file__).parents[2]
_NAMESPACES = ("unshare", "--fork", "--kill-child")


@pytest.fixture(params=["local", "rest"])
def place(request: pytest.FixtureRequest, bench: Bench) -> Iterator[str]:
    """Make a repository and lend its location."""
    if request.param == "local":
        bench.repository(create=True)
        yield str(bench.store)
        return
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served") as location:
        bench.repository(location, create=True)
        yield location


def test_lock_of_a_killed_process_is_removed(bench: Bench, place: str) -> None:
    bench.raw(place).leave_a_dead_lock()

    assert bench.repository(place).locks_of_the_dead() == 1
    assert bench.raw(place).lock_ids() == []
    assert bench.repository(place).locks_of_the_dead() == 0


def test_lock_of_a_living_process_stays(bench: Bench, place: str) -> None:
    raw = bench.raw(place)
    dead = raw.leave_a_dead_lock()
    with raw.holding_a_lock() as living:
        removed = bench.repository(place).locks_of_the_dead()

        left = raw.lock_ids()
        assert living.poll() is None
        # Of a local repository the dead one is removed by name. Elsewhere only `restic unlock`
        # could, and it would signal the living one: so both stay.
        assert (removed, len(left)) == ((1, 1) if ":" not in place else (0, 2))
        assert (dead in left) == (":" in place)
        # and it goes on to save
        assert living.stdin is not None
        living.communicate(b"whole", timeout=60)
        assert living.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose a process number")
def test_lock_whose_number_was_reused_stays_for_half_an_hour(bench: Bench) -> None:
    bench.repository(create=True)
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.faults.test_repository_locked import reuse_a_number
reuse_a_number({str(bench.folder)!r})
"""
    # In a PID namespace of its own, so that nobody else's numbers are reused.
    subprocess.run(
        (*_NAMESPACES, "--pid", "--uts", "--mount-proc", sys.executable, "-c", script),
        check=True,
        timeout=120,
    )


def reuse_a_number(folder: str) -> None:
    """Do what the test above is about, in its namespace."""
    bench = Bench(Path(folder), SystemLauncher(PATH))
    raw = bench.raw()
    with raw.holding_a_lock() as killed:
        pid = killed.pid
    with _sleep_with_pid(pid) as sleeper:
        assert bench.repository().locks_of_the_dead() == 0
        assert len(raw.lock_ids()) == 1
        assert sleeper.poll() is None

        later = FakeClock(SystemClock().now() + timedelta(minutes=31))
        assert bench.repository(clock=later).locks_of_the_dead() == 1
        assert raw.lock_ids() == []
        assert sleeper.poll() is None  # and nobody signalled it


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have another host name")
def test_lock_of_another_machine_stays(bench: Bench, place: str) -> None:
    raw = bench.raw(place)
    theirs = _lock_left_by(
        raw, *_NAMESPACES, "--uts", "sh", "-c", 'hostname other-host; exec "$@"', "sh"
    )
    raw.leave_a_dead_lock()

    assert bench.repository(place).locks_of_the_dead() == 1
    assert raw.lock_ids() == [theirs]
    # however old
    later = FakeClock(SystemClock().now() + timedelta(days=9))
    assert bench.repository(place, clock=later).locks_of_the_dead() == 0
    assert raw.lock_ids() == [theirs]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
def test_lock_of_a_living_process_in_a_namespace_below_stays(bench: Bench) -> None:
    # From outside its number is nobody's, or somebody else's: restic's own unlock removes it.
    bench.repository(create=True)
    raw = bench.raw()
    with _holding_a_lock(raw, *_NAMESPACES, "--pid", "--mount-proc"):
        assert len(raw.lock_ids()) == 1
        assert bench.repository().locks_of_the_dead() == 0
        later = FakeClock(SystemClock().now() + timedelta(hours=2))
        assert bench.repository(clock=later).locks_of_the_dead() == 0
        assert len(raw.lock_ids()) == 1


def test_save_goes_on_when_the_exclusive_lock_is_a_dead_ones(bench: Bench) -> None:
    bench.repository(create=True)
    _exclusive_lock(bench, living=False)

    bench.repository().save_tree(bench.tree(), tags={}, time=AS_OF, timeout=MINUTES)

    assert bench.raw().lock_ids() == []


def test_save_is_busy_when_somebody_works_exclusively(bench: Bench) -> None:
    repository = bench.repository(create=True)
    holder = _exclusive_lock(bench, living=True)
    try:
        with pytest.raises(RepositoryLocked) as caught:
            repository.save_tree(bench.tree(), tags={}, time=AS_OF, timeout=MINUTES)

        assert caught.value.exit_code == 75
        assert f"by process {holder.pid} on {os.uname().nodename} since" in caught.value.message
        assert "exclusively" in caught.value.message
        assert repository.snapshots({}) == ()  # reading goes on, and nothing was saved
        assert len(bench.raw().lock_ids()) == 1
    finally:
        holder.kill()
        holder.communicate()


def _exclusive_lock(bench: Bench, *, living: bool) -> subprocess.Popen[bytes]:
    """Take the exclusive lock with a `check` that is stopped, or killed, as soon as it has it."""
    raw = bench.raw()
    holder = subprocess.Popen(
        ("restic", "check", "--read-data"),
        env=raw.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not raw.lock_ids():
        time.sleep(0.002)
    holder.send_signal(signal.SIGSTOP if living else signal.SIGKILL)
    if not living:
        holder.communicate()
    return holder


@contextmanager
def _holding_a_lock(raw: RawRestic, *wrapper: str) -> Iterator[None]:
    before = set(raw.lock_ids())
    with subprocess.Popen(
        (*wrapper, "restic", "backup", "--stdin", "--stdin-filename", "held"),
        env=raw.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            last = time.monotonic() + 30
            while not set(raw.lock_ids()) - before:
                assert time.monotonic() < last
                time.sleep(0.05)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _lock_left_by(raw: RawRestic, *wrapper: str) -> str:
    before = set(raw.lock_ids())
    with _holding_a_lock(raw, *wrapper):
        (left,) = set(raw.lock_ids()) - before
    return left


@contextmanager
def _sleep_with_pid(pid: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a `sleep` that got the number of a process that has ended."""
    for _ in range(200):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        sleeper = subprocess.Popen([require_tool("sleep"), "60"])
        if sleeper.pid == pid:
            break
        sleeper.kill()
        sleeper.communicate()
    else:
        raise AssertionError("the number could not be had again")
    try:
        yield sleeper
    finally:
        sleeper.kill()
        sleeper.communicate()
