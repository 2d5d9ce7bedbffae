"""The first quarter of an hour: a repository that some script fills, and whether it restores."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, new_site
from tests.support.tools import require_tool

_PATIENT = "Zebedee Canaryson"
_PLAIN_SQL = (
    "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n"
    "SET client_encoding = 'UTF8';\n"
    "CREATE TABLE public.visit (id integer NOT NULL, seen date);\n"
    "COPY public.visit (id, seen) FROM stdin;\n"
    + "".join(f"{number}\t2026-11-{number % 28 + 1:02d}\n" for number in range(1, 201))
    + "\\.\n\n--\n-- PostgreSQL database dump complete\n--\n"
)
_VERIFY = """\
    verify:
      - {title: visits from the pipe, asset: emr, sql: "select count(*) from visit", expect: 200}
      - {title: visits in the dump, asset: nightly, sql: "select count(*) from visit", expect: 200}
      - {title: images, asset: imaging, sql: "select count(*) from image", expect: "> 0"}
      - {title: letters, files: {asset: documents, at_least: 10}}
"""


@pytest.fixture
def site() -> Iterator[Site]:
    """Lend a machine with a practice's data, and an empty repository."""
    require_tool("postgres")
    with new_site() as site:
        data = site.folder / "srv"
        (data / "letters").mkdir(parents=True)
        for number in range(12):
            (data / "letters" / f"{_PATIENT} {number}.txt").write_text(f"letter {number}")
        _make_database(data / "imaging.db")
        yield site
        assert site.leftovers() == []


def _make_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table image (name text)")
        connection.executemany("insert into image values (?)", [(_PATIENT,)] * 40)


def _restic(site: Site, at: str, *words: str) -> None:
    subprocess.run(
        ("restic", "--no-cache", "-q", "-r", site.repository, "backup", f"--time={at}", *words),
        env=site.environment | {"RESTIC_PASSWORD_FILE": str(site.key), "TZ": "UTC"},
        input=_PLAIN_SQL.encode(),
        check=True,
        timeout=120,
    )


def _all_of(repository: Path) -> set[str]:
    return {str(each.relative_to(repository)) for each in repository.rglob("*")}


def test_repository_of_a_script_is_proven_in_five_commands_and_stays_as_it_was(site: Site) -> None:
    dumps = site.folder / "srv" / "dumps"
    dumps.mkdir()
    (dumps / "nightly-20261120.sql.gz").write_bytes(gzip.compress(_PLAIN_SQL.encode()))
    for night in (20, 21):
        _restic(site, f"2026-11-{night} 02:00:00", str(site.folder / "srv"))
        _restic(site, f"2026-11-{night} 02:05:00", "--stdin", "--stdin-filename=emr.sql")
    listed, files = site.restic("snapshots", "--json", "--no-lock"), _all_of(site.repository)

    adopted = site.dro(
        *("adopt", "repository", "--practice", "riverside", "--password-file", "key", "--json")
    )
    first = site.dro("test", "riverside", "--json")
    with site.plan.open("a") as plan:
        plan.write(_VERIFY)
    second = site.dro("test", "riverside", "--json")
    status = site.dro("status", "riverside")

    assert adopted.code == 0, adopted.said
    assert adopted.json["points"] == 2
    assert first.code == 4, first.said
    (test,) = first.json["tests"]
    assert (test["result"], test["depth"]) == ("unproven", "L3")
    assert test["next"].startswith("it restores and loads; nothing says what must be in it")
    came = {each["actual"] for each in test["verifications"] if each["result"] == "unproven"}
    assert {"1 table, 200 rows", "1 table, 40 rows"} < came
    assert any(str(each).startswith("14 files, ") for each in came)
    assert second.code == 0, second.said
    assert second.json["tests"][0]["depth"] == "L4"
    assert "restore test" in status.stdout
    assert site.restic("snapshots", "--json", "--no-lock") == listed
    assert _all_of(site.repository) == files
    for said in (adopted.said, first.said, second.said, status.said):
        assert _PATIENT not in said


def test_our_own_backups_take_over_and_old_points_come_back(site: Site) -> None:
    data = site.folder / "srv"
    system = """\
  emr:
    rto: 4h
    rpo: 30h
    assets:
      imaging: {{kind: sqlite, {database}}}
      documents: {{kind: files, {documents}}}
"""
    database, documents = f"path: {data}/imaging.db", f"path: {data}/letters"
    theirs = system.format(
        database=f"existing: {{{database}}}", documents=f"existing: {{{documents}}}"
    )
    site.write_plan(theirs)
    _restic(site, "2026-11-20 02:00:00", str(data))
    looked = site.dro("backup", "riverside", "--json")
    (data / "letters" / "new.txt").write_text("a letter of today")
    site.write_plan(system.format(database=database, documents=documents))
    ours = site.dro("backup", "riverside", "--json")
    (old,) = looked.json["points"]
    test = site.dro("test", "riverside", "--point", old["id"], "--json").json["tests"][0]

    assert (looked.code, ours.code) == (0, 0), looked.said + ours.said
    assert [each["id"] for each in ours.json["points"]] != [old["id"]]
    assert (test["result"], test["depth"]) == ("unproven", "L3")
    came = {each["actual"] for each in test["verifications"]}
    assert any(str(each).startswith("12 files, ") for each in came)
