from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.plans import look_at_plan, read_plans
from dr_orchestrator.plan.load import load_plan

PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories: {onsite: {location: /srv/r, password: {file: /etc/dro/key}}}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {docs: {kind: files, path: /srv/d, marker: m}}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "riverside.yaml"
    path.write_text(text)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("goes_on", "so_what"),
    [
        (True, "the version before goes on, and nothing of what was changed holds"),
        (False, "nothing of this plan is backed up or tested"),
    ],
)
def test_invalid_plan_says_what_runs_and_where_all_mistakes_are(
    tmp_path: Path, *, goes_on: bool, so_what: str
) -> None:
    path = write(tmp_path, PLAN.replace("rto: 4h", "rto: soon"))
    _, (complaint,) = read_plans((str(path),), tmp_path, lambda _: goes_on)
    assert (complaint.kind, complaint.so_what) == (Kind.PLAN_INVALID, so_what)
    assert complaint.do.endswith(f"`dro plan validate {path}` shows every mistake")


def test_warning_says_what_to_do_in_its_own_words(tmp_path: Path) -> None:
    loaded = load_plan(write(tmp_path, PLAN))
    told = {each.do for each in look_at_plan(loaded) if each.kind is Kind.PLAN_WARNING}
    assert {warning.hint for warning in loaded.warnings if warning.hint} <= told
    assert any(warning.hint for warning in loaded.warnings)
