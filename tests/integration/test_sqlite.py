"""SQLite databases through their whole way: captured in use, brought back, opened in a sandbox."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dr_orchestrator.assets.base import Captured, Restoration, Tree
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.assets.sqlite_capture import ALREADY_DAMAGED
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level
from dr_orchestrator.core.point import AssetKind, AssetState
from dr_orchestrator.core.verification import Depth, Result, Verification, overall
from dr_orchestrator.errors import CaptureFailed, CouldNotVerify, LoadFailed
from dr_orchestrator.plan.model import SqliteAsset
from dr_orchestrator.sandbox.base import Sandbox
from tests.support.assets import (
    baseline_spec,
    capture_request,
    copy_as_restic_would,
    restore_request,
    state_of,
)
from tests.support.sandbox import open_sandbox

_SCHEMA = """
create table patient (id integer primary key autoincrement, name text not null, born text);
create table visit (id integer primary key, patient_id int references patient, seen_at text,
                    temperature real, note blob);
create table empty_table (id int);
create table pair (a int, b text, primary key (a, b)) without rowid;
create index visit_patient on visit (patient_id);
create view recent as select * from visit where seen_at > '2026-01-01';
create trigger touched after update on patient begin update patient set born = new.born
    where id = new.id; end;
create virtual table search using fts5(body);
"""


def _fill(path: Path, *, wal: bool = True, visits: int = 2000) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma journal_mode = {'wal' if wal else 'delete'}")
    connection.executescript(_SCHEMA)
    with _transaction(connection):
        for number in range(200):
            connection.execute(
                "insert into patient (name, born) values (?, ?)",
                (f"Jane Roe {number}", "1970-01-01"),
            )
        for number in range(visits):
            connection.execute(
                "insert into visit values (?, ?, ?, ?, ?)",
                (number, number % 200 + 1, "2026-11-18 09:30:00", 36.6, bytes([number % 256])),
            )
        connection.execute("insert into patient (name) values (cast(x'ff00fe' as text))")
        connection.execute("insert into pair values (1, 'one')")
        connection.execute("insert into search values ('a note')")
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    yield
    connection.execute("commit")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "emr").mkdir()
    path = tmp_path / "emr" / "a name with ?#% and ü.db"
    connection = _fill(path)
    yield path
    connection.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox() as opened:
        yield opened


def _asset(path: Path, *, level: Level = Level.FULL, timeout: float = 60) -> SqliteAsset:
    return SqliteAsset(
        kind=AssetKind.SQLITE,
        path=path,
        baseline=baseline_spec(level),
        timeout=timedelta(seconds=timeout),
    )


class Round:
    """One capture, and what came back of it."""

    def __init__(self, sandbox: Sandbox, staging: Path) -> None:
        self.sandbox = sandbox
        self.staging = staging
        self.driver = SqliteDriver(SystemClock())
        self.captured: Captured | None = None

    def capture(
        self,
        asset: SqliteAsset,
        *,
        queries: tuple[str, ...] = (),
        newest: str | None = None,
        during: Callable[[], object] = lambda: None,
    ) -> DatabaseBaseline:
        self.staging.mkdir()
        request = capture_request(asset, staging=self.staging, queries=queries, newest=newest)
        with self.driver.capture(request) as capture:
            during()
            content = capture.content
            assert isinstance(content, Tree)
            folder = copy_as_restic_would(content, self.sandbox.target.path / "asset")
            capture.measure()
            self.captured = capture.finish()
        self.folder = folder
        self.copy = folder / content.path.relative_to("/")
        self.saved = content.path
        assert isinstance(self.captured.baseline, DatabaseBaseline)
        return self.captured.baseline

    def state(self) -> AssetState:
        assert self.captured is not None
        return state_of(self.captured, self.saved, self.copy.stat().st_size)

    @contextlib.contextmanager
    def back(self, state: AssetState | None = None) -> Iterator[Restoration]:
        self.sandbox.adopt(self.folder)
        with self.driver.restoration(
            restore_request(state or self.state(), self.sandbox)
        ) as restoration:
            restoration.prepare()
            restoration.load(self.copy)
            yield restoration

    def compare(self, state: AssetState | None = None) -> dict[str, Verification]:
        with self.back(state) as restoration:
            return {each.title.split()[0]: each for each in restoration.compare()}


@pytest.fixture
def went(sandbox: Sandbox, tmp_path: Path) -> Round:
    return Round(sandbox, tmp_path / "staging")


# --- what comes back as it was ---


@pytest.mark.parametrize("level", [Level.FULL, Level.SAMPLED, Level.COUNTS])
def test_database_comes_back_and_is_proven(went: Round, database: Path, level: Level) -> None:
    baseline = went.capture(_asset(database, level=level))

    found = went.compare()

    assert overall(tuple(found.values())) is Result.PASSED
    assert {each.proves for each in found.values()} == {Depth.L2, Depth.L3, Depth.L4}
    assert baseline.tables["visit"].rows == 2000
    assert baseline.tables["empty_table"].rows == 0
    assert not any(name.startswith("sqlite_") for name in baseline.tables)
    assert (baseline.objects["indexes"], baseline.objects["virtual tables"]) == (1, 1)
    assert baseline.sequences == {"patient": 201}
    assert baseline.level is (Level.COUNTS if level is Level.COUNTS else Level.FULL)
    assert "Roe" not in repr((went.captured, found))


def test_large_table_is_sampled_when_the_plan_says_so(went: Round, database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "with recursive n(i) as (select 3000 union all select i+1 from n where "
            "i < 20000) insert into visit select i, 1, '', 1, '' from n"
        )

    baseline = went.capture(_asset(database, level=Level.SAMPLED))

    assert baseline.level is Level.SAMPLED
    assert baseline.tables["visit"].level is Level.SAMPLED
    assert baseline.tables["patient"].level is Level.FULL
    assert overall(tuple(went.compare().values())) is Result.PASSED


def test_empty_database_passes_when_it_was_empty_at_capture(went: Round, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("create table patient (id int)")

    went.capture(_asset(tmp_path / "new.db"))

    assert overall(tuple(went.compare().values())) is Result.PASSED


def test_rows_in_the_write_ahead_log_are_captured(went: Round, database: Path) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("pragma wal_autocheckpoint = 0")
    writer.execute("insert into visit values (99999, 1, '2026-11-19', 37, null)")
    assert database.with_name(database.name + "-wal").stat().st_size

    went.capture(_asset(database), queries=("select max(id) from visit",))

    with went.back() as restoration:
        assert restoration.value("select max(id) from visit", zone=UTC) == 99999
    writer.close()


def test_capture_is_of_one_instant_while_others_write(went: Round, database: Path) -> None:
    """Each transaction writes one row to two tables: in a copy of one instant they agree."""
    stop = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("create table left_side (id int)")
            connection.execute("create table right_side (id int)")
            number = 0
            while not stop.is_set():
                number += 1
                with _transaction(connection):
                    connection.execute("insert into left_side values (?)", (number,))
                    connection.execute("insert into right_side values (?)", (number,))
                begun.set()

    begun = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(10)
        baseline = went.capture(_asset(database))
    finally:
        stop.set()
        writer.join()

    assert baseline.tables["left_side"].rows == baseline.tables["right_side"].rows != 0
    assert overall(tuple(went.compare().values())) is Result.PASSED


def test_capture_leaves_nothing_beside_a_database_that_nobody_uses(
    went: Round, tmp_path: Path
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    _fill(folder / "emr.db").close()
    if os.geteuid() == 0:
        for path in (folder, folder / "emr.db"):
            os.chown(path, 65534, 65534)
    before = (folder / "emr.db").read_bytes()

    went.capture(_asset(folder / "emr.db"))

    assert (folder / "emr.db").read_bytes() == before
    assert {path.stat().st_uid for path in folder.iterdir()} == {(folder / "emr.db").stat().st_uid}
    assert overall(tuple(went.compare().values())) is Result.PASSED


def test_rollback_journal_database_is_captured(went: Round, tmp_path: Path) -> None:
    _fill(tmp_path / "emr.db", wal=False).close()

    went.capture(_asset(tmp_path / "emr.db"))

    assert went.captured is not None
    assert went.captured.server["journal_mode"] == "delete"
    assert overall(tuple(went.compare().values())) is Result.PASSED


def test_staged_copy_is_one_file(went: Round, database: Path) -> None:
    went.capture(_asset(database))

    assert [path.name for path in went.staging.iterdir()] == [database.name]
    # https://www.sqlite.org/fileformat.html: 2 would have every reader make a log beside it.
    assert (went.staging / database.name).read_bytes()[18:20] == b"\x01\x01"


# --- what is damaged, and must be found ---


def _run(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(sql)

    return change


def _flip_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    position = content.index(b"Jane Roe 77")
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_run("delete from visit"), "visit (2,000 rows, now 0)"),
        (_run("update patient set name = 'X' where id = 5"), "patient (other content)"),
        (_run("drop table pair"), "pair (gone)"),
        (_run("create table planted (id int)"), "planted (new)"),
        (_flip_one_byte, "patient (other content)"),
    ],
    ids=["emptied", "row changed", "dropped", "planted", "byte flipped"],
)
def test_damage_is_found_and_named(
    went: Round, database: Path, damage: Callable[[Path], None], reason: str
) -> None:
    went.capture(_asset(database))

    damage(went.copy)
    found = went.compare()

    assert found["the"].result is Result.FAILED
    assert (found["every"].result, found["every"].reason) == (
        Result.FAILED,
        f"not as at capture: {reason}",
    )
    assert "Roe" not in repr(found)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_run("drop index visit_patient"), "indexes (1, now 0)"),
        (_run("drop view recent; drop trigger touched"), "views (1, now 0), triggers (1, now 0)"),
        (_run("update sqlite_sequence set seq = 7"), "the sequence of patient"),
        (_run("update visit set patient_id = 999"), "foreign key violations (0, now 2,000)"),
    ],
)
def test_lost_objects_are_found_and_named(
    went: Round, database: Path, damage: Callable[[Path], None], reason: str
) -> None:
    went.capture(_asset(database))

    damage(went.copy)

    assert went.compare()["indexes,"].reason == f"not as at capture: {reason}"


def test_copy_of_the_file_alone_is_found_to_have_lost_rows(
    went: Round, database: Path, tmp_path: Path
) -> None:
    """What `cp` of a database in use makes: integrity_check says ok, the rows are gone."""
    went.capture(_asset(database))
    shutil.copyfile(database, went.copy)

    found = went.compare()

    assert found["SQLite"].result is Result.PASSED
    assert (found["the"].result, found["every"].result) == (Result.FAILED, Result.FAILED)


def test_damage_inside_a_page_is_found(went: Round, database: Path) -> None:
    went.capture(_asset(database))
    with went.copy.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096)

    found = went.compare()

    assert found["SQLite"].result is Result.FAILED
    assert found["SQLite"].reason == "the restored database is damaged"


def _overwrite_rows(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "select rootpage from sqlite_master where name = 'visit'"
        root = connection.execute(query).fetchone()[0]
    with path.open("r+b") as file:
        file.seek(4096 * (root - 1) + 50)
        file.write(b"\xff" * 4000)


def _swap_indexes(path: Path) -> None:
    """Give each of two indexes the content of the other: every page is sound, the whole is not."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create index visit_seen on visit (seen_at, id)")
        connection.execute("pragma writable_schema = on")
        roots = dict(connection.execute("select name, rootpage from sqlite_master"))
        for name, other in (("visit_seen", "visit_patient"), ("visit_patient", "visit_seen")):
            connection.execute(
                "update sqlite_master set rootpage = ? where name = ?", (roots[other], name)
            )


@pytest.mark.parametrize(
    ("damage", "seen_early"), [(_overwrite_rows, True), (_swap_indexes, False)]
)
def test_damage_that_was_there_at_capture_is_said_to_be(
    went: Round, tmp_path: Path, damage: Callable[[Path], None], seen_early: bool
) -> None:
    path = tmp_path / "emr.db"
    _fill(path, wal=False).close()
    damage(path)

    went.capture(_asset(path))
    found = went.compare()

    assert went.captured is not None
    assert (ALREADY_DAMAGED in went.captured.conditions) is seen_early, "indexes are not read then"
    assert found["the"].result is Result.PASSED
    assert found["SQLite"].result is Result.FAILED
    assert found["SQLite"].reason.startswith(ALREADY_DAMAGED)


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0", b"not a database at all" * 500], ids=len
)
def test_load_fails_when_what_came_back_is_no_database(
    went: Round, database: Path, content: bytes
) -> None:
    went.capture(_asset(database))
    went.copy.write_bytes(content)

    with pytest.raises(LoadFailed):
        went.compare()


def test_load_fails_when_a_link_came_back(went: Round, database: Path) -> None:
    went.capture(_asset(database))
    went.copy.unlink()
    went.copy.symlink_to(database)

    with pytest.raises(LoadFailed):
        went.compare()


def test_compare_proves_nothing_without_a_baseline(went: Round, database: Path) -> None:
    went.capture(_asset(database))

    found = went.compare(replace(went.state(), baseline=None))

    assert [each.result for each in found.values()] == [Result.UNPROVEN, Result.PASSED]


# --- asking ---


def test_value_answers_numbers_and_times_and_nothing_else(went: Round, database: Path) -> None:
    went.capture(_asset(database))
    chicago = ZoneInfo("America/Chicago")

    with went.back() as restoration:
        ask = {
            "select count(*) from visit": 2000,
            "select avg(temperature) from visit where id = 1": 36.6,
            "select null": None,
            "select max(seen_at) from visit": datetime(2026, 11, 18, 15, 30, tzinfo=UTC),
            "select '2026-11-18T09:30:00.5Z'": datetime(2026, 11, 18, 9, 30, 0, 500000, tzinfo=UTC),
            "select '2026-11-18 09:30 -02:00'": datetime(2026, 11, 18, 11, 30, tzinfo=UTC),
            "select '2026-11-18'": datetime(2026, 11, 18, 6, tzinfo=UTC),
        }
        assert {sql: restoration.value(sql, zone=chicago) for sql in ask} == ask
        for sql in (
            "select name from patient where id = 1",
            "select x'00'",
            "select '2026-02-30'",
            "select 1, 2",
            "select 1 union select 2",
            "select 1 where 0",
            "select no_such_column from patient",
            "insert into pair values (2, 'two')",
            "select 9e999",
            "nonsense",
            "",
        ):
            with pytest.raises(CouldNotVerify) as caught:
                restoration.value(sql, zone=UTC)
            assert "Roe" not in caught.value.message


def test_rows_come_as_they_are_and_stop_when_nobody_reads_on(went: Round, database: Path) -> None:
    went.capture(_asset(database))

    with went.back() as restoration:
        assert list(restoration.rows("select a, b, x'00ff', null, 1.5 from pair")) == [
            (1, "one", b"\x00\xff", None, 1.5)
        ]
        text = next(restoration.rows("select name from patient where id = 201"))[0]
        assert isinstance(text, str)
        assert os.fsencode(text) == b"\xff\x00\xfe"
        endless = restoration.rows(
            "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
        )
        assert next(endless) == (1,)
        endless.close()  # type: ignore[attr-defined]
        with pytest.raises(CouldNotVerify, match="SQLITE_ERROR"):
            list(restoration.rows("select * from absent"))


def test_answers_at_capture_are_in_the_baseline(went: Round, database: Path) -> None:
    baseline = went.capture(
        _asset(database),
        queries=("select count(*) from visit", "select name from patient", "select absent"),
        newest="select max(seen_at) from visit",
    )

    assert baseline.queries == {"select count(*) from visit": 2000}
    assert baseline.newest == datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
    assert went.captured is not None
    assert went.captured.conditions == ("2 checks expected to answer as at capture got no value",)


def test_hostile_schema_gains_nothing(went: Round, database: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("create view bad as select load_extension('/tmp/evil.so') as x")
        connection.execute("create view read as select readfile('/etc/shadow') as x")
    went.capture(_asset(database))

    with went.back() as restoration:
        for sql in (
            "select x from bad",
            "select x from read",
            "select load_extension('/tmp/evil.so')",
            f"attach '{tmp_path / 'made.db'}' as made",
            "pragma query_only = off; delete from patient",
        ):
            with pytest.raises(CouldNotVerify):
                restoration.value(sql, zone=UTC)
        assert restoration.value("select count(*) from patient", zone=UTC) == 201
    assert not (tmp_path / "made.db").exists()


@pytest.mark.parametrize(
    "script",
    [
        "print('{\"row\": [1]}')",
        "print('{\"row\": [1]}'); raise SystemExit(1)",
        "print('nonsense')",
        "print('[1]')",
        "print('{\"done\": false}')",
        "while True: print('x' * 10**6, end='')",
        'print(\'{"row": {"b": 1}}\'); print(\'{"done": true}\')',
        'print(\'{"row": [{"b": "Roe"}]}\'); print(\'{"done": true}\')',
        'print(\'{"error": "Jane Roe"}\')',
        "import os; os.kill(os.getpid(), 9)",
    ],
)
def test_answers_that_are_cut_short_or_forged_prove_nothing(
    went: Round, database: Path, script: str
) -> None:
    went.capture(_asset(database))

    with went.back() as restoration:
        (went.sandbox.target.path.parent / "room/sqlite-asset/sqlite_inside.py").write_text(script)

        with pytest.raises(CouldNotVerify) as caught:
            list(restoration.rows("select 1"))
        with pytest.raises(CouldNotVerify):
            restoration.value("select 1", zone=UTC)
        assert "Roe" not in caught.value.message
        found: tuple[Verification, ...] = ()
        with contextlib.suppress(CouldNotVerify):
            found = restoration.compare()
        assert overall(found) is not Result.PASSED


# --- what is no capture ---


def _failure(asset: SqliteAsset, staging: Path) -> CaptureFailed:
    staging.mkdir(exist_ok=True)
    with (
        pytest.raises(CaptureFailed) as caught,
        SqliteDriver(SystemClock()).capture(capture_request(asset, staging=staging)),
    ):
        pytest.fail("it was captured")
    return caught.value


def test_capture_fails_when_the_file_is_missing_or_no_database(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database" * 1000)

    assert "there is no such file" in _failure(_asset(tmp_path / "absent.db"), staging).message
    assert not (tmp_path / "absent.db").exists()
    assert "there is no such file" in _failure(_asset(tmp_path), staging).message
    assert "the file is empty" in _failure(_asset(tmp_path / "empty.db"), staging).message
    assert "not a SQLite database" in _failure(_asset(tmp_path / "text.db"), staging).message


def test_capture_fails_when_the_database_stays_locked(tmp_path: Path) -> None:
    connection = _fill(tmp_path / "emr.db", wal=False)
    connection.execute("begin exclusive")

    error = _failure(_asset(tmp_path / "emr.db", timeout=0.3), tmp_path / "staging")

    assert "locked" in error.message
    connection.close()
