"""The doctor finds each of many prepared defects, and is silent on a healthy site."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import Clock, SystemClock
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.record import PointRecorded
from dr_orchestrator.core.run import Operation
from dr_orchestrator.doctor.complaint import Complaint, Kind, Severity
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.settings import LabServer, Settings, load_settings
from tests.support.certificate import tls_server
from tests.support.evidence import make_point
from tests.support.fast_clock import FastClock
from tests.support.lab import LAB_PASSWORD, PostgresLab, postgres_lab
from tests.support.mounts import small_disk
from tests.support.postgres import BACKUP_PASSWORD, BACKUP_USER, EMR, PATIENT
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import RawRestic
from tests.support.servers import free_port
from tests.support.sinks import http_sink, mail_sink
from tests.support.site import MARKER, Site, new_site
from tests.support.tools import require_tool

_OTHER_PASSWORD = "another key of the tests"
_OF_THE_TEST_MACHINE = {Kind.CLOCK_ALONE, Kind.ENCRYPTION_UNKNOWN, Kind.IN_THE_CLEAR}
"""What a machine that tests run on may really lack: notes, each."""
_ALWAYS = {Kind.KEY_NOT_PROVEN, Kind.PLAN_WARNING, Kind.RUNBOOK_BLANKS, Kind.NO_KIT}
"""Nobody proved a key, both repositories are folders, which an attacker can destroy, and the plan
names few contacts and no kit."""
_PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago}}
contacts: {{manager: {{role: practice manager, email: manager@riverside.example}}}}
custody: [{{holder: manager, form: sealed sheet}}, {{holder: msp, form: vault}}]
repositories:
  onsite: {{location: {folder}/repository, password: {{file: {folder}/key}}}}
  offsite: {{location: {folder}/offsite, password: {{file: {folder}/key-offsite}}}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    backup: {{schedule: every 30m, to: [onsite, offsite]}}
    assets:
      database: {{kind: postgres, host: {host}, database: emr, user: {user}, sslmode: prefer,
                 password: {{file: {folder}/db-password}}}}
      documents: {{kind: files, path: {folder}/documents, marker: {marker}}}
      images: {{kind: sqlite, path: {folder}/emr.sqlite3}}
notify: [{{to: manager}}, {{webhook: {{file: {folder}/webhook}}}}]
"""


@dataclass
class Ward:
    """A healthy site, and the ways in which a test spoils it for a while."""

    site: Site
    lab: PostgresLab
    settings: Settings
    clock: Clock = field(default_factory=SystemClock)

    def examine(self) -> tuple[Complaint, ...]:
        app = App(self.settings, self.clock)
        with contextlib.closing(app):
            return app.examine(()).complaints

    @contextmanager
    def plan_says(self, old: str, new: str) -> Iterator[None]:
        text = self.site.plan.read_text()
        assert old in text
        self.site.plan.write_text(text.replace(old, new))
        try:
            yield
        finally:
            self.site.plan.write_text(text)

    @contextmanager
    def settings_say(self, **changes: object) -> Iterator[None]:
        before = self.settings
        self.settings = replace(before, **changes)  # type: ignore[arg-type]
        try:
            yield
        finally:
            self.settings = before

    @contextmanager
    def file_says(self, name: str, content: str) -> Iterator[None]:
        path = self.site.folder / name
        before = path.read_text()
        path.write_text(content)
        try:
            yield
        finally:
            path.write_text(before)

    @contextmanager
    def moved_away(self, name: str) -> Iterator[Path]:
        path = self.site.folder / name
        away = path.rename(path.with_name(f"{path.name}-away"))
        try:
            yield path
        finally:
            away.rename(path)

    @contextmanager
    def mode(self, path: Path, mode: int) -> Iterator[None]:
        before = path.stat().st_mode
        path.chmod(mode)
        try:
            yield
        finally:
            path.chmod(before)

    @contextmanager
    def other_state(self) -> Iterator[Path]:
        """Go on with a copy of the state folder, which may be spoiled."""
        folder = self.site.folder / "other"
        shutil.copytree(self.site.state, folder)
        try:
            with self.settings_say(state=folder):
                yield folder
        finally:
            shutil.rmtree(folder)

    @contextmanager
    def at(self, clock: Clock) -> Iterator[None]:
        before, self.clock = self.clock, clock
        try:
            yield
        finally:
            self.clock = before

    @contextmanager
    def changing(self, change: Callable[[App], None]) -> Iterator[None]:
        """Record something in a copy of the record."""
        with self.other_state(), contextlib.closing(App(self.settings, self.clock)) as app:
            change(app)
            yield

    @contextmanager
    def programs(self, without: str = "", fake: str = "") -> Iterator[None]:
        """Find only some programs on PATH; `fake` is what `restic version` prints."""
        folder = self.site.folder / "bin"
        folder.mkdir()
        for name in {"restic", "bwrap", "setpriv", "prlimit"} - {without}:
            (folder / name).symlink_to(require_tool(name))
        if fake:
            (folder / "restic").unlink()
            (folder / "restic").write_text(f"#!/bin/sh\necho '{fake}'\n")
            (folder / "restic").chmod(0o755)
        path = str(folder) if without else f"{folder}:{self.settings.path}"
        try:
            with self.settings_say(path=path):
                yield
        finally:
            shutil.rmtree(folder)


def _beat(app: App) -> None:
    app.store.ledger.beat(ProcessIdentity.ours())


@pytest.fixture(scope="module")
def ward() -> Iterator[Ward]:
    with (
        postgres_lab() as lab,
        lab.server.database("emr", EMR),
        new_site() as site,
        http_sink() as web,
        mail_sink() as mail,
        pytest.MonkeyPatch.context() as patch,
    ):
        put_quick_repository(site.folder / "offsite", _OTHER_PASSWORD)
        for name, content in (
            ("key-offsite", _OTHER_PASSWORD),
            ("db-password", BACKUP_PASSWORD),
            ("webhook", web.url("/hook/secret-token")),
        ):
            (site.folder / name).touch(mode=0o600)
            (site.folder / name).write_text(content)
        site.documents.mkdir()
        (site.folder / "state-sandbox").mkdir(mode=0o711)
        (site.documents / MARKER).touch()
        (site.documents / f"{PATIENT}.pdf").write_text("a scan")
        with contextlib.closing(sqlite3.connect(site.database)) as database, database:
            database.execute("create table image (id integer primary key, content blob)")
            database.execute("insert into image values (1, zeroblob(3000000))")
        site.plan.write_text(
            _PLAN.format(folder=site.folder, host=lab.server.host, user=BACKUP_USER, marker=MARKER)
        )
        with (site.folder / "dro.yaml").open("a") as settings:
            settings.write(
                f"mail: {{host: 127.0.0.1, port: {mail.port}, encryption: none, "
                "from: dro@riverside.example}\n"
            )
        patch.setenv("DRO_SETTINGS", site.environment["DRO_SETTINGS"])
        ward = Ward(site, lab, load_settings())
        made = site.dro("backup")
        assert made.code == 0, made.said
        yield ward


@pytest.fixture
def healthy(ward: Ward) -> Ward:
    with contextlib.closing(App(ward.settings, ward.clock)) as app:
        _beat(app)
    return ward


def _kinds(complaints: tuple[Complaint, ...]) -> set[Kind]:
    return {each.kind for each in complaints} - _OF_THE_TEST_MACHINE - _ALWAYS


def test_doctor_is_silent_on_a_healthy_site(healthy: Ward) -> None:
    site = healthy.site
    before = _everything(site)

    ended = site.dro("doctor")

    assert ended.code == 0, ended.said
    assert "this machine: healthy" in ended.stdout
    assert "riverside: healthy" in ended.stdout
    assert "emr from offsite" in ended.stdout
    assert ended.stderr == ""
    assert _kinds(healthy.examine()) == set()
    assert _everything(site) == before


def _everything(site: Site) -> dict[str, bytes]:
    """Return what must not change: the plans, both repositories, and the folders of the state."""
    found = {}
    for name in ("plans", "repository", "offsite", "documents"):
        for path in (site.folder / name).rglob("*"):
            found[str(path)] = path.read_bytes() if path.is_file() else b""
    for path in (*site.state.rglob("*"), *(site.folder / "state-sandbox").rglob("*")):
        if ".sqlite3" not in path.name:
            found[str(path)] = b""
    return found


def test_doctor_says_what_so_what_and_what_to_do_as_json(healthy: Ward) -> None:
    with healthy.moved_away("offsite"):
        ended = healthy.site.dro("doctor", "riverside", "--json")

    assert ended.code == 1, ended.said
    (found,) = [each for each in ended.json["complaints"] if each["severity"] == "fails"]
    assert found["kind"] == "repository-gone"
    assert found["practice"] == "riverside"
    assert found["line"] == "riverside.yaml:7"
    assert found["do"] == "is its disk mounted?"
    assert "riverside: 1 thing would fail tonight" in ended.stderr
    assert ended.json["restore_tests_a_month"][0]["times"] == 30
    assert PATIENT not in ended.said


def test_doctor_makes_nothing_before_the_first_backup(ward: Ward) -> None:
    site = ward.site
    state, sandbox = site.folder / "fresh", site.folder / "fresh-sandbox"
    with (
        ward.settings_say(state=state, sandbox_directory=sandbox),
        ward.plan_says("/offsite", "/not-yet"),
    ):
        found = _kinds(ward.examine())

    assert found == {Kind.NO_SCHEDULER, Kind.REPOSITORY_NOT_MADE}
    assert [path.name for path in state.rglob("*")] == ["runtime"]
    assert not sandbox.exists()
    assert not (site.folder / "not-yet").exists()
    shutil.rmtree(state)


# --- defects -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Defect:
    """Something that is spoiled, and the one kind of complaint that must come of it."""

    kind: Kind
    sentence: str
    spoil: Callable[[Ward], AbstractContextManager[object]]
    also: frozenset[Kind] = frozenset()
    """What follows from it."""


@contextmanager
def _wrong_repository(ward: Ward) -> Iterator[None]:
    """Put another disk where the repository's was, with a repository that opens too."""
    key = ward.site.key.read_text()
    with ward.moved_away("offsite") as place, ward.file_says("key-offsite", key):
        put_quick_repository(place, key.strip())
        yield
        shutil.rmtree(place)


@contextmanager
def _lock_of_another_machine(ward: Ward) -> Iterator[None]:
    """Leave a lock as a machine does that died an hour ago."""
    place = str(ward.site.folder / "offsite")
    raw = RawRestic(place, ward.site.folder / "cache", _OTHER_PASSWORD)
    script = "hostname elsewhere; exec restic backup --stdin"
    with subprocess.Popen(
        ("unshare", "--uts", "sh", "-c", script),
        env=raw.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as backup:
        while not raw.lock_ids():
            time.sleep(0.05)
        backup.kill()
    with (
        ward.at(FastClock(datetime.now(UTC) + timedelta(hours=1), 1.0)),
        ward.changing(_beat),
    ):
        yield
    for identity in raw.lock_ids():
        Path(place, "locks", identity).unlink()


def _record_point(app: App, at: datetime, added_bytes: int) -> None:
    """Record a small point that added much, as deduplication has it the other way round."""
    point = make_point(at, repositories=("offsite",), system="imaging")
    assets = {
        name: replace(asset, bytes=1000, added_bytes=added_bytes // len(point.assets))
        for name, asset in point.assets.items()
    }
    app.store.record(PointRecorded(point=replace(point, assets=assets)))


def _future_point(app: App) -> None:
    _record_point(app, datetime.now(UTC) + timedelta(hours=3), 0)


def _grown_by(share: float) -> Callable[[App], None]:
    """Make each of the last backups have added so much of what is free."""

    def record(app: App) -> None:
        added = int(shutil.disk_usage(app.settings.state).free * share)
        for hours in (30, 20, 10):
            _record_point(app, datetime.now(UTC) - timedelta(hours=hours), added)

    return record


def _overdue(app: App) -> None:
    due = datetime.now(UTC) - timedelta(hours=5)
    app.store.ledger.admit(
        [
            Occurrence(
                id="occurrence",
                schedule_id="schedule",
                due_at=due,
                practice="riverside",
                operation=Operation.BACKUP,
                system="emr",
            )
        ]
    )


def _silent(app: App) -> None:
    engine = app.store._memory.engine  # type: ignore[attr-defined]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update scheduler set heartbeat_at = '2026-01-01T00:00:00.000000Z'"
        )


@contextmanager
def _small_state(ward: Ward) -> Iterator[None]:
    place = ward.site.folder / "small"
    with small_disk(place, 2):
        shutil.copytree(ward.site.state, place / "state")
        with ward.settings_say(state=place / "state"):
            yield
    place.rmdir()


@contextmanager
def _small_sandbox(ward: Ward) -> Iterator[None]:
    place = ward.site.folder / "small"
    with small_disk(place, 1):
        place.chmod(0o711)
        with ward.settings_say(sandbox_directory=place):
            yield
    place.rmdir()


@contextmanager
def _read_only_state(ward: Ward) -> Iterator[None]:
    place = ward.site.folder / "small"
    with small_disk(place, 1):
        subprocess.run(("mount", "-o", "remount,ro", place), check=True)
        with ward.settings_say(state=place / "state"):
            yield
    place.rmdir()


@contextmanager
def _torn_record(ward: Ward) -> Iterator[None]:
    with ward.other_state() as state:
        for each in state.glob("dro.sqlite3*"):
            each.unlink()
        (state / "dro.sqlite3").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
        yield


def _newest(program: str) -> Path:
    """Return PostgreSQL's own program, not the distribution's that chooses among versions."""
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


@contextmanager
def _clients_only(ward: Ward) -> Iterator[None]:
    folder = ward.site.folder / "clients"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        (folder / name).symlink_to(_newest("pg_dump").with_name(name))
    with ward.settings_say(postgres_programs=(str(folder),)):
        yield
    shutil.rmtree(folder)


@contextmanager
def _no_right_to_read(ward: Ward) -> Iterator[None]:
    ward.lab.server.run(f"revoke pg_read_all_data from {BACKUP_USER}")
    yield
    ward.lab.server.run(f"grant pg_read_all_data to {BACKUP_USER}")


@contextmanager
def _of_somebody_else(ward: Ward, name: str) -> Iterator[None]:
    path = ward.site.folder / name
    os.chown(path, 65534, 0)
    yield
    os.chown(path, 0, 0)


@contextmanager
def _ended_certificate(ward: Ward) -> Iterator[None]:
    with (
        tls_server(datetime.now(UTC) - timedelta(days=1)) as port,
        ward.file_says("webhook", f"https://127.0.0.1:{port}/secret-token"),
    ):
        yield


@contextmanager
def _lab_on_production(ward: Ward) -> Iterator[None]:
    password = ward.site.folder / "lab-password"
    password.touch(mode=0o600)
    password.write_text(LAB_PASSWORD)
    server = LabServer(
        kind="postgres",
        host=ward.lab.host,
        port=ward.lab.port,
        user="dro_lab",
        password=SecretReference(file=str(password)),
    )
    with (
        ward.settings_say(lab_servers={"bench": server}),
        ward.plan_says("sslmode: prefer,", "sslmode: prefer, lab: bench,"),
    ):
        yield


def _nowhere() -> str:
    return f"127.0.0.1, port: {free_port()}"


def _over_tcp(ward: Ward) -> AbstractContextManager[None]:
    return ward.plan_says(f"host: {ward.lab.server.host},", f"host: {ward.lab.host},")


DEFECTS: dict[str, Defect] = {
    "a mistake in the plan": Defect(
        Kind.PLAN_INVALID,
        "systems.emr.rtoo: unknown key",
        lambda ward: ward.plan_says("    rto: 4h", "    rto: 4h\n    rtoo: 4h"),
    ),
    "a plan others can write": Defect(
        Kind.PLAN_WRITABLE,
        "others may write to it",
        lambda ward: ward.mode(ward.site.plan, 0o666),
    ),
    "a key others can read": Defect(
        Kind.SECRET_UNAVAILABLE,
        "others can read it",
        lambda ward: ward.mode(ward.site.folder / "key-offsite", 0o644),
    ),
    "an empty key": Defect(
        Kind.SECRET_UNAVAILABLE, "it is empty", lambda ward: ward.file_says("key-offsite", "")
    ),
    "a key that is gone": Defect(
        Kind.SECRET_UNAVAILABLE, "no such file", lambda ward: ward.moved_away("key-offsite")
    ),
    "a key of another user's": Defect(
        Kind.SECRET_OF_OTHERS,
        "belongs to another user",
        lambda ward: _of_somebody_else(ward, "key-offsite"),
    ),
    "a password of the environment that is not set": Defect(
        Kind.SECRET_UNAVAILABLE,
        "emr/database: no secret from environment variable EMR_PASSWORD: it is not set",
        lambda ward: ward.plan_says(
            f"{{file: {ward.site.folder}/db-password}}", "{env: EMR_PASSWORD}"
        ),
    ),
    "another key": Defect(
        Kind.REPOSITORY_PASSWORD,
        "does not open",
        lambda ward: ward.file_says("key-offsite", "not the key"),
    ),
    "a repository that is gone": Defect(
        Kind.REPOSITORY_GONE, "was here", lambda ward: ward.moved_away("offsite")
    ),
    "another repository in its place": Defect(
        Kind.REPOSITORY_CHANGED, "another repository is at the place of offsite", _wrong_repository
    ),
    "a repository without its config": Defect(
        Kind.REPOSITORY_DAMAGED,
        "no restic `config`",
        lambda ward: ward.moved_away("offsite/config"),
    ),
    "a storage server that is down": Defect(
        Kind.REPOSITORY_UNREACHABLE,
        "offsite",
        lambda ward: ward.plan_says(
            f"{ward.site.folder}/offsite", f'"rest:http://127.0.0.1:{free_port()}/"'
        ),
    ),
    "a lock of a machine that is gone": Defect(
        Kind.REPOSITORY_LOCKED,
        "a lock of elsewhere, 1 h old",
        _lock_of_another_machine,
        also=frozenset({Kind.CAPTURED_WITH}),  # the database server's clock is another one
    ),
    "a repository that is nearly full": Defect(
        Kind.REPOSITORY_FULL,
        "free, and the last backup added",
        lambda ward: ward.changing(_grown_by(1.5)),
    ),
    "a repository that fills up": Defect(
        Kind.REPOSITORY_FILLS,
        "are added in 7 d",
        lambda ward: ward.changing(_grown_by(0.2)),
    ),
    "no restic": Defect(
        Kind.PROGRAM_MISSING, "restic", lambda ward: ward.programs(without="restic")
    ),
    "an old restic": Defect(
        Kind.PROGRAM_TOO_OLD,
        "restic 0.12.1 is too old",
        lambda ward: ward.programs(fake="restic 0.12.1 compiled with go1.18 on linux/amd64"),
        also=frozenset({Kind.REPOSITORY_UNREACHABLE}),
    ),
    "no bubblewrap": Defect(Kind.NO_SANDBOX, "bwrap", lambda ward: ward.programs(without="bwrap")),
    "a sandbox directory others can read": Defect(
        Kind.NO_SANDBOX,
        "is reachable for others",
        lambda ward: ward.mode(ward.settings.sandbox_directory, 0o777),
    ),
    "a uid that is a server's": Defect(
        Kind.NO_SANDBOX, "the uid 0", lambda ward: ward.settings_say(sandbox_uid=0)
    ),
    "a sandbox disk that is too small": Defect(
        Kind.SANDBOX_FULL, "a restore test of emr takes about", _small_sandbox
    ),
    "a state disk that is too small": Defect(
        Kind.STAGING_FULL,
        "a backup of emr stages about 2.9 MiB",
        _small_state,
        also=frozenset({Kind.STATE_FULL}),
    ),
    "a state folder that cannot be written": Defect(
        Kind.STATE_UNUSABLE, "cannot be written to", _read_only_state
    ),
    "a record that is damaged": Defect(Kind.RECORD_UNUSABLE, "", _torn_record),
    "a database server that is down": Defect(
        Kind.NOT_CAPTURABLE,
        "emr/database: the PostgreSQL server at 127.0.0.1:",
        lambda ward: ward.plan_says(f"host: {ward.lab.server.host},", f"host: {_nowhere()},"),
    ),
    "a password that was changed": Defect(
        Kind.NOT_CAPTURABLE, "wrong password", lambda ward: ward.file_says("db-password", "old")
    ),
    "a right that was taken away": Defect(
        Kind.NOT_CAPTURABLE, f"{BACKUP_USER} may not read emr.", _no_right_to_read
    ),
    "no server programs of that version": Defect(
        Kind.NOT_LOADABLE,
        "emr/database: production runs PostgreSQL 1",
        _clients_only,
        also=frozenset({Kind.POINTS_NOT_LOADABLE}),
    ),
    "a share that is not mounted": Defect(
        Kind.NOT_CAPTURABLE,
        f"its marker {MARKER} is not there",
        lambda ward: ward.moved_away(f"documents/{MARKER}"),
    ),
    "a database file that is gone": Defect(
        Kind.NOT_CAPTURABLE, "there is no such file", lambda ward: ward.moved_away("emr.sqlite3")
    ),
    "a certificate that ends": Defect(
        Kind.CERTIFICATE_ENDS, "the certificate of emr/database's server ends on", _over_tcp
    ),
    "a lab server that is not in the settings": Defect(
        Kind.LAB_UNUSABLE,
        "have no lab server bench",
        lambda ward: ward.plan_says("sslmode: prefer,", "sslmode: prefer, lab: bench,"),
    ),
    "a lab server that is production's": Defect(
        Kind.LAB_UNUSABLE,
        "has a database named as that of riverside/emr/database",
        _lab_on_production,
    ),
    "a clock that was put back": Defect(
        Kind.CLOCK_BEHIND,
        "clock is 3 h",
        lambda ward: ward.changing(_future_point),
    ),
    "a runbook there is not": Defect(
        Kind.RUNBOOK_MISSING,
        "systems.emr.runbook: there is no runbook `tirage`",
        lambda ward: ward.plan_says("rpo: 1h", "rpo: 1h\n    runbook: tirage"),
    ),
    "nobody to tell": Defect(
        Kind.NOBODY_TOLD,
        "name anybody",
        lambda ward: ward.plan_says(
            f"notify: [{{to: manager}}, {{webhook: {{file: {ward.site.folder}/webhook}}}}]", ""
        ),
    ),
    "no mail server": Defect(
        Kind.NOT_TOLD,
        "the settings name no mail server",
        lambda ward: ward.settings_say(mail=None),
        also=frozenset({Kind.EVIDENCE_HERE_ALONE}),
    ),
    "a mail server that is down": Defect(
        Kind.NOT_TOLD,
        "the mail server 127.0.0.1:",
        lambda ward: ward.settings_say(
            mail=ward.settings.mail and ward.settings.mail.model_copy(update={"port": free_port()})
        ),
    ),
    "a webhook that is down": Defect(
        Kind.NOT_TOLD,
        "does not answer (connection refused)",
        lambda ward: ward.file_says("webhook", f"http://127.0.0.1:{free_port()}/secret-token"),
    ),
    "a webhook whose certificate ended": Defect(
        Kind.CERTIFICATE_OVER, "the certificate of the server of the URL from", _ended_certificate
    ),
    "no scheduler": Defect(Kind.NO_SCHEDULER, "is silent for", lambda ward: ward.changing(_silent)),
    "a backup that was never started": Defect(
        Kind.NOT_STARTED,
        "1 operation came due and did not start, first the backup of emr",
        lambda ward: ward.changing(_overdue),
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_doctor_finds(healthy: Ward, name: str) -> None:
    defect = DEFECTS[name]
    with contextlib.ExitStack() as undone:
        undone.enter_context(defect.spoil(healthy))
        complaints = healthy.examine()

    found = [each for each in complaints if each.kind is defect.kind]
    assert found, complaints
    assert any(defect.sentence in each.what for each in found), found
    assert _kinds(complaints) == {defect.kind, *defect.also}
    assert all(each.do and each.kind.so_what for each in complaints)
    assert not any("secret-token" in repr(each) or PATIENT in repr(each) for each in complaints)


def test_every_severity_but_notes_has_been_seen_among_the_defects() -> None:
    kinds = {defect.kind.severity for defect in DEFECTS.values()}
    assert kinds >= {Severity.FAILS, Severity.SOON, Severity.NOTE}
