"""A relay passes on all that a producer writes, or the producer learns that nobody takes it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from dr_orchestrator.assets.mariadb_relay import Relay
from dr_orchestrator.process import Child, Command, SystemLauncher

LONG = 8_000_000
"""More than any pipe holds."""


@pytest.fixture
def launcher() -> Iterator[SystemLauncher]:
    launcher = SystemLauncher("/usr/bin:/bin")
    yield launcher
    launcher.close()


@pytest.fixture
def taker() -> Iterator[tuple[BinaryIO, int]]:
    """Give a pipe that somebody takes the stream from."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as source:  # noqa: PTH123 - a descriptor
        yield source, write_end


def produce(launcher: SystemLauncher, relay: Relay, *argv: str) -> Child:
    command = Command(argv=argv, timeout=timedelta(seconds=20))
    return relay.start(lambda sink: launcher.start(command, stdout=sink))


def test_relay_lets_the_producer_end_before_anybody_takes_its_output(
    tmp_path: Path, launcher: SystemLauncher, taker: tuple[BinaryIO, int]
) -> None:
    ended = threading.Event()
    relay = Relay(tmp_path, ended.set)
    producer = produce(launcher, relay, "head", "-c", str(LONG), "/dev/zero")
    assert relay.wait_for_output(20)
    assert ended.wait(20)
    assert producer.wait() == 0
    source, write_end = taker
    relay.hand_to(write_end)
    os.close(write_end)
    assert source.read() == bytes(LONG)
    relay.close()


def test_relay_passes_on_what_is_still_being_written(
    tmp_path: Path, launcher: SystemLauncher, taker: tuple[BinaryIO, int]
) -> None:
    relay = Relay(tmp_path, lambda: None)
    produce(launcher, relay, "seq", "1", "400000")
    source, write_end = taker
    relay.hand_to(write_end)
    os.close(write_end)
    assert source.read().split()[-1] == b"400000"
    relay.close()


def test_relay_holds_the_producer_up_when_there_is_no_room_and_loses_nothing(
    tmp_path: Path, launcher: SystemLauncher, taker: tuple[BinaryIO, int]
) -> None:
    relay = Relay(tmp_path, lambda: None)
    relay._room = 100_000
    producer = produce(launcher, relay, "seq", "1", "400000")
    assert relay.wait_for_output(20)
    assert producer.running
    source, write_end = taker
    relay.hand_to(write_end)
    os.close(write_end)
    assert len(source.read()) == 2_688_895
    assert producer.wait() == 0
    relay.close()


def test_relay_says_so_when_the_producer_ends_without_a_word(
    tmp_path: Path, launcher: SystemLauncher
) -> None:
    relay = Relay(tmp_path, lambda: None)
    producer = produce(launcher, relay, "false")
    assert not relay.wait_for_output(20)
    assert producer.wait() == 1
    relay.close()


def test_relay_ends_the_producer_when_whoever_took_the_stream_is_gone(
    tmp_path: Path, launcher: SystemLauncher
) -> None:
    relay = Relay(tmp_path, lambda: None)
    producer = produce(launcher, relay, "yes")
    read_end, write_end = os.pipe()
    os.close(read_end)
    relay.hand_to(write_end)
    os.close(write_end)
    assert producer.wait() != 0
    relay.close()


def test_relay_leaves_no_file_and_no_descriptor(tmp_path: Path, launcher: SystemLauncher) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    relay = Relay(tmp_path, lambda: None)
    produce(launcher, relay, "head", "-c", "1000", "/dev/zero").wait()
    assert list(tmp_path.iterdir()) == []
    relay.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_relay_ends_when_its_disk_fails(
    tmp_path: Path,
    launcher: SystemLauncher,
    taker: tuple[BinaryIO, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(descriptor: int, block: bytes, at: int) -> int:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "pwrite", fail)
    released = threading.Event()
    relay = Relay(tmp_path, released.set)
    producer = produce(launcher, relay, "head", "-c", str(LONG), "/dev/zero")
    source, write_end = taker
    relay.hand_to(write_end)
    os.close(write_end)
    assert source.read() == b""
    assert released.wait(20)
    assert producer.wait() != 0
    relay.close()
