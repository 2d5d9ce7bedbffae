from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.doctor.disks import Addition, Growth, additions_to, disk_of, growth_of
from tests.support.evidence import make_point

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_DAY = timedelta(days=1)


def _point(days_ago: float, added: int | None, **more: Any) -> RecoveryPoint:
    point = make_point(_NOW - days_ago * _DAY, **more)
    name, asset = next(iter(point.assets.items()))
    return replace(point, assets={name: replace(asset, added_bytes=added)})


def test_additions_leave_out_the_first_point_of_a_system_and_what_nobody_knows() -> None:
    points = (
        _point(9, 500),
        _point(8, 700, system="imaging"),
        _point(7, 3),
        _point(6, None),
        _point(5, 4, repositories=("offsite",)),
        _point(4, 5, system="imaging"),
    )

    found = additions_to("onsite", points)

    assert [(each.system, each.bytes) for each in found] == [("emr", 3), ("imaging", 5)]


def test_growth_is_the_largest_newest_addition_and_the_last_month_s_pace() -> None:
    additions = [
        Addition("emr", _NOW - 40 * _DAY, 10_000),
        Addition("emr", _NOW - 10 * _DAY, 600),
        Addition("imaging", _NOW - 5 * _DAY, 300),
        Addition("emr", _NOW - 1 * _DAY, 100),
    ]

    assert growth_of(additions, now=_NOW, ahead=7 * _DAY) == Growth(newest=300, ahead=700)


def test_growth_of_a_few_hours_is_not_taken_for_that_of_every_hour() -> None:
    additions = [Addition("emr", _NOW - timedelta(minutes=30), 100)]

    assert growth_of(additions, now=_NOW, ahead=7 * _DAY) == Growth(newest=100, ahead=700)
    assert growth_of([], now=_NOW, ahead=_DAY) == Growth(0, 0)


def test_disk_of_a_folder_that_is_not_there_is_that_which_it_would_be_made_on(
    tmp_path: Path,
) -> None:
    assert disk_of(tmp_path / "not" / "there").free_bytes > 0
