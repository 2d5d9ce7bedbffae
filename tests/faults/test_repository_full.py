"""A full disk: in the repository, in the place restic works in, and where a restore lands."""

from __future__ import annotations

import os

import pytest

from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import RepositoryFull, SpaceExhausted
from tests.support.mounts import small_disk
from tests.support.restic import AS_OF, MINUTES, Bench, bench

__all__ = ["bench"]
_BIG = os.urandom(40_000_000)


def test_save_fails_when_the_repository_is_full_and_older_points_stay(bench: Bench) -> None:
    with small_disk(bench.store, megabytes=16):
        repository = bench.repository(create=True)
        tree = bench.tree()
        repository.save_tree(tree, tags={"point": "old"}, time=AS_OF, timeout=MINUTES)
        (tree / "big").write_bytes(_BIG)

        with pytest.raises(RepositoryFull):
            repository.save_tree(tree, tags={"point": "new"}, time=AS_OF, timeout=2 * MINUTES)

        assert repository.snapshots({"point": "new"}) == ()
        assert bench.raw().lock_ids() == []
        (old,) = repository.snapshots({"point": "old"})
        target = claim_new_directory(bench.folder / "target")
        restored = repository.restore(old.id, target, "x", timeout=MINUTES)
        assert (restored / tree.relative_to("/") / "a.pdf").read_bytes() == b"a" * 5000


def test_create_fails_when_the_repository_has_no_space(bench: Bench) -> None:
    with small_disk(bench.store, megabytes=1):
        (bench.store / "lost+found").mkdir()
        _fill(str(bench.store / "lost+found" / "x"))

        with pytest.raises(RepositoryFull):
            bench.repository().create()


def test_save_fails_when_this_machine_has_no_space_to_work_in(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with small_disk(bench.folder / "small", megabytes=4):
        cramped = bench.repository(tmp=bench.folder / "small")

        with pytest.raises(SpaceExhausted, match="this machine's disk"):
            cramped.save_tree(bench.tree({"big": _BIG}), tags={}, time=AS_OF, timeout=MINUTES)
    assert repository.snapshots({}) == ()


def test_restore_fails_when_the_target_is_full(bench: Bench) -> None:
    repository = bench.repository(create=True)
    repository.save_tree(bench.tree({"big": _BIG}), tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})
    with small_disk(bench.folder / "small", megabytes=8):
        target = claim_new_directory(bench.folder / "small" / "target")

        with pytest.raises(SpaceExhausted, match="this machine's disk became full"):
            repository.restore(snapshot.id, target, "x", timeout=MINUTES)


def _fill(path: str) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - until nothing more fits
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return
