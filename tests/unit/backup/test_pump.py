"""The pump: a stream's end reaches a repository only after its producer succeeded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Stream
from dr_orchestrator.backup.pump import save_stream
from dr_orchestrator.errors import CaptureFailed, DroError, RepositoryUnreachable
from dr_orchestrator.process import Child, Command, SystemLauncher
from dr_orchestrator.repositories.base import Saved

_MINUTE = timedelta(minutes=1)
Check = Callable[[bytes, bytes, int], None]


class Sink:
    """A save that reads its pipe like restic does, and saw either the end or the abort first."""

    def __init__(self, *, dies_after: int | None = None, loses: int = 0) -> None:
        self.content = b""
        self.aborted_before_end = False
        self.saw_end = False
        self._dies_after = dies_after
        self._loses = loses
        self._aborted = threading.Event()

    def start(self, read_end: int) -> Sink:
        self._source = os.dup(read_end)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self) -> None:
        with open(self._source, "rb", buffering=0) as source:  # noqa: PTH123 - a descriptor
            while block := source.read(65536):
                self.content += block
                if self._dies_after is not None and len(self.content) > self._dies_after:
                    return
        self.aborted_before_end = self._aborted.is_set()
        self.saw_end = not self.aborted_before_end

    def finish(self) -> Saved:
        self._thread.join()
        if self._dies_after is not None:
            raise RepositoryUnreachable("the repository went away")
        size = len(self.content) - self._loses
        return Saved(snapshot="00", files=1, bytes=size, added_bytes=0)

    def abort(self) -> None:
        self._aborted.set()


@pytest.fixture
def launcher() -> Iterator[SystemLauncher]:
    launcher = SystemLauncher("/usr/bin:/bin")
    yield launcher
    launcher.close()


def size_of(saved: Saved | DroError) -> int:
    assert isinstance(saved, Saved)
    return saved.bytes


def _stream(launcher: SystemLauncher, *argv: str, check: Check = lambda *_: None) -> Stream:
    def start(stdout: int) -> Child:
        return launcher.start(Command(argv=argv, timeout=_MINUTE), stdout=stdout)

    return Stream(name="database.dump", start=start, check=check)


def test_save_stream_saves_all_of_it_in_every_repository(launcher: SystemLauncher) -> None:
    sinks = {"onsite": Sink(), "offsite": Sink()}
    stream = _stream(launcher, "head", "-c", "5000000", "/dev/zero")
    saved = save_stream(stream, {n: s.start for n, s in sinks.items()}, timeout=_MINUTE)
    assert {name: size_of(each) for name, each in saved.items()} == {
        "onsite": 5_000_000,
        "offsite": 5_000_000,
    }
    assert all(sink.saw_end for sink in sinks.values())


@pytest.mark.parametrize(
    "script",
    [
        "exit 3",
        "head -c 3000000 /dev/zero; exit 3",
        "head -c 3000000 /dev/zero; kill -9 $$",
    ],
    ids=["before-the-first-byte", "mid-stream", "killed"],
)
def test_save_stream_aborts_before_the_end_is_seen_when_the_producer_fails(
    launcher: SystemLauncher, script: str
) -> None:
    sink = Sink()
    with pytest.raises(CaptureFailed, match="the producer failed"):
        save_stream(_stream(launcher, "sh", "-c", script), {"onsite": sink.start}, timeout=_MINUTE)
    sink.finish()
    assert sink.aborted_before_end
    assert not sink.saw_end


def test_save_stream_refuses_a_stream_its_own_check_refuses(launcher: SystemLauncher) -> None:
    def check(_first: bytes, last: bytes, _size: int) -> None:
        if not last.endswith(b"-- complete\n"):
            raise CaptureFailed("no trailer")

    sink = Sink()
    stream = _stream(launcher, "sh", "-c", "echo cut off", check=check)
    with pytest.raises(CaptureFailed, match="no trailer"):
        save_stream(stream, {"onsite": sink.start}, timeout=_MINUTE)
    sink.finish()
    assert sink.aborted_before_end


def test_save_stream_refuses_an_empty_stream(launcher: SystemLauncher) -> None:
    sink = Sink()
    with pytest.raises(CaptureFailed, match="empty"):
        save_stream(_stream(launcher, "true"), {"onsite": sink.start}, timeout=_MINUTE)
    sink.finish()
    assert not sink.saw_end


def test_save_stream_hands_the_check_both_edges_and_the_size(launcher: SystemLauncher) -> None:
    seen = []
    stream = _stream(
        launcher,
        "sh",
        "-c",
        "printf BEGIN; head -c 2000000 /dev/zero; printf END",
        check=lambda first, last, size: seen.append((first[:5], last[-3:], size)),
    )
    save_stream(stream, {"onsite": Sink().start}, timeout=_MINUTE)
    assert seen == [(b"BEGIN", b"END", 2_000_008)]


def test_save_stream_goes_on_with_the_others_when_one_repository_goes_away(
    launcher: SystemLauncher,
) -> None:
    good, bad = Sink(), Sink(dies_after=1_000_000)
    stream = _stream(launcher, "head", "-c", "9000000", "/dev/zero")
    saved = save_stream(stream, {"onsite": good.start, "offsite": bad.start}, timeout=_MINUTE)
    assert size_of(saved["onsite"]) == 9_000_000
    assert isinstance(saved["offsite"], RepositoryUnreachable)


def test_save_stream_refuses_a_save_that_holds_less_than_the_stream(
    launcher: SystemLauncher,
) -> None:
    stream = _stream(launcher, "head", "-c", "9000000", "/dev/zero")
    sinks = {"onsite": Sink().start, "offsite": Sink(loses=1).start}
    saved = save_stream(stream, sinks, timeout=_MINUTE)
    assert size_of(saved["onsite"]) == 9_000_000
    assert isinstance(saved["offsite"], CaptureFailed)


def test_save_stream_raises_the_repositorys_error_when_none_is_left(
    launcher: SystemLauncher,
) -> None:
    stream = _stream(launcher, "head", "-c", "9000000", "/dev/zero")
    with pytest.raises(RepositoryUnreachable):
        save_stream(stream, {"onsite": Sink(dies_after=1_000_000).start}, timeout=_MINUTE)


def test_save_stream_gives_up_when_the_time_is_up(launcher: SystemLauncher) -> None:
    sink = Sink()
    stream = _stream(launcher, "sh", "-c", "printf x; sleep 60")
    with pytest.raises(CaptureFailed, match="not finished within"):
        save_stream(stream, {"onsite": sink.start}, timeout=timedelta(seconds=0.5))
    sink.finish()
    assert sink.aborted_before_end


def test_save_stream_leaks_no_descriptor(launcher: SystemLauncher) -> None:
    stream = _stream(launcher, "sh", "-c", "head -c 300000 /dev/zero; exit 1")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        sink = Sink()
        with pytest.raises(CaptureFailed):
            save_stream(stream, {"onsite": sink.start}, timeout=_MINUTE)
        sink.finish()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
