"""The OpenEMR pack on a real server: it passes, and each fact it checks, broken once, fails."""

from __future__ import annotations

import contextlib
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.servers.mariadb_connection import Connection
from tests.support.mariadb import SEARCH_PATH, Bench, Production, production, revived
from tests.support.openemr import Clinic, make_openemr, newest_entry
from tests.support.other_emrs import (
    OPENDENTAL,
    OPENMRS,
    make_opendental_files,
    make_openmrs_files,
)
from tests.support.pack_point import PLAN, captured, verifier


@dataclass(frozen=True)
class Emr:
    """A clinic on a running server, as it was captured."""

    connection: Connection
    clinic: Clinic
    sites: Path
    answers: Mapping[str, Value]

    def ask(self, sites: Path | None = None) -> tuple[Verification, ...]:
        asked = verifier(self.connection, sites or self.sites, self.answers)
        return (*asked.service(), *asked.proof())


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture(scope="module")
def emr(server: Production, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emr]:
    sites = tmp_path_factory.mktemp("openemr")
    clinic = make_openemr(sites / "default" / "documents")
    with server.database("openemr"):
        server.run(clinic.script, "openemr")
        with contextlib.closing(server.connect("openemr")) as connection:
            yield Emr(connection, clinic, sites, captured(connection))


@contextlib.contextmanager
def broken(emr: Emr, statements: str, undo: str = "") -> Iterator[None]:
    """Break the database for the block: what cannot be rolled back has its own `undo`."""
    run = emr.connection.execute
    run("begin")
    try:
        for statement in filter(None, statements.split(";")):
            run(statement)
        yield
    finally:
        run("rollback")
        for statement in filter(None, undo.split(";")):
            run(statement)


def not_passed(found: tuple[Verification, ...]) -> dict[str, Verification]:
    return {each.title: each for each in found if each.result is not Result.PASSED}


def test_pack_passes_on_what_came_back_whole(emr: Emr) -> None:
    found = emr.ask()

    assert not_passed(found) == {}
    titles = [each.title for each in found]
    assert len(titles) == len(set(titles)) == 21
    assert all(title.startswith("OpenEMR: ") for title in titles)
    assert {each.asset for each in found} == {"database", "documents"}
    said = {each.title.removeprefix("OpenEMR: "): each.actual for each in found}
    assert said["every document is there, and is what OpenEMR stored"] == (
        "40 of 40 there, 40 of 40 read and compared"
    )
    assert said["the audit log fits OpenEMR's own checksums"] == "400 of 400 equal"
    assert said["the two halves of the keys belong together"] == "3 key files, 2 needed"
    assert said["its version is one that these checks were tried on"] == "7.0.2"


def test_pack_tells_the_newest_row(emr: Emr) -> None:
    asked = verifier(emr.connection, emr.sites, emr.answers)

    expected = newest_entry().replace(tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)
    assert asked.newest() == expected


def test_pack_is_one_unproven_check_for_another_version(emr: Emr) -> None:
    with broken(emr, "update version set v_major = 9"):
        found = not_passed(emr.ask())

    (answer,) = found.values()
    assert answer.result is Result.UNPROVEN
    assert answer.reason == (
        "these checks were tried on version 7.0, and this is 9.0.2: what they say may not hold for "
        "it"
    )


_TITLES = {
    "patients": "as many patients as when the backup was made",
    "visits": "as many visits as when the backup was made",
    "document rows": "as many documents as when the backup was made",
    "log rows": "as many checksums of the audit log",
    "orphan visits": "no more visits without a patient",
    "orphan documents": "no more documents without a patient",
    "users": "somebody can sign in",
    "end of log": "the audit log ends where it ended",
    "gone from log": "no more entries are gone from the audit log",
    "validator": "the audit log fits its validator",
    "InnoDB": "as many tables that survive a crash",
    "MyISAM": "as many tables of the old kind",
    "triggers": "as many triggers",
    "routines": "as many stored routines",
    "halves": "every key in the database has both its halves",
    "log": "the audit log fits OpenEMR's own checksums",
    "documents": "every document is there, and is what OpenEMR stored",
    "keys": "the two halves of the keys belong together",
}
_OTHER_KEY = b64encode(b"k" * 32).decode()
_IN_DATABASE = {
    "patients lost": (
        "delete from patient_data where pid in (7, 299)",
        "",
        {
            "patients": "patients: 298, not as many as when the backup was made",
            "orphan visits": "visits without a patient: 5, which was not so when the backup",
            "orphan documents": "documents without a patient: 1, which was not so when the backup",
        },
    ),
    "visits lost": (
        "delete from form_encounter where id > 690",
        "",
        {"visits": "visits: 690, not as many as when the backup was made"},
    ),
    "documents lost": (
        "delete from documents",
        "",
        {"document rows": "documents: 0, not as many as when the backup was made"},
    ),
    "checksums of the log lost": (
        "delete from log_comment_encrypt",
        "",
        {"log rows": "checksums of the audit log: 0, not as many as when the backup was made"},
    ),
    "visit of nobody": (
        "update form_encounter set pid = 99999 where id = 5",
        "",
        {"orphan visits": "visits without a patient: 1, which was not so"},
    ),
    "document of nobody": (
        "update documents set foreign_id = 99999 where id = 5",
        "",
        {"orphan documents": "documents without a patient: 1, which was not so"},
    ),
    "nobody can sign in": (
        "update users set active = 0",
        "",
        {"users": "nobody could sign in, since there is no active user"},
    ),
    "stale log": (
        (
            "delete from log where id between 390 and 400;"
            "delete from log_comment_encrypt where log_id between 390 and 400"
        ),
        "",
        {
            "end of log": "the audit log does not end where it ended when the backup was made",
            "log rows": "checksums of the audit log: 399, not as many as when the backup was made",
        },
    ),
    "log entry gone": (
        "delete from log where id = 33",
        "",
        {"gone from log": "entries gone from the audit log: 1, which was not so"},
    ),
    "log entry changed": (
        "update log set user = 'somebody else' where id in (33, 34)",
        "",
        {"log": "that are not what OpenEMR's own checksum says: 2; they were changed"},
    ),
    "old log entry changed": (
        "update log set checksum = 'another' where id = 405",
        "",
        {"validator": "entries of the audit log that do not fit the copy of their checksum: 1"},
    ),
    "key half lost in the database": (
        "delete from `keys` where name = 'sixa'",
        "",
        {"halves": "encryption keys that lost a half in the database: 1; what they encrypted is"},
    ),
    "keys of another generation in the database": (
        f"update `keys` set value = '{_OTHER_KEY}' where name = 'sixb'",
        "",
        {
            "keys": "what OpenEMR encrypted cannot be read: key halves of another generation "
            "than those in the database: 2",
            "documents": "10 documents that patients' records refer to are encrypted and do not "
            "open with the keys that came back",
        },
    ),
    "no key in the database": (
        "delete from `keys`",
        "",
        {
            "keys": "key halves whose other half is not in the database: 2",
            "documents": "10 documents that patients' records refer to are encrypted and do not "
            "open with the keys that came back",
        },
    ),
    "trigger lost": (
        "drop trigger form_encounter_reason",
        (
            "create trigger form_encounter_reason before insert on form_encounter for each row "
            "set new.reason = coalesce(new.reason, '')"
        ),
        {"triggers": "triggers: 0, not as many as when the backup was made"},
    ),
    "routine lost": (
        "drop function patientAge",
        "create function patientAge(born date) returns int deterministic return 1",
        {"routines": "stored routines: 2, not as many as when the backup was made"},
    ),
    "engine changed": (
        "alter table users engine = MyISAM",
        "alter table users engine = InnoDB",
        {
            "InnoDB": "tables kept by InnoDB: 9, not as many as when the backup was made",
            "MyISAM": "tables kept by MyISAM or Aria: 2, not as many as when the backup was made",
        },
    ),
}


@pytest.mark.parametrize("broke", _IN_DATABASE)
def test_pack_fails_when_the_database_is(emr: Emr, broke: str) -> None:
    statements, undo, expected = _IN_DATABASE[broke]
    with broken(emr, statements, undo):
        found = emr.ask()

    assert_failed(found, expected)


def _remove(clinic: Clinic) -> None:
    for file in (*clinic.plain[:2], clinic.encrypted[0]):
        file.unlink()


def _swap(clinic: Clinic) -> None:
    one, other = clinic.plain[:2]  # one of them with a SHA-1 in its row
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _same_size(clinic: Clinic) -> None:
    content = clinic.plain[3].read_bytes()
    clinic.plain[3].write_bytes(content[::-1])


def _truncate(clinic: Clinic) -> None:
    clinic.plain[5].write_bytes(clinic.plain[5].read_bytes()[:-1])


def _flip_encrypted(clinic: Clinic) -> None:
    content = bytearray(clinic.encrypted[1].read_bytes())
    content[200] = ord("A") if content[200] != ord("A") else ord("B")
    clinic.encrypted[1].write_bytes(content)


def _cut_encrypted(clinic: Clinic) -> None:
    clinic.encrypted[1].write_bytes(clinic.encrypted[1].read_bytes()[:-4])


def _link(clinic: Clinic) -> None:
    clinic.plain[0].unlink()
    clinic.plain[0].symlink_to(clinic.plain[1])


def _old_half(clinic: Clinic) -> None:
    shutil.copyfile(clinic.encrypted[0], clinic.methods / "sixa")  # fits: it is of these keys
    content = bytearray((clinic.methods / "sixb").read_bytes())
    content[10:40] = bytes(reversed(content[10:40]))
    (clinic.methods / "sixb").write_bytes(content)


def _no_half(clinic: Clinic) -> None:
    (clinic.methods / "sixb").unlink()


def _no_folder(clinic: Clinic) -> None:
    shutil.rmtree(clinic.methods)


_ARE = "documents that patients' records refer to"
_IN_FILES: dict[str, tuple[Callable[[Clinic], None], dict[str, str]]] = {
    "documents missing": (_remove, {"documents": f"3 {_ARE} are missing from the files"}),
    "documents swapped": (
        _swap,
        {"documents": f"2 {_ARE} are not what OpenEMR stored: their content is another"},
    ),
    "content another in the same size": (
        _same_size,
        {"documents": f"1 of the {_ARE} is not what OpenEMR stored: the content is another"},
    ),
    "document truncated": (
        _truncate,
        {"documents": f"1 of the {_ARE} is not what OpenEMR stored: the content is another"},
    ),
    "encrypted document damaged": (
        _flip_encrypted,
        {"documents": f"1 of the {_ARE} is encrypted and does not open with the keys that came"},
    ),
    "encrypted document truncated": (
        _cut_encrypted,
        {"documents": f"1 of the {_ARE} is encrypted and does not open with the keys that came"},
    ),
    "document a link": (_link, {"documents": f"1 of the {_ARE} is missing from the files"}),
    "old key half": (
        _old_half,
        {
            "keys": "what OpenEMR encrypted cannot be read: key halves of another generation "
            "than those in the database: 1"
        },
    ),
    "key half missing": (
        _no_half,
        {
            "keys": "what OpenEMR encrypted cannot be read: key halves missing from the files, "
            "though the database needs them: 1"
        },
    ),
    "folder of keys missing": (
        _no_folder,
        {
            "keys": "what OpenEMR encrypted cannot be read: key halves missing from the files, "
            "though the database needs them: 2"
        },
    ),
}


@pytest.mark.parametrize("broke", _IN_FILES)
def test_pack_fails_when_files_are(emr: Emr, tmp_path: Path, broke: str) -> None:
    damage, expected = _IN_FILES[broke]
    sites = tmp_path / "sites"
    shutil.copytree(emr.sites, sites)
    damage(_moved(emr, sites))

    assert_failed(emr.ask(sites), expected)


def _moved(emr: Emr, sites: Path) -> Clinic:
    """Return the clinic whose files were copied to `sites`."""
    return Clinic(
        emr.clinic.script,
        sites / emr.clinic.documents.relative_to(emr.sites),
        tuple(sites / file.relative_to(emr.sites) for file in emr.clinic.plain),
        tuple(sites / file.relative_to(emr.sites) for file in emr.clinic.encrypted),
    )


def assert_failed(found: tuple[Verification, ...], expected: Mapping[str, str]) -> None:
    """Exactly these facts failed, each with its sentence; no name of a file or person is said."""
    failed = not_passed(found)
    assert set(failed) == {f"OpenEMR: {_TITLES[fact]}" for fact in expected}
    for fact, sentence in expected.items():
        answer = failed[f"OpenEMR: {_TITLES[fact]}"]
        assert answer.result is Result.FAILED
        assert sentence in answer.reason
    said = repr(failed)
    assert "scan_" not in said
    assert "somebody else" not in said


_GAPS = {
    "documents in CouchDB": (
        "update documents set storagemethod = 1, couch_docid = 'x' where id in (3, 5)",
        "",
        "documents that OpenEMR keeps in CouchDB: 2",
    ),
    "a folder of scans": (
        (
            "insert into globals (gl_name, gl_value) values ('enable_scanner', '1'),"
            " ('scanner_output_directory', '/mnt/scans'), ('hylafax_basedir', '/mnt/fax')"
        ),
        "",
        "folders of scans and faxes: 1",
    ),
    "a table of another engine": (
        "create table elsewhere (id int not null) engine = CSV",
        "drop table elsewhere",
        "tables whose rows another server or file holds, or a rare storage engine: 1",
    ),
    "another database": (
        (
            "create procedure copy_all() insert into patient_data (pid) select pid from "
            "`old_emr`.patient_data"
        ),
        "drop procedure copy_all",
        "views, routines or triggers that refer to another database: 1",
    ),
}


@pytest.mark.parametrize("gap", _GAPS)
def test_pack_is_unproven_where_the_emr_refers_to_what_no_asset_covers(emr: Emr, gap: str) -> None:
    statements, undo, sentence = _GAPS[gap]
    with broken(emr, statements, undo):
        found = not_passed(emr.ask())

    answer = found["OpenEMR: all that it refers to is backed up"]
    assert answer.result is Result.UNPROVEN
    assert f"not covered by any asset of the plan: {sentence} (look at " in answer.reason
    assert "/mnt" not in answer.reason
    assert "old_emr" not in answer.reason


def test_pack_needs_no_folder_that_the_plan_does_not_name(emr: Emr) -> None:
    scanner = (
        "insert into globals (gl_name, gl_value) values ('enable_scanner', '1'),"
        " ('scanner_output_directory', '/srv/openemr/sites/default/scans')"
    )
    with broken(emr, scanner):
        assert not_passed(emr.ask()) == {}


@pytest.mark.parametrize("beneath", ["", "default", "default/documents"])
def test_pack_finds_the_documents_beneath_whatever_folder_is_protected(
    emr: Emr, beneath: str
) -> None:
    assert not_passed(emr.ask(emr.sites / beneath)) == {}


_OTHERS = {
    "openmrs": (OPENMRS, make_openmrs_files, "complex_obs/image_40.jpg", "attachments", "obs"),
    "opendental": (
        OPENDENTAL,
        make_opendental_files,
        "OpenDentImages/p/patient3/scan3.jpg",
        "images",
        "document",
    ),
}


@pytest.mark.parametrize("name", _OTHERS)
def test_other_packs_do_on_their_tables_what_they_say(
    server: Production, tmp_path: Path, name: str
) -> None:
    schema, make_files, one, are, table = _OTHERS[name]
    make_files(tmp_path)
    plan = PLAN.replace("pack: openemr", f"pack: {name}")
    with (
        server.database(name, schema),
        contextlib.closing(server.connect(name)) as connection,
    ):
        answers = captured(connection, plan)
        asked = verifier(connection, tmp_path, answers, plan)
        whole = (*asked.service(), *asked.proof())
        newest = asked.newest()
        (tmp_path / one).unlink()
        (broken,) = not_passed((*asked.service(), *asked.proof())).values()
        connection.execute("delete from patient")
        connection.execute(f"delete from {table}")
        emptied = not_passed((*asked.service(), *asked.proof()))

    assert not_passed(whole) == {}
    assert len(whole) > 7
    assert newest is not None
    assert (
        broken.reason == f"1 of the {are} that patients' records refer to is missing from the files"
    )
    title = verifier(connection, tmp_path, answers, plan).packs[name].title
    assert f"{title}: as many patients as when the backup was made" in emptied
    rows = {"obs": "observations", "document": "images"}[table]
    assert f"{title}: as many {rows} as when the backup was made" in emptied


def test_pack_passes_on_what_the_driver_captured_and_brought_back(
    server: Production, emr: Emr, tmp_path: Path
) -> None:
    with contextlib.closing(SystemLauncher(SEARCH_PATH)) as launcher:
        bench, asset = Bench(launcher, tmp_path), server.asset("openemr")
        state, kept, found = bench.capture(asset, tuple(emr.answers), "select max(date) from log")
        with revived(bench, state, kept, found.sidecars) as database:
            asked = verifier(emr.connection, emr.sites, {})
            living = {**asked.restorations, "database": database}
            manifest = replace(asked.manifest, assets={**asked.manifest.assets, "database": state})
            asked = replace(asked, restorations=living, manifest=manifest)
            answers = (*asked.service(), *asked.proof())
            newest = asked.newest()

    assert not_passed(answers) == {}
    assert len(answers) == 21
    assert found.baseline is not None
    assert newest == verifier(emr.connection, emr.sites, {}).newest()
