"""A lab server that must not receive a restore does not, and what goes wrong on one is never taken
for a damaged backup; what a killed run left there is dropped, and nothing else is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify, PlanInvalid, SandboxUnavailable
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.sandbox.lab import LabDriver
from dr_orchestrator.servers.lab import LabAccess, OpenLab
from dr_orchestrator.servers.mariadb_connection import Address, connect
from dr_orchestrator.servers.mariadb_lab import server_identity
from dr_orchestrator.servers.postgres_lab import dial_postgres
from dr_orchestrator.servers.relay import relay
from dr_orchestrator.settings import LabServer
from tests.support.lab import (
    LAB_PASSWORD,
    MariadbLab,
    PostgresLab,
    mariadb_lab,
    name_lab,
    postgres_lab,
    protect_by_lab,
)
from tests.support.plain_place import plain_place
from tests.support.postgres import (
    EMR,
    SEARCH_PATH,
    Bench,
    FixedSecrets,
    Production,
    production,
)
from tests.support.sandbox import short_folder
from tests.support.site import Site, new_site

RUN = "20261121-191500-4k7q2z"
FOREIGN = "dro_20260101_000000_aaaaaa"
"""Another machine's, which died months ago: not ours to judge."""
STATE = AssetState(
    kind=AssetKind.POSTGRES,
    method=Method.LOGICAL,
    scope="database",
    snapshot="0" * 64,
    path="/database.pgdump",
    bytes=1,
    captured_at=datetime(2026, 11, 21, tzinfo=UTC),
    server={"database": "emr", "major": "15"},
)


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as server, server.database("emr", EMR):
        server.run("alter database emr set search_path to 'emr', 'public'")
        yield server


@pytest.fixture(scope="module")
def lab() -> Iterator[PostgresLab]:
    with postgres_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def site(server: Production, lab: PostgresLab) -> Iterator[Site]:
    with new_site() as site:
        name_lab(site, lab)
        protect_by_lab(site, server)
        yield site


# --- refused: it is not run -----------------------------------------------------------------------


class Refusals:
    """A driver over one lab server, and what it is asked to open."""

    def __init__(self, folder: Path, lab: PostgresLab | MariadbLab) -> None:
        self.folder = folder
        self.lab = lab
        self.server: dict[str, Any] = {
            "kind": "postgres",
            "host": lab.host,
            "port": lab.port,
            "user": "dro_lab",
            "password": {"file": "/not-read"},
        }
        self.password = LAB_PASSWORD
        self.state = STATE
        self.name = "lab1"
        self.kind = "postgres"
        self.host = "db.practice.invalid"
        self.port = 5432
        self.database = "emr"
        self.plans: Callable[[], tuple[Plan, ...]] = tuple

    def plan(self) -> Plan:
        path = self.folder / "riverside.yaml"
        path.write_text(
            "version: 1\npractice: {id: riverside, name: Riverside}\n"
            "repositories: {onsite: {location: /r, password: {file: /k}}}\n"
            "systems: {emr: {rto: 4h, rpo: 1h, assets: {database: {"
            f"kind: {self.kind}, host: {self.host}, port: {self.port}, "
            f"database: {self.database}, user: b}}}}}}}}\n"
        )
        return load_plan(path).plan

    def driver(self) -> LabDriver:
        return LabDriver(
            {"lab1": LabServer.model_validate(self.server)},
            secrets=FixedSecrets(self.password),
            notes=self.folder / "labs",
            owner=lambda: "our state",
            plans=self.plans,
        )

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """Open the lab; return the name of the database that is ours."""
        with self.open_lab() as lab:
            yield lab.database

    @contextlib.contextmanager
    def open_lab(self) -> Iterator[OpenLab]:
        """Open the lab as a restore test does."""
        driver = self.driver()
        wanted, states = {"database": self.name}, {"database": self.state}
        with driver.open(RUN, wanted, states, self.plan()) as labs:
            yield labs["database"]

    def sql(self, statement: str, database: str = "dro_lab") -> None:
        self.lab.server.run(statement, database)


@pytest.fixture
def asked(lab: PostgresLab, tmp_path: Path) -> Iterator[Refusals]:
    yield Refusals(tmp_path, lab)
    lab.server.run("alter role dro_lab nosuperuser createdb; revoke pg_read_all_data from dro_lab")
    lab.server.run("delete from marker; insert into marker values (1); delete from made", "dro_lab")
    assert not list((tmp_path / "labs").glob("*")), "a note without a database"


def no_marker(asked: Refusals) -> None:
    asked.sql("delete from marker")


def newer_marker(asked: Refusals) -> None:
    asked.sql("update marker set version = 2")


def superuser(asked: Refusals) -> None:
    asked.sql("alter role dro_lab superuser")


def member_of_a_role(asked: Refusals) -> None:
    asked.sql("grant pg_read_all_data to dro_lab")


def no_right_to_make_databases(asked: Refusals) -> None:
    asked.sql("alter role dro_lab nocreatedb")


def an_assets_host(asked: Refusals) -> None:
    asked.host, asked.database = asked.lab.host, "another"


def an_assets_host_by_another_name(asked: Refusals) -> None:
    """Of another plan of this machine; `0.0.0.0` leads to this machine's own servers, too."""
    asked.host, asked.database = "0.0.0.0", "another"  # noqa: S104 - where it leads, not a listener
    other = asked.plan()
    asked.host = "db.practice.invalid"
    asked.plans = lambda: (other,)


def the_server_that_was_backed_up(asked: Refusals) -> None:
    """By another way: the plan has its unix socket, the settings its address."""
    asked.host, asked.database = asked.lab.server.host, "renamed_since"
    assert isinstance(asked.lab, PostgresLab)
    with asked.lab.server.connect() as connection:
        row = connection.execute("select system_identifier from pg_control_system()").fetchone()
    assert row is not None
    asked.state = replace(
        STATE, server={"database": "renamed_since", "identity": f"postgres {row[0]}"}
    )


def a_database_of_production(asked: Refusals) -> None:
    asked.database = "postgres"


def the_database_of_the_point(asked: Refusals) -> None:
    asked.database = "renamed_since"
    asked.state = replace(STATE, server={"database": "postgres"})


def an_invalid_plan(asked: Refusals) -> None:
    def plans() -> tuple[Plan, ...]:
        raise PlanInvalid("plans/other.yaml:3:1: no")

    asked.plans = plans


def another_kind(asked: Refusals) -> None:
    asked.state = replace(STATE, kind=AssetKind.MARIADB)


def a_physical_copy(asked: Refusals) -> None:
    asked.state = replace(STATE, method=Method.PHYSICAL)


def another_name(asked: Refusals) -> None:
    asked.name = "lab9"


def wrong_password(asked: Refusals) -> None:
    asked.password = "wrong"


def nobody_there(asked: Refusals) -> None:
    asked.server["port"] = 1


def no_marker_database(asked: Refusals) -> None:
    """As with any server that nobody made a lab of."""
    asked.sql("alter database dro_lab rename to not_a_lab", "postgres")


_SEEN_BY_THE_POINT = {
    the_server_that_was_backed_up,
    the_database_of_the_point,
    another_kind,
    a_physical_copy,
}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (no_marker, "lab1 carries no marker"),
        (newer_marker, "marker of version 2"),
        (superuser, "may do more than make databases"),
        (member_of_a_role, "may do more than make databases"),
        (no_right_to_make_databases, "may not make databases"),
        (an_assets_host, "is the server of riverside/emr/database"),
        (an_assets_host_by_another_name, "is the server of riverside/emr/database"),
        (the_server_that_was_backed_up, "is the very server that was backed up"),
        (a_database_of_production, "has a database named as that of riverside/emr/database"),
        (the_database_of_the_point, "has a database named as that of the recovery point"),
        (an_invalid_plan, "a plan of this machine is not valid"),
        (another_kind, "takes nothing of kind mariadb"),
        (a_physical_copy, "a physical copy is a whole server's files"),
        (another_name, "have no lab server lab9 (they have: lab1)"),
        (wrong_password, "refuses the account dro_lab"),
        (nobody_there, "cannot be reached"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_lab_is_refused_and_nothing_is_made_on_it(
    asked: Refusals, lab: PostgresLab, case: Callable[[Refusals], None], said: str
) -> None:
    case(asked)
    with pytest.raises(SandboxUnavailable) as refused, asked.open():
        pytest.fail("it was opened")
    assert said in refused.value.message
    assert LAB_PASSWORD not in str(refused.value)
    if case not in _SEEN_BY_THE_POINT:
        with pytest.raises(SandboxUnavailable) as probed:
            asked.driver().probe(asked.name, asked.plan())
        assert str(probed.value) == str(refused.value)
    assert lab.databases() == set()
    assert lab.made() == 0


def test_a_server_without_a_marker_database_is_refused(asked: Refusals, lab: PostgresLab) -> None:
    no_marker_database(asked)
    try:
        with pytest.raises(SandboxUnavailable, match="carries no marker database"), asked.open():
            pytest.fail("it was opened")
    finally:
        asked.sql("alter database not_a_lab rename to dro_lab", "postgres")


def test_a_fit_lab_gives_a_name_that_is_dropped_whoever_is_connected(
    asked: Refusals, lab: PostgresLab
) -> None:
    asked.driver().probe(asked.name, asked.plan())
    assert lab.made() == 0
    with asked.open() as database:
        assert database == "dro_20261121_191500_4k7q2z"
        assert lab.made() == 1
        lab.server.run(f"create database {database} owner dro_lab", "postgres")
        connected = psycopg.connect(
            host=lab.host, dbname=database, user="dro_lab", password=LAB_PASSWORD
        )
    connected.close()
    assert lab.databases() == set()
    assert lab.made() == 0


def test_a_database_that_is_there_already_is_not_taken_for_ours(
    asked: Refusals, lab: PostgresLab
) -> None:
    name = "dro_20261121_191500_4k7q2z"
    lab.server.run(f"create database {name} owner dro_lab", "postgres")
    try:
        with pytest.raises(SandboxUnavailable, match="already"), asked.open():
            pytest.fail("it was opened")
        assert lab.databases() == {name}
    finally:
        lab.server.run(f"drop database {name}", "postgres")


# --- what a lab may not load is never the backup's fault -----------------------------------------

GUARDED = """
create role guard nologin;
create table note (id integer primary key, author name);
create policy own on note to guard using (author = current_user);
"""


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (GUARDED, "a role of production, which is not made on a lab server"),
        ("create extension dblink", "only a superuser may make on the lab server lab1: dblink"),
    ],
)
def test_an_archive_that_a_lab_may_not_load_is_unproven(
    server: Production, asked: Refusals, tmp_path: Path, schema: str, said: str
) -> None:
    bench = Bench(SystemLauncher(SEARCH_PATH), tmp_path)
    with contextlib.closing(bench.launcher), server.database("guarded", schema):
        state, kept, captured = bench.capture(server.asset("guarded"))
        asked.database, asked.state = "guarded", state
        with asked.open_lab() as lab, plain_place(bench.launcher) as place:
            archive = place.root / "archive"
            shutil.copy(kept, archive)
            place.adopt(archive)
            request = RestoreRequest(
                asset_id="database",
                state=state,
                place=place,
                sidecars=captured.sidecars,
                jobs=1,
                lab=lab,
            )
            with bench.driver.restoration(request) as restoration:
                restoration.prepare()
                with pytest.raises(CouldNotVerify, match=said):
                    restoration.load(archive)


# --- MariaDB ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maria() -> Iterator[MariadbLab]:
    with mariadb_lab() as lab:
        yield lab


EVENTS = "event_scheduler"
GRANT = "grant {} to dro_lab@'%'"
REVOKE = "revoke {} from dro_lab@'%'"


@pytest.mark.parametrize(
    ("spoil", "mend", "said"),
    [
        (f"set global {EVENTS} = on", f"set global {EVENTS} = off", "event scheduler is on"),
        (GRANT.format("file on *.*"), REVOKE.format("file on *.*"), "may do more"),
        (GRANT.format("select on mysql.*"), REVOKE.format("select on mysql.*"), "may do more"),
        (
            REVOKE.format("show databases on *.*"),
            GRANT.format("show databases on *.*"),
            "cannot see which databases",
        ),
        ("set global general_log = on", "set global general_log = off", "keeps a log"),
        ("set global slow_query_log = on", "set global slow_query_log = off", "keeps a log"),
        ("create database emr", "drop database emr", "has a database named as that of"),
        ("delete from dro_lab.marker", "insert into dro_lab.marker values (1)", "no marker"),
        (
            "rename table dro_lab.marker to dro_lab.old",
            "rename table dro_lab.old to dro_lab.marker",
            "no marker",
        ),
        ("", "", "the very server that was backed up"),
    ],
)
def test_a_mariadb_lab_is_refused_and_nothing_is_made_on_it(
    maria: MariadbLab, tmp_path: Path, spoil: str, mend: str, said: str
) -> None:
    asked = mariadb_asked(maria, tmp_path)
    if not spoil:
        with contextlib.closing(maria.server.connect()) as connection:
            known = {"database": "renamed_since", "identity": server_identity(connection)}
        asked.state = replace(asked.state, server=known)
    maria.server.run(spoil)
    try:
        with pytest.raises(SandboxUnavailable) as refused, asked.open():
            pytest.fail("it was opened")
    finally:
        maria.server.run(mend)
    assert said in refused.value.message
    assert LAB_PASSWORD not in str(refused.value)
    assert maria.databases() == set()
    assert maria.made() == 0


def test_a_fit_mariadb_lab_gives_a_name_that_is_dropped_whoever_is_connected(
    maria: MariadbLab, tmp_path: Path
) -> None:
    asked = mariadb_asked(maria, tmp_path)
    with asked.open() as database:
        maria.server.run(f"create database {database}")
        address = Address(host=maria.host, port=maria.port, user="dro_lab", sslmode="require")
        busy = connect(address, database, password=Secret(LAB_PASSWORD))
        busy.execute("delete from dro_lab.made")  # as hostile data may: the account may do it
        busy.execute("create table held (id int)")
        busy.execute("lock tables held write")
    busy.close()
    assert maria.databases() == set()
    assert maria.made() == 0


def mariadb_asked(lab: MariadbLab, folder: Path) -> Refusals:
    asked = Refusals(folder, lab)
    asked.server["kind"] = "mariadb"
    asked.state = replace(STATE, kind=AssetKind.MARIADB)
    asked.kind = "mariadb"
    return asked


# --- through `dro`, and killed on the way ---------------------------------------------------------


def _unproven(site: Site) -> dict[str, Any]:
    ended = site.dro("test", "riverside", "--json")
    assert ended.code == 4, ended.said
    test: dict[str, Any] = ended.json["tests"][0]
    assert test["result"] == "unproven"
    return test


def _started_until_loading(site: Site, lab: PostgresLab) -> subprocess.Popen[bytes]:
    """Start a restore test, and return once its database is on the lab."""
    before = lab.databases()
    process = site.start("test", "riverside")
    deadline = time.monotonic() + 60
    while lab.databases() == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_a_plan_that_names_no_lab_of_this_machine_is_unproven(site: Site) -> None:
    text = site.plan.read_text()
    site.plan.write_text(text.replace("lab: lab1", "lab: lab9"))
    try:
        test = _unproven(site)
    finally:
        site.plan.write_text(text)
    assert "no lab server lab9" in test["reason"]
    assert test["verifications"] == []


def test_what_a_killed_run_left_on_a_lab_is_dropped_by_the_next_start_and_nothing_else(
    site: Site, lab: PostgresLab
) -> None:
    """Another machine's database and record, and one that nobody wrote down, stay."""
    lab.server.run(f"create database {FOREIGN} owner dro_lab", "postgres")
    lab.server.run("create database dro_by_hand owner dro_lab", "postgres")
    lab.server.run(f"insert into made values ('{FOREIGN}', 'theirs', 'h', 'r')", "dro_lab")
    others = {FOREIGN, "dro_by_hand"}
    try:
        process = _started_until_loading(site, lab)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert len(lab.databases() - others) == 1

        again = site.dro("test", "riverside", "--json")

        assert again.code == 0, again.said
        assert lab.databases() == others
        assert lab.made() == 1
    finally:
        for name in others:
            lab.server.run(f"drop database {name}", "postgres")
        lab.server.run("delete from made", "dro_lab")


def test_a_stopped_run_leaves_nothing_on_a_lab(site: Site, lab: PostgresLab) -> None:
    process = _started_until_loading(site, lab)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert lab.databases() == set()
    assert lab.made() == 0
    assert site.leftovers() == []


def test_a_lab_that_goes_away_makes_the_test_unproven_and_is_cleaned_once_it_is_back(
    site: Site, lab: PostgresLab
) -> None:
    settings = (site.folder / "dro.yaml").read_text()
    access = LabAccess(
        name="lab1",
        host=lab.host,
        port=lab.port,
        user="dro_lab",
        password=Secret(LAB_PASSWORD),
        sslmode="disable",
    )
    with short_folder() as folder:
        folder.chmod(0o700)
        name_lab(site, lab, host=str(folder), sslmode="disable")
        way = relay(folder / ".s.PGSQL.5432", partial(dial_postgres, access), owner=(0, 0))
        with way:
            process = _started_until_loading(site, lab)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, (out, err)
    assert len(lab.databases()) == 1

    (site.folder / "dro.yaml").write_text(settings)
    assert site.dro("points", "rebuild", "riverside", "--repository", "onsite").code == 0
    assert lab.databases() == set()
    assert lab.made() == 0
