"""The driver with a real restic: on a local folder, and over REST."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import (
    CaptureFailed,
    RepositoryAbsent,
    RepositoryDamaged,
    RepositoryError,
)
from dr_orchestrator.repositories.base import Progress, Repository
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, Bench, bench

__all__ = ["bench"]


@pytest.fixture(params=["local", "rest"])
def repository(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Repository]:
    if request.param == "local":
        yield bench.repository(create=True)
        return
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served", "--append-only") as location:
        yield bench.repository(location, create=True)


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_repository_is_made_only_once_and_keeps_its_id(repository: Repository) -> None:
    identity = repository.identity()

    assert len(identity) == 64
    with pytest.raises(RepositoryError):
        repository.create()
    assert repository.identity() == identity


def test_repository_is_absent_until_it_is_made(bench: Bench) -> None:
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served") as location:
        for place in (None, bench.folder / "a" / "b", location):
            repository = bench.repository(place)
            with pytest.raises(RepositoryAbsent):
                repository.identity()
            assert repository.create() == bench.repository(place).identity()


def test_tree_comes_back_as_it_was_saved(bench: Bench, repository: Repository) -> None:
    tree = bench.tree()
    progress: list[Progress] = []

    saved = repository.save_tree(
        tree, tags={"point": "p1"}, time=AS_OF, timeout=MINUTES, on_progress=progress.append
    )
    (snapshot,) = repository.snapshots({"point": "p1"})
    target = claim_new_directory(bench.folder / "target")
    restored = repository.restore(snapshot.id, target, "emr", timeout=MINUTES)

    assert restored == target.path / "emr"
    assert restored.stat().st_mode & 0o777 == 0o700
    assert contents(restored / tree.relative_to("/")) == contents(tree)
    assert (saved.files, saved.bytes) == (3, 5002)
    assert saved.added_bytes > 5000
    assert snapshot.id == saved.snapshot
    assert (snapshot.time, snapshot.hostname) == (AS_OF, "riverside")
    assert snapshot.tags == frozenset({"point=p1"})
    assert snapshot.paths == (str(tree),)
    assert progress


def test_second_save_of_a_tree_adds_next_to_nothing(bench: Bench, repository: Repository) -> None:
    tree = bench.tree({"big": os.urandom(5_000_000)})

    first = repository.save_tree(tree, tags={"point": "p1"}, time=AS_OF, timeout=MINUTES)
    later = AS_OF + timedelta(hours=1)
    second = repository.save_tree(
        tree, tags={"point": "p2"}, time=later, parent=first.snapshot, timeout=MINUTES
    )

    assert first.added_bytes > 5_000_000
    assert second.added_bytes < 20_000
    assert (first.changed_files, second.changed_files) == (first.files, 0)
    assert (second.files, second.bytes) == (first.files, first.bytes)
    assert [each.time for each in repository.snapshots({})] == [AS_OF, later]


def test_second_save_of_a_tree_does_not_read_it_again(bench: Bench) -> None:
    # The parent is found: a file whose size, times and inode are as they were is not opened.
    repository = bench.repository(create=True)
    tree = bench.tree()
    repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
    os.utime(tree / "a.pdf", (1, 1))  # changed since: this one is opened

    # the driver's summary has no such count, so restic itself is asked
    printed = bench.raw().run("backup", "--json", "--host", "riverside", str(tree)).stdout

    assert '"files_changed":1,"files_unmodified":2' in printed


def test_save_leaves_out_what_is_excluded(bench: Bench, repository: Repository) -> None:
    tree = bench.tree()

    saved = repository.save_tree(
        tree, tags={}, time=AS_OF, exclude=("*.pdf", str(tree / "letters")), timeout=MINUTES
    )

    assert saved.files == 1


def test_save_takes_a_single_file(bench: Bench, repository: Repository) -> None:
    file = bench.tree() / "a.pdf"

    repository.save_tree(file, tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})
    target = claim_new_directory(bench.folder / "target")
    restored = repository.restore(snapshot.id, target, "x", timeout=MINUTES)

    assert (restored / file.relative_to("/")).read_bytes() == file.read_bytes()


def test_snapshots_are_found_by_all_of_their_tags(bench: Bench, repository: Repository) -> None:
    tree = bench.tree()
    for point in ("p1", "p2"):
        repository.save_tree(
            tree,
            tags={"system": "emr", "point": point, "label": "before: the update = 1"},
            time=AS_OF,
            timeout=MINUTES,
        )

    assert len(repository.snapshots({"system": "emr"})) == 2
    assert len(repository.snapshots({"system": "emr", "point": "p2"})) == 1
    assert len(repository.snapshots({"label": "before: the update = 1"})) == 2
    assert repository.snapshots({"system": "em"}) == ()
    assert repository.snapshots({"system": "emr", "point": "p3"}) == ()


_ODD_NAMES = ["*", "a[b]c", "q?", "back\\slash", "sp ace", " x ", "ü", "new\nline", "b\udcff", "-x"]


def test_restore_takes_only_the_paths_it_is_asked_for(bench: Bench) -> None:
    repository = bench.repository(create=True)
    tree = bench.tree({name: os.fsencode(name) for name in _ODD_NAMES})
    for near in ("ab c", "abc", "qq", "other"):
        (tree / near).touch()
    repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})
    target = claim_new_directory(bench.folder / "target")

    restored = repository.restore(
        snapshot.id,
        target,
        "x",
        paths=tuple(f"{tree}/{name}" for name in _ODD_NAMES),
        timeout=MINUTES,
    )

    found = {path.name for path in (restored / tree.relative_to("/")).iterdir()}
    assert found == set(_ODD_NAMES)


def test_restore_fails_when_a_path_is_not_in_the_snapshot(bench: Bench) -> None:
    # restic exits 0 and restores nothing
    repository = bench.repository(create=True)
    tree = bench.tree()
    repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})
    target = claim_new_directory(bench.folder / "target")

    with pytest.raises(RepositoryDamaged, match="1 of 2 paths missing"):
        repository.restore(
            snapshot.id, target, "x", paths=(f"{tree}/a.pdf", f"{tree}/gone"), timeout=MINUTES
        )


def test_read_file_returns_a_small_file(bench: Bench, repository: Repository) -> None:
    tree = bench.tree()
    repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
    (snapshot,) = repository.snapshots({})

    content = repository.read_file(snapshot.id, f"{tree}/letters/b.txt", limit_bytes=2)

    assert content == b"b\n"
    with pytest.raises(RepositoryDamaged, match="larger than 1 bytes"):
        repository.read_file(snapshot.id, f"{tree}/letters/b.txt", limit_bytes=1)
    with pytest.raises(RepositoryDamaged):
        repository.read_file(snapshot.id, f"{tree}/letters/none", limit_bytes=1)
    with pytest.raises(RepositoryDamaged):
        repository.read_file("12345678", f"{tree}/letters/b.txt", limit_bytes=10)


def test_save_works_while_somebody_else_saves(bench: Bench) -> None:
    repository = bench.repository(create=True)
    with bench.raw().holding_a_lock():
        repository.save_tree(bench.tree(), tags={}, time=AS_OF, timeout=MINUTES)

    assert len(repository.snapshots({})) == 1


def test_save_fails_when_the_path_is_gone(bench: Bench) -> None:
    repository = bench.repository(create=True)

    with pytest.raises(CaptureFailed, match="does not exist"):
        repository.save_tree(bench.folder / "gone", tags={}, time=AS_OF, timeout=MINUTES)
