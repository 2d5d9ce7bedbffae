from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from dr_orchestrator.cli.runbook_page import Foot, Page, Size, page, part_of, whole
from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.runbook.desk import Choice, ContactLine, LoadLine, Loads, Question, View
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.progress import Limit
from tests.support.practices import NOW
from tests.support.views import IS_IT_SO, WHICH_ID, full_view

USUAL = Size(80, 24)
ASKED = Foot(question=IS_IT_SO)
VIEW = full_view()

text = st.text(max_size=120)
sentences = st.lists(text, max_size=8).map(tuple)
views = st.builds(
    full_view,
    practice=st.sampled_from(["riverside", "a" * 40]),
    practice_name=text,
    mode=st.sampled_from(Mode),
    system=text,
    do=text,
    expect=text,
    command=sentences,
    after=sentences,
    notes=sentences,
    cite=text,
    destructive=st.booleans(),
    behind=st.lists(st.sampled_from(VIEW.behind), max_size=30).map(tuple),
    contacts=st.lists(st.sampled_from(VIEW.contacts), max_size=9).map(tuple),
    points=st.lists(st.sampled_from(VIEW.points), max_size=9).map(tuple),
)
feet = st.one_of(
    st.builds(
        Foot,
        question=st.builds(
            Question, text=text, choices=st.lists(st.builds(Choice, text, text)).map(tuple)
        ),
        typed=st.text("a é日-", max_size=120),
    ),
    st.builds(Foot, doing=text, done=st.dictionaries(text, text), lasts=st.just("3 s")),
)


def _shown(view_page: Page) -> str:
    return "\n".join(row.plain.rstrip() for row in view_page.rows)


def _page(foot: Foot = ASKED, size: Size = USUAL, *printed: str, **changes: Any) -> str:
    return _shown(page(replace(VIEW, **changes), foot, printed, now=NOW, size=size))


@settings(max_examples=40, deadline=None)
@given(
    view=views,
    foot=feet,
    printed=sentences,
    size=st.builds(Size, st.integers(30, 220), st.integers(4, 60)),
)
def test_page_is_as_large_as_the_terminal_and_no_row_is_wider(
    view: View, foot: Foot, printed: tuple[str, ...], size: Size
) -> None:
    laid = page(view, foot, printed, now=NOW, size=size)
    assert len(laid.rows) == size.height
    assert max(cell_len(row.plain) for row in laid.rows) <= size.width
    assert not any(sign in row.plain for row in laid.rows for sign in "\x1b\r\n\x07\u202e")
    if laid.cursor is not None:
        assert laid.cursor[0] < size.height
        assert laid.cursor[1] < size.width


def test_page_lets_no_sign_through_that_moves_a_cursor_or_turns_the_reading_order() -> None:
    bad = "\x1b[2J\x07a\u202eb\r\nc"
    texts = ("practice", "practice_name", "system", "runbook", "lane", "do", "expect", "if_not")
    hostile = dict.fromkeys((*texts, "undo", "cite", "in_rehearsal"), bad)
    hostile_view = replace(
        VIEW,
        **hostile,  # type: ignore[arg-type]
        destructive=True,
        command=(bad, bad),
        contacts=(ContactLine(name=bad, role=bad, phone=bad, email=bad, verified=bad),),
        points=(replace(VIEW.points[0], title=bad, point=bad, repository=bad),),
        behind=(replace(VIEW.behind[0], step=bad, text=bad),),
        after=(bad,),
        limits=(Limit(of=bad, until=NOW),),
        notes=(bad,),
    )
    asked = Question(text=bad, choices=(Choice(bad, bad),))
    for foot in (Foot(question=asked), Foot(doing=bad, done={bad: bad}, lasts="3 s")):
        laid = page(hostile_view, foot, (bad,), now=NOW, size=Size(200, 90))
        shown = _shown(laid)
        assert not set(shown) & set("\x1b\x07\r\u202e")
        assert all("\n" not in row.plain for row in laid.rows)


def test_page_shows_all_that_a_step_needs_at_80_by_24() -> None:
    shown = " ".join(_page().split())
    for part in (
        "INCIDENT · Riverside Family Practice · Medical record · A server is lost",
        "outage 1 h 12 min ago (18:03) · RTO 4 h · 2 h 48 min left",
        "due in 23 h: tell the insurer",
        "STEP 4 of 12 · Responder · ~10 min (here 3 min) · must be done · two persons",
        "Restore the medical record",
        "psql -c 'select 1'",
        "EMR vendor support: +1 555 0100",
        "practice manager: +1 555 0101 (never tried)",
        "proven 20 November",
        "(within the RTO)",
        "the switch is in the burnt room",
        "Is it so?",
        "not as expected",
        "leave; go on later",
    ):
        assert part in shown
    assert "…" not in shown


def test_page_says_what_it_left_out_and_shows_it_when_asked_for() -> None:
    contacts = VIEW.contacts * 6
    shown = _page(contacts=contacts)
    assert "… 10 more" in shown
    rows = whole(replace(VIEW, contacts=contacts), (), now=NOW, width=80)
    assert sum("+1 555 010" in row.plain for row in rows) == 12


def test_page_shows_the_first_command_and_all_of_them_first_when_asked_for() -> None:
    line = f"/usr/bin/psql --host=HOST --dbname=postgres --file=/srv/{'x' * 40}/globals.sql"
    lines = (LoadLine("load them:", is_command=False), *(LoadLine(line, is_command=True),) * 6)
    loads = (Loads("Medical record, database", lines),)

    shown = _page(loads=loads, destructive=True).splitlines()
    rows = [each.plain for each in whole(replace(VIEW, loads=loads), (), now=NOW, width=80)]

    at = shown.index(" Load: Medical record, database · m: all the commands")
    assert shown[at + 1].startswith("/usr/bin/psql --host=HOST")
    assert shown[at + 1].endswith(" \\")
    assert "+1 555 0100" in "".join(shown)
    assert rows[0] == " Load: Medical record, database"
    pasted = "\n".join(rows[2:14]).replace("\\\n", "").splitlines()
    assert [shlex.split(each) for each in pasted[:6]] == [shlex.split(line)] * 6


def test_page_is_rehearsal_or_incident_in_words() -> None:
    assert _page(mode=Mode.REHEARSAL).startswith(" REHEARSAL · ")
    assert "restored to a sandbox" in _page(
        mode=Mode.REHEARSAL, in_rehearsal="in this rehearsal: restored to a sandbox"
    )


def test_page_says_over_when_the_rto_is_over() -> None:
    shown = _page(
        rto=timedelta(hours=1), limits=(Limit(of="call", until=NOW - timedelta(hours=2)),)
    )
    assert "OVER by 12 min" in shown
    assert "OVERDUE by 2 h: call" in shown
    assert "(OVER the RTO by 53 min)" in shown


def test_page_warns_and_shows_the_practice_before_something_is_lost() -> None:
    shown = _page(Foot(question=WHICH_ID, typed="river"), destructive=True)
    assert "DESTRUCTIVE: something is lost by this" in shown
    assert "PRACTICE:  riverside" in shown
    assert "> river" in shown
    rehearsed = _page(destructive=True, mode=Mode.REHEARSAL)
    assert "a rehearsal only says so" in rehearsed


@pytest.mark.parametrize("size", [Size(80, 24), Size(100, 30), Size(200, 50)])
def test_page_puts_the_cursor_behind_what_was_typed(size: Size) -> None:
    laid = page(VIEW, Foot(question=WHICH_ID, typed="né日"), (), now=NOW, size=size)
    assert laid.cursor is not None
    row, column = laid.cursor
    assert laid.rows[row].plain == " > né日"
    assert column == cell_len(" > né日")


def test_page_shows_more_steps_behind_on_a_higher_terminal() -> None:
    behind = tuple(replace(VIEW.behind[0], step=f"step-{n}") for n in range(9))
    assert sum("step-" in line for line in _page(behind=behind).splitlines()) < 3
    high = _page(ASKED, Size(80, 50), behind=behind)
    assert sum("step-" in line for line in high.splitlines()) == 9


def test_page_says_of_a_question_nothing_of_what_follows() -> None:
    assert "Start the database" not in _page(kind=Kind.DECIDE)


def test_page_shows_how_far_what_runs_is() -> None:
    foot = Foot(doing="restoring", done={"Medical record": "1.2 GiB of 3.4 GiB"}, lasts="2 min")
    shown = _page(foot)
    assert "restoring · 2 min" in shown
    assert "Medical record  1.2 GiB of 3.4 GiB" in shown


def test_page_shows_each_numbered_answer_on_a_row_of_its_own_unless_all_fit_on_one() -> None:
    long = tuple(Choice(str(n), f"answer {n} that takes a while to read") for n in (1, 2, 3))
    rows = _page(Foot(question=Question(text="?", choices=long))).splitlines()
    assert sum("answer" in row for row in rows) == 3
    short = (Choice("1", "No"), Choice("2", "Yes"), Choice("w", "write a note"))
    assert "  1  No   2  Yes" in _page(Foot(question=Question(text="?", choices=short)))


def test_page_keeps_the_newest_lines_of_output_beside_the_step() -> None:
    shown = _page(ASKED, USUAL, *(f"line {n}" for n in range(40)))
    assert "line 39" in shown
    assert "more" in shown


def test_part_of_turns_pages_until_the_end() -> None:
    rows = whole(VIEW, tuple(f"line {n}" for n in range(60)), now=NOW, width=80)
    first, second = part_of(rows, 0, USUAL), part_of(rows, 22, USUAL)
    assert "space: next page" in _shown(first)
    assert first.rows[22 - 1] != second.rows[0]
    assert "the end" in _shown(part_of(rows, len(rows) - 3, USUAL))


def test_page_says_each_result_in_words() -> None:
    for result, words in (
        (StepResult.FAILED, "FAILED"),
        (StepResult.NOT_AS_EXPECTED, "NOT as expected"),
        (StepResult.SIMULATED, "simulated"),
    ):
        assert words in _page(behind=(replace(VIEW.behind[0], result=result),))
