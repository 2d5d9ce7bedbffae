"""What a typed name fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.restore.find import name_pattern

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
