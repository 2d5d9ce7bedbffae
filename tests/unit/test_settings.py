from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator import settings as module
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import SettingsInvalid
from dr_orchestrator.settings import environment_value, load_settings, settings_in


@pytest.fixture
def settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "dro.yaml"
    file.touch()
    monkeypatch.setenv("DRO_SETTINGS", str(file))
    return file


@pytest.fixture
def no_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "SYSTEM_FILE", tmp_path / "absent.yaml")


@pytest.mark.usefixtures("no_system_file")
def test_machine_without_settings_gets_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    monkeypatch.setenv("PATH", "/opt/bin:/usr/bin")

    settings = load_settings()

    assert settings.plans == Path("/etc/dro/plans")
    assert settings.state == Path("/var/lib/dro")
    assert settings.cache == Path("/var/cache/dro")
    assert settings.sandbox_directory == Path("/var/lib/dro-sandbox")
    assert settings.sandbox_uid == 47115
    assert settings.postgres_programs == ("/usr/lib/postgresql/*/bin",)
    assert settings.mariadb_programs == ("/usr/bin", "/opt/mariadb-*/bin")
    assert (settings.command_programs, settings.lab_servers) == ((), {})
    assert settings.path == "/opt/bin:/usr/bin"
    assert settings.work_jobs == 4
    assert settings.lock_wait == timedelta(minutes=2)
    assert settings.source is None


@pytest.mark.usefixtures("no_system_file")
@pytest.mark.parametrize(
    ("variable", "state"), [("/var/tmp/state", "/var/tmp/state/dro"), ("relative", None)]
)
def test_other_users_get_folders_of_their_own(
    monkeypatch: pytest.MonkeyPatch, variable: str, state: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    monkeypatch.delenv("XDG_CACHE_HOME")

    settings = load_settings()

    assert settings.state == (Path(state) if state else Path.home() / ".local/state/dro")
    assert settings.cache == Path.home() / ".cache/dro"


def test_file_states_what_differs(settings_file: Path) -> None:
    settings_file.write_text(
        "plans: /srv/plans\nstate: /srv/state\nsandbox_uid: 50000\nlock_wait: 10m\n"
        "work_jobs: 8\npath: /opt/restic\npostgres_programs: [/opt/pg/*/bin]\n"
    )

    settings = load_settings()

    assert settings.source == settings_file
    assert settings.plans == Path("/srv/plans")
    assert settings.sandbox_directory == Path("/srv/state-sandbox")
    assert (settings.sandbox_uid, settings.work_jobs) == (50000, 8)
    assert settings.lock_wait == timedelta(minutes=10)
    assert settings.path == "/opt/restic"
    assert settings.postgres_programs == ("/opt/pg/*/bin",)


def test_file_in_etc_is_read_where_no_other_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "dro.yaml"
    file.write_text("sandbox_uid: 50001\n")
    monkeypatch.setattr(module, "SYSTEM_FILE", file)

    assert load_settings().sandbox_uid == 50001


def test_all_mistakes_are_reported_with_their_positions(settings_file: Path) -> None:
    settings_file.write_text(
        "plans: srv/plans\nstat: /srv\nsandbox_uid: 0\nlock_wait: 120\nwork_jobs: yes\n"
        "no_color: true\npostgres_programs: []\n"
    )

    with pytest.raises(SettingsInvalid) as caught:
        load_settings()

    lines = [line for line in str(caught.value).splitlines() if "hint:" not in line]
    assert [line.removeprefix(f"{settings_file}:") for line in lines] == [
        "1:8: plans: must be an absolute path",
        "2:1: stat: unknown key",
        "3:14: sandbox_uid: must be at least 1",
        "4:12: lock_wait: a number without its unit",
        "5:12: work_jobs: an unquoted word that YAML 1.1 reads as true or false",
        "6:1: no_color: unknown key",
        "7:20: postgres_programs: must not be empty",
    ]


def test_programs_and_lab_servers_are_stated_by_name(settings_file: Path) -> None:
    settings_file.write_text(
        "mariadb_programs: [/opt/mariadb-11.4/bin]\ncommand_programs: [/opt/emr/*/bin]\n"
        "lab_servers:\n"
        "  bench: {kind: mariadb, host: 10.0.0.9, port: 3307, user: lab,"
        " password: {file: /etc/dro/keys/lab}}\n"
        "  old-pg: {kind: postgres, host: /run/lab, user: lab}\n"
    )

    settings = load_settings()

    assert settings.mariadb_programs == ("/opt/mariadb-11.4/bin",)
    assert settings.command_programs == ("/opt/emr/*/bin",)
    bench, old = settings.lab_servers["bench"], settings.lab_servers["old-pg"]
    assert (bench.kind, bench.host, bench.port, bench.user) == ("mariadb", "10.0.0.9", 3307, "lab")
    assert bench.password is not None
    assert bench.password.file == "/etc/dro/keys/lab"
    assert (old.port, old.password) == (None, None)
    with pytest.raises(TypeError):
        settings.lab_servers["third"] = bench  # type: ignore[index]


def test_mistakes_about_programs_and_lab_servers_have_their_positions(
    settings_file: Path,
) -> None:
    settings_file.write_text(
        "mariadb_programs: []\ncommand_programs: [opt/emr]\n"
        "lab_servers:\n"
        "  Bench: {kind: postgres, host: h, user: u}\n"
        "  a: {kind: oracle, host: h, user: u}\n"
        "  b: {kind: mariadb, host: h, user: u, password: hunter2}\n"
        "  c: {kind: mariadb, host: h, port: 0, user: u}\n"
        "  d: {kind: postgres, host: h}\n"
        "  e: {kind: postgres, host: h, user: u, databse: d}\n"
    )

    with pytest.raises(SettingsInvalid) as caught:
        load_settings()

    assert "hunter2" not in str(caught.value)
    lines = [line for line in str(caught.value).splitlines() if "hint:" not in line]
    assert [line.removeprefix(f"{settings_file}:") for line in lines] == [
        "1:19: mariadb_programs: must not be empty",
        "2:20: command_programs[0]: must be an absolute path",
        "4:3: lab_servers.Bench: is not an id",
        "5:13: lab_servers.a.kind: must be one of postgres, mariadb",
        "6:50: lab_servers.b.password: must be a reference: a password never stands in a plan",
        "7:37: lab_servers.c.port: must be at least 1",
        "8:6: lab_servers.d.user: is missing",
        "9:41: lab_servers.e.databse: unknown key",
    ]


@pytest.mark.parametrize("content", ["", "[]", "a: [", "x"])
def test_file_that_is_no_mapping_is_refused(settings_file: Path, content: str) -> None:
    settings_file.write_text(content)

    with pytest.raises(SettingsInvalid, match=r"dro\.yaml:1:"):
        load_settings()


def test_file_that_others_can_write_is_refused(settings_file: Path) -> None:
    settings_file.write_text("sandbox_uid: 50000\n")
    settings_file.chmod(0o666)

    with pytest.raises(SettingsInvalid, match="others may write to it"):
        load_settings()


def test_file_that_is_named_must_exist(settings_file: Path) -> None:
    settings_file.unlink()

    with pytest.raises(SettingsInvalid, match="no such file"):
        load_settings()


def test_settings_can_be_varied(settings_file: Path) -> None:
    settings_file.write_text("{}")

    assert replace(load_settings(), sandbox_uid=50002).sandbox_uid == 50002


def test_commands_run_unless_the_file_refuses_them(settings_file: Path) -> None:
    settings_file.write_text("slots: 2\n")
    assert load_settings().commands_allowed
    settings_file.write_text("commands: refused\n")
    assert not load_settings().commands_allowed
    assert not settings_in(settings_file).commands_allowed


def test_environment_is_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMR_DB_PASSWORD", "x")
    monkeypatch.delenv("NOT_SET", raising=False)

    assert environment_value("EMR_DB_PASSWORD") == "x"
    assert environment_value("NOT_SET") is None


def test_storage_environment_names_places_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, settings_file: Path
) -> None:
    settings_file.write_text("{}")
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("RESTIC_PASSWORD", "secret")
    settings = load_settings()

    assert settings.storage_environment("riverside")["AWS_PROFILE"] == "riverside"
    assert settings.storage_environment(None)["HOME"] == "/home/anna"
    assert "AWS_PROFILE" not in settings.storage_environment(None)
    assert "secret" not in settings.storage_environment("riverside").values()
    assert settings.storage_environment(region="eu-west-1")["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_own_environment_leads_another_process_of_ours_here_and_has_no_secret(
    monkeypatch: pytest.MonkeyPatch, settings_file: Path
) -> None:
    settings_file.write_text("{}")
    monkeypatch.setenv("EMR_DB_PASSWORD", "secret")
    ours = load_settings().own_environment()
    assert ours["DRO_SETTINGS"] == str(settings_file)
    assert set(ours) <= {"DRO_SETTINGS", "HOME", "PYTHONPATH", "XDG_CACHE_HOME", "XDG_STATE_HOME"}


def test_storage_keys_are_those_of_the_environment_where_both_halves_are(
    monkeypatch: pytest.MonkeyPatch, settings_file: Path
) -> None:
    settings_file.write_text("{}")
    settings = load_settings()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    assert settings.storage_keys() is None
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    assert settings.storage_keys() == (Secret("id"), Secret("key"), None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert settings.storage_keys() == (Secret("id"), Secret("key"), Secret("token"))
