"""Damage that exit codes hide: one flipped byte, a pack that is gone, lost keys or config."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.target import NewDirectoryTarget, claim_new_directory
from dr_orchestrator.errors import RepositoryDamaged, WrongPassword
from dr_orchestrator.repositories.base import Repository
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, Bench, bench, flip_a_byte, packs

__all__ = ["bench"]
SHORTER_THAN_RESTICS_PATIENCE = timedelta(seconds=30)
"""0.14 tries 45 s for each file before it says that a pack is not there."""


@pytest.fixture
def target(bench: Bench) -> NewDirectoryTarget:
    return claim_new_directory(bench.folder / "target")


@pytest.fixture(params=["local", "rest"])
def saved(request: pytest.FixtureRequest, bench: Bench) -> Iterator[tuple[Repository, Path, str]]:
    """Save something; lend the repository, the folder it lies in, and the snapshot's id."""
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served") as location:
        if request.param == "local":
            repository, store = bench.repository(create=True), bench.store
        else:
            repository = bench.repository(location, create=True)
            store = bench.folder / "served" / "riverside"
        tree = bench.tree({"big": os.urandom(5_000_000), "small": b"x"})
        repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
        yield repository, store, repository.snapshots({})[0].id


def test_restore_fails_when_one_byte_of_a_pack_is_flipped(
    bench: Bench, saved: tuple[Repository, Path, str], target: NewDirectoryTarget
) -> None:
    repository, store, snapshot = saved
    flip_a_byte(packs(store)[0])

    assert bench.raw(store).run("check").returncode == 0  # restic's own check sees nothing
    with pytest.raises(RepositoryDamaged) as caught:
        repository.restore(snapshot, target, "x", timeout=MINUTES)
    assert "big" not in str(caught.value)


def test_restore_and_check_fail_soon_when_a_pack_is_gone(
    saved: tuple[Repository, Path, str], target: NewDirectoryTarget
) -> None:
    repository, store, snapshot = saved
    packs(store)[0].unlink()

    with pytest.raises(RepositoryDamaged, match="a pack of data is not there"):
        repository.restore(snapshot, target, "x", timeout=SHORTER_THAN_RESTICS_PATIENCE)
    with pytest.raises(RepositoryDamaged, match="a pack of data is not there"):
        repository.check(1, 1, timeout=SHORTER_THAN_RESTICS_PATIENCE)
    assert not any((store / "locks").iterdir())


def test_restore_fails_when_the_snapshot_is_gone(
    saved: tuple[Repository, Path, str], target: NewDirectoryTarget
) -> None:
    repository, store, snapshot = saved
    (store / "snapshots" / snapshot).unlink()

    with pytest.raises(RepositoryDamaged):
        repository.restore(snapshot, target, "x", timeout=MINUTES)


def test_read_file_fails_when_every_pack_is_damaged(saved: tuple[Repository, Path, str]) -> None:
    repository, store, snapshot = saved
    for pack in packs(store):
        flip_a_byte(pack)

    with pytest.raises(RepositoryDamaged):
        repository.read_file(snapshot, "/anything", limit_bytes=1000)


def test_identity_is_damage_when_the_config_is_lost(bench: Bench) -> None:
    bench.repository(create=True)
    config = bench.store / "config"
    config.unlink()

    # Not "absent": that would lead to a new, empty repository over the old one.
    with pytest.raises(RepositoryDamaged, match="no restic `config`"):
        bench.repository().identity()
    config.touch()
    with pytest.raises(RepositoryDamaged):
        bench.repository().identity()


def test_identity_is_damage_when_the_keys_are_lost(bench: Bench) -> None:
    bench.repository(create=True)
    for key in (bench.store / "keys").iterdir():
        key.unlink()

    # Not "wrong password": nobody should go and look for another one at 3 am.
    with pytest.raises(RepositoryDamaged, match="lost its key files"):
        bench.repository().identity()


def test_wrong_password_is_told_as_such(bench: Bench) -> None:
    bench.repository(create=True)
    stranger = bench.repository(password="canary-wrong")

    for call in (
        stranger.identity,
        lambda: stranger.snapshots({}),
        lambda: stranger.save_tree(bench.tree(), tags={}, time=AS_OF, timeout=MINUTES),
    ):
        with pytest.raises(WrongPassword) as caught:
            call()
        assert "canary" not in str(caught.value)
