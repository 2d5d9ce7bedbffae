from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dr_orchestrator.core.record import RunOpened
from dr_orchestrator.errors import StoreUnusable
from dr_orchestrator.store.schema import STORE_VERSION
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import make_run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder whose store remembers one run."""
    folder = tmp_path / "state"
    with open_store(folder, FakeClock()) as store:
        store.record(RunOpened(run=make_run(START)))
    return folder


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _pragma(state: Path, name: str) -> object:
    store = open_store(state, FakeClock())
    with store, store._engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_open_store_makes_folder_and_files_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(tmp_path / "a" / "state", FakeClock())
        store.record(RunOpened(run=make_run(START)))
        files = sorted((tmp_path / "a" / "state").iterdir())
    finally:
        os.umask(before)

    with store:
        assert _mode(tmp_path / "a" / "state") == 0o700
        assert [(file.name, _mode(file)) for file in files] == [
            *((FILE_NAME + suffix, 0o600) for suffix in ("", "-shm", "-wal", ".lock")),
            ("keys", 0o700),
        ]


def test_open_store_takes_back_what_others_could_read(state: Path) -> None:
    state.chmod(0o755)
    (state / FILE_NAME).chmod(0o644)

    open_store(state, FakeClock()).close()

    assert (_mode(state), _mode(state / FILE_NAME)) == (0o700, 0o600)


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 60_000)],
)
def test_open_store_sets_sqlite_to_keep_what_it_was_told(
    state: Path, name: str, value: object
) -> None:
    assert _pragma(state, name) == value


def test_open_store_loads_no_migrations_when_new_or_up_to_date(state: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.store.sqlite import open_store
for folder, runs in (({str(tmp_path / "new")!r}, 0), ({str(state)!r}, 1)):
    with open_store(Path(folder), SystemClock()) as store:
        assert len(store.open_runs()) == runs
assert not {{"alembic", "cryptography"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_base_and_ledger_load_no_database_library() -> None:
    program = """
import sys
import dr_orchestrator.store.base, dr_orchestrator.store.ledger
assert not {"sqlalchemy", "alembic", "sqlite3"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("made", "writer"),
    [("UPDATE written_by SET version = '7.1'", "dro 7.1"), ("DROP TABLE written_by", "a newer .*")],
)
def test_open_store_refuses_what_a_newer_version_wrote_and_touches_nothing(
    state: Path, made: str, writer: str
) -> None:
    with sqlite3.connect(state / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.execute(made)
    connection.close()
    before = {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()}

    with pytest.raises(
        StoreUnusable, match=rf"by {writer} \(store 0999\), and .* knows up to {STORE_VERSION}"
    ) as it:
        open_store(state, FakeClock())

    assert "install that version or a newer one" in it.value.hint
    assert {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("damage", ["not a database", "head", "tables"])
def test_open_store_says_how_to_start_over_when_the_file_is_damaged(
    state: Path, damage: str
) -> None:
    file = state / FILE_NAME
    content = bytearray(file.read_bytes())
    if damage == "not a database":
        content[:] = b"something else entirely\n" * 400
    elif damage == "head":
        content[:100] = bytes(100)
    else:
        content[100:4096] = b"\xff" * 3996
    file.write_bytes(content)

    with pytest.raises(StoreUnusable, match="damaged") as caught:
        open_store(state, FakeClock())

    assert "dro points rebuild" in caught.value.hint
    assert caught.value.__cause__ is None


def test_store_says_it_is_damaged_when_a_page_is_gone(state: Path) -> None:
    file = state / FILE_NAME
    with file.open("r+b") as opened:
        for page in range(2, file.stat().st_size // 4096):
            opened.seek(page * 4096)
            opened.write(b"\xff" * 4096)

    with (
        pytest.raises(StoreUnusable, match="damaged"),
        open_store(state, FakeClock()) as store,
    ):
        store.open_runs()


def test_open_store_refuses_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(StoreUnusable, match="state folder"):
        open_store(tmp_path / "state", FakeClock())


def test_store_survives_being_copied_while_closed(state: Path, tmp_path: Path) -> None:
    shutil.copytree(state, tmp_path / "copy")

    with open_store(tmp_path / "copy", FakeClock()) as store:
        assert len(store.open_runs()) == 1


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("journal", "UPDATE journal SET payload = '{}'"),
        ("journal", "DELETE FROM journal"),
        ("journal", "REPLACE INTO journal VALUES (1, '2026', 'k', 'p', '{}')"),
        ("evidence", "UPDATE evidence SET line = '{}'"),
        ("evidence", "DELETE FROM evidence"),
        ("evidence", "REPLACE INTO evidence SELECT * FROM evidence"),
    ],
)
def test_journal_and_evidence_refuse_to_be_changed(state: Path, table: str, statement: str) -> None:
    connection = sqlite3.connect(state / FILE_NAME)
    # REPLACE deletes the old line first, and fires triggers only when it is told to.
    connection.execute("PRAGMA recursive_triggers=ON")
    before = connection.execute(f"SELECT * FROM {table}").fetchall()

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)

    assert before
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == before
    connection.close()
