from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.cli.runbook_keys import ENTER, ESCAPE, LEAVE, Key, Keys, Line

TYPED = "né日 \x7f\x15 a\x1b[A\x1bOB\x1b[200~pasted\r\nlines\x1b[201~\r\x03\x1b[15~z".encode()


def _keys(*parts: bytes) -> list[Key]:
    keys = Keys()
    return [key for part in parts for key in keys.feed(part)]


@given(st.lists(st.integers(0, len(TYPED)), max_size=6))
def test_keys_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TYPED)]
    parts = [TYPED[a:b] for a, b in pairwise(places)]
    assert _keys(*parts) == _keys(TYPED)


def test_keys_take_no_arrow_for_a_letter() -> None:
    assert _keys(b"\x1b[A\x1bOB\x1b[3~\x1b[1;5Cx") == [Key(text="x")]


def test_keys_send_nothing_off_when_a_line_end_is_pasted() -> None:
    keys = _keys(b"\x1b[200~river\nside\r\x1b[201~\r")
    assert [each.name for each in keys if each.name] == [ENTER]
    assert "".join(each.text for each in keys) == "river side "


def test_keys_leave_on_control_c_and_d() -> None:
    assert [each.name for each in _keys(b"\x03\x04")] == [LEAVE, LEAVE]


def test_keys_take_an_escape_that_nothing_follows_for_itself_and_eat_no_other() -> None:
    keys = Keys()
    assert list(keys.feed(b"\x1b")) == []
    assert [each.name for each in keys.end()] == [ESCAPE]
    assert list(keys.feed(b"n")) == [Key(text="n")]


def test_line_is_edited_and_takes_nothing_that_cannot_be_seen() -> None:
    line = Line()
    for key in _keys("ab\x7fc d\x17é\u202e\u200e".encode()):
        line.take(key)
    assert line.text == "acé"
    for key in _keys(b"\x15"):
        line.take(key)
    assert line.text == ""
