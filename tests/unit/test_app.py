"""The object graph's own files: what is made once, is whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.maintenance.check import what_to_do
from dr_orchestrator.maintenance.tools import RepositoryRequest
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.settings import load_settings


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    settings = tmp_path / "dro.yaml"
    settings.write_text(f"plans: {tmp_path}/plans\nstate: {tmp_path}/state\n")
    monkeypatch.setenv("DRO_SETTINGS", str(settings))
    with contextlib.closing(App(load_settings(), SystemClock())) as app:
        yield app


def test_place_names_the_repository_and_the_profile_that_is_not_there(app: App) -> None:
    plan = read_plan(
        b"""\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  offsite:
    location: s3:https://s3.example/riverside-dr
    password: {env: REPOSITORY_KEY}
    maintenance: {credentials: {aws_profile: nobody}}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {files: {kind: files, path: /srv/emr}}}
""",
        "riverside.yaml",
    ).plan

    with pytest.raises(StorageUnusable) as caught:
        app.repositories.place(plan, "offsite", directly=True)

    assert caught.value.message == (
        "the repository offsite: S3 cannot be used: ProfileNotFound (aws_profile: nobody)"
    )
    assert "~/.aws/credentials" in caught.value.hint
    request = RepositoryRequest(plan=plan, repository="offsite")
    assert "`dro repository undelete riverside --repository offsite --show`" in what_to_do(
        request, 1
    )


def test_files_key_is_made_once_and_private(app: App) -> None:
    key = app.state.files_key("riverside")
    assert len(key) == 32
    assert app.state.files_key("riverside") == key
    assert app.state.files_key("lakeside") != key
    (file, _) = sorted((app.settings.state / "keys").iterdir(), reverse=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_files_key_is_never_the_empty_one_of_a_start_that_was_cut_short(app: App) -> None:
    """Hashes under an empty key can be repeated by anybody who guesses a file's name."""
    file = app.settings.state / "keys" / "riverside.files"
    file.parent.mkdir(mode=0o700, parents=True)
    file.touch(mode=0o600)

    key = app.state.files_key("riverside")

    assert len(key) == 32
    assert app.state.files_key("riverside") == key


def test_sweep_leaves_it_to_the_process_that_sweeps_already(app: App) -> None:
    left = app.settings.state / "staging" / "dead"
    left.mkdir(parents=True)
    other = os.open(app.settings.state, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert app.sweep().staging == 0
    assert left.is_dir()
    os.close(other)
    assert app.sweep().staging == 1
    assert not left.exists()
