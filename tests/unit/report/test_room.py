"""What has no room on the sheet is counted, never left out in silence."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import pytest

from dr_orchestrator.report.accepted import changed
from dr_orchestrator.report.compared import compared, older_tests, trend
from dr_orchestrator.report.gaps import not_covered
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import PrintSize
from dr_orchestrator.report.rehearsed import actions
from dr_orchestrator.report.room import ROOMS, Room, fits
from dr_orchestrator.report.verdict import system_verdict
from dr_orchestrator.report.view import View
from tests.support import practices

WORST = practices.worst().subject()


def test_each_room_is_smaller_than_the_one_before() -> None:
    for larger, smaller in pairwise(ROOMS):
        assert larger != smaller
        for each in fields(Room):
            more, less = getattr(larger, each.name), getattr(smaller, each.name)
            assert (less >= more) if each.name == "is_small" else (less <= more), each.name


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_leaves_out_is_counted(room: Room) -> None:
    everything, view = View(WORST, ROOMS[0]), View(WORST, room)
    for listed in (changed, not_covered, actions):
        (every, none), (shown, more) = listed(everything), listed(view)
        assert none == ""
        assert shown == every[: len(shown)]
        left_out = len(every) - len(shown)
        assert more.startswith(f"and {left_out} more") if left_out else more == ""
    assert len(trend(view)) == room.tests
    assert (f"{12 - room.tests} " in older_tests(view)) is (room.tests < 12)


@pytest.mark.parametrize("room", ROOMS)
def test_every_promise_that_is_not_kept_is_named_in_every_room(room: Room) -> None:
    everything, view = View(WORST, ROOMS[0]), View(WORST, room)
    for system in view.systems:
        told = system_verdict(view, system)
        named = [*(each.objective for each in told.shortfalls), told.more_shortfalls]
        for each in system_verdict(everything, system).shortfalls:
            assert each.objective in " ".join(named)


@pytest.mark.parametrize("room", ROOMS)
def test_checks_that_have_no_room_are_counted(room: Room) -> None:
    for system in ("emr", "imaging"):
        told = compared(View(WORST, room), system)
        assert told is not None
        left_out = 14 - len(told.checks)
        assert str(left_out) in told.more if told.checks else "of 14 checks passed" in told.text


def test_a_page_with_little_on_it_is_printed_larger() -> None:
    sizes = {
        make.__name__: build_page(make().subject()).print_size
        for make in (practices.first_day, practices.one_system, practices.worst)
    }
    assert sizes == {
        "first_day": PrintSize.LARGE,
        "one_system": PrintSize.NORMAL,
        "worst": PrintSize.SMALL,
    }


def test_long_titles_are_told_apart_on_a_page_that_fits() -> None:
    title = "Electronic medical record and clearing-house interface of the surgery centre, branch"
    systems = {
        name: each.model_copy(update={"title": f"{title} {number}"})
        for number, (name, each) in enumerate(WORST.plan.systems.items())
    }
    plan = WORST.plan.model_copy(update={"systems": systems})
    page = build_page(replace(WORST, plan=plan))
    assert fits(page, page.print_size)
    assert len({each.title for each in page.systems}) == len(page.systems)


def test_signs_of_east_asia_take_the_room_of_two() -> None:
    page = build_page(practices.first_day().subject())
    narrow, wide = (replace(page, next_page=sign * 3600) for sign in ("a", "病"))
    assert [fits(each, PrintSize.NORMAL) for each in (narrow, wide)] == [True, False]
