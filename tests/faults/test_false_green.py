"""A backup that does not restore right is never green: each way in which one goes bad, by name.

Each test damages one thing, and says what the plain tools think of it where they think it is fine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.assets.base import CaptureRequest
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.demo.damage import CarelessDriver, copied_with_cp, flip_one_byte, path_of
from dr_orchestrator.settings import load_settings
from tests.support.site import MARKER, SMALL_EMR, Ended, Site, make_small_practice, new_site


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site)
        yield site
        assert site.leftovers() == []


@pytest.fixture
def backed_up(site: Site) -> Site:
    assert site.dro("backup", "riverside").code == 0
    return site


def _back_up_carelessly(
    site: Site, kind: AssetKind, spoil: Callable[[CaptureRequest], Path]
) -> None:
    """Back up through our own code, but save what `spoil` makes instead of what was measured."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        app = App(load_settings(), SystemClock())
    with contextlib.closing(app):
        drivers = {**app.drivers, kind: CarelessDriver(app.drivers[kind], spoil)}
        result = app.back_up(app.plans(("riverside",))[0], "emr", drivers=drivers)
    assert result.point is not None
    assert result.failures == ()


def _tested(site: Site, code: int, result: str) -> tuple[dict[str, object], str]:
    ended = site.dro("test", "riverside", "--json")
    assert ended.code == code, ended.said
    test = ended.json["tests"][0]
    assert test["result"] == result, test
    assert test["next"]
    return test, str(test["reason"])


def _status_is_not_green(site: Site) -> None:
    status = site.dro("status", "riverside", "--json")
    assert status.json["practices"][0]["verdict"] == "breached"
    assert status.code == 5


def _sqlite_copy(change: str) -> Callable[[CaptureRequest], Path]:
    """Return a spoiler that saves a whole and sound copy in which `change` was made."""

    def spoil(request: CaptureRequest) -> Path:
        copy = request.staging / "careless.sqlite3"
        with (
            contextlib.closing(sqlite3.connect(path_of(request))) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.executescript(change)
        return copy

    return spoil


def test_one_byte_flipped_in_a_pack_fails_though_restic_check_is_fine(backed_up: Site) -> None:
    flip_one_byte(backed_up.repository)
    backed_up.restic("check", "--no-lock")  # exits 0
    _tested(backed_up, 1, "failed")
    _status_is_not_green(backed_up)


@pytest.mark.timeout(400)
def test_a_missing_pack_fails(backed_up: Site) -> None:
    packs = [each for each in (backed_up.repository / "data").rglob("*") if each.is_file()]
    max(packs, key=lambda each: each.stat().st_size).unlink()
    _tested(backed_up, 1, "failed")


@pytest.mark.parametrize("words", [(), ("--repository", "onsite")])
def test_a_system_that_the_plan_never_tests_is_tested_when_somebody_asks(
    backed_up: Site, words: tuple[str, ...]
) -> None:
    """No test at all would exit 0, as a passed one does."""
    text = backed_up.plan.read_text()
    backed_up.plan.write_text(text.replace("rpo: 1h\n", "rpo: 1h\n    restore_tests: []\n"))
    flip_one_byte(backed_up.repository)

    ended = backed_up.dro("test", "riverside", *words, "--json")

    assert ended.code == 1, ended.said
    assert [each["result"] for each in ended.json["tests"]] == ["failed"]


def test_an_asset_that_no_check_looks_at_is_unproven(backed_up: Site) -> None:
    text = backed_up.plan.read_text()
    before, _, _ = text.partition("    verify:\n")
    check = "{title: visits, asset: database, sql: select count(*) from visit, expect: '> 0'}"
    backed_up.plan.write_text(f"{before}    verify:\n      - {check}\n")

    _, reason = _tested(backed_up, 4, "unproven")

    assert "no check of the plan looks at documents" in reason


def test_an_asset_that_was_something_else_then_is_unproven(backed_up: Site) -> None:
    text, _, _ = backed_up.plan.read_text().partition("    newest:")
    files = f"database: {{kind: files, path: {backed_up.documents}}}"
    changed = text.replace(f"database: {{kind: sqlite, path: {backed_up.database}}}", files)
    assert changed != text
    backed_up.plan.write_text(changed)

    _, reason = _tested(backed_up, 4, "unproven")

    assert "database was something else" in reason


def test_a_missing_manifest_fails(backed_up: Site) -> None:
    listed = json.loads(
        backed_up.restic("snapshots", "--json", "--no-lock", "--tag", "dro=manifest")
    )
    backed_up.restic("forget", listed[0]["id"])
    _, reason = _tested(backed_up, 1, "failed")
    assert "no manifest" in reason


def test_a_manifest_that_was_swapped_fails(backed_up: Site, tmp_path: Path) -> None:
    """Whoever can write to the repository can write a manifest; the record knows the real one."""
    (real,) = json.loads(
        backed_up.restic("snapshots", "--json", "--no-lock", "--tag", "dro=manifest")
    )
    backed_up.restic("restore", real["id"], "--target", str(tmp_path))
    (manifest,) = tmp_path.rglob("manifest.json")
    manifest.write_text(manifest.read_text().replace('"skew_seconds": ', '"skew_seconds": 1'))
    backed_up.restic("forget", real["id"])
    backed_up.restic("backup", str(manifest.parent), "--tag", ",".join(real["tags"]))
    _, reason = _tested(backed_up, 1, "failed")
    assert "not the one recorded" in reason


def test_cp_of_a_database_in_use_fails_though_its_integrity_check_is_ok(site: Site) -> None:
    with contextlib.closing(sqlite3.connect(site.database)) as at_work:
        at_work.executescript("pragma journal_mode=wal; pragma wal_autocheckpoint=0")
        with at_work:
            at_work.execute("insert into visit values (null, 1, datetime('now'))")
        _back_up_carelessly(site, AssetKind.SQLITE, copied_with_cp)
    _tested(site, 1, "failed")


def test_a_database_in_use_is_backed_up_with_what_is_only_in_its_log(site: Site) -> None:
    with contextlib.closing(sqlite3.connect(site.database)) as at_work:
        at_work.executescript("pragma journal_mode=wal; pragma wal_autocheckpoint=0")
        with at_work:
            at_work.execute("insert into visit values (null, 1, datetime('now'))")
        assert site.dro("backup", "riverside").code == 0
    _tested(site, 0, "passed")


@pytest.mark.parametrize(
    "change",
    [
        "delete from visit",
        "update patient set name = 'somebody else' where id = 7",
        "delete from patient where id = 39",
        "insert into visit select null, patient_id, seen_at from visit limit 1",
        "drop table document",
    ],
    ids=["table-emptied", "row-changed", "row-lost", "row-doubled", "table-lost"],
)
def test_changed_rows_in_the_restored_copy_fail(site: Site, change: str) -> None:
    _back_up_carelessly(site, AssetKind.SQLITE, _sqlite_copy(change))
    _tested(site, 1, "failed")
    _status_is_not_green(site)


@pytest.mark.parametrize("damage", ["truncated", "lost", "swapped", "added"])
def test_changed_files_in_the_restored_copy_fail(site: Site, damage: str) -> None:
    def spoil(request: CaptureRequest) -> Path:
        copy = request.staging / "documents"
        shutil.copytree(path_of(request), copy)
        scan = copy / "scan-3.pdf"
        if damage == "truncated":
            os.truncate(scan, 100)
        elif damage == "lost":
            scan.unlink()
        elif damage == "swapped":
            scan.write_bytes(scan.read_bytes().replace(b"3", b"4"))
        else:
            (copy / "new.exe").write_bytes(b"x")
        return copy

    _back_up_carelessly(site, AssetKind.FILES, spoil)
    _tested(site, 1, "failed")


def test_an_unmounted_share_fails_the_backup_and_the_rest_is_kept(backed_up: Site) -> None:
    (backed_up.documents / MARKER).unlink()
    ended = backed_up.dro("backup", "riverside", "--json")
    assert ended.code == 3
    (failure,) = ended.json["failures"]
    assert failure["asset"] == "documents"
    assert set(ended.json["points"][0]["assets"]) == {"database"}
    (practice,) = backed_up.dro("status", "riverside", "--json").json["practices"]
    coverage = [each for each in practice["findings"] if each["objective"] == "coverage"]
    assert [each["verdict"] for each in coverage] == ["unproven"]  # due: one RPO after it was there


def test_a_share_that_is_gone_altogether_fails_the_backup(backed_up: Site) -> None:
    shutil.rmtree(backed_up.documents)
    ended = backed_up.dro("backup", "riverside", "--json")
    assert ended.code == 3
    assert [each["asset"] for each in ended.json["failures"]] == ["documents"]


def test_nothing_saved_is_exit_1_and_no_point(site: Site) -> None:
    site.database.unlink()
    shutil.rmtree(site.documents)
    ended = site.dro("backup", "riverside", "--json")
    assert ended.code == 1
    assert ended.json["points"] == []
    assert len(ended.json["failures"]) == 2
    assert site.dro("test", "riverside").code == 1


def test_a_wrong_password_fails_the_test(backed_up: Site) -> None:
    backed_up.key.write_text("another key")
    _, reason = _tested(backed_up, 1, "failed")
    assert "password" in reason or "key" in reason
    assert backed_up.dro("backup", "riverside").code == 1


def test_a_repository_that_is_gone_proves_nothing_and_is_not_made_anew(backed_up: Site) -> None:
    away = backed_up.repository.rename(backed_up.folder / "away")
    _, reason = _tested(backed_up, 4, "unproven")
    assert "was here" in reason
    ended = backed_up.dro("backup", "riverside")
    assert ended.code == 1
    assert "is gone" in ended.stderr
    assert not backed_up.repository.exists()
    away.rename(backed_up.repository)  # the disk is back, and its points are what they were
    status = backed_up.dro("status", "--json").json["practices"][0]["findings"]
    assert {each["objective"] for each in status if each["verdict"] == "breached"} == set()
    assert backed_up.dro("test", "riverside").code == 0


def test_another_repository_at_the_same_place_proves_nothing(backed_up: Site) -> None:
    shutil.rmtree(backed_up.repository)
    backed_up.restic("init")
    _, reason = _tested(backed_up, 4, "unproven")
    assert "another repository" in reason
    assert backed_up.dro("backup", "riverside").code == 1


def test_a_network_that_is_down_is_unproven_and_makes_no_repository(backed_up: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plan = backed_up.plan.read_text()
    backed_up.plan.write_text(
        plan.replace(str(backed_up.repository), f"rest:http://127.0.0.1:{port}/riverside")
    )
    _tested(backed_up, 4, "unproven")
    ended = backed_up.dro("backup", "riverside")
    assert ended.code == 1
    assert "reach" in ended.stderr


def test_a_repository_locked_by_somebody_else_is_busy(backed_up: Site) -> None:
    """An exclusive lock of another machine: it may be working, so we wait, and then say so."""
    with _foreign_lock(backed_up):
        _shorten_lock_wait(backed_up)
        ended = backed_up.dro("backup", "riverside")
        assert ended.code == 75, ended.said
        _tested(backed_up, 0, "passed")  # reading takes no lock
    assert backed_up.dro("backup", "riverside").code == 0


def test_without_bubblewrap_the_test_is_unproven(backed_up: Site) -> None:
    _, reason = _tested_with_path(backed_up, without="bwrap")
    assert "bubblewrap" in reason or "bwrap" in reason


def test_without_bubblewrap_backups_go_on(backed_up: Site) -> None:
    assert backed_up.dro("backup", "riverside", PATH=_path_without(backed_up, "bwrap")).code == 0


def test_a_full_sandbox_disk_is_unproven(backed_up: Site) -> None:
    with _small_disk(backed_up, backed_up.folder / "state-sandbox", "64k"):
        _tested(backed_up, 4, "unproven")


def test_a_full_staging_disk_fails_the_backup(backed_up: Site) -> None:
    with _small_disk(backed_up, backed_up.state / "staging", "16k"):
        ended = backed_up.dro("backup", "riverside", "--json")
        assert ended.code in {1, 3}
        assert any(
            "space" in each["reason"] or "free" in each["reason"] for each in ended.json["failures"]
        )
    assert backed_up.dro("backup", "riverside").code == 0


def test_a_full_repository_disk_fails_the_backup_and_older_points_stay(site: Site) -> None:
    shutil.rmtree(site.repository)
    site.repository.mkdir()
    with _small_disk(site, site.repository, "1m"):
        assert site.dro("backup", "riverside").code == 0
        (site.documents / "large.bin").write_bytes(os.urandom(3_000_000))
        ended = site.dro("backup", "riverside", "--json")
        assert ended.code in {1, 3}, ended.said
        (site.documents / "large.bin").unlink()
        first = site.dro("points", "riverside", "--json").json["points"][0]["id"]
        tested = site.dro("test", "riverside", "--point", first, "--json")
        assert tested.code == 0, tested.said


def test_the_damage_is_located_by_the_point_before(backed_up: Site) -> None:
    with sqlite3.connect(backed_up.database) as database:
        database.execute("insert into patient values (1000, 'new')")
    _back_up_carelessly(backed_up, AssetKind.SQLITE, _sqlite_copy("delete from visit"))
    ended = backed_up.dro("test", "riverside", "--json")
    assert ended.code == 1
    asked, before = ended.json["tests"]
    assert (asked["result"], before["result"]) == ("failed", "passed")
    assert before["follow_up_of"] == asked["id"]
    assert before["point"] in asked["next"]


def test_the_damage_is_located_by_another_repository(site: Site) -> None:
    other = site.folder / "second"
    site.write_plan(
        SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
        + "    backup: {schedule: every 30m, to: [onsite, offsite]}\n",
        repositories=f"  offsite: {{location: {other}, password: {{file: {site.key}}}}}\n",
    )
    assert site.dro("backup", "riverside").code == 0
    flip_one_byte(site.repository)
    ended = site.dro("test", "riverside", "--repository", "onsite", "--json")
    assert ended.code == 1
    asked, elsewhere = ended.json["tests"]
    assert (elsewhere["repository"], elsewhere["result"]) == ("offsite", "passed")
    assert "offsite" in asked["next"]


# --- no false alarm ---------------------------------------------------------------------------


def test_rows_and_files_changed_after_capture_are_no_alarm(backed_up: Site) -> None:
    with sqlite3.connect(backed_up.database) as database:
        database.execute("delete from visit where id < 50")
    (backed_up.documents / "scan-1.pdf").write_bytes(b"changed")
    (backed_up.documents / "scan-2.pdf").unlink()
    _tested(backed_up, 0, "passed")


def test_an_empty_database_that_was_empty_at_capture_is_no_alarm(site: Site) -> None:
    site.database.unlink()
    with sqlite3.connect(site.database) as database:
        database.executescript(
            "create table patient (id integer primary key, name text);"
            "create table visit (id integer primary key, patient_id integer, seen_at text);"
            "create table document (path text primary key, sha256 text);"
        )
    assert site.dro("backup", "riverside").code == 0
    _tested(site, 0, "passed")


# --- what the tests above need ----------------------------------------------------------------


def _shorten_lock_wait(site: Site) -> None:
    settings = site.folder / "dro.yaml"
    settings.write_text(settings.read_text() + "lock_wait: 3s\n")


@contextlib.contextmanager
def _foreign_lock(site: Site) -> Iterator[None]:
    """Hold the lock that a `restic prune` of another machine would hold."""
    locks = site.repository / "locks"
    holder = subprocess.Popen(
        (
            "unshare",
            "--uts",
            "sh",
            "-c",
            "hostname elsewhere.example; exec restic --no-cache check --read-data",
        ),
        env=site.environment
        | {"RESTIC_REPOSITORY": str(site.repository), "RESTIC_PASSWORD_FILE": str(site.key)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (found := [each for each in locks.iterdir() if "-tmp-" not in each.name]):
        if holder.poll() is not None:
            raise RuntimeError("the holder of the lock ended")
    (lock,) = found
    kept = lock.read_bytes()
    holder.wait()
    lock.write_bytes(kept)  # young, exclusive, and of a machine we cannot look into
    try:
        yield
    finally:
        lock.unlink()


def _path_without(site: Site, program: str) -> str:
    """Return a PATH on which everything is found but one program."""
    folder = site.folder / f"without-{program}"
    if not folder.exists():
        folder.mkdir()
        for place in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
            for each in Path(place).iterdir():
                link = folder / each.name
                if each.name != program and not link.is_symlink():
                    link.symlink_to(each)
    return str(folder)


def _tested_with_path(site: Site, *, without: str) -> tuple[dict[str, object], str]:
    ended: Ended = site.dro("test", "riverside", "--json", PATH=_path_without(site, without))
    assert ended.code == 4, ended.said
    test = ended.json["tests"][0]
    assert test["result"] == "unproven"
    return test, str(test["reason"])


@contextlib.contextmanager
def _small_disk(site: Site, place: Path, size: str) -> Iterator[None]:
    place.mkdir(mode=0o711, exist_ok=True, parents=True)
    subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "dro-test", place), check=True
    )
    try:
        yield
    finally:
        subprocess.run(("umount", place), check=True)
    assert str(site.folder) not in Path("/proc/self/mounts").read_text()
