"""Neither a secret nor the name of a patient's file shows: in arguments, environments, errors."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import DroError
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, Bench, bench, flip_a_byte, packs

__all__ = ["bench"]
_CANARIES = (b"c4nary", b"Roe_Jane")


class Watch:
    """What was seen of the arguments and environments of our restic processes."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()

    @property
    def programs(self) -> set[bytes]:
        return {words.split(b"\0")[0].rsplit(b"/")[-1] for words in self.seen}

    @property
    def canaries(self) -> list[bytes]:
        return [words for words in self.seen if any(canary in words for canary in _CANARIES)]

    def look(self) -> None:
        server = os.getpid()
        while not self._stop.wait(0.005):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if f"PPid:\t{server}\n" in (process / "status").read_text():
                        self.seen.add((process / "cmdline").read_bytes())
                        self.seen.add((process / "environ").read_bytes())
                except OSError:
                    continue

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def test_nothing_shows_in_arguments_and_environments(bench: Bench) -> None:
    (bench.folder / "served").mkdir()
    options = ("--user", "u", "--htpasswd", str(bench.folder / "htpasswd"))
    (bench.folder / "htpasswd").write_text("u:{SHA}" + _sha1("c4nary-rest") + "\n")
    with rest_server(bench.folder / "served", *options[2:]) as location:
        place = location.replace("http://", "http://u:c4nary-rest@")
        tree = bench.tree({"Roe_Jane.pdf": os.urandom(2_000_000)})
        target = claim_new_directory(bench.folder / "target")
        with watching() as watch:
            repository = bench.repository(place, password="c4nary-key")
            repository.create()
            repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
            (snapshot,) = repository.snapshots({})
            repository.restore(snapshot.id, target, "x", timeout=MINUTES)
            read_end, write_end = os.pipe()
            save = repository.save_stream("s", read_end, tags={}, time=AS_OF, timeout=MINUTES)
            os.close(read_end)
            os.write(write_end, b"x")
            os.close(write_end)
            save.finish()

    assert b"restic" in b" ".join(watch.seen)
    assert any(b"RESTIC_PASSWORD_FILE=/dev/fd/" in words for words in watch.seen)
    assert watch.canaries == []


def test_nothing_shows_in_errors(bench: Bench) -> None:
    repository = bench.repository(password="c4nary-key", create=True)
    tree = bench.tree({"Roe_Jane.pdf": os.urandom(2_000_000)})
    repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})
    flip_a_byte(packs(bench.store)[0])
    target = claim_new_directory(bench.folder / "target")

    with pytest.raises(DroError) as caught:
        repository.restore(snapshot.id, target, "x", timeout=MINUTES)

    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert "Roe" not in told
    assert "c4nary" not in told
    assert "c4nary" not in repr(repository._program)


def _sha1(text: str) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()  # noqa: S324 - htpasswd's
