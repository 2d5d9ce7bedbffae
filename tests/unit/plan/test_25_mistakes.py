"""A plan with 25 different mistakes: 25 problems, each at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.plan.problem import Problem

_PLAN = """\
version: 2
practice:
  id: River Side
  name: 7
  timezone: America/Chikago
  open: {mon-fri: "18:00-08:00"}
  closed: [2026-02-30]
contacts:
  manager: {role: practice manager, phone: &tel "+1 555 0100"}
repositories:
  onsite: {location: srv/restic, password: hunter2}
  offsite: {locaton: "s3:https://s3.example/dr", password: {env: KEY}}
systems:
  emr:
    importance: critcal
    rto: 4
    depends_on: [phone]
    assets:
      database:
        kind: postgres
        host: 10.0.0.5
        database: emr
        user: backup
        method: physical
        host: 10.0.0.6
      documents: {kind: files, path: /srv/emr/documents, marker: ../x}
      share: {kind: cifs}
    max_data_age: 4h
    backup: {schedule: every 30x, to: [onsite, offsit]}
    restore_tests:
      - {schedule: 03:30, from: onsite}
      - {schedule: "Sun 04:00", from: offsite}
    verify:
      - baseline
      - {title: visits, asset: documents, sql: select 1, expect: 1}
      - {title: doctor, asset: database, sql: select name, expect: Smith}
  portal: {not_protected: hosted and holds no records, accepted_by: manager}
"""

_EXPECTED = [
    # line, column, what stands there, path, message
    (1, 10, "2", "version", "must be 1"),
    (3, 7, "River Side", "practice.id", "is not an id"),
    (4, 9, "7", "practice.name", "must be text"),
    (5, 13, "America/Chikago", "practice.timezone", "is not a time zone of the IANA list"),
    (6, 19, '"18:00-08:00"', "practice.open.mon-fri", "closes before it opens"),
    (7, 12, "2026-02-30", "practice.closed[0]", "is not a date that exists"),
    (9, 44, "&tel", "contacts.manager.phone", "an anchor"),
    (11, 22, "srv/restic", "repositories.onsite.location", "must be an absolute path"),
    (11, 44, "hunter2", "repositories.onsite.password", "must be a reference: a password never "),
    (12, 13, "locaton", "repositories.offsite.locaton", "unknown key"),
    (15, 5, "importance", "systems.emr.rpo", "is missing"),
    (15, 17, "critcal", "systems.emr.importance", "must be one of critical, important, routine"),
    (16, 10, "4", "systems.emr.rto", "a number without its unit"),
    (17, 18, "phone", "systems.emr.depends_on[0]", "there is no such system"),
    (24, 17, "physical", "systems.emr.assets.database.method", "takes the whole cluster, and must"),
    (25, 9, "host", "systems.emr.assets.database.host", "the same key again"),
    (26, 66, "../x", "systems.emr.assets.documents.marker", "must be a path inside the folder"),
    (27, 21, "cifs", "systems.emr.assets.share.kind", "is no kind of asset"),
    (28, 19, "4h", "systems.emr.max_data_age", "has no effect"),
    (29, 24, "every 30x", "systems.emr.backup.schedule", "is not a duration"),
    (29, 48, "offsit", "systems.emr.backup.to[1]", "there is no such repository"),
    (31, 20, "03:30", "systems.emr.restore_tests[0].schedule", "an unquoted time, which YAML 1.1 "),
    (32, 39, "offsite", "systems.emr.restore_tests[1].from", "this system is not backed up to it"),
    (35, 32, "documents", "systems.emr.verify[1].asset", "is no database"),
    (36, 68, "Smith", "systems.emr.verify[2].expect", "text cannot be expected, since it could "),
]


@pytest.fixture
def problems(tmp_path: Path) -> tuple[Problem, ...]:
    plan = tmp_path / "riverside.yaml"
    plan.write_text(_PLAN)
    with pytest.raises(PlanInvalid) as caught:
        load_plan(plan)
    return caught.value.problems  # type: ignore[return-value]  # objects, to the errors' layer


def test_every_mistake_is_reported_once_at_its_line_and_column(
    problems: tuple[Problem, ...],
) -> None:
    assert len(_EXPECTED) == 25
    found = [(each.line, each.column, each.path) for each in problems]

    assert found == [(line, column, path) for line, column, _, path, _ in _EXPECTED]
    for each, (*_, message) in zip(problems, _EXPECTED, strict=True):
        assert each.message.startswith(message)


def test_the_position_is_where_the_words_stand() -> None:
    lines = _PLAN.splitlines()

    for line, column, words, _, _ in _EXPECTED:
        assert lines[line - 1][column - 1 :].startswith(words)


def test_no_mistake_repeats_the_password(problems: tuple[Problem, ...]) -> None:
    assert "hunter2" not in "".join(each.text() for each in problems)
