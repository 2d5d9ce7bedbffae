"""What a typed name fits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.share import Listed, as_listed
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.restore.find import Version, _in_order, name_pattern

_PATH = "letters/2026/M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller, Anna [1971].PDF"


@pytest.mark.parametrize(
    "typed",
    [
        "anna",
        "2026/m\N{LATIN CAPITAL LETTER U WITH DIAERESIS}LLER",
        "mu\N{COMBINING DIAERESIS}ller",
        "[1971]",
        "  anna ",
        "*.pdf",
        "m?ller*",
        "m*[1971].pdf",
        "letters/*anna*",
        "*/2026/m?ller*",
    ],
)
def test_name_pattern_fits_a_part_of_the_path_or_all_of_the_name(typed: str) -> None:
    assert name_pattern(typed)(_PATH)


@pytest.mark.parametrize("typed", ["m\N{LATIN SMALL LETTER U WITH DIAERESIS}ll", "m?ller*"])
def test_name_pattern_fits_a_name_that_is_no_utf_8(typed: str) -> None:
    assert name_pattern(typed)(as_listed(_PATH.encode("latin-1")))


@pytest.mark.parametrize("typed", ["anne", "*.doc", "anna*", "letters*", "m??ller*", "2026/*"])
def test_name_pattern_fits_nothing_else(typed: str) -> None:
    assert not name_pattern(typed)(_PATH)


@pytest.mark.parametrize("typed", ["", "  ", "*", "??", "*/*"])
def test_name_pattern_is_refused_when_everything_fits(typed: str) -> None:
    with pytest.raises(UsageMistake, match="nothing to look for"):
        name_pattern(typed)


_NAME = st.text(
    st.characters(exclude_characters="/*?\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name.strip() == name)


@given(above=_NAME, name=_NAME)
def test_name_pattern_fits_whatever_the_capitals(above: str, name: str) -> None:
    path = f"{above}/{name}"
    assert name_pattern(name)(path)
    assert name_pattern(name.casefold())(path)
    assert name_pattern(f"{name}*")(path)


def test_version_is_still_there_when_only_another_asset_is_missing_in_the_newest_point() -> None:
    points = tuple(
        _point(day, *assets)
        for day, assets in ((3, ["scans"]), (2, ["letters", "scans"]), (1, ["letters", "scans"]))
    )
    there, gone = (
        Version(
            asset=asset,
            path="a",
            listed=Listed("/srv/a", is_link=False, size=1),
            points=[points[1], points[2]],
        )
        for asset in ("letters", "scans")
    )
    assert _in_order([gone, there], points, "onsite") == (there, gone)
    assert (there.is_newest, gone.is_newest) == (True, False)


def _point(day: int, *assets: str) -> RecoveryPoint:
    at = datetime(2026, 11, day, tzinfo=UTC)
    copy = PointCopy(
        repository="onsite",
        manifest_snapshot="0" * 64,
        manifest_sha256="0" * 64,
        snapshots=dict.fromkeys(assets, "0" * 64),
        recorded_at=at,
    )
    return RecoveryPoint(
        id=f"2026110{day}-000000-aaaaaa",
        practice="riverside",
        system="emr",
        run="r",
        label=None,
        as_of=at,
        finished=at,
        data_as_of=None,
        skew_seconds=0,
        assets={},
        copies=(copy,),
    )
