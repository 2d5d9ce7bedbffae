from __future__ import annotations

from dataclasses import replace

import pytest

from dr_orchestrator.doctor.keys import look_at_settings
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.settings import LabServer, load_settings


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
