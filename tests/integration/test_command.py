"""A record system that only its vendor's own programs can dump and load, from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dr_orchestrator.backup.backup import BackupResult
from dr_orchestrator.core.baseline import DatabaseBaseline, Level
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.manifests import FoundManifest, find_manifest, read_sidecars
from dr_orchestrator.settings import LabServer
from tests.support.asset_contract import AssetDriverContract, Subject
from tests.support.command import PASSWORD, PATIENT, Bench, Desk, Vendor, desk
from tests.support.lab import LAB_PASSWORD, postgres_lab
from tests.support.sandbox import PATH, short_folder
from tests.support.tools import require_tool

_SYSTEM = """\
  {system}:
    rto: 4h
    rpo: 1h
    assets:
      records:
        kind: command
{dump}
        secrets: {{EMR_PASSWORD_FILE: {{file: {secret}}}}}
        at_least: 1 KiB
        restore: ["{program}", load, "{{dump}}", "{{folder}}"]
    verify:
      - baseline
      - title: as many visits as at capture
        asset: records
        run: ["{program}", one, "{{folder}}/emr.db", select count(*) from visit]
        at_capture: ["{program}", one, "{production}", select count(*) from visit]
        expect: baseline
      - title: visits of today
        asset: records
        run: ["{program}", one, "{{folder}}/emr.db", select max(seen_at) from visit]
        expect: {{newer_than: 26h}}
        timezone: UTC
      - title: every patient has a name
        asset: records
        run: ["{program}", one, "{{folder}}/emr.db", "select count(*) from patient where name = ''"]
        expect: 0
"""
_STREAM = """\
        dump: ["{program}", dump, "{production}"]
        ends_with: "# complete"
"""
_TREE = """\
        dump: ["{program}", dump_to, "{production}", "{{folder}}"]
        output: tree
"""


def _systems(vendor: Vendor, *, dump_program: str = "") -> str:
    words = {"production": vendor.production, "secret": vendor.secret, "program": vendor.program}
    own = words | ({"program": dump_program} if dump_program else {})
    return "".join(
        _SYSTEM.format(system=system, dump=dump.format_map(own).rstrip(), **words)
        for system, dump in (("emr", _STREAM), ("imaging", _TREE))
    )


@dataclass(frozen=True)
class Proven:
    """Both systems after one backup and one restore test of each."""

    desk: Desk
    backups: dict[str, BackupResult]
    found: dict[str, FoundManifest]
    tests: dict[str, RestoreTest]


@pytest.fixture(scope="module")
def proven() -> Iterator[Proven]:
    with desk() as lent:
        loaded = lent.plan(_systems(lent.vendor))
        backups = {system: lent.back_up(loaded, system) for system in ("emr", "imaging")}
        found = {system: _found(lent, backups[system]) for system in backups}
        tests = {system: lent.prove(loaded, system) for system in backups}
        yield Proven(lent, backups, found, tests)


def _found(lent: Desk, backup: BackupResult) -> FoundManifest:
    point = backup.point
    assert point is not None
    return find_manifest(lent.repository, "riverside", point.system, point.id)


both = pytest.mark.parametrize("system", ["emr", "imaging"])


@both
def test_backup_is_complete_and_keeps_what_production_answered(proven: Proven, system: str) -> None:
    result = proven.backups[system]
    assert (result.outcome, result.failures) == (Outcome.DONE, ())
    state = proven.found[system].manifest.assets["records"]
    assert isinstance(state.baseline, DatabaseBaseline)
    assert (state.baseline.level, set(state.baseline.queries.values())) == (Level.FULL, {120})
    assert state.conditions == ()
    assert state.bytes > 1024


@both
def test_restore_test_passes_at_l4_in_a_real_sandbox(proven: Proven, system: str) -> None:
    test = proven.tests[system]
    assert (test.reason, test.result, test.depth) == ("", Result.PASSED, Depth.L4)
    assert test.sandbox.startswith("bubblewrap")
    answers = {each.title: each.actual for each in test.verifications}
    assert answers["as many visits as at capture"] == 120
    assert answers["every patient has a name"] == 0
    assert answers["the dump is the one that was captured, byte for byte"] == "equal"
    assert test.rta_service_seconds is not None


def test_no_secret_and_no_patient_is_in_what_is_remembered(proven: Proven) -> None:
    remembered = repr((proven.backups, proven.tests, proven.found))
    record = b"".join(
        each.read_bytes() for each in (proven.desk.vendor.folder / "state").glob("dro.sqlite3*")
    )
    for canary in (PASSWORD, PATIENT):
        assert canary not in remembered
        assert canary.encode() not in record


def test_nothing_is_left_in_staging_or_beside_production(proven: Proven) -> None:
    folder = proven.desk.vendor.folder
    assert list((folder / "state" / "staging").iterdir()) == []
    assert list((folder / "s").glob("*")) == []
    assert {each.name for each in proven.desk.vendor.production.parent.iterdir()} == {"emr.db"}
    assert not (folder / "owned").exists()


def test_hand_over_says_where_the_dump_is_and_the_exact_command(
    proven: Proven, tmp_path: Path
) -> None:
    found = proven.found["emr"]
    sidecars = read_sidecars(proven.desk.repository, found, "records")
    restored = tmp_path / "records.dump"
    restored.write_text("# complete")
    place = tmp_path / "my place"
    place.mkdir()
    (driver,) = proven.desk.drivers.values()
    *said, command = driver.hand_over(found.manifest.assets["records"], restored, sidecars, place)
    assert f"{place}/records.dump" in said[0]
    program = proven.desk.vendor.program
    assert command == f"{program} load '{place}/records.dump' '{place}/work'"
    assert list((place / "work").iterdir()) == []


def test_production_that_moves_on_during_the_dump_is_no_alarm(proven: Proven) -> None:
    lent = proven.desk
    slow = lent.vendor.folder / "vendor" / "bin" / "slow"
    slow.write_text(
        "#!/bin/sh\n"
        f'{lent.vendor.program} "$@"\n'
        f'sqlite3 "$2" "insert into visit (seen_at) values (datetime(\'now\'))"\n'
    )
    slow.chmod(0o755)
    loaded = lent.plan(_systems(lent.vendor, dump_program=str(slow)))
    made = lent.back_up(loaded, "emr")
    test = lent.prove(loaded, "emr")
    assert made.outcome is Outcome.DONE
    assert (test.result, test.reason) == (Result.PASSED, "")
    assert any("changed while the dump was made" in text for text in test.conditions)


class _Own(AssetDriverContract):
    @pytest.fixture
    def vendor(self) -> Iterator[Vendor]:
        with short_folder() as folder:
            yield Vendor(folder).make()

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        launcher = SystemLauncher(PATH)
        yield Bench(tmp_path, launcher)
        launcher.close()


class TestStream(_Own):
    """What a program prints."""

    @pytest.fixture
    def subject(self, vendor: Vendor, bench: Bench) -> Subject:
        return Subject(
            bench.driver,
            lambda: bench.request(vendor.asset()),
            lambda: bench.request(vendor.asset(dump=("no-such-program",))),
        )


class TestTree(_Own):
    """What a program writes into a folder."""

    @pytest.fixture
    def subject(self, vendor: Vendor, bench: Bench) -> Subject:
        def tree(action: str) -> tuple[str, ...]:
            return (vendor.program, action, str(vendor.production), "{folder}")

        stated = {"output": "tree", "ends_with": None}
        return Subject(
            bench.driver,
            lambda: bench.request(vendor.asset(dump=tree("dump_to"), **stated)),
            lambda: bench.request(vendor.asset(dump=tree("nothing_there"), **stated)),
        )

    def test_probe_of_what_is_not_there_says_what_a_capture_would(self, subject: Subject) -> None:
        """Here nobody can know: a probe runs none of the practice's programs."""
        subject.driver.probe(subject.request_for_nothing())


_CLIENT = """\
#!/bin/sh
# What a vendor's loader may look like that needs its own kind of server.
export PGHOST="$2" PGPORT="$3" PGUSER="$4" PGDATABASE="$5" PGPASSFILE="$6"
case "$1" in
load) exec psql -v ON_ERROR_STOP=1 -qf "$7" ;;
ask) exec psql -tAc "$7" ;;
esac
"""
_ON_A_LAB = """\
  registry:
    rto: 4h
    rpo: 1h
    assets:
      rows:
        kind: command
        dump: [/bin/echo, "create table visit as select generate_series(1, 12) as id; -- end"]
        ends_with: "-- end"
        restore: [{program}, load, {server}, "{{dump}}"]
        lab: lab1
    verify:
      - baseline
      - {{title: visits, asset: rows, run: [{program}, ask, {server}, {count}], expect: 12}}
"""


def test_what_needs_a_server_of_its_own_is_proven_on_a_lab(proven: Proven) -> None:
    folder = proven.desk.vendor.folder
    program = folder / "vendor" / "bin" / "loader"
    clients = require_tool("initdb").resolve().parent
    program.write_text(_CLIENT.replace("export", f"export PATH={clients}"))
    program.chmod(0o755)
    password = folder / "lab-password"
    password.touch(mode=0o600)
    password.write_text(LAB_PASSWORD)
    words = ("host", "port", "user", "database", "login")
    server = ", ".join(f'"{{lab_{word}}}"' for word in words)
    text = _ON_A_LAB.format(program=program, server=server, count="select count(*) from visit")
    with postgres_lab() as lab:
        named = LabServer.model_validate(
            {
                "kind": "postgres",
                "host": lab.host,
                "port": lab.port,
                "user": "dro_lab",
                "password": {"file": str(password)},
                "sslmode": "require",
            }
        )
        lent = replace(proven.desk, lab_servers={"lab1": named})
        loaded = lent.plan(text)
        lent.back_up(loaded, "registry")
        test = lent.prove(loaded, "registry")
        assert (test.reason, test.result, test.depth) == ("", Result.PASSED, Depth.L4)
        assert "lab server lab1 (PostgreSQL" in test.sandbox
        assert lab.databases() == set()
