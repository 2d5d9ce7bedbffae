"""Shares of the files: together all of them, and none of them twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.share import ALL_FILES, MOST_PARTS, Share

_PARTS = st.integers(1, MOST_PARTS)


@given(parts=_PARTS, path=st.binary())
def test_share_holds_each_path_in_exactly_one_of_all(parts: int, path: bytes) -> None:
    shares = [Share(part, parts) for part in range(1, parts + 1)]
    assert sum(share.holds(path) for share in shares) == 1


@given(parts=_PARTS, folder=st.binary(min_size=1), names=st.lists(st.binary(), min_size=2))
def test_files_of_one_folder_are_in_one_share(
    parts: int, folder: bytes, names: list[bytes]
) -> None:
    paths = [folder + b"/" + name.replace(b"/", b"") for name in names]
    share = Share(1, parts)
    assert len({share.holds(path) for path in paths}) == 1


@given(parts=_PARTS)
def test_shares_have_each_first_byte_once(parts: int) -> None:
    found = [byte for part in range(parts) for byte in Share(part + 1, parts).first_bytes]
    assert sorted(found) == list(range(MOST_PARTS))


@given(path=st.binary())
def test_share_of_one_part_holds_everything(path: bytes) -> None:
    assert ALL_FILES.is_whole
    assert ALL_FILES.holds(path)


@pytest.mark.parametrize(("part", "parts"), [(0, 1), (2, 1), (1, 257), (-1, 4)])
def test_share_is_refused_when_there_is_no_such_part(part: int, parts: int) -> None:
    with pytest.raises(ValueError, match="no such share"):
        Share(part, parts)


def test_share_says_what_it_is() -> None:
    assert str(Share(3, 20)) == "5 % of the files (part 3 of 20)"
    assert str(Share(1, 256)) == "0.39 % of the files (part 1 of 256)"
