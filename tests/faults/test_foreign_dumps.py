"""What dead, broken and hostile jobs leave as a dump must never come out green."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Restoration, RestoreRequest
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.errors import CouldNotVerify, LoadFailed
from dr_orchestrator.process import SystemLauncher
from tests.support import mariadb, postgres
from tests.support.dumps import MARIADB, POSTGRES, dump_state
from tests.support.sandbox import open_sandbox

Bench = postgres.Bench | mariadb.Bench
SCRIPTS = {AssetKind.POSTGRES: POSTGRES, AssetKind.MARIADB: MARIADB}


@pytest.fixture(scope="module")
def launcher() -> Iterator[SystemLauncher]:
    launcher = SystemLauncher(postgres.SEARCH_PATH)
    yield launcher
    launcher.close()


@pytest.fixture
def in_postgres(launcher: SystemLauncher, tmp_path: Path) -> postgres.Bench:
    return postgres.Bench(launcher, tmp_path)


@pytest.fixture
def in_mariadb(launcher: SystemLauncher, tmp_path: Path) -> mariadb.Bench:
    return mariadb.Bench(launcher, tmp_path)


def brought_back(bench: Bench, content: bytes) -> AbstractContextManager[Restoration]:
    path = bench.folder / "emr.sql"
    path.write_bytes(content)
    if isinstance(bench, postgres.Bench):
        return postgres.revived(bench, dump_state(AssetKind.POSTGRES, path), path)
    return mariadb.revived(bench, dump_state(AssetKind.MARIADB, path), path)


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("cut", "cut off: it begins as"),
        ("without its last line", "cut off: it begins as"),
        ("two, the first cut", "cut off: it begins as"),
        ("packed and cut", "its gzip stream has no end"),
        ("packed and damaged", "its gzip stream cannot be unpacked"),
        ("a message", "message of mysqldump"),
        ("nothing", "empty"),
    ],
)
def test_a_dump_that_cannot_be_whole_fails_before_anything_is_started(
    in_postgres: postgres.Bench, in_mariadb: mariadb.Bench, kind: AssetKind, what: str, words: str
) -> None:
    whole = SCRIPTS[kind].encode()
    half = whole[: len(whole) // 2]
    last_line = whole.rindex(b"-- Dump completed") if kind is AssetKind.MARIADB else -120
    content = {
        "cut": half,
        "without its last line": whole[:last_line],
        "two, the first cut": half + b"\n" + whole,
        "packed and cut": gzip.compress(whole)[:-9],
        "packed and damaged": gzip.compress(whole)[:-6] + b"\0\0\0\0\0\0",
        "a message": b'mysqldump: Got error: 2002: "Can\'t connect to local server"\n',
        "nothing": b"",
    }[what]
    bench: Bench = in_postgres if kind is AssetKind.POSTGRES else in_mariadb
    with pytest.raises(LoadFailed, match=words), brought_back(bench, content):
        pass
    assert not any(bench.folder.rglob("*-data"))


def test_a_command_in_a_dump_of_postgres_is_refused_by_psql_and_could_reach_nothing(
    in_postgres: postgres.Bench, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    made = "\nCREATE TABLE public.note"
    path = tmp_path / "emr.sql"
    path.write_text(POSTGRES.replace(made, f"\n\\! touch {trace}{made}"))
    state = dump_state(AssetKind.POSTGRES, path)
    with open_sandbox() as place:
        there = place.target.path / "emr.sql"
        there.write_bytes(path.read_bytes())
        place.adopt(there)
        request = RestoreRequest(asset_id="database", state=state, place=place, sidecars={}, jobs=1)
        with in_postgres.driver.restoration(request) as restoration:
            restoration.prepare()
            with pytest.raises(LoadFailed, match="commands for psql"):
                restoration.load(there)
    assert not trace.exists()


def test_a_command_in_a_dump_of_mariadb_is_no_sql(
    in_mariadb: mariadb.Bench, tmp_path: Path
) -> None:
    hostile = MARIADB.replace("\nINSERT", f"\n\\! touch {tmp_path}/trace\nINSERT", 1)
    with (
        pytest.raises(LoadFailed, match="not SQL"),
        brought_back(in_mariadb, hostile.encode()),
    ):
        pass
    assert not (tmp_path / "trace").exists()


def test_roles_that_are_missing_and_a_text_of_no_encoding_are_no_damage(
    in_postgres: postgres.Bench,
) -> None:
    script = POSTGRES.replace("'UTF8'", "'SQL_ASCII'").replace("Zebedee", "Zeb\udce9d\udce9e")
    with brought_back(in_postgres, os.fsencode(script)) as restoration:
        assert restoration.compare()[0].actual == "2 tables, 6 rows"
        assert restoration.conditions[0].startswith("the dump names 3 roles and holds none")
        held = "select has_table_privilege('emr_reader', 'public.patient', 'select')"
        assert restoration.value(held, zone=UTC) is True


def test_a_dump_that_does_not_say_where_it_ends_is_unproven_though_it_loads(
    in_postgres: postgres.Bench,
) -> None:
    lines = POSTGRES.splitlines(keepends=True)
    script = "".join(line for line in lines if not line.startswith("-- "))
    with (
        pytest.raises(CouldNotVerify, match=r"the dump loads \(2 tables\), and does not say"),
        brought_back(in_postgres, script.encode()),
    ):
        pass


def test_definitions_without_a_row_are_no_backup(in_postgres: postgres.Bench) -> None:
    rows = POSTGRES[POSTGRES.index("1\tZebedee") : POSTGRES.index("\\.")]
    more = POSTGRES[POSTGRES.index("stdin;\n--") + 7 : POSTGRES.rindex("\\.")]
    script = POSTGRES.replace(rows, "").replace(more, "")
    with (
        pytest.raises(LoadFailed, match="no row in any of its 2 tables"),
        brought_back(in_postgres, script.encode()),
    ):
        pass


def test_a_dump_of_no_table_is_no_backup(in_mariadb: mariadb.Bench) -> None:
    begin, end = MARIADB.index("DROP TABLE"), MARIADB.index("/*!40014 SET FOREIGN_KEY_CHECKS=@")
    script = MARIADB[:begin] + MARIADB[end:]
    with (
        pytest.raises(LoadFailed, match="makes no table"),
        brought_back(in_mariadb, script.encode()),
    ):
        pass
