"""The line for cron, as a real shell takes it; what the unit may write to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.schedule import service
from dr_orchestrator.settings import load_settings


@pytest.mark.parametrize("there", [True, False])
def test_cron_line_takes_secrets_from_the_environment_file_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    file = tmp_path / "environment"
    monkeypatch.setattr(service, "_ENVIRONMENT", str(file))
    monkeypatch.setenv("DRO_SETTINGS", "")
    monkeypatch.delenv("DRO_SECRET", raising=False)
    if there:
        file.write_text("# ours\nDRO_SECRET='a $(b); c'\n")
    probe = tmp_path / "dro"
    probe.write_text('#!/bin/sh\necho "$* <$DRO_SECRET>"\n')
    probe.chmod(0o755)
    line = service.cron_line(load_settings(), program=(str(probe),)).splitlines()[-1]
    _, _, command = line.partition(" root ")
    shown = subprocess.run(
        ("/bin/sh", "-c", command.replace("logger -t dro", "cat")),
        capture_output=True,
        check=True,
        text=True,
    )
    secret = "a $(b); c" if there else ""
    assert shown.stdout == f"schedule run --once <{secret}>\n"


def test_unit_may_write_where_a_repository_is_removed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRO_SETTINGS", "")
    (tmp_path / "served").mkdir()
    plan = f"""\
version: 1
practice: {{id: riverside, name: Riverside}}
repositories:
  onsite:
    location: rest:https://backup.example/dr
    password: {{env: KEY}}
    append_only: true
    maintenance: {{location: {tmp_path}/served}}
systems:
  emr: {{rto: 4h, rpo: 1h, assets: {{files: {{kind: files, path: /srv/emr}}}}}}
"""
    made = read_plan(plan.encode(), "riverside.yaml").plan
    unit = service.service_unit(load_settings(), [made], program=("/usr/bin/dro",))
    (line,) = (each for each in unit.splitlines() if f"{tmp_path}/served" in each)
    assert line.startswith("ReadWritePaths=")
