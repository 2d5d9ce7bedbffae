"""What a responder gets of a dump that another tool wrote."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

from dr_orchestrator.assets.dump_hand_over import (
    hand_over_mariadb,
    hand_over_postgres,
    sandbox_bytes,
)
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.servers.mariadb_programs import Version
from tests.support.dumps import MARIADB, POSTGRES, dump_state


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    return tmp_path / "whatever"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "Dr. O's place"
    folder.mkdir()
    return folder


def postgres_program(major: int, name: str) -> str:
    return f"/{major}/{name}"


def mariadb_program(version: Version | None, name: str) -> str:
    return f"/{version}/{name}"


def only_file(place: Path) -> Path:
    (file,) = place.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return file


def test_a_script_of_one_database_comes_with_how_to_make_that_and_its_roles(
    restored: Path, place: Path
) -> None:
    restored.write_bytes(gzip.compress(POSTGRES.encode()))
    lines = hand_over_postgres(restored, place, postgres_program)
    file = only_file(place)
    assert file.name == "database.sql.gz"
    quoted = "'" + str(file).replace("'", "'\"'\"'") + "'"
    assert (
        lines[1] == "load it into PostgreSQL 15 or newer, with its name or socket folder for HOST:"
    )
    assert lines[2] == "/15/createdb --host=HOST --username=postgres --template=template0 NAME"
    assert lines[4].startswith(f"gunzip --stdout {quoted} | grep ")
    assert lines[5] == (
        f"gunzip --stdout {quoted} | /15/psql --no-psqlrc --set=ON_ERROR_STOP=1 --host=HOST "
        "--username=postgres --dbname=NAME"
    )


def test_a_script_that_makes_its_databases_is_loaded_as_it_is(restored: Path, place: Path) -> None:
    restored.write_text(POSTGRES.replace("CREATE TABLE", "\\connect emr\nCREATE TABLE", 1))
    lines = hand_over_postgres(restored, place, postgres_program)
    assert only_file(place).name == "database.sql"
    assert "makes its databases itself" in lines[0]
    assert lines[2].startswith("/15/psql --no-psqlrc --set=ON_ERROR_STOP=1")
    assert "--dbname=postgres < " in lines[2]


def test_an_archive_is_unpacked_and_restored_with_its_database(restored: Path, place: Path) -> None:
    restored.write_bytes(gzip.compress(b"PGDMP" + b"\1\2\3" * 99))
    lines = hand_over_postgres(restored, place, postgres_program)
    assert only_file(place).name == "database.pgdump.gz"
    assert lines[2].startswith("gunzip ")
    assert lines[-1].startswith("/0/pg_restore --exit-on-error --jobs=4 ")
    assert lines[-1].endswith("database.pgdump'")


def test_a_dump_of_mariadb_comes_with_how_to_load_it(restored: Path, place: Path) -> None:
    restored.write_text(MARIADB)
    lines = hand_over_mariadb(restored, place, mariadb_program)
    assert only_file(place).name == "database.sql"
    assert "MariaDB 10.11 or newer" in lines[1]
    assert lines[2].startswith("/10.11.19/mariadb --host=HOST --user=root --password --execute=")
    assert "--database=NAME < " in lines[3]


def test_what_is_no_dump_is_left_as_it_came_with_a_word(restored: Path, place: Path) -> None:
    restored.write_text("mysqldump: Got error: 2002: Can't connect")
    lines = hand_over_mariadb(restored, place, mariadb_program)
    assert only_file(place).read_text() == "mysqldump: Got error: 2002: Can't connect"
    assert lines[0].endswith("the file begins with a message of mysqldump, where the dump should")


@pytest.mark.parametrize(("name", "times"), [("emr.sql", 3), ("emr.sql.gz", 7), ("emr", 7)])
def test_room_is_asked_for_by_what_the_name_promises(tmp_path: Path, name: str, times: int) -> None:
    (tmp_path / name).write_bytes(b"x" * 100)
    state = dump_state(AssetKind.POSTGRES, tmp_path / name)
    assert sandbox_bytes(state, empty_server=5) == times * 100 + 5
