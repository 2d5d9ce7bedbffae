from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from dr_orchestrator.cli.points import command
from dr_orchestrator.plan.load import LoadedPlan
from tests.support import practices
from tests.support.desk import Desk
from tests.support.practices import Practice


class _Desk(Desk):
    def one_plan(self, practice: str | None) -> LoadedPlan:
        (loaded,) = self.plans((practice,) if practice else ())
        return loaded


def _listed(state: Path, sample: Practice, *args: str) -> str:
    desk = _Desk(state, sample, json="--json" in args)
    try:
        return CliRunner().invoke(command, args, obj=desk, catch_exceptions=False).stdout
    finally:
        desk.close()


def test_points_show_how_old_the_data_is_where_another_tool_made_it(tmp_path: Path) -> None:
    dead = _listed(tmp_path / "dead", practices.dead_job()).splitlines()
    alive = _listed(tmp_path / "alive", practices.first_day())

    assert all(" onsite  dumps: data of 2026-10-31 02:42 CDT" in line for line in dead)
    assert "data of" not in alive


def test_points_tell_other_programs_how_old_each_asset_is(tmp_path: Path) -> None:
    points = json.loads(_listed(tmp_path, practices.dead_job(), "--json"))["points"]

    assets = points[0]["assets"]
    assert assets["dumps"]["data_as_of"] == "2026-10-31T07:42:00+00:00"
    assert assets["documents"]["data_as_of"] is None
