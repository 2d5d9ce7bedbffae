from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.keys import look_at_keys, look_at_settings
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.settings import LabServer, load_settings
from tests.support.clock import START
from tests.support.evidence import make_record


def test_secret_of_the_environment_is_noted_only_where_it_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRO_SETTINGS", "")
    password = SecretReference(env="LAB_PASSWORD")
    server = LabServer(kind="postgres", host="127.0.0.1", user="dro_lab", password=password)
    settings = replace(load_settings(), lab_servers={"bench": server})
    assert list(look_at_settings(settings)) == []
    monkeypatch.setenv("LAB_PASSWORD", "x")
    (complaint,) = look_at_settings(settings)
    assert "/etc/dro/environment" in complaint.do


def test_keys_of_a_repository_are_looked_at_like_its_password(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("id", "key", "login", "password"):
        (tmp_path / name).touch(mode=0o600)
    plan = f"""\
version: 1
practice: {{id: riverside, name: Riverside}}
repositories:
  onsite:
    location: rest:https://backup.example/dr
    password: {{file: {tmp_path}/password}}
    credentials: {{user: dr, password: {{file: {tmp_path}/login}}}}
    maintenance:
      location: s3:https://s3.example/dr
      credentials:
        access_key_id: {{file: {tmp_path}/id}}
        secret_access_key: {{file: {tmp_path}/key}}
systems:
  emr: {{rto: 4h, rpo: 1h, assets: {{files: {{kind: files, path: /srv/emr}}}}}}
"""
    found = look_at_keys(read_plan(plan.encode(), "riverside.yaml"), make_record(), START)
    git = {each.what.split()[3] for each in found if each.kind is Kind.SECRET_IN_GIT}
    assert git == {str(tmp_path / name) for name in ("id", "key", "login", "password")}
