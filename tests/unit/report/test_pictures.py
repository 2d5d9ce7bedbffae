from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.calendar import Became, CalendarEntry
from dr_orchestrator.report.document import Picture, Tone
from dr_orchestrator.report.drawing import WIDTH, round_steps
from dr_orchestrator.report.pictures import CalendarLine, calendar, growth, recovery_times
from tests.support.documents import pictures
from tests.support.evidence import DATABASE, make_point, make_test

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
ZONE = ZoneInfo("America/Chicago")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LETTER_WIDTH = 0.58
"""Of its height: a wide letter of Arial in the mean."""


def recoveries(tests: list[RestoreTest], name: str = "EMR", limit: timedelta = 4 * HOUR) -> Picture:
    ordered = sorted(tests, key=lambda test: test.started_at)
    return recovery_times(name, ordered, limit=limit, allowed=HOUR, now=NOW, zone=ZONE)


def held(day: float, size: float) -> RecoveryPoint:
    return make_point(
        NOW - day * DAY, assets={"database": replace(DATABASE, bytes=max(0, int(size)))}
    )


def entry(at: datetime, became: Became) -> CalendarEntry:
    return CalendarEntry(at=at, system="emr", repository="onsite", became=became, reason="")


def read(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.svg)  # noqa: S314 - our own


def assert_sound(picture: Picture) -> None:
    """Require XML without script or address that says what it shows, with all its text in view."""
    drawn = read(picture)
    assert not re.search(r"<script|href|url\(|http|\son\w+=|<style", picture.svg)
    assert drawn.findtext("title") == picture.alt
    assert picture.alt.endswith(".")
    width, height = map(float, drawn.attrib["viewBox"].split()[2:])
    assert width == WIDTH
    for line in drawn.iter("text"):
        size, said = float(line.attrib["font-size"]), line.text or ""
        before = {"start": 0.0, "middle": 0.5, "end": 1.0}[line.get("text-anchor", "start")]
        left = float(line.attrib["x"]) - before * len(said) * size * LETTER_WIDTH
        assert left > -6
        assert left + len(said) * size * LETTER_WIDTH < width + 6, said
        assert 0 < float(line.attrib["y"]) < height


def test_pictures_are_sound_and_the_same_each_time() -> None:
    for picture in pictures():
        assert_sound(picture)
    assert pictures() == pictures()


instants = st.integers(0, 400 * 24).map(lambda hours: NOW - hours * HOUR)


@settings(max_examples=40)
@given(
    st.lists(
        st.builds(
            make_test,
            instants,
            st.sampled_from(Result),
            rta_service_seconds=st.none() | st.floats(0, 3e6),
        )
    )
)
def test_recovery_times_counts_every_test_whatever_it_came_to(tests: list[RestoreTest]) -> None:
    picture = recoveries(tests)
    assert_sound(picture)
    results = Counter(test.result for test in tests)
    for column, result in ((1, Result.PASSED), (2, Result.FAILED), (3, Result.UNPROVEN)):
        assert sum(int(row[column].text) for row in picture.data.rows) == results[result]
    # a cross has four strokes, a square is closed
    assert picture.svg.count("m0 -7l-7 7") == results[Result.FAILED] + bool(results[Result.FAILED])


def test_recovery_times_compares_what_was_proven_and_allowed_with_the_limit() -> None:
    tests = [make_test(NOW - day * DAY, rta_service_seconds=day * 3600.0) for day in (1, 2, 4)]
    assert recoveries(tests).alt == (
        "Of 3 recoveries that were proven since 17 November 2026, 1 took longer than the limit of "
        "4 h; the slowest took 5 h in all."
    )
    assert recoveries(tests, limit=5 * HOUR).alt == (
        "All 3 recoveries that were proven since 17 November 2026 were within the limit of 5 h; "
        "the slowest took 5 h in all."
    )
    failed = [make_test(NOW - DAY, Result.FAILED)]
    assert recoveries(failed).alt == (
        "No recovery time was proven since 20 November 2026. 1 test failed."
    )


def test_recovery_times_says_so_when_nothing_was_tested() -> None:
    picture = recoveries([])
    assert_sound(picture)
    assert picture.alt == "No restore test of EMR has come to a result yet."
    assert picture.data.rows == ()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 390), st.integers(0, 10**14)), max_size=40),
    st.integers(0, 10**10),
)
def test_growth_is_sound_for_any_sizes(sizes: list[tuple[int, int]], slope: int) -> None:
    points = [held(day, size) for day, size in sorted(sizes, reverse=True)]
    assert_sound(growth("EMR", points, now=NOW, zone=ZONE))
    rising = [held(day, (400 - day) * slope) for day in range(60, -1, -1)]
    assert_sound(growth("EMR", rising, now=NOW, zone=ZONE))


def test_growth_goes_on_as_it_did_with_a_range() -> None:
    gib = 1024**3
    points = [held(day, (160 - day + 2 * (day % 3)) * gib) for day in range(60, -1, -1)]
    picture = growth("EMR", points, now=NOW, zone=ZONE)
    found = re.search(
        r"about (\d+)(?:\.\d)? GiB on (.+), most likely between (\d+)(?:\.\d)? GiB and (\d+)",
        picture.alt,
    )
    assert found
    middle, low, high = (int(found[number]) for number in (1, 3, 4))
    assert found[2] == "21 December 2026"  # half as long as it was watched
    assert low <= middle <= high
    assert 185 < middle < 195
    assert picture.data.rows[-1][2].text.startswith("forecast")


def test_growth_forecasts_nothing_without_a_clear_trend() -> None:
    points = [held(day, (day % 7) * 1e9) for day in range(60, -1, -1)]
    picture = growth("EMR", points, now=NOW, zone=ZONE)
    assert "does not grow clearly enough" in picture.alt
    assert "forecast" not in str(picture.data)


def test_calendar_shows_the_worst_of_a_month_by_shape_letter_and_number() -> None:
    entries = (
        *(entry(NOW - day * DAY, Became.PASSED) for day in range(15)),
        entry(NOW - DAY, Became.FAILED),
        entry(NOW - 40 * DAY, Became.MISSED),
        entry(NOW - 70 * DAY, Became.SKIPPED),
        entry(NOW - 100 * DAY, Became.NO_RESULT),
    )
    picture = calendar([CalendarLine(title="EMR", entries=entries)], now=NOW, zone=ZONE)
    assert_sound(picture)
    assert ">1/16<" in picture.svg
    letters = re.findall(r">([PFNMS])</text>", picture.svg)
    assert letters == ["N", "S", "M", "F", "P", "F", "N", "M", "S"]  # the last five: what they mean
    cells = {row[0].text: row[1] for row in picture.data.rows}
    assert (cells["Nov 2026"].text, cells["Nov 2026"].tone) == ("15 passed, 1 failed", Tone.BAD)
    assert (cells["Oct 2026"].text, cells["Oct 2026"].tone) == ("1 missed", Tone.OPEN)
    assert cells["Dec 2025"].text == "none"
    assert picture.alt == (
        "Restore tests since 1 December 2025: 15 passed, 1 failed, 1 no result, 1 missed, "
        "1 skipped."
    )


def test_calendar_counts_a_test_in_the_month_of_the_practice() -> None:
    just_before_midnight = datetime(2026, 11, 1, 4, 59, tzinfo=UTC)  # 31 October, 23:59
    line = CalendarLine(title="EMR", entries=(entry(just_before_midnight, Became.PASSED),))
    cells = {row[0].text: row[1].text for row in calendar([line], now=NOW, zone=ZONE).data.rows}
    assert (cells["Oct 2026"], cells["Nov 2026"]) == ("1 passed", "none")


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", 'a" onload="b', "x" * 200, "&lt;"])
def test_pictures_show_names_and_do_nothing_else_with_them(title: str) -> None:
    picture = calendar([CalendarLine(title=title, entries=())], now=NOW, zone=ZONE)
    drawn = read(picture)
    shown = [line.text for line in drawn.iter("text")]
    assert title in shown or f"{title[:53]}…" in shown
    assert {each.tag for each in drawn.iter()} <= {"svg", "title", "text", "g", "path", "rect"} | {
        "circle"
    }
    assert title in [column.title for column in picture.data.columns]


@pytest.mark.parametrize(
    ("highest", "values"),
    [(0, (0,)), (3, (0, 1, 2, 3)), (9, (0, 5)), (65, (0, 20, 40, 60)), (7, (0, 2, 4, 6))],
)
def test_round_steps_are_few(highest: float, values: tuple[float, ...]) -> None:
    assert round_steps(highest, (1, 2, 5, 10), 4) == values
