"""Damage that exit codes do not show must never come out green."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from psycopg import sql

from dr_orchestrator.assets.postgres_logical import GLOBALS
from dr_orchestrator.assets.postgres_logical_restoration import LogicalRestoration
from dr_orchestrator.assets.postgres_restoration import PostgresRestoration
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, LoadFailed
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.servers.postgres_server import PrivatePostgres
from tests.support.postgres import (
    EMR,
    PATIENT,
    SEARCH_PATH,
    Bench,
    Production,
    cluster,
    production,
    restoration,
    results,
    revived,
)

Kept = tuple[AssetState, Path, dict[str, bytes]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path_factory.mktemp("bench"))
    launcher.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running:
        yield running


@pytest.fixture(scope="module")
def archive(server: Production, bench: Bench) -> Kept:
    with server.database("emr", EMR):
        state, kept, captured = bench.capture(server.asset())
    return state, kept, dict(captured.sidecars)


@pytest.fixture(scope="module")
def copied(server: Production, bench: Bench) -> Kept:
    with server.database("emr", EMR):
        state, kept, _ = bench.capture(cluster(server.asset()))
    return state, kept, {}


@pytest.fixture(scope="module")
def living(bench: Bench, archive: Kept) -> Iterator[PostgresRestoration]:
    """Keep a restored database, of which each test may damage a copy."""
    state, kept, sidecars = archive
    with revived(bench, state, kept, sidecars) as restored:
        assert isinstance(restored, PostgresRestoration)
        damage(restored, "alter database emr rename to whole", database="template1")
        yield restored


def damage(restored: PostgresRestoration, statement: str, database: str = "emr") -> None:
    server = restored._server
    assert server is not None
    with server.connect(database) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def whole(living: PostgresRestoration) -> PostgresRestoration:
    damage(living, "drop database if exists emr", "template1")
    damage(living, "create database emr template whole", "template1")
    return living


def test_an_undamaged_copy_passes(whole: PostgresRestoration) -> None:
    assert results(whole.compare()) == ["passed"] * 5


@pytest.mark.parametrize(
    ("statement", "which", "reason"),
    [
        ("truncate emr.document", 0, "emr.document: 0 rows instead of 50"),
        ("delete from emr.encounter where id = 7", 0, "emr.encounter: 2,999 rows"),
        ("update emr.patient set name = 'X' where id = 3", 0, "emr.patient: as many rows"),
        ("update emr.patient set balance = '12.51' where id = 3", 0, "emr.patient: as many rows"),
        ("update emr.lab set value = value + 0.001 where id = 9", 0, "emr.lab_2025: as many rows"),
        ("delete from emr.setting where ctid = '(0,1)'", 0, "emr.setting: 1 row instead of 2"),
        ("drop table emr.empty_by_design", 0, "emr.empty_by_design: missing"),
        ("create table emr.extra (a int)", 0, "emr.extra: was not there at capture"),
        ("drop materialized view emr.visits_by_day", 0, "emr.visits_by_day: missing"),
        ("select lo_unlink(min(oid)) from pg_largeobject_metadata", 0, "large objects: 2 rows"),
        ("select lo_put(min(oid), 5, 'x') from pg_largeobject_metadata", 0, "large objects: as"),
        ("drop trigger stamp on emr.encounter", 1, "0 triggers instead of 1"),
        ("drop view emr.visit", 1, "0 views instead of 1"),
        ("drop index emr.encounter_patient", 1, "8 indexes instead of 9"),
        ("drop function emr.stamp() cascade", 1, "0 routines instead of 1"),
        ("alter table emr.encounter drop constraint encounter_patient_id_fkey", 1, "constraints"),
        ("select setval('emr.invoice', 4710)", 2, "emr.invoice"),
        ("""update pg_index set indisvalid = false
            where indexrelid = 'emr.encounter_patient'::regclass""", 3, "1 index invalid"),
        ("alter table emr.lab alter code type varchar(30)", 4, "columns"),
        ("alter table emr.lab alter value type double precision", 4, "columns"),
        ('alter table emr.document alter path type text collate "C"', 4, "columns"),
        ("alter table emr.patient alter balance set default '12.51'", 4, "columns"),
        ("alter table emr.encounter alter seen_at drop not null", 4, "columns"),
        ("alter table emr.patient alter id set generated always", 4, "columns"),
        ("alter table emr.encounter alter note_words drop expression", 4, "columns"),
        ("alter table emr.setting set unlogged", 4, "tables"),
        ("alter table emr.patient enable row level security", 4, "tables"),
        ("alter table emr.lab detach partition emr.lab_2026", 4, "tables"),
        ("""alter table emr.encounter drop constraint encounter_patient_id_fkey;
            alter table emr.encounter add constraint encounter_patient_id_fkey
                foreign key (patient_id) references emr.patient on delete cascade""",
         4, "constraints"),
        ("""drop index emr.encounter_patient;
            create index encounter_patient on emr.encounter (seen_at)""", 4, "indexes"),
        ("""create or replace view emr.visit as
            select p.name, e.seen_at from emr.patient p join emr.encounter e on e.id = p.id""",
         4, "views"),
        ("""create or replace function emr.stamp() returns trigger language plpgsql as
            'begin return new; end'""", 4, "routines"),
        ("alter function emr.stamp() security definer", 4, "routines"),
        ("alter table emr.encounter disable trigger stamp", 4, "triggers"),
        ("alter sequence emr.invoice increment 10", 4, "sequences"),
        ("alter domain emr.sha256 drop constraint sha256_check", 4, "types"),
        ("alter type emr.sex rename value 'x' to 'd'", 4, "types"),
        ("alter view emr.visit owner to emr_owner", 4, "owners"),
    ],
)  # fmt: skip
def test_damage_in_the_restored_copy_fails_and_is_named(
    whole: PostgresRestoration, statement: str, which: int, reason: str
) -> None:
    damage(whole, statement)
    verification = whole.compare()[which]
    assert verification.result is Result.FAILED
    assert reason in verification.reason
    assert PATIENT not in repr(verification)


def loads_green(begun: LogicalRestoration, kept: Path) -> bool:
    """Load and compare; tell whether it came out green, or a name got out."""
    server = begun._server
    assert server is not None
    with server.connect("template1") as connection:
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier("emr")))
    try:
        begun.load(kept)
    except (LoadFailed, CouldNotVerify) as error:
        return PATIENT in str(error)
    return all(each.result is Result.PASSED for each in begun.compare())


def test_a_truncated_archive_never_comes_out_green(server: Production, bench: Bench) -> None:
    """At the ends of data blocks too, where pg_restore -l says nothing (failure mode 2)."""
    schema = """create table a (n int, t text); insert into a values (1, 'x'), (2, 'y');
                create table b (n int); insert into b values (1);
                create table c (n int); create view v as select * from a;
                select lo_from_bytea(0, 'large');"""
    with server.database("emr", schema):
        state, kept, captured = bench.capture(server.asset())
    whole = kept.read_bytes()
    ends = [at + 5 for at in range(len(whole) - 5) if whole[at : at + 5] == bytes(5)]
    data_ends = [at for at in ends if at > len(whole) - 300]
    anywhere = random.Random(7).sample(range(5, len(whole) - 1), 12)
    with restoration(bench, state, captured.sidecars) as (begun, put):
        assert isinstance(begun, LogicalRestoration)
        begun.prepare()
        assert loads_green(begun, put(kept))
        for length in sorted({0, 1, 5, len(whole) - 1, *data_ends[-12:], *anywhere}):
            if length == len(whole):
                continue
            kept.write_bytes(whole[:length])
            assert not loads_green(begun, put(kept)), f"cut at {length} of {len(whole)}"


def test_a_changed_byte_in_an_archive_never_comes_out_green(bench: Bench, archive: Kept) -> None:
    state, kept, sidecars = archive
    content = bytearray(kept.read_bytes())
    with restoration(bench, state, sidecars) as (begun, put):
        assert isinstance(begun, LogicalRestoration)
        begun.prepare()
        for found in (b"Patient 77\t", b"/share/12.pdf", b"Riverside"):
            at = content.index(found)
            content[at] ^= 1
            changed = bench.folder / "changed"
            changed.write_bytes(content)
            content[at] ^= 1
            assert not loads_green(begun, put(changed)), found


def test_an_extension_that_is_not_here_is_unproven_and_named(bench: Bench, archive: Kept) -> None:
    state, kept, sidecars = archive
    wanted = replace(state, server={**state.server, "extensions": '{"vector": "0.7.0"}'})
    with pytest.raises(CouldNotVerify, match="vector") as raised:  # noqa: SIM117
        with revived(bench, wanted, kept, sidecars):
            pass
    assert "postgresql-15-pgvector" in raised.value.hint


def test_roles_that_are_missing_are_a_failure_in_our_words(bench: Bench, archive: Kept) -> None:
    state, kept, _ = archive
    with pytest.raises(LoadFailed, match="a role that owns something"):  # noqa: SIM117
        with revived(bench, state, kept, {GLOBALS: b"select 1;"}):
            pass


def test_hostile_roles_and_settings_gain_nothing_outside(
    bench: Bench, archive: Kept, tmp_path: Path
) -> None:
    state, kept, sidecars = archive
    witness = tmp_path / "witness"
    hostile = f"\\! touch {witness}\ncopy (select 1) to program 'touch {witness}';\n".encode()
    with revived(bench, state, kept, {GLOBALS: hostile + sidecars[GLOBALS]}) as restored:
        assert results(restored.compare()) == ["passed"] * 5
    assert not witness.exists()  # the folder is ours alone; another user cannot pass it


def test_the_server_ending_while_it_loads_is_unproven(bench: Bench, archive: Kept) -> None:
    state, kept, sidecars = archive
    with restoration(bench, state, sidecars) as (begun, put):
        assert isinstance(begun, LogicalRestoration)
        begun.prepare()
        assert isinstance(begun._server, PrivatePostgres)
        assert begun._server._child is not None
        begun._server._child.end()
        with pytest.raises(CouldNotVerify):
            begun.load(put(kept))


def test_the_server_ending_before_it_is_asked_is_unproven(bench: Bench, archive: Kept) -> None:
    state, kept, sidecars = archive
    with revived(bench, state, kept, sidecars) as restored:
        assert isinstance(restored, LogicalRestoration)
        assert isinstance(restored._server, PrivatePostgres)
        assert restored._server._child is not None
        restored._server._child.end()
        assert results(restored.compare()) == ["unproven"]
        with pytest.raises(CouldNotVerify):
            restored.value("select 1", zone=UTC)


def test_without_a_baseline_it_is_unproven(bench: Bench, archive: Kept) -> None:
    state, kept, sidecars = archive
    with revived(bench, replace(state, baseline=None), kept, sidecars) as restored:
        assert results(restored.compare()) == ["unproven"]


@pytest.mark.parametrize(
    ("victim", "what"),
    [
        ("table", "flip"),
        ("table", "cut"),
        ("table", "remove"),
        ("pg_wal", "flip"),
        ("pg_wal", "remove"),
        ("backup_manifest", "flip"),
        ("backup_manifest", "remove"),
        ("global/pg_control", "remove"),
        ("pg_xact", "remove"),
    ],
)
def test_damage_to_a_copied_cluster_is_found(
    bench: Bench, copied: Kept, victim: str, what: str
) -> None:
    state, kept, _ = copied
    with restoration(bench, state, {}) as (begun, put):
        begun.prepare()
        there = put(kept)
        data = there / "data"
        if victim == "table":
            candidates = [path for path in (data / "base").rglob("*") if path.is_file()]
        elif (data / victim).is_dir():
            candidates = [path for path in (data / victim).iterdir() if path.is_file()]
        else:
            candidates = [data / victim]
        path = max(candidates, key=lambda path: path.stat().st_size)
        content = bytearray(path.read_bytes())
        if what == "remove":
            path.unlink()
        elif what == "cut":
            path.write_bytes(content[:-8192])
        else:
            content[40] ^= 1
            path.write_bytes(content)
        with pytest.raises(LoadFailed):
            begun.load(there)


def test_a_page_that_is_damaged_in_production_is_no_passed_copy(
    server: Production, bench: Bench
) -> None:
    """Every byte is as captured, and the table is lost all the same."""
    with server.database("emr", EMR):
        with server.connect("emr") as connection:
            connection.execute("select count(*) from emr.encounter")
            connection.execute("checkpoint")
            row = connection.execute("select pg_relation_filepath('emr.encounter')").fetchone()
        assert row is not None
        with (server.data / row[0]).open("r+b") as file:
            file.seek(3 * 8192)
            file.write(b"\xff" * 64)
        # as it is on the disk, where "emr" still has the page in memory
        server.run("create database broken template emr strategy file_copy")
        try:
            state, kept, _ = bench.capture(cluster(server.asset("broken")))
        finally:
            server.run("drop database broken")
    with revived(bench, state, kept) as restored:
        failed = [each for each in restored.compare() if each.result is Result.FAILED]
    assert [each.reason for each in failed] == ["emr.encounter: damaged: the server cannot read it"]


def test_a_tablespace_that_is_missing_is_found_though_production_still_has_it(
    server: Production, bench: Bench, copied: Kept, tmp_path: Path
) -> None:
    state, kept, _ = copied
    with restoration(bench, state, {}) as (begun, put):
        there = put(kept)
        (there / "data" / "pg_tblspc" / "16999").symlink_to(server.data)
        with pytest.raises(LoadFailed, match="a tablespace of the cluster is not in the backup"):
            begun.load(there)


def test_links_in_a_copied_cluster_are_not_followed(
    bench: Bench, copied: Kept, tmp_path: Path
) -> None:
    state, kept, _ = copied
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "postgresql.auto.conf").write_text("ours")
    with restoration(bench, state, {}) as (begun, put):
        there = put(kept)
        (there / "data").rename(there / "moved")
        (there / "data").symlink_to(outside)
        with pytest.raises(LoadFailed, match="no data directory"):
            begun.load(there)
    assert (outside / "postgresql.auto.conf").read_text() == "ours"


def test_rows_of_a_failing_query_are_unproven(whole: PostgresRestoration) -> None:
    for query in ("select * from nowhere", "delete from emr.document returning path"):
        with pytest.raises(CouldNotVerify):
            list(whole.rows(query))
