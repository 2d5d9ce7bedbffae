"""What a plan says of restore tests of a share of the files, and what follows from it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.model import FilesSample

_PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago}}
repositories:
  onsite: {{location: /srv/restic, password: {{env: KEY}}}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets: {{files: {{kind: files, path: /srv/emr}}}}
    restore_tests: [{tests}]
"""
_SAMPLED = "{schedule: 'Sun 04:00', files: {sample: 5%}}"


@pytest.mark.parametrize(
    ("sample", "parts"),
    [("5%", 20), ("30%", 4), ("33.4%", 3), ("50 %", 2), ("0.4%", 250), ("0.001%", 256)],
)
def test_sample_says_in_how_many_tests_all_files_come_back(sample: str, parts: int) -> None:
    assert FilesSample.model_validate({"sample": sample}).parts == parts


def test_restore_test_says_in_what_time_all_files_come_back() -> None:
    loaded = read_plan(_PLAN.format(tests=f"{_SAMPLED}, {{schedule: '03:30'}}").encode(), "p.yaml")
    sampled, whole = loaded.plan.protected["emr"].restore_tests
    assert (sampled.parts, sampled.all_files_every) == (20, timedelta(days=140))
    assert (whole.parts, whole.all_files_every) == (1, timedelta(days=1))


@pytest.mark.parametrize(
    ("tests", "warned"),
    [
        (_SAMPLED, True),
        (f"{_SAMPLED}, {{schedule: '03:30'}}", False),
        ("{schedule: '03:30'}", False),
        ("", False),
    ],
)
def test_plan_is_warned_of_when_no_test_is_of_all_files(tests: str, *, warned: bool) -> None:
    loaded = read_plan(_PLAN.format(tests=tests).encode(), "p.yaml")
    said = [each for each in loaded.warnings if "brings back all files" in each.message]
    assert [each.path for each in said] == ["systems.emr.restore_tests[0].files"] * warned
