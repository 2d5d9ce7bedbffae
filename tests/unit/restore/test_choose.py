"""Which recovery point is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.errors import PointNotFound
from dr_orchestrator.restore.choose import (
    choose_point,
    doubts_about,
    holders,
    point_after,
    point_at,
    point_before,
)

_START = datetime(2026, 11, 1, tzinfo=UTC)
_NOW = _START + timedelta(days=5)


def _point(day: int, *repositories: str, system: str = "emr") -> RecoveryPoint:
    at = _START + timedelta(days=day)
    copies = tuple(
        PointCopy(
            repository=each,
            manifest_snapshot="0" * 64,
            manifest_sha256="0" * 64,
            snapshots={},
            recorded_at=at,
        )
        for each in repositories
    )
    return RecoveryPoint(
        id=f"2026110{day}-000000-aaaaaa",
        practice="riverside",
        system=system,
        run="r",
        label=None,
        as_of=at,
        finished=at,
        data_as_of=None,
        skew_seconds=0,
        assets={},
        copies=copies,
    )


_POINTS = (
    _point(3, "onsite"),
    _point(1, "onsite", "offsite"),
    _point(2, "onsite", "offsite"),
    _point(4, "onsite", system="imaging"),
)


@pytest.mark.parametrize(
    ("repository", "wanted", "day"),
    [
        ("onsite", "latest", 3),
        ("offsite", "latest", 2),
        (None, "latest", 3),
        ("offsite", "20261101", 1),
    ],
)
def test_choose_point_returns_the_one_that_is_meant(
    repository: str | None, wanted: str, day: int
) -> None:
    point = choose_point(_POINTS, system="emr", repository=repository, wanted=wanted, now=_NOW)
    assert point.id.startswith(f"2026110{day}")


def test_choose_point_latest_is_no_point_of_a_clock_that_was_ahead() -> None:
    ahead = _point(9, "onsite")
    points = (*_POINTS, ahead)
    latest = choose_point(points, system="emr", repository="onsite", wanted="latest", now=_NOW)
    assert latest.id.startswith("20261103")
    only = choose_point((ahead,), system="emr", repository="onsite", wanted="latest", now=_NOW)
    assert only is ahead


def _told(point: RecoveryPoint) -> RecoveryPoint:
    return replace(point, copies=tuple(replace(copy, read_back=True) for copy in point.copies))


def _vouched(copy: PointCopy) -> bool:
    return not copy.read_back


@pytest.mark.parametrize("wanted", ["latest", "random"])
def test_choose_point_takes_none_that_only_a_repository_tells_of_where_there_is_another(
    wanted: str,
) -> None:
    ours, forged = _point(1, "onsite", "offsite"), _told(_point(3, "onsite"))
    points = (ours, forged)

    def chosen(wanted: str, *points: RecoveryPoint, repository: str | None = None) -> RecoveryPoint:
        return choose_point(
            points, system="emr", repository=repository, wanted=wanted, now=_NOW, vouched=_vouched
        )

    assert chosen(wanted, *points) is ours
    assert "1 newer recovery point passed over" in doubts_about(ours, points, _vouched)
    assert chosen(forged.id, *points) is forged
    assert "only a repository tells of this point" in doubts_about(forged, points, _vouched)
    assert chosen(wanted, forged) is forged  # on a new machine there is nothing else
    assert doubts_about(ours, (ours,), _vouched) == ""


def test_choose_point_restores_no_copy_that_only_its_repository_tells_of() -> None:
    onsite, offsite = _point(3, "onsite", "offsite").copies
    point = replace(_point(3), copies=(onsite, replace(offsite, read_back=True)))
    for repository, copies in ((None, (onsite,)), ("onsite", (onsite,)), ("offsite", point.copies)):
        chosen = choose_point(
            (point,),
            system="emr",
            repository=repository,
            wanted="latest",
            now=_NOW,
            vouched=_vouched,
        )
        assert chosen.copies == copies


def test_choose_point_random_stays_in_the_system_and_repository() -> None:
    drawn = {
        choose_point(_POINTS, system="emr", repository="offsite", wanted="random", now=_NOW).id
        for _ in range(60)
    }
    assert {each[:8] for each in drawn} == {"20261101", "20261102"}


@pytest.mark.parametrize(
    ("system", "repository", "wanted", "said"),
    [
        ("phones", "onsite", "latest", "no recovery point is known"),
        ("emr", "nowhere", "latest", "no recovery point is known in nowhere"),
        ("emr", "onsite", "2027", "no recovery point in onsite with an id"),
        ("emr", "onsite", "2026", "3 recovery points in onsite with an id"),
        ("emr", "offsite", "20261103", "no recovery point in offsite with an id"),
    ],
)
def test_choose_point_never_picks_another_one_instead(
    system: str, repository: str | None, wanted: str, said: str
) -> None:
    with pytest.raises(PointNotFound, match=said):
        choose_point(_POINTS, system=system, repository=repository, wanted=wanted, now=_NOW)


def _made_before(before: datetime, *points: RecoveryPoint) -> RecoveryPoint:
    return choose_point(
        points,
        system="emr",
        repository=None,
        wanted="latest",
        now=_NOW,
        vouched=_vouched,
        before=before,
    )


def test_choose_point_takes_one_that_was_complete_before_an_instant() -> None:
    long = replace(_point(3, "onsite"), finished=_START + timedelta(days=3, hours=1))
    attack = long.as_of + timedelta(minutes=30)

    assert _made_before(attack, *_POINTS[1:], long) is _POINTS[2]
    assert _made_before(long.finished + timedelta(seconds=1), *_POINTS[1:], long) is long
    assert _made_before(_NOW, _POINTS[1], _told(_POINTS[2])) is _POINTS[1]


def test_choose_point_takes_no_newer_one_when_there_is_none_from_before_an_instant() -> None:
    before = _START.astimezone(ZoneInfo("America/Chicago"))
    with pytest.raises(PointNotFound, match="known from before 2026-10-31 19:00 CDT"):
        _made_before(before, *_POINTS)


def test_point_before_is_the_next_older_of_the_same_repository() -> None:
    newest = choose_point(_POINTS, system="emr", repository="onsite", wanted="latest", now=_NOW)
    before = point_before(_POINTS, newest, "onsite")
    assert before is not None
    assert before.id.startswith("20261102")
    oldest = choose_point(_POINTS, system="emr", repository="onsite", wanted="20261101", now=_NOW)
    assert point_before(_POINTS, oldest, "onsite") is None


def test_holders_come_by_what_they_have_of_a_point_and_then_as_the_plan_lists_them() -> None:
    point = _point(1, "onsite", "offsite", "cellar")
    half, both = {"database": "1" * 64}, {"database": "1" * 64, "files": "2" * 64}
    copies = (
        replace(each, snapshots=half if each.repository == "onsite" else both)
        for each in point.copies
    )
    held = replace(point, copies=tuple(copies))

    assert holders(("onsite", "cellar", "offsite"), held) == ("cellar", "offsite", "onsite")
    assert holders(("onsite", "offsite"), held, ("database",)) == ("onsite", "offsite")
    with pytest.raises(PointNotFound, match="no repository of the plan"):
        holders(("elsewhere",), held)


def _at(at: datetime, repository: str | None = "onsite") -> RecoveryPoint:
    return point_at(_POINTS, at, system="emr", repository=repository, now=_NOW, zone=UTC)


def test_point_at_is_the_newest_that_was_begun_by_then() -> None:
    day = timedelta(days=1)
    assert _at(_START + 2 * day).id.startswith("20261102")
    assert _at(_START + 3 * day - timedelta(seconds=1)).id.startswith("20261102")
    assert _at(_START + 3 * day, "offsite").id.startswith("20261102")
    assert _at(_NOW).id.startswith("20261103")


def test_point_at_takes_no_younger_one_when_none_is_as_old() -> None:
    with pytest.raises(PointNotFound, match="no recovery point is as old as") as refused:
        _at(_START + timedelta(hours=1))
    assert "20261101-000000" in refused.value.hint


def test_point_after_is_the_next_of_the_system_there() -> None:
    second = _at(_START + timedelta(days=2))
    after = point_after(_POINTS, second, "onsite")
    assert after is not None
    assert after.id.startswith("20261103")
    assert point_after(_POINTS, second, "offsite") is None
