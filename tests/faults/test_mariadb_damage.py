"""Damage to MariaDB backups that exit codes do not show must never come out green."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dr_orchestrator.assets.mariadb_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.mariadb_source import USERS
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, ProgramMissing
from dr_orchestrator.process import SystemLauncher
from tests.support.mariadb import (
    EMR,
    OLD_TABLES,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    physical,
    production,
    restoration,
)

Kept = tuple[AssetState, bytes, dict[str, bytes]]
SCHEMAS = (EMR, OLD_TABLES)


@dataclass(frozen=True)
class Loaded:
    """A private server that takes one dump after the other."""

    begun: LogicalRestoration
    folder: Path

    def load(self, dump: bytes) -> None:
        path = self.folder / "dump"
        path.unlink(missing_ok=True)
        path.write_bytes(dump)
        self.begun.load(path)

    def damage(self, statement: str) -> None:
        server = self.begun._server
        assert server is not None
        with contextlib.closing(server.connect("emr")) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path_factory.mktemp("bench"))
    launcher.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running, running.database("emr", *SCHEMAS):
        yield running


@pytest.fixture(scope="module")
def kept(server: Production, bench: Bench) -> Kept:
    state, path, captured = bench.capture(server.asset())
    return state, path.read_bytes(), dict(captured.sidecars)


@pytest.fixture(scope="module")
def living(bench: Bench, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    state, _, sidecars = kept
    with restoration(bench, state, sidecars) as (begun, _put):
        assert isinstance(begun, LogicalRestoration)
        begun.prepare()
        yield Loaded(begun, tmp_path_factory.mktemp("dumps"))


@pytest.fixture
def dump(kept: Kept) -> bytes:
    return kept[1]


@pytest.fixture
def whole(living: Loaded, dump: bytes) -> Loaded:
    living.load(dump)
    return living


def test_an_undamaged_dump_passes(whole: Loaded) -> None:
    assert [each.result for each in whole.begun.compare()] == [Result.PASSED] * 5


@pytest.mark.parametrize(
    ("which", "damages"),
    [
        (
            0,
            {
                "delete from document": "document: 0 rows instead of 50",
                "delete from encounter where id = 7": "encounter: 2,999 rows instead of 3,000",
                "update patient set name = 'X' where id = 3": "patient: as many rows, but other",
                "update lab set value = value + 0.000001 where id = 9": "lab: as many rows",
                "update recall set note = upper(note) where id = 9": "recall: as many rows",
            },
        ),
        (
            0,
            {
                "delete from setting where name = 'practice' limit 1": "setting: 2 rows",
                "drop table empty_by_design": "empty_by_design: missing",
                "create table extra (a int)": "extra: was not there at capture",
                "update appointment a join appointment b on b.id = 3 - a.id "
                "set a.note = b.note where a.id in (1, 2)": "appointment: as many rows",
            },
        ),
        (
            1,
            {
                "drop trigger stamp": "0 triggers instead of 1",
                "drop event nightly": "0 events instead of 1",
                "drop procedure close_day": "1 routines instead of 2",
                "alter table encounter drop foreign key encounter_patient": "0 foreign keys",
                "alter table encounter drop index encounter_seen": "indexes instead of",
            },
        ),
        (
            2,
            {
                "alter table appointment engine=InnoDB": "tables",
                "alter table document modify sha256 char(64) collate utf8mb4_bin": "columns",
                "create or replace procedure close_day(in day date) select 1": "routines",
                "create or replace trigger stamp before insert on encounter for each row "
                "set new.note = 'x'": "triggers",
            },
        ),
        (3, {"alter sequence invoice restart 4711": "invoice"}),
        (4, {"alter table patient rename column name to names": "visit: a view refers to"}),
        (4, {"drop user emr_owner@localhost": "no account emr_owner@localhost"}),
    ],
)  # fmt: skip
def test_damage_in_the_restored_database_fails_and_is_named(
    whole: Loaded, which: int, damages: dict[str, str]
) -> None:
    for statement in damages:
        whole.damage(statement)
    verifications = whole.begun.compare()
    assert verifications[which].result is Result.FAILED
    for reason in damages.values():
        assert reason in verifications[which].reason
    assert PATIENT not in repr(verifications)


def test_a_dump_that_is_cut_never_comes_out_green(living: Loaded, dump: bytes) -> None:
    """At the end of a statement too, where it would load without an error."""
    ends = [at for at in range(len(dump) - 1) if dump[at : at + 2] == b";\n"]
    for end in (*ends[:: len(ends) // 40], *ends[-12:], len(dump) - 20):
        with pytest.raises(LoadFailed, match="cut off"):
            living.load(dump[: end + 2])


@pytest.mark.parametrize(
    ("lost", "which"),
    [
        (rb"INSERT INTO `document` VALUES \('/share/7.pdf'.*\n", 0),
        (rb"(?s)-- Table structure for table `recall`.*?ENABLE KEYS[^\n]*\n", 0),
        (rb"(?s)DELIMITER ;;\n[^\n]*trigger.*?DELIMITER ;\n", 1),
        (rb"(?s)-- Final view structure for view `visit`.*?VIEW `visit` AS.*?;\n", 2),
    ],
)
def test_a_dump_that_lacks_something_fails(
    living: Loaded, dump: bytes, lost: bytes, which: int
) -> None:
    less, count = re.subn(lost, b"", dump, flags=re.IGNORECASE)
    assert count == 1
    living.load(less)
    assert living.begun.compare()[which].result is Result.FAILED


def test_a_lost_definer_fails_and_is_named(
    living: Loaded, dump: bytes, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = b"\n".join(line for line in kept[2][USERS].splitlines() if b"emr_owner" not in line)
    without = replace(living.begun._request, sidecars={USERS: users})
    monkeypatch.setattr(living.begun, "_request", without)
    living.damage("drop user emr_owner@localhost")
    living.load(dump)
    runs = living.begun.compare()[4]
    assert runs.result is Result.FAILED
    assert runs.reason.startswith("visit: ")
    assert "has no account emr_owner@localhost" in living.begun.conditions[-1]


@pytest.mark.parametrize(
    "line",
    [
        r"\! touch {file}",
        "system touch {file}",
        r"\. {file}",
        r"\T {file}",
        "tee {file}",
        "SELECT 'x' INTO OUTFILE '{file}';",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE mysql.user;",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE mysql.user;",
        "SET GLOBAL event_scheduler = 1;",
        "SET GLOBAL general_log_file = '{file}';",
        "INSTALL SONAME 'ha_connect';",
        "CREATE FUNCTION own RETURNS STRING SONAME 'own.so';",
        "DELETE FROM mysql.global_priv;",
        "GRANT ALL ON *.* TO dro_load@localhost;",
        "DROP DATABASE mysql;",
        "SHUTDOWN;",
    ],
)
def test_a_hostile_dump_gains_nothing(living: Loaded, dump: bytes, line: str) -> None:
    file = living.folder / "hostile"
    head, rest = dump.split(b"\n\n", 1)
    hostile = head + b"\n\n" + line.format(file=file).encode() + b"\n" + rest
    with pytest.raises(LoadFailed) as refused:
        living.load(hostile)
    assert not file.exists()
    assert "error" not in refused.value.message  # it is known what it asked for
    living.damage("select 1")  # nobody has harmed the server


def test_what_a_failed_load_says_has_no_row_in_it(living: Loaded, dump: bytes) -> None:
    row = f"INSERT INTO `document` VALUES ('{PATIENT}','x','too many');\n".encode()
    broken = dump.replace(b"INSERT INTO `document`", row + b"INSERT INTO `document`", 1)
    with pytest.raises(LoadFailed, match="rows cannot be read") as failure:
        living.load(broken)
    assert PATIENT not in str(failure.value)
    assert failure.value.__cause__ is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": ""}, "does not say which server"),
        ({"vendor": "mysql"}, "MySQL"),
        ({"version": "99.1.0"}, "99.1 or newer"),
    ],
)
def test_a_server_that_this_machine_cannot_run_is_no_damage(
    bench: Bench, kept: Kept, changed: dict[str, str], words: str
) -> None:
    state, _, sidecars = kept
    other = replace(state, server={**state.server, **changed})
    with (
        pytest.raises((CouldNotVerify, ProgramMissing), match=words),
        restoration(bench, other, sidecars) as (begun, _),
    ):
        begun.prepare()


def test_another_series_than_productions_is_said(bench: Bench, kept: Kept) -> None:
    state, _, sidecars = kept
    older = replace(state, server={**state.server, "version": "10.6.1", "series": "10.6"})
    with restoration(bench, older, sidecars) as (begun, _):
        assert "production runs MariaDB 10.6" in begun.conditions[0]


def test_an_engine_that_is_not_here_is_no_damage(
    living: Loaded, dump: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = living.begun._request.state
    needs = replace(state, server={**state.server, "engines": '["InnoDB", "ROCKSDB"]'})
    monkeypatch.setattr(living.begun, "_request", replace(living.begun._request, state=needs))
    with pytest.raises(CouldNotVerify, match="ROCKSDB"):
        living.load(dump)


@pytest.fixture(scope="module")
def copied(server: Production, bench: Bench) -> tuple[AssetState, Path]:
    server.run("set global innodb_log_checkpoint_now = 1")  # else the log would mend its pages
    state, path, _ = bench.capture(physical(server.asset()))
    return state, path


def comes_out_whole(bench: Bench, state: AssetState, copy: Path) -> bool:
    """Start and compare; tell whether it came out as whole, or a name got out."""
    with restoration(bench, state, {}) as (begun, put):
        try:
            begun.prepare()
            begun.load(put(copy))
            verifications = begun.compare()
        except LoadFailed as error:
            return PATIENT in str(error)
    if PATIENT in repr(verifications):
        return True
    return all(each.result is not Result.FAILED for each in verifications)


def test_a_damaged_copy_never_comes_out_green(
    bench: Bench, copied: tuple[AssetState, Path], tmp_path: Path
) -> None:
    state, copy = copied
    content = copy.read_bytes()
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content[: len(content) // 2])
    assert not comes_out_whole(bench, state, wrong)
    wrong.write_bytes(content[:-1000] + bytes(500) + content[-500:])
    assert not comes_out_whole(bench, state, wrong)


@pytest.mark.parametrize(
    "file", ["emr/document.ibd", "emr/appointment.MYD", "emr/appointment.MYI", "emr/recall.MAD"]
)
def test_a_damaged_page_in_the_copy_never_comes_out_green(
    bench: Bench, copied: tuple[AssetState, Path], tmp_path: Path, file: str
) -> None:
    """As production has it: the copy itself is whole, so neither restic nor mbstream can see it."""
    state, copy = copied
    files = tmp_path / "files"
    files.mkdir()
    with copy.open("rb") as stream:
        subprocess.run(["mbstream", "-x", "-C", str(files)], stdin=stream, check=True)
    page = files / file
    content = bytearray(page.read_bytes())
    rows = content.index(b"/share/1.pdf") if file.endswith("ibd") else len(content) // 2
    content[rows : rows + 6] = b"\x00\xff" * 3
    page.write_bytes(content)
    names = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    wrong = tmp_path / "wrong"
    with wrong.open("wb") as stream:
        subprocess.run(["mbstream", "-c", *names], stdout=stream, cwd=files, check=True)
    assert not comes_out_whole(bench, state, wrong)
