"""What `dro schedule show` prints, of plans as they lie on disk."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.main import Context
from dr_orchestrator.cli.schedule import show
from dr_orchestrator.plan.load import LoadedPlan, load_plan
from tests.support.clock import FakeClock

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/key}}
  offsite: {location: /mnt/restic, password: {file: /etc/dro/key}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets: {documents: {kind: files, path: /srv/emr}}
    backup: {schedule: every 30m, to: [onsite, offsite]}
    restore_tests:
      - {schedule: "02:30", from: onsite}
      - {schedule: "Sun 04:00", from: offsite, point: random}
      - {schedule: "0 4 29 2 *", from: offsite}
  billing:
    rto: 4h
    rpo: 24h
    assets: {documents: {kind: files, path: /srv/billing}}
"""


class _Desk(Context):
    def __init__(self, folder: Path, now: datetime, *, json: bool) -> None:
        super().__init__(json=json)
        self.clock = FakeClock(now)
        self._path = folder / "riverside.yaml"
        self._path.write_text(_PLAN)

    def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
        return (load_plan(self._path),)


def _shown(folder: Path, now: datetime, *args: str) -> str:
    desk = _Desk(folder, now, json="--json" in args)
    return CliRunner().invoke(show, args, obj=desk, catch_exceptions=False).stdout


def test_show_has_one_line_an_operation_with_when_what_and_why(tmp_path: Path) -> None:
    shown = _shown(tmp_path, datetime(2026, 11, 18, 12, 7, tzinfo=UTC))

    assert [re.split(" {2,}", line.strip()) for line in shown.splitlines()] == [
        ["riverside: 7 days from Wed 2026-11-18 06:07 CST (America/Chicago)"],
        [
            *("Wed 2026-11-18 06:30 CST", "every 30m", "336 times"),
            *("emr: backup to onsite, offsite", "riverside.yaml:11"),
        ],
        [
            *("Wed 2026-11-18 12:00 CST", "every 12h", "14 times"),
            *("billing: backup to onsite", "default: every half RPO"),
        ],
        [
            *("Thu 2026-11-19 02:30 CST", "02:30", "7 times"),
            *("emr: restore test from onsite", "riverside.yaml:13"),
        ],
        [
            *("Thu 2026-11-19 03:30 CST", "03:30", "7 times"),
            *("billing: restore test from onsite", "default: nightly from the first repository"),
        ],
        [
            *("Sun 2026-11-22 04:00 CST", "Sun 04:00", "1 time"),
            *("emr: restore test from offsite, random point", "riverside.yaml:14"),
        ],
        ["later", "0 4 29 2 *", "0 times", "emr: restore test from offsite", "riverside.yaml:15"],
    ]


def test_show_says_what_a_change_of_clocks_does(tmp_path: Path) -> None:
    spring = _shown(tmp_path, datetime(2026, 3, 4, 12, tzinfo=UTC)).splitlines()
    summer = _shown(tmp_path, datetime(2026, 6, 4, 12, tzinfo=UTC))

    assert spring[-3:] == [
        "  clocks: Sun 2026-03-08 02:00 CST becomes 03:00 CDT",
        "    billing: backup to onsite: still every 12h, so its times of day move",
        "    emr: restore test from onsite: 02:30 left out: runs once, at 03:00 CDT",
    ]
    assert "clocks" not in summer


def test_show_looks_as_far_ahead_as_it_is_told(tmp_path: Path) -> None:
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    one_day = json.loads(_shown(tmp_path, now, "--json", "--days", "1"))["practices"][0]
    assert [each["count"] for each in one_day["scheduled"]] == [48, 2, 1, 1, 0, 0]


def test_show_tells_other_programs_the_same(tmp_path: Path) -> None:
    answer = json.loads(_shown(tmp_path, datetime(2026, 3, 4, 12, tzinfo=UTC), "--json"))

    assert (answer["schema"], answer["from"]) == (1, "2026-03-04T12:00:00+00:00")
    (practice,) = answer["practices"]
    nightly = practice["scheduled"][2]
    assert nightly.pop("id").startswith("riverside/emr/restore-test/")
    assert nightly == {
        "system": "emr",
        "operation": "restore test",
        "repositories": ["onsite"],
        "schedule": "02:30",
        "origin": "riverside.yaml:13",
        "count": 7,
        "first": "2026-03-05T08:30:00+00:00",
        "last": "2026-03-11T07:30:00+00:00",
        "catch_up": "skip",
        "grace_seconds": 14400.0,
    }
    (change,) = practice["clock_changes"]
    assert change["at"] == "2026-03-08T08:00:00+00:00"


@pytest.mark.parametrize("days", ["0", "367"])
def test_show_refuses_to_look_ahead_for_no_time_or_for_ever(tmp_path: Path, days: str) -> None:
    desk = _Desk(tmp_path, datetime(2026, 11, 18, tzinfo=UTC), json=False)
    assert CliRunner().invoke(show, ["--days", days], obj=desk).exit_code == 2
