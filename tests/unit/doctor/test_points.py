"""Points of before production's server was upgraded, which programs of now do not load."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from dr_orchestrator.core.point import AssetSummary
from dr_orchestrator.doctor.assets import look_at_points
from dr_orchestrator.doctor.complaint import Kind, Severity
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.plan.load import load_plan
from tests.support.clock import START
from tests.support.evidence import DATABASE, make_point, make_record

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories: {onsite: {location: /srv/restic, password: {file: /etc/dro/key}}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: postgres, host: /run/postgresql, database: emr, user: backup}
"""


def _missing_to_load(summary: AssetSummary, has_lab: bool) -> ProgramMissing | None:
    assert not has_lab
    if summary.server.startswith("postgres 14"):
        return ProgramMissing("programs of version 14 are not here", hint="get them")
    return None


def test_points_that_nothing_loads_are_told_once_with_the_newest_of_them(tmp_path: Path) -> None:
    plan = tmp_path / "riverside.yaml"
    plan.write_text(_PLAN)
    points = [
        make_point(
            START - timedelta(days=age), assets={"database": replace(DATABASE, server=server)}
        )
        for age, server in enumerate(("postgres 16.4", "postgres 14.9", "postgres 14.8", ""))
    ]
    tools = SimpleNamespace(missing_to_load=_missing_to_load)
    patient = Patient(
        loaded=load_plan(plan), record=make_record(points=points), tools=cast("Any", tools)
    )

    (complaint,) = look_at_points(patient, "emr", "database")

    assert (complaint.kind, complaint.severity) == (Kind.POINTS_NOT_LOADABLE, Severity.NOTE)
    assert complaint.what == (
        "emr/database: 2 recovery points, the newest of 2026-11-17 06:00 CST: "
        "programs of version 14 are not here"
    )
    assert complaint.do == "get them"
    assert complaint.line == "riverside.yaml:9"
