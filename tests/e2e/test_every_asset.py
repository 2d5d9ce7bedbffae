"""One practice with every kind of asset, through `dro`: backed up, proven and judged in one go."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import mariadb, samba
from tests.support.mariadb import EMR, OLD_TABLES, PATIENT, busy
from tests.support.site import Site, new_site

_DUMP = "EMR_FULL_1.bak"
_LOAD = (
    "import sqlite3, sys; "
    "sqlite3.connect(sys.argv[2] + '/emr').executescript(open(sys.argv[1]).read())"
)
_ASK = (
    "import sqlite3, sys; "
    "print(sqlite3.connect(sys.argv[1] + '/emr').execute('select count(*) from visit')"
    ".fetchone()[0])"
)
Proven = tuple[Site, dict[str, Any], dict[str, dict[str, Any]]]


def _password(site: Site, name: str, value: str) -> Path:
    file = site.folder / name
    file.touch(mode=0o600)
    file.write_text(value)
    return file


def _vendor(site: Site) -> None:
    """Make up what a vendor's own program dumps, and what a vendor's job has written."""
    with sqlite3.connect(site.database) as database:
        database.execute("create table visit (id integer primary key, patient text)")
        database.executemany("insert into visit (patient) values (?)", [(PATIENT,)] * 30)
    database.close()
    folder = site.folder / "vendor"
    folder.mkdir()
    (folder / _DUMP).write_bytes(os.urandom(200_000))
    os.utime(folder / _DUMP, (folder.stat().st_mtime - 7200,) * 2)


def _systems(site: Site, server: mariadb.Production, files: samba.FileServer) -> str:
    login = (
        f"host: {server.host}, database: emr, user: backup, "
        f"password: {{file: {_password(site, 'db', mariadb.BACKUP_PASSWORD)}}}"
    )
    share = files.asset("scans")
    password = _password(site, "share", samba.PASSWORD)
    return f"""\
  emr:
    rto: 4h
    rpo: 1h
    max_skew: 5m
    assets:
      database: {{kind: mariadb, {login}}}
      scans: {{kind: smb, host: 127.0.0.1, port: {share.port}, share: documents, path: scans,
              user: {share.user}, domain: CLINIC, password: {{file: {password}}},
              marker: .this-is-the-share}}
    newest: {{asset: database, sql: "select max(seen_at) from encounter"}}
    verify:
      - baseline
      - title: every visit has its patient
        asset: database
        sql: >-
          select count(*) from encounter e left join patient p on p.id = e.patient_id
          where p.id is null
        expect: 0
  server:
    rto: 4h
    rpo: 1h
    assets: {{database: {{kind: mariadb, {login}, method: physical, scope: cluster}}}}
  imaging:
    rto: 8h
    rpo: 1d
    assets:
      dump: {{kind: files, path: {site.folder}/vendor, made_by: the imaging vendor's nightly job,
             data_time: {{newest: "EMR_FULL_*.bak", max_age: 26h, at_least: 100 KiB}}}}
  odd:
    rto: 8h
    rpo: 1d
    assets:
      dump: {{kind: command, dump: [/usr/bin/sqlite3, {site.database}, .dump], at_least: 1 KiB,
             ends_with: "COMMIT;",
             restore: [/usr/bin/python3, -c, "{_LOAD}", "{{dump}}", "{{folder}}"]}}
    verify:
      - baseline
      - {{title: visits, asset: dump, run: [/usr/bin/python3, -c, "{_ASK}", "{{folder}}"],
         at_capture: [/usr/bin/sqlite3, {site.database}, select count(*) from visit],
         expect: baseline}}
"""


@pytest.fixture(scope="module")
def proven() -> Iterator[Proven]:
    """Back up everything while people work with it, and prove every system once."""
    with (
        mariadb.production() as server,
        server.database("emr", EMR, OLD_TABLES),
        samba.file_server() as files,
        new_site() as site,
    ):
        files.folder(
            "scans", {".this-is-the-share": "", **{f"{n}/{PATIENT}.pdf": "scan" for n in range(20)}}
        )
        _vendor(site)
        site.write_plan(_systems(site, server, files))
        insert = "insert into encounter (patient_id, seen_at, note) values (1, now(), 'x')"
        with busy(server, "emr", insert), _watched() as seen:
            backup = site.dro("backup", "riverside", "--json")
        assert backup.code == 0, backup.said
        tests = site.dro("test", "riverside", "--json")
        assert tests.code == 0, tests.said
        said = (backup.said + tests.said).encode() + b"".join(seen)
        for canary in (PATIENT, mariadb.BACKUP_PASSWORD, samba.PASSWORD.strip()):
            assert canary.encode() not in said, canary
        assert site.leftovers() == []
        by_system = {each["system"]: each for each in tests.json["tests"]}
        yield site, backup.json, by_system


class _watched:  # noqa: N801 - reads as what it is in a `with`
    """What every process shows of itself while the block runs: its arguments and environment."""

    def __enter__(self) -> set[bytes]:
        self._seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    for name in ("cmdline", "environ"):
                        try:
                            self._seen.add((entry / name).read_bytes())
                        except OSError:
                            continue


@pytest.mark.parametrize(
    ("system", "depth"), [("emr", "L4"), ("server", "L4"), ("imaging", "L2"), ("odd", "L4")]
)
def test_each_kind_of_asset_is_proven_as_deep_as_it_can_be(
    proven: Proven, system: str, depth: str
) -> None:
    test = proven[2][system]
    assert (test["result"], test["depth"]) == ("passed", depth), test
    assert {each["result"] for each in test["verifications"]} == {"passed"}


def test_database_is_captured_before_the_share(proven: Proven) -> None:
    site, backup, _ = proven
    listed = site.dro("points", "riverside", "--system", "emr", "--json").json["points"]
    assert 0 < listed[0]["skew_seconds"] < 300
    assert {each["system"] for each in backup["points"]} == {"emr", "server", "imaging", "odd"}


def test_status_judges_the_new_objectives_too(proven: Proven) -> None:
    site = proven[0]
    status = site.dro("status", "riverside", "--json").json["practices"][0]
    verdicts = {(each["system"], each["objective"]): each["verdict"] for each in status["findings"]}
    assert verdicts["emr", "skew"] == "met"
    assert verdicts["imaging", "dump_age"] == "met"
    assert set(verdicts.values()) == {"met"}, status


def test_what_a_restore_leaves_says_how_to_go_on(proven: Proven) -> None:
    site = proven[0]
    place = site.folder / "restored"
    restored = site.dro("restore", "riverside", "--system", "emr", "--to", str(place), "--json")
    assert restored.code == 0, restored.said
    steps = "\n".join(restored.json["restored"]["database"]["next"])
    assert "mariadb" in steps
    assert len(list((place / "scans").rglob("*.pdf"))) == 20
