"""What can be opened, and for how long it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, RecoveryPoint
from dr_orchestrator.errors import CouldNotVerify, Interrupted, UsageMistake
from dr_orchestrator.restore.open_point import asset_to_open, wait_until_over
from tests.support.clock import START, FakeClock

_AT = datetime(2026, 11, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def _point(**kinds: AssetKind) -> RecoveryPoint:
    return RecoveryPoint(
        id="20261101-000000-aaaaaa",
        practice="riverside",
        system="emr",
        run="r",
        label=None,
        as_of=_AT,
        finished=_AT,
        data_as_of=None,
        skew_seconds=0,
        assets={
            asset: AssetSummary(kind=kind, method=Method.LOGICAL, bytes=1, level="none")
            for asset, kind in kinds.items()
        },
        copies=(),
    )


def test_the_only_database_is_opened_and_of_several_the_one_that_is_named() -> None:
    one = _point(documents=AssetKind.FILES, database=AssetKind.POSTGRES)
    several = _point(old=AssetKind.MARIADB, new=AssetKind.POSTGRES)
    assert asset_to_open(one, None) == "database"
    assert asset_to_open(several, "old") == "old"
    with pytest.raises(UsageMistake, match="one database") as refused:
        asset_to_open(several, None)
    assert refused.value.hint == "--asset is one of: old, new"


@pytest.mark.parametrize("wanted", ["documents", "program", None])
def test_what_has_no_server_is_not_opened_and_it_is_said_what_to_do(wanted: str | None) -> None:
    point = _point(documents=AssetKind.FILES, program=AssetKind.SQLITE)
    with pytest.raises(UsageMistake, match="no PostgreSQL or MariaDB database") as refused:
        asset_to_open(point, wanted)
    assert "dro restore" in refused.value.hint
    assert "dro find" in refused.value.hint


def test_an_asset_that_the_point_does_not_hold_is_a_mistake() -> None:
    with pytest.raises(UsageMistake, match="holds no asset nothing"):
        asset_to_open(_point(database=AssetKind.POSTGRES), "nothing")


class _Clock(FakeClock):
    """Something happens at the third sleep."""

    def __init__(self, then: Callable[[_Clock], None] = lambda _clock: None) -> None:
        super().__init__()
        self._then = then
        self.sleeps = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.sleeps += 1
        if self.sleeps == 3:
            self._then(self)


def _stop(_clock: _Clock) -> None:
    raise Interrupted


def test_the_time_is_over_by_the_clock_that_comes_first() -> None:
    for then, ended in (
        (lambda _clock: None, START + _HOUR),
        (lambda clock: clock.set(START - 9 * _HOUR), START - 8 * _HOUR - timedelta(seconds=3)),
        (lambda clock: clock.set(START + 9 * _HOUR), START + 9 * _HOUR),  # the machine slept
        (_stop, START + timedelta(seconds=3)),
    ):
        clock = _Clock(then)
        wait_until_over(START + _HOUR, lambda: True, clock)
        assert clock.now() == ended


def test_a_server_that_ends_before_its_time_is_no_regular_end() -> None:
    clock = _Clock()
    with pytest.raises(CouldNotVerify, match="before its time"):
        wait_until_over(START + _HOUR, lambda: clock.sleeps < 3, clock)
