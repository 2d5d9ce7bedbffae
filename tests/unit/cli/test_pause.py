from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.pause import command
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.errors import ExitCode, UsageMistake
from tests.support.desk import Desk
from tests.support.practices import NOW, first_day

CHICAGO = ZoneInfo("America/Chicago")
WHY = ("--reason", "a new server", "--by", "Jo")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state", first_day())
    yield desk
    desk.close()


def run(desk: Desk, *args: str) -> Result:
    desk.json = "--json" in args
    return CliRunner().invoke(command, ("riverside", *args), obj=desk, standalone_mode=False)


def pauses(desk: Desk) -> dict[str, SystemPaused]:
    return dict(desk.store().practice_record("riverside").pauses)


@pytest.mark.parametrize(
    ("until", "instant"),
    [
        ("4h", NOW + timedelta(hours=4)),
        ("2026-11-23 06:00", datetime(2026, 11, 23, 6, tzinfo=CHICAGO)),
        ("2026-11-23T06:00+00:00", datetime(2026, 11, 23, 0, tzinfo=CHICAGO)),
    ],
)
def test_pause_lasts_until_the_practices_own_time(
    desk: Desk, until: str, instant: datetime
) -> None:
    ended = run(desk, "--system", "emr", "--until", until, *WHY)
    assert ended.return_value == ExitCode.OK
    assert "the RPO clock keeps running" in ended.output
    found = pauses(desk)["emr"]
    assert (found.until, found.by, found.why) == (instant, "Jo", "a new server")


def test_pause_without_a_system_is_one_of_all(desk: Desk) -> None:
    ended = run(desk, "--until", "4h", *WHY, "--json")
    assert json.loads(ended.stdout)["pause"]["system"] is None
    assert set(pauses(desk)) == {""}


def test_pause_ends(desk: Desk) -> None:
    run(desk, "--system", "emr", "--until", "4h", *WHY)
    assert run(desk, "--system", "emr", "--end").output == "riverside, emr is no longer paused\n"
    assert pauses(desk) == {}
    assert isinstance(run(desk, "--system", "emr", "--end").exception, UsageMistake)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--system", "erm", "--until", "4h", *WHY), "no system erm"),
        (("--system", "emr", "--until", "4h"), "needs `--until` and `--reason`"),
        (("--system", "emr", "--until", "4h", "--reason", " "), "needs `--until` and `--reason`"),
        (("--until", "2020-01-01 06:00", *WHY), "is over already"),
        (("--until", "32d", *WHY), "31 days at most"),
        (("--until", "soon", *WHY), "soon is no time"),
        (("--end", "--until", "4h"), "`--end` ends a pause now"),
    ],
)
def test_pause_refuses_what_is_not_meant(desk: Desk, args: tuple[str, ...], message: str) -> None:
    ended = run(desk, *args)
    assert isinstance(ended.exception, UsageMistake)
    assert message in str(ended.exception)
    assert pauses(desk) == {}
