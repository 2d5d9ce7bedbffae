from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.cli.runbook_words import (
    calm_words,
    command_words,
    contact_words,
    point_words,
)
from tests.support.practices import NOW
from tests.support.views import full_view

VIEW = full_view()


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126))).map(tuple))
def test_command_words_can_be_typed_into_a_shell_as_they_are(argv: tuple[str, ...]) -> None:
    assert tuple(shlex.split(command_words(argv))) == argv


@given(st.lists(st.text()).map(tuple))
def test_command_words_hide_no_sign(argv: tuple[str, ...]) -> None:
    shown = command_words(argv)
    assert not any(sign in shown for sign in "\x1b\n\r\t\u202e\u2066\u200f\x00")


def test_command_words_tell_a_line_end_from_a_space() -> None:
    assert command_words(("sh", "-c", "a\nb")) == "sh -c $'a\\U0000000ab'"


def test_calm_words_change_once_a_minute() -> None:
    assert [calm_words(timedelta(seconds=each)) for each in (0.4, 59.9, 60, 119, 4360)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 min",
        "1 h 12 min",
    ]


def test_point_words_say_when_a_point_was_never_proven() -> None:
    point = replace(VIEW.points[0], proven=None, estimate=None)
    shown = point_words(point, VIEW, NOW, NOW.astimezone().tzinfo or NOW.tzinfo)  # type: ignore[arg-type]
    assert "from onsite, NEVER PROVEN: 20261121-180000-4k7q2z" in shown


def test_contact_words_say_what_the_plan_does_not_know() -> None:
    nobody = replace(VIEW.contacts[1], phone="")
    assert contact_words(nobody) == "manager, practice manager: no number in the plan"


def test_point_words_say_that_a_point_was_made_after_the_outage_began() -> None:
    point = replace(VIEW.points[0], as_of=VIEW.outage_at)
    before = replace(point, as_of=VIEW.outage_at - timedelta(seconds=1))

    assert "(AFTER THE OUTAGE BEGAN)" in point_words(point, VIEW, NOW, UTC)
    assert "AFTER" not in point_words(before, VIEW, NOW, UTC)
