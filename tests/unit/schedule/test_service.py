"""The line for cron, as a real shell takes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

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
