"""What `dro schedule show` prints, of plans as they lie on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.main import Context
from dr_orchestrator.cli.schedule import show
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.plan.load import LoadedPlan, load_plan
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/key}}
  offsite:
    location: /mnt/restic
    password: {file: /etc/dro/key}
    maintenance: {check: never, forget: never, prune: Sun 06:00, blackout: {mon-fri: 07:00-19:00}}
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
report: {schedule: Mon 07:00, folder: /srv/reports}
"""


class _Desk(Context):
    def __init__(self, folder: Path, now: datetime, *, json: bool) -> None:
        super().__init__(json=json)
        self.clock = FakeClock(now)
        self._folder = folder
        self._path = folder / "riverside.yaml"
        self._path.write_text(_PLAN)

    def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
        return (load_plan(self._path),)

    @cached_property
    def kept(self) -> Store:
        return open_store(self._folder / "state", self.clock)

    def store(self) -> Store:
        return self.kept


def _shown(folder: Path, now: datetime, *args: str, paused: Iterable[SystemPaused] = ()) -> str:
    desk = _Desk(folder, now, json="--json" in args)
    with desk.kept as store:
        store.record(*paused)
        return CliRunner().invoke(show, args, obj=desk, catch_exceptions=False).stdout


def test_show_has_one_line_an_operation_with_when_what_and_why(tmp_path: Path) -> None:
    shown = _shown(tmp_path, datetime(2026, 11, 18, 12, 7, tzinfo=UTC))

    assert [re.split(" {2,}", line.strip()) for line in shown.splitlines()] == [
        ["riverside: 7 days from Wed 2026-11-18 06:07 CST (America/Chicago)"],
        [
            *("Wed 2026-11-18 06:30 CST", "every 30m", "336 times"),
            *("emr: backup to onsite, offsite", "riverside.yaml:14"),
        ],
        [
            *("Wed 2026-11-18 12:00 CST", "every 12h", "14 times"),
            *("billing: backup to onsite", "default: every half RPO"),
        ],
        [
            *("Thu 2026-11-19 01:00 CST", "01:00", "7 times"),
            *("onsite: check", "default: of the plan format"),
        ],
        [
            *("Thu 2026-11-19 02:30 CST", "02:30", "7 times"),
            *("emr: restore test from onsite", "riverside.yaml:16"),
        ],
        [
            *("Thu 2026-11-19 03:30 CST", "03:30", "7 times"),
            *("billing: restore test from onsite", "default: nightly from the first repository"),
        ],
        [
            *("Thu 2026-11-19 05:00 CST", "05:00", "7 times"),
            *("evidence", "default: of the plan format"),
        ],
        [
            *("Thu 2026-11-19 05:30 CST", "05:30", "7 times"),
            *("onsite: forget", "default: of the plan format"),
        ],
        [
            *("Sun 2026-11-22 04:00 CST", "Sun 04:00", "1 time"),
            *("emr: restore test from offsite, random point", "riverside.yaml:17"),
        ],
        [
            *("Sun 2026-11-22 06:00 CST", "Sun 06:00", "1 time"),
            *("onsite: prune", "default: of the plan format"),
        ],
        [
            *("Sun 2026-11-22 06:00 CST", "Sun 06:00, not mon-fri 07:00-19:00", "1 time"),
            *("offsite: prune", "riverside.yaml:8"),
        ],
        ["Mon 2026-11-23 07:00 CST", "Mon 07:00", "1 time", "report", "riverside.yaml:23"],
        ["later", "0 4 29 2 *", "0 times", "emr: restore test from offsite", "riverside.yaml:18"],
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


def test_show_says_what_is_paused_by_whom_and_why(tmp_path: Path) -> None:
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    pauses = [
        SystemPaused(
            practice="riverside",
            system=system,
            at=now - timedelta(hours=1),
            until=now + lasts,
            by="bob",
            why="new\nserver",
        )
        for system, lasts in (("emr", timedelta(hours=2)), ("billing", timedelta()))
    ]

    lines = _shown(tmp_path, now, paused=pauses).splitlines()
    (practice,) = json.loads(_shown(tmp_path, now, "--json"))["practices"]

    assert [line for line in lines if "paused" in line] == [
        "  paused: emr until Wed 2026-11-18 08:00 CST: new server (bob)"
    ]
    assert practice["pauses"] == [
        {"system": "emr", "until": "2026-11-18T14:00:00+00:00", "by": "bob", "why": "new\nserver"}
    ]


def test_show_looks_as_far_ahead_as_it_is_told(tmp_path: Path) -> None:
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    one_day = json.loads(_shown(tmp_path, now, "--json", "--days", "1"))["practices"][0]
    assert [each["count"] for each in one_day["scheduled"]] == [48, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_show_tells_other_programs_the_same(tmp_path: Path) -> None:
    answer = json.loads(_shown(tmp_path, datetime(2026, 3, 4, 12, tzinfo=UTC), "--json"))

    assert (answer["schema"], answer["from"]) == (1, "2026-03-04T12:00:00+00:00")
    (practice,) = answer["practices"]
    nightly, prune = practice["scheduled"][3], practice["scheduled"][9]
    assert nightly.pop("id").startswith("riverside/emr/restore-test/")
    assert nightly == {
        "system": "emr",
        "operation": "restore test",
        "repositories": ["onsite"],
        "schedule": "02:30",
        "origin": "riverside.yaml:16",
        "count": 7,
        "first": "2026-03-05T08:30:00+00:00",
        "last": "2026-03-11T07:30:00+00:00",
        "catch_up": "skip",
        "grace_seconds": 14400.0,
        "blackout": None,
    }
    assert (prune["system"], prune["operation"], prune["repositories"]) == (
        "",
        "prune",
        ["offsite"],
    )
    assert prune["blackout"] == {"mon-fri": "07:00-19:00"}
    (change,) = practice["clock_changes"]
    assert change["at"] == "2026-03-08T08:00:00+00:00"


@pytest.mark.parametrize("days", ["0", "367"])
def test_show_refuses_to_look_ahead_for_no_time_or_for_ever(tmp_path: Path, days: str) -> None:
    desk = _Desk(tmp_path, datetime(2026, 11, 18, tzinfo=UTC), json=False)
    assert CliRunner().invoke(show, ["--days", days], obj=desk).exit_code == 2
