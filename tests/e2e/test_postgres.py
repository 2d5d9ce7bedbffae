"""The main job on real PostgreSQL: both methods, from the plan to the proof, through `dro`."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import (
    BACKUP_PASSWORD,
    BACKUP_USER,
    EMR,
    PATIENT,
    Production,
    production,
)
from tests.support.site import Ended, Site, new_site
from tests.support.tools import require_tool


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as server, server.database("emr", EMR):
        yield server


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        site.documents.mkdir()
        (site.documents / f"{PATIENT}.pdf").write_bytes(b"a scan")
        yield site
        assert site.leftovers() == []


def _protect(site: Site, server: Production, method: str, **changes: str) -> None:
    scope = ", scope: cluster" if method == "physical" else ""
    password = site.folder / "db-password"
    password.touch(mode=0o600)
    password.write_text(BACKUP_PASSWORD)
    site.write_plan(
        f"""\
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: postgres, host: {server.host}, port: {server.port}, database: emr,
                 user: {changes.get("user", BACKUP_USER)}, password: {{file: {password}}},
                 method: {method}{scope}}}
      documents: {{kind: files, path: {site.documents}}}
    newest: {{asset: database, sql: "select max(seen_at) from emr.encounter"}}
    verify:
      - baseline
      - title: every encounter has its patient
        asset: database
        sql: >-
          select count(*) from emr.encounter e left join emr.patient p on p.id = e.patient_id
          where p.id is null
        expect: 0
      - {{title: patients, asset: database, sql: "select count(*) from emr.patient",
         expect: "> 0"}}
"""
    )


def _test(site: Site, *, code: int = 0) -> dict[str, Any]:
    ended = site.dro("test", "riverside", "--json")
    assert ended.code == code, ended.said
    test: dict[str, Any] = ended.json["tests"][0]
    return test


@contextmanager
def _people_at_work(server: Production) -> Iterator[None]:
    """Write to the database all the while."""
    stop = threading.Event()

    def work() -> None:
        with server.connect("emr") as connection:
            while not stop.is_set():
                connection.execute(
                    "insert into emr.encounter (patient_id, seen_at, note) values (1, now(), 'x');"
                    "update emr.patient set weight = weight + 1 where id = 3"
                )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_a_database_in_use_is_backed_up_and_proven_at_depth_4(
    site: Site, server: Production, method: str
) -> None:
    _protect(site, server, method)
    with _people_at_work(server):
        backup = site.dro("backup", "riverside", "--json")
    assert backup.code == 0, backup.said
    assert backup.json["points"][0]["assets"]["database"]["method"] == method
    test = _test(site)
    assert (test["result"], test["depth"]) == ("passed", "L4"), test
    assert 0 < test["rta_data_seconds"] <= test["rta_service_seconds"]
    assert test["data_age_seconds"] is not None


def test_a_physical_restore_is_a_data_directory_that_starts(site: Site, server: Production) -> None:
    _protect(site, server, "physical")
    assert site.dro("backup", "riverside").code == 0
    place = site.folder / "restored"
    restored = site.dro("restore", "riverside", "--to", str(place), "--json")
    assert restored.code == 0, restored.said
    steps = restored.json["restored"]["database"]["next"]
    assert any("pg_ctl" in step or "postgres" in step for step in steps), steps
    versions = list(place.rglob("PG_VERSION"))
    assert any(each.parent.parent.parent == place / "database" for each in versions) or versions


def test_a_logical_restore_loads_with_the_command_it_names(site: Site, server: Production) -> None:
    _protect(site, server, "logical")
    assert site.dro("backup", "riverside").code == 0
    place = site.folder / "restored"
    restored = site.dro("restore", "riverside", "--to", str(place), "--json")
    assert restored.code == 0, restored.said
    steps = "\n".join(restored.json["restored"]["database"]["next"])
    assert "pg_restore" in steps
    archive = next(place.rglob("*.pgdump"))
    listed = subprocess.run(
        (require_tool("pg_restore"), "--list", archive), capture_output=True, text=True, check=True
    )
    assert "TABLE DATA emr patient" in listed.stdout


def test_rows_hidden_by_row_security_fail_the_backup(site: Site, server: Production) -> None:
    with server.database("hidden", EMR):
        server.run("alter table emr.patient enable row level security", "hidden")
        _protect(site, server, "logical")
        site.plan.write_text(site.plan.read_text().replace("database: emr,", "database: hidden,"))
        ended = site.dro("backup", "riverside", "--json")
    assert ended.code == 3
    (failure,) = ended.json["failures"]
    assert failure["asset"] == "database"
    assert "row" in failure["reason"]
    assert "database" not in ended.json["points"][0]["assets"]


def test_a_server_that_is_down_fails_the_backup(site: Site, server: Production) -> None:
    _protect(site, server, "logical")
    site.plan.write_text(site.plan.read_text().replace(f"port: {server.port}", "port: 5999"))
    ended = site.dro("backup", "riverside", "--json")
    assert ended.code == 3
    assert [each["asset"] for each in ended.json["failures"]] == ["database"]


def _careless_programs(site: Site, script: str) -> None:
    """Put a pg_dump in front that does something else; everything else is the real thing."""
    real = require_tool("pg_dump").parent
    folder = site.folder / "programs"
    folder.mkdir()
    for each in real.iterdir():
        (folder / each.name).symlink_to(each)
    (folder / "pg_dump").unlink()
    (folder / "pg_dump").write_text(
        f'#!/bin/sh\ncase "$1" in --version|-V) exec {real}/pg_dump --version;; esac\n'
        + script.format(real=f"{real}/pg_dump")
    )
    (folder / "pg_dump").chmod(0o755)
    for each in (folder, site.folder):
        each.chmod(0o755)
    settings = site.folder / "dro.yaml"
    settings.write_text(settings.read_text() + f"postgres_programs: [{folder}]\n")


def _real_programs_again(site: Site) -> None:
    settings = site.folder / "dro.yaml"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(each for each in lines if "postgres_programs" not in each))


@pytest.mark.parametrize(
    "script",
    [
        "exit 1\n",
        '{real} "$@" | head -c 60000; exit 1\n',
        '{real} "$@" | head -c 60000; kill -9 $$\n',
    ],
    ids=["before-the-first-byte", "mid-stream", "killed"],
)
def test_a_producer_that_fails_leaves_no_point_of_the_database(
    site: Site, server: Production, script: str
) -> None:
    _protect(site, server, "logical")
    _careless_programs(site, script)
    ended = site.dro("backup", "riverside", "--json")
    assert ended.code == 3, ended.said
    (failure,) = ended.json["failures"]
    assert failure["asset"] == "database"
    assert failure["reason"].startswith("pg_dump failed (")
    assert "asset=database" not in site.restic("snapshots", "--no-lock")
    assert site.restic("list", "locks", "--no-lock").strip() == ""


@pytest.mark.parametrize("keep", [400, 60_000, 150_000])
def test_a_dump_that_is_cut_while_its_exit_code_is_0_is_never_green(
    site: Site, server: Production, keep: int
) -> None:
    _protect(site, server, "logical")
    _careless_programs(site, f'{{real}} "$@" | head -c {keep}; exit 0\n')
    ended = site.dro("backup", "riverside", "--json")
    if ended.code == 0:  # the cut looked like an end; then the restore test must find it
        _real_programs_again(site)
        assert _test(site, code=1)["result"] == "failed"
    else:
        assert [each["asset"] for each in ended.json["failures"]] == ["database"]


def test_a_dump_of_another_database_is_never_green(site: Site, server: Production) -> None:
    """A wrapper that dumps the wrong database: it loads, and everything in it is fine."""
    with server.database("other", EMR):
        server.run("delete from emr.lab", "other")
        _protect(site, server, "logical")
        _careless_programs(
            site,
            f"exec {{real}} -Fc -Z0 -h {server.host} -p {server.port} -U postgres other\n",
        )
        ended = site.dro("backup", "riverside", "--json")
    assert ended.code == 0, ended.said
    _real_programs_again(site)
    test = _test(site, code=1)
    assert test["result"] == "failed"
    assert "lab" in test["reason"]


def test_without_server_programs_the_test_is_unproven(site: Site, server: Production) -> None:
    _protect(site, server, "logical")
    assert site.dro("backup", "riverside").code == 0
    settings = site.folder / "dro.yaml"
    settings.write_text(settings.read_text() + "postgres_programs: [/nowhere/*/bin]\n")
    test = _test(site, code=4)
    assert test["result"] == "unproven"


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_no_secret_and_no_patient_gets_out(site: Site, server: Production, method: str) -> None:
    """A secret, a patient's name in a row, and one in a file name, looked for wherever we write."""
    _protect(site, server, method)
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    for name in ("cmdline", "environ"):
                        try:
                            seen.add((entry / name).read_bytes())
                        except OSError:
                            continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    said: list[Ended] = []
    try:
        said += [site.dro("backup", "riverside"), site.dro("test", "riverside")]
        locked = site.documents / f"{PATIENT}.pdf"
        locked.rename(site.documents / f"{PATIENT}.lnk")
        os.mkfifo(locked)
        said += [site.dro("backup", "riverside", "--json"), site.dro("test", "riverside", "--json")]
        said += [site.dro("status", "riverside"), site.dro("points", "riverside", "--json")]
        said.append(site.dro("report", "riverside", "--out", str(site.folder / "pages")))
    finally:
        stop.set()
        watcher.join()
    shutil.rmtree(site.documents)
    written = b"".join(each.read_bytes() for each in site.folder.rglob("*") if _is_ours(site, each))
    everywhere = written + b"".join(seen) + "".join(each.said for each in said).encode()
    secret = site.key.read_text().strip().encode()
    for canary in (PATIENT.encode(), BACKUP_PASSWORD.encode(), secret):
        assert canary not in everywhere, canary
    manifests = site.folder / "manifests"
    site.restic("restore", "latest", "--tag", "dro=manifest", "--target", str(manifests))
    held = b"".join(each.read_bytes() for each in manifests.rglob("*") if each.is_file())
    for canary in (PATIENT.encode(), BACKUP_PASSWORD.encode(), secret):
        assert canary not in held, canary


def _is_ours(site: Site, path: Path) -> bool:
    """Whether a file is one that `dro` wrote, outside the encrypted repository."""
    secrets = {site.key, site.folder / "db-password"}
    return path.is_file() and path not in secrets and site.repository not in path.parents
