from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.immutability import Answer, ImmutabilityTested
from dr_orchestrator.doctor.attempts import look_at_attempts
from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.plan.load import load_plan
from tests.support.clock import START as NOW
from tests.support.evidence import make_attempts, make_record

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  offsite:
    location: rest:https://backup.example/dr
    password: {file: /etc/dro/keys/offsite}
    append_only: true
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: sqlite, path: /srv/emr/emr.db}
"""
_HERE = "rest:https://backup.example/dr"
_AN_HOUR_AGO = NOW - timedelta(hours=1)
_UNUSED: Any = None
"""What the doctor looks with: this look needs nothing of it."""


@pytest.mark.parametrize(
    ("tested", "complains"),
    [
        (make_attempts(_AN_HOUR_AGO, location=_HERE), False),
        (make_attempts(_AN_HOUR_AGO, Answer.UNKNOWN, location=_HERE), False),
        (make_attempts(_AN_HOUR_AGO, Answer.DONE, location=_HERE), True),
        (make_attempts(_AN_HOUR_AGO, Answer.DONE, location="rest:https://before.example/"), False),
        (make_attempts(_AN_HOUR_AGO, Answer.DONE, repository="gone", location=_HERE), False),
    ],
)
def test_attempts_are_complained_of_where_one_succeeded_there(
    tmp_path: Path, tested: ImmutabilityTested, complains: bool
) -> None:
    plan = tmp_path / "riverside.yaml"
    plan.write_text(_PLAN)
    record = make_record(immutability={tested.repository: tested})

    found = list(look_at_attempts(Patient(loaded=load_plan(plan), record=record, tools=_UNUSED)))

    assert [each.kind for each in found] == ([Kind.DESTROYABLE] if complains else [])
    assert all("dro repository immutability riverside" in each.do for each in found)
    assert all(each.line == "riverside.yaml:5" for each in found)
