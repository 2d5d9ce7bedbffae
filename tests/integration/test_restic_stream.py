"""Streams into a real restic. An aborted one must never look like a whole one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import (
    CaptureFailed,
    Interrupted,
    ProgramTimedOut,
    RepositoryAbsent,
    RepositoryLocked,
    WrongPassword,
)
from dr_orchestrator.process import Command, SystemLauncher
from dr_orchestrator.repositories.base import Progress, Repository, StreamSave
from dr_orchestrator.repositories.restic import ResticRepository
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, PATH, Bench, bench

__all__ = ["bench"]
ROOT = Path(__file__).parents[2]


@contextmanager
def saving(
    repository: Repository, name: str = "emr.dump", *, timeout: timedelta = MINUTES
) -> Iterator[tuple[StreamSave, int]]:
    """Start a save and lend it with the write end; the body closes that or leaves it open."""
    read_end, write_end = os.pipe()
    save = repository.save_stream(name, read_end, tags={"point": name}, time=AS_OF, timeout=timeout)
    os.close(read_end)
    try:
        yield save, write_end
    finally:
        save.abort()
        try:
            os.close(write_end)
        except OSError:
            return


def write_forever(descriptor: int, block: bytes, pause: float = 0) -> None:
    while True:
        write_all(descriptor, block)
        time.sleep(pause)


def write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def test_stream_comes_back_as_it_was_saved(bench: Bench) -> None:
    repository = bench.repository(create=True)
    content = os.urandom(3_000_000)
    progress: list[Progress] = []
    read_end, write_end = os.pipe()

    save = repository.save_stream(
        "emr.dump",
        read_end,
        tags={"point": "p1"},
        time=AS_OF,
        timeout=MINUTES,
        on_progress=progress.append,
    )
    os.close(read_end)
    write_all(write_end, content)
    os.close(write_end)
    saved = save.finish()

    (snapshot,) = repository.snapshots({"point": "p1"})
    target = claim_new_directory(bench.folder / "target")
    restored = repository.restore(snapshot.id, target, "x", timeout=MINUTES)
    assert (restored / "emr.dump").read_bytes() == content
    assert (saved.files, saved.bytes) == (1, 3_000_000)
    assert snapshot.id == saved.snapshot
    assert (snapshot.paths, snapshot.time) == (("/emr.dump",), AS_OF)
    assert all(each.total_bytes is None for each in progress)
    assert save.finish() == saved


def test_producer_that_fails_midway_leaves_no_snapshot_and_no_lock(bench: Bench) -> None:
    repository = bench.repository(create=True)
    for turn in range(16):
        # from no byte at all to several packs, and from at once to after a while
        size = (0, 1, 70_000, 5_000_000)[turn % 4]
        command = Command(
            argv=("sh", "-c", f"head -c {size} /dev/urandom; sleep 0.{turn % 3}; exit 1"),
            timeout=MINUTES,
        )
        with saving(repository) as (save, write_end):
            producer = bench.launcher.start(command, stdout=write_end)
            assert producer.wait() == 1
            save.abort()
            os.close(write_end)
            with pytest.raises(CaptureFailed, match="given up"):
                save.finish()

    assert bench.raw().snapshots() == []
    assert bench.raw().lock_ids() == []


def test_abort_at_any_moment_leaves_no_lock(bench: Bench) -> None:
    # For 0.2 s after it wrote its lock restic 0.14 does not remove it when interrupted.
    repository = bench.repository(create=True)
    for turn in range(4):
        with saving(repository) as (save, _write_end):
            _until(lambda: bool(bench.raw().lock_ids()))
            time.sleep(turn * 0.07)
            save.abort()

        assert bench.raw().lock_ids() == []


def test_abort_may_come_from_several_threads_and_twice(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with saving(repository) as (save, write_end):
        os.write(write_end, b"x" * 1000)
        threads = [threading.Thread(target=save.abort) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()

    assert bench.raw().snapshots() == []


def test_abort_makes_a_blocked_writer_return(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with saving(repository) as (save, write_end):
        threading.Timer(0.5, save.abort).start()
        with pytest.raises(BrokenPipeError):
            write_forever(write_end, os.urandom(1_000_000))


def test_abort_kills_a_restic_that_does_not_stop_and_removes_its_lock(bench: Bench) -> None:
    # Later versions do not notice SIGINT while they wait for data: a restic that is stopped
    # (SIGSTOP) stands for them.
    repository = bench.repository(create=True)
    with saving(repository) as (save, write_end):
        write_all(write_end, b"x" * 100_000)
        _until(lambda: len(bench.raw().lock_ids()) == 1)
        os.kill(_pid_of(save), signal.SIGSTOP)
        save.abort()

    assert bench.raw().snapshots() == []
    assert bench.raw().lock_ids() == []


def test_orchestrator_killed_while_the_producer_runs_leaves_no_snapshot(bench: Bench) -> None:
    bench.repository(create=True)
    script = f"""
import os, sys, time
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.support.restic import AS_OF, MINUTES, Bench
from dr_orchestrator.process import Command, SystemLauncher
bench = Bench(Path({str(bench.folder)!r}), SystemLauncher({PATH!r}))
read_end, write_end = os.pipe()
save = bench.repository().save_stream("x", read_end, tags={{}}, time=AS_OF, timeout=MINUTES)
os.close(read_end)
# the producer ends as soon as we have: its end must not be the stream's
argv = ("sh", "-c", f"head -c 300000 /dev/urandom; while kill -0 {{os.getpid()}}; do :; done")
producer = bench.launcher.start(Command(argv=argv, timeout=MINUTES), stdout=write_end)
while not bench.raw().lock_ids():
    time.sleep(0.05)
print(save._child.pid, flush=True)
time.sleep(60)
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as ours:
            assert ours.stdout is not None
            restic = int(ours.stdout.readline())
            ours.kill()
        _until(lambda pid=restic: not Path(f"/proc/{pid}").exists())

        assert bench.raw().snapshots() == []
        assert bench.repository().locks_of_the_dead() == 1
        assert bench.raw().lock_ids() == []


def test_stream_that_is_empty_is_no_capture(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with saving(repository) as (save, write_end):
        os.close(write_end)
        with pytest.raises(CaptureFailed, match="the stream was empty"):
            save.finish()

    assert bench.raw().snapshots() == []


def test_stream_ends_with_an_error_when_its_time_is_up(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with saving(repository, timeout=timedelta(seconds=2)) as (save, write_end):
        with pytest.raises(BrokenPipeError):
            write_forever(write_end, b"x", 0.05)
        with pytest.raises(ProgramTimedOut):
            save.finish()

    assert bench.raw().snapshots() == []


def test_stream_tells_why_restic_ended_by_itself(bench: Bench) -> None:
    repository = bench.repository(create=True)
    del repository
    for broken, expected in (
        (bench.repository(password="another"), WrongPassword),
        (bench.repository(bench.folder / "none"), RepositoryAbsent),
    ):
        with saving(broken) as (save, write_end):
            with pytest.raises(BrokenPipeError):
                write_forever(write_end, b"x" * 100_000)
            with pytest.raises(expected):
                save.finish()


def test_stream_is_interrupted_when_we_are_to_stop(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with saving(repository) as (save, write_end):
        os.write(write_end, b"x")
        _until(lambda: bool(bench.raw().lock_ids()))
        bench.launcher.close()
        with pytest.raises(Interrupted):
            save.finish()

    # Nothing more may be started, so a lock that restic did not know yet stays for the next start.
    Bench(bench.folder, SystemLauncher(PATH)).repository().locks_of_the_dead()
    assert bench.raw().snapshots() == []
    assert bench.raw().lock_ids() == []


def test_stream_waits_for_an_exclusive_lock_and_loses_nothing(bench: Bench) -> None:
    bench.repository(create=True)
    waiting = bench.repository(lock_wait=MINUTES)
    exclusive = _exclusive_lock(bench)
    content = os.urandom(2_000_000)

    threading.Timer(2.5, exclusive.unlink).start()
    with saving(waiting) as (save, write_end):
        write_all(write_end, content)  # blocks on the full pipe until the lock is gone
        os.close(write_end)
        saved = save.finish()

    assert saved.bytes == len(content)
    snapshot = bench.raw().snapshots()[0]["id"]
    assert waiting.read_file(snapshot, "/emr.dump", limit_bytes=len(content)) == content


def test_stream_fails_when_the_lock_stays(bench: Bench) -> None:
    bench.repository(create=True)
    _exclusive_lock(bench)
    impatient = bench.repository(lock_wait=timedelta(seconds=1))
    with (
        saving(impatient) as (save, _write_end),
        pytest.raises(RepositoryLocked, match=r"by process .* exclusively"),
    ):
        save.finish()


def test_stream_that_waits_for_a_lock_can_be_aborted(bench: Bench) -> None:
    bench.repository(create=True)
    _exclusive_lock(bench)
    with saving(bench.repository(lock_wait=10 * MINUTES)) as (save, _write_end):
        time.sleep(1.5)
        save.abort()
        with pytest.raises(CaptureFailed, match="given up"):
            save.finish()


def test_stream_goes_over_rest_to_a_server_that_only_appends(bench: Bench) -> None:
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served", "--append-only") as location:
        repository: ResticRepository = bench.repository(location, create=True)
        with saving(repository, "whole") as (save, write_end):
            write_all(write_end, b"x" * 1_000_000)
            os.close(write_end)
            assert save.finish().bytes == 1_000_000
        with saving(repository, "torn") as (save, write_end):
            write_all(write_end, b"x" * 1_000_000)
            save.abort()

        assert len(repository.snapshots({"point": "whole"})) == 1
        assert repository.snapshots({"point": "torn"}) == ()
        assert bench.raw(location).lock_ids() == []


def _pid_of(save: StreamSave) -> int:
    pid: int = save._child.pid  # type: ignore[attr-defined]
    return pid


def _until(condition: object) -> None:
    assert callable(condition)
    last = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.05)


def _exclusive_lock(bench: Bench) -> Path:
    """Take the repository's exclusive lock with a `check` that is stopped halfway."""
    raw = bench.raw()
    holder = subprocess.Popen(
        ("restic", "check", "--read-data"),
        env=raw.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    locks = bench.store / "locks"
    while not raw.lock_ids():
        time.sleep(0.002)
    os.kill(holder.pid, signal.SIGSTOP)
    _stopped.append(holder)
    (lock,) = locks.iterdir()
    return lock


_stopped: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _end_stopped() -> Iterator[None]:
    yield
    while _stopped:
        process = _stopped.pop()
        process.kill()
        process.communicate()
