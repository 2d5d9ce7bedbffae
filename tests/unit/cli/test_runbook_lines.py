from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from dr_orchestrator.cli.runbook_lines import PlainDesk, TypedLines
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.desk import Choice, Doing, Question
from tests.support.clock import FakeClock
from tests.support.practices import NOW
from tests.support.views import IS_IT_SO, WHICH_ID, full_view

VIEW = full_view()


class _Desk(PlainDesk):
    """A desk at which this was typed already; nothing more comes."""

    def __init__(self, typed: str, *, hangs_on: bool = False) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, typed.encode())
        self._open_end = write_end if hangs_on else None
        if not hangs_on:
            os.close(write_end)
        self.said: list[str] = []
        super().__init__(FakeClock(NOW), TypedLines(read_end), self.said.append)


def test_ask_prints_the_step_and_returns_the_key_that_was_typed() -> None:
    desk = _Desk("N\n")
    assert desk.ask(VIEW, IS_IT_SO) == "n"
    for line in (
        "INCIDENT · Riverside Family Practice · Medical record · A server is lost",
        "outage 1 h 12 min ago (18:03) · RTO 4 h · 2 h 48 min left",
        "DO: Restore the medical record to a new directory of this machine.",
        "Runs: psql -c 'select 1'",
        "Call: emr_vendor, EMR vendor support: +1 555 0100 (last tried 2026-03-03)",
        "Note: Robin noted: the switch is in the burnt room",
        "? Is it so?",
        "  n  not as expected",
        "  q  leave; go on later",
    ):
        assert line in desk.said


def test_ask_prints_the_same_each_time_it_is_asked_the_same() -> None:
    assert [_said_of("d\n"), _said_of("d\n")] == [_said_of("d\n")] * 2


def _said_of(typed: str) -> list[str]:
    desk = _Desk(typed)
    desk.ask(VIEW, IS_IT_SO)
    return desk.said


def test_ask_prints_nothing_but_the_question_again_where_the_step_is_the_same() -> None:
    desk = _Desk("d\nd\n")
    desk.ask(VIEW, IS_IT_SO)
    first = len(desk.said)
    desk.ask(VIEW, IS_IT_SO)
    assert "DO: " not in "".join(desk.said[first:])
    assert "? Is it so?" in desk.said[first:]


def test_ask_asks_again_when_the_answer_is_none_of_them() -> None:
    desk = _Desk("what\n\nd\n")
    assert desk.ask(VIEW, IS_IT_SO) == "d"
    assert desk.said.count("that is none of the answers") == 2


def test_ask_returns_what_was_typed_stripped_and_nothing_where_that_is_nothing() -> None:
    desk = _Desk("  riverside \n\n")
    assert (desk.ask(VIEW, WHICH_ID), desk.ask(VIEW, WHICH_ID)) == ("riverside", "")


@pytest.mark.parametrize("typed", ["", "q\n"])
def test_ask_leaves_at_the_end_of_what_was_typed_and_on_q(typed: str) -> None:
    with pytest.raises(Interrupted):
        _Desk(typed).ask(VIEW, IS_IT_SO)


def test_ask_lets_the_runbook_say_what_q_means_where_it_does() -> None:
    own = replace(IS_IT_SO, choices=(*IS_IT_SO.choices, Choice("q", "leave")))
    with pytest.raises(Interrupted):
        _Desk("q\n").ask(VIEW, own)


def test_ask_returns_nothing_once_nobody_needs_to_answer() -> None:
    desk = _Desk("", hangs_on=True)
    over = Question(text="wait", choices=IS_IT_SO.choices, until=NOW - timedelta(seconds=1))
    assert not desk.ask(VIEW, over)


def test_typed_lines_keep_what_was_typed_ahead_and_the_last_line_without_an_end() -> None:
    desk = _Desk("d\nriverside")
    assert desk.ask(VIEW, IS_IT_SO) == "d"
    assert desk.ask(VIEW, WHICH_ID) == "riverside"


def test_working_says_that_it_began_and_how_it_ended() -> None:
    desk = _Desk("")
    with desk.working(VIEW, "restoring") as report:
        report(Doing(subject="emr", text="1 GiB"))
        report(Doing(subject="emr", text="done"))
    assert desk.said[-3:] == ["begun: restoring", "  emr: done", "ended: restoring"]


def test_output_and_last_words_carry_no_sign_that_moves_a_cursor() -> None:
    desk = _Desk("")
    desk.output(VIEW, ("\x1b[2Jgone",))
    desk.over(VIEW, ("done\r",))
    assert desk.said == ["  | �[2Jgone", "done"]
