"""Points are copied to a second repository, and come back from there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from subprocess import DEVNULL

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import Busy, ManifestInvalid, RepositoryAbsent, RepositoryLocked
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.repositories.manifests import find_manifest, list_manifests, read_sidecars
from dr_orchestrator.restore.rebuild import rebuild_points
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.base import repository_key
from tests.support.clock import START as NOW
from tests.support.copier import Copier, copying, new_copier
from tests.support.evidence import PRACTICE, SYSTEM, make_plan
from tests.support.keeper import WHOLE, new_keeper
from tests.support.quick_repository import put_quick_repository
from tests.support.rclone import rest_server
from tests.support.restic import RawRestic, flip_a_byte, packs
from tests.support.s3 import PROFILE, s3_server

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def aged() -> Iterator[Copier]:
    """Two points in `onsite`, and both of them in `offsite`."""
    with new_copier() as copier:
        for age in (1, 0):
            copier.keeper.back_up(NOW - age * DAY)
        assert copier.copy().outcome is Outcome.DONE
        yield copier


@pytest.fixture
def copier() -> Iterator[Copier]:
    with new_copier() as copier:
        yield copier


def newest_first(copier: Copier) -> list[str]:
    return [point.id for point in copier.keeper.store.points(PRACTICE)][::-1]


def test_copy_brings_each_point_whole_and_once(aged: Copier) -> None:
    before = {each["id"] for each in aged.raw.snapshots()}

    again = aged.copy()

    assert (again.outcome, again.copied, again.left) == (Outcome.DONE, (), ())
    assert aged.held() == set(newest_first(aged))
    assert {each["id"] for each in aged.raw.snapshots()} == before
    assert len(before) == 2 * len(WHOLE)
    for point in aged.keeper.store.points(PRACTICE):
        copy = point.copy_in("offsite")
        assert copy is not None
        assert {copy.manifest_snapshot, *copy.snapshots.values()} <= before
    run = aged.keeper.last_run(Operation.COPY)
    assert (run.repository, run.outcome) == ("offsite", Outcome.DONE)


def test_point_comes_back_from_its_copy(aged: Copier, tmp_path: Path) -> None:
    point = newest_first(aged)[0]

    found = find_manifest(aged.target, PRACTICE, SYSTEM, point)

    copy = aged.keeper.store.find_point(PRACTICE, point).copy_in("offsite")
    assert copy is not None
    states = found.manifest.assets
    assert {asset: state.snapshot for asset, state in states.items()} == copy.snapshots
    assert (found.snapshot, found.sha256) == (copy.manifest_snapshot, copy.manifest_sha256)
    assert read_sidecars(aged.target, found, "database") == {}
    target = claim_new_directory(tmp_path / "back")
    database = states["database"]
    restored = aged.target.restore(database.snapshot, target, "database", timeout=MINUTE)
    assert (restored / database.path.lstrip("/")).read_bytes() == f"database of {NOW}".encode()


def test_copy_of_a_copy_comes_back_too(aged: Copier, tmp_path: Path) -> None:
    third = replace(aged, location=str(tmp_path / "third"), password="a third battery")
    put_quick_repository(tmp_path / "third", third.password)
    every = [each["id"] for each in aged.raw.snapshots()]
    third.target.copy_from(aged.target, every, timeout=MINUTE)

    listed = {each["id"] for each in third.raw.snapshots()}
    found = [each for _, each in list_manifests(third.target, PRACTICE)]

    assert len(found) == 2
    for each in found:
        assert not isinstance(each, Exception)
        assert {state.snapshot for state in each.manifest.assets.values()} <= listed


def test_points_are_read_back_from_a_copy_alone(aged: Copier) -> None:
    known = {point.id: point.copy_in("offsite") for point in aged.keeper.store.points(PRACTICE)}
    with new_keeper() as elsewhere:
        found = rebuild_points(
            aged.keeper.plan,
            "offsite",
            store=elsewhere.store,
            clock=elsewhere.clock,
            open_repository=lambda _plan, _name: aged.target,
        )
        assert found.unusable == ()
        for point in elsewhere.store.points(PRACTICE):
            copy, before = point.copy_in("offsite"), known.pop(point.id)
            assert copy is not None
            assert before is not None
            assert copy.snapshots == before.snapshots
            assert copy.manifest_snapshot == before.manifest_snapshot
    assert known == {}


def test_second_manifest_of_a_copied_point_is_found_out(copier: Copier, tmp_path: Path) -> None:
    copier.keeper.back_up(NOW)
    (point,) = copier.copy().copied
    (tmp_path / "manifest.json").write_bytes(_another_manifest(copier, point))
    tags = {"dro": "manifest", "practice": PRACTICE, "system": SYSTEM, "point": point}

    copier.target.save_tree(tmp_path, tags=tags, time=NOW, timeout=MINUTE)

    with pytest.raises(ManifestInvalid, match="two manifests"):
        find_manifest(copier.target, PRACTICE, SYSTEM, point)


def _another_manifest(copier: Copier, point: str) -> bytes:
    found = find_manifest(copier.target, PRACTICE, SYSTEM, point)
    content = copier.target.read_file(
        found.snapshot, f"{found.folder}/manifest.json", limit_bytes=1_000_000
    )
    return content.replace(b"Riverside", b"Lakeside")


def test_copy_is_kept_from_nothing_by_what_somebody_else_planted(
    copier: Copier, tmp_path: Path
) -> None:
    point = copier.keeper.back_up(NOW)
    (tmp_path / "manifest.json").write_text("{}")
    tags = {"dro": "manifest", "practice": PRACTICE, "system": SYSTEM, "point": point}
    copier.target.save_tree(tmp_path, tags=tags, time=NOW, timeout=MINUTE)

    result = copier.copy()

    assert (result.outcome, result.copied) == (Outcome.DONE, (point,))
    held = copier.keeper.store.find_point(PRACTICE, point).copy_in("offsite")
    assert held is not None
    found = find_manifest(copier.target, PRACTICE, SYSTEM, point, held)
    assert found.sha256 == held.manifest_sha256


def test_what_cannot_be_read_in_the_source_stops_no_other_point(copier: Copier) -> None:
    store = copier.keeper.place
    copier.keeper.back_up(NOW - DAY, content=b"x")
    before = set(packs(store))
    damaged = copier.keeper.back_up(NOW, content=os.urandom(400_000))
    for pack in set(packs(store)) - before:
        if pack.stat().st_size > 100_000:
            flip_a_byte(pack)

    result = copier.copy()

    sound = [each for each in newest_first(copier) if each != damaged]
    assert (result.outcome, list(result.copied)) == (Outcome.PARTIAL, sound)
    ((point, why),) = result.left
    assert point == damaged
    assert "could be read in onsite" in why
    assert copier.held() == set(sound)
    assert copier.keeper.last_run(Operation.COPY).outcome is Outcome.PARTIAL
    assert copier.raw.lock_ids() == copier.keeper.raw.lock_ids() == []


def test_copy_waits_for_nobody_who_is_alone_in_one_of_the_two(copier: Copier) -> None:
    copier.keeper.back_up(NOW)
    key = repository_key(copier.keeper.repository().identity())

    with (
        copier.keeper.store.locks.hold({key}, exclusive=True, wait=timedelta(), what="it"),
        pytest.raises(Busy),
    ):
        copier.copy()

    assert copier.held() == set()
    assert len(copier.copy().copied) == 1


def test_copy_says_which_of_the_two_is_shut(copier: Copier) -> None:
    onsite, offsite = copier.keeper.repository(), copier.target
    copier.keeper.back_up(NOW)
    ids = [each["id"] for each in copier.keeper.raw.snapshots()]

    with _locked(copier.raw), pytest.raises(RepositoryLocked, match="offsite"):
        offsite.copy_from(onsite, ids, timeout=MINUTE)
    with _locked(copier.keeper.raw), pytest.raises(RepositoryLocked, match="onsite"):
        offsite.copy_from(onsite, ids, timeout=MINUTE)
    copier.keeper.place.rename(copier.keeper.place.with_name("elsewhere"))
    with pytest.raises(RepositoryAbsent, match="onsite"):
        offsite.copy_from(onsite, ids, timeout=MINUTE)


@contextmanager
def _locked(raw: RawRestic) -> Iterator[None]:
    """Have a living restic hold its exclusive lock."""
    before = set(raw.lock_ids())
    with subprocess.Popen(
        ("restic", "check"), env=raw.environment, stdout=DEVNULL, stderr=DEVNULL
    ) as check:
        try:
            while not set(raw.lock_ids()) - before:
                assert check.poll() is None
                time.sleep(0.01)
            check.send_signal(signal.SIGSTOP)
            yield
        finally:
            check.kill()


@pytest.mark.parametrize("kind", ["s3", "rest"])
def test_copy_reaches_another_kind_of_place(copier: Copier, kind: str) -> None:
    point = copier.keeper.back_up(NOW)
    served = copier.keeper.folder / "served"
    served.mkdir()
    with contextlib.ExitStack() as servers:
        if kind == "s3":
            s3 = servers.enter_context(s3_server(served))
            s3.make_bucket("riverside-offsite", lock=True)
            far = copying(
                copier.keeper,
                s3.location("riverside-offsite", "emr"),
                AWS_PROFILE=PROFILE,
                AWS_SHARED_CREDENTIALS_FILE=str(s3.credentials),
            )
        else:
            location = servers.enter_context(rest_server(served, "--append-only"))
            far = copying(copier.keeper, location, folder=served / "riverside")

        assert far.copy().copied == (point,)

        found = find_manifest(far.target, PRACTICE, SYSTEM, point)
        content = far.target.read_file(
            found.manifest.assets["database"].snapshot,
            found.manifest.assets["database"].path,
            limit_bytes=1000,
        )
        assert content == f"database of {NOW}".encode()
        assert _polynomial(far.raw) == _polynomial(copier.keeper.raw)
        assert far.copy().copied == ()


def _polynomial(raw: RawRestic) -> str:
    content: dict[str, str] = json.loads(raw.run("cat", "config", "--no-lock").stdout)
    return content["chunker_polynomial"]


def test_what_was_copied_is_hardly_saved_again_directly(copier: Copier) -> None:
    """A repository cuts data up like the one it was made like, or in a way of its own."""
    tree = copier.keeper.folder / "scans"
    tree.mkdir()
    (tree / "scan.dcm").write_bytes(os.urandom(8_000_000))
    onsite = copier.keeper.repository()
    saved = onsite.save_tree(tree, tags={}, time=NOW, timeout=MINUTE)
    folder = copier.keeper.folder / "alike"
    far = copying(copier.keeper, str(folder), folder=folder)
    alike, other = far.open_target(copier.keeper.plan, "offsite", onsite), copier.target

    added = {}
    for target in (alike, other):
        target.copy_from(onsite, [saved.snapshot], timeout=MINUTE)
        (tree / "scan.dcm").touch()
        direct = target.save_tree(tree, tags={}, time=NOW + MINUTE, timeout=MINUTE)
        added[target is alike] = direct.added_bytes

    assert added[True] < 10_000
    assert added[False] > 8_000_000


def test_backup_makes_a_repository_like_the_one_it_shares_copies_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is there first: here another system was saved to `offsite` before."""
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text("battery")
    (tmp_path / "dro.yaml").write_text(f"plans: {tmp_path}/plans\nstate: {tmp_path}/state\n")
    monkeypatch.setenv("DRO_SETTINGS", str(tmp_path / "dro.yaml"))
    plan = make_plan(backup={"schedule": "every 30m", "copy_to": ["offsite"]})
    places = {
        name: spec.model_copy(
            update={
                "location": str(tmp_path / name),
                "password": SecretReference(file=str(tmp_path / "key")),
            }
        )
        for name, spec in plan.repositories.items()
    }
    plan = plan.model_copy(update={"repositories": places})

    with contextlib.closing(App(load_settings(), SystemClock())) as app:
        for name in ("offsite", "onsite"):
            app.repositories.open_for_writing(plan, name)

    first, second = (
        RawRestic(str(tmp_path / name), tmp_path / "cache", "battery") for name in plan.repositories
    )
    assert _polynomial(first) == _polynomial(second)
