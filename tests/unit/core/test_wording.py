from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.core.wording import (
    count_words,
    date_words,
    depth_words,
    duration_phrase,
    duration_words,
    instant_words,
    moment_words,
    objective_words,
    printable,
    result_words,
    sentence,
    size_words,
    some_names,
    verdict_words,
)

CHICAGO = ZoneInfo("America/Chicago")
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (0.84, "0.8 s"),
        (3, "3 s"),
        (3.26, "3.3 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (2460, "41 min"),
        (3599.7, "1 h"),
        (3600, "1 h"),
        (12600, "3 h 30 min"),
        (15060, "4 h 11 min"),
        (86400, "24 h"),
        (172799, "2 d"),
        (172800, "2 d"),
        (187200, "2 d 4 h"),
        (30 * 86400, "30 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_duration_words_reads_as_people_say_it(seconds: float, expected: str) -> None:
    assert duration_words(timedelta(seconds=seconds)) == expected


@given(st.floats(min_value=0, max_value=3e8))
def test_duration_words_never_carries_a_full_unit_and_stays_close(seconds: float) -> None:
    words = duration_words(timedelta(seconds=seconds))
    parts = [(float(amount), unit) for amount, unit in re.findall(r"([\d.]+) (\w+)", words)]
    total = sum(amount * UNITS[unit] for amount, unit in parts)
    smallest = UNITS[parts[-1][1]] if len(parts) > 1 else UNITS[parts[-1][1]] / 10
    assert 1 <= len(parts) <= 2
    assert all(amount < 60 for amount, unit in parts if unit in {"s", "min"})
    assert abs(total - seconds) <= max(smallest, seconds / 48)


@given(st.integers(min_value=0, max_value=10**8))
def test_duration_phrase_says_the_same_as_duration_words(seconds: int) -> None:
    short, full = (
        duration_words(timedelta(seconds=seconds)),
        duration_phrase(timedelta(seconds=seconds)),
    )
    assert re.findall(r"[\d.]+", short) == re.findall(r"[\d.]+", full)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (2460, "41 minutes"),
        (14400, "4 hours"),
        (3600, "1 hour"),
        (3.2, "3.2 seconds"),
        (90060, "25 hours 1 minute"),
    ],
)
def test_duration_phrase_writes_units_in_full(seconds: float, expected: str) -> None:
    assert duration_phrase(timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (748_544, "731 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (13_314_398_618, "12.4 GiB"),
        (5 * 1024**4, "5.0 TiB"),
    ],
)
def test_size_words_uses_binary_units(count: int, expected: str) -> None:
    assert size_words(count) == expected


def test_instants_are_told_in_the_zone_of_the_practice() -> None:
    instant = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
    assert instant_words(instant, CHICAGO) == "2026-11-21 19:15 CST"
    assert date_words(instant, CHICAGO) == "21 November 2026"
    assert moment_words(instant, CHICAGO) == "21 November 2026, 19:15"


def test_date_words_leaves_the_year_out_only_beside_the_same_year() -> None:
    instant = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert date_words(instant, CHICAGO, beside=instant - timedelta(days=100)) == "31 December"
    new_year_in_utc_only = datetime(2027, 1, 1, 2, tzinfo=UTC)
    assert date_words(instant, CHICAGO, beside=new_year_in_utc_only) == "31 December"
    next_year = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert date_words(instant, CHICAGO, beside=next_year) == "31 December 2026"


def test_count_words_agrees_with_the_number() -> None:
    assert count_words(1, "table") == "1 table"
    assert count_words(12400, "row") == "12,400 rows"
    assert count_words(0, "copy", "copies") == "0 copies"


def test_every_verdict_objective_result_and_depth_has_words() -> None:
    assert [verdict_words(verdict) for verdict in Verdict] == ["kept", "not kept", "not proven"]
    spoken = [
        *map(objective_words, Objective),
        *map(result_words, Result),
        *map(depth_words, Depth),
    ]
    assert len(set(spoken)) == len(spoken)
    assert not re.search(r"\b(RTO|RPO|RTA|RPA|L\d)\b", " ".join(spoken))


def test_printable_disarms_escape_sequences_and_reversed_text() -> None:
    assert printable("a\x1b[2Jb\r\nc\td") == "a\N{REPLACEMENT CHARACTER}[2Jb c d"
    assert printable("gnp\u202exe") == "gnp\N{REPLACEMENT CHARACTER}xe"
    assert printable("Praxis Müller – 東京") == "Praxis Müller – 東京"


@given(st.text())
def test_printable_is_one_line_and_stays_as_it_is(text: str) -> None:
    once = printable(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", once)
    assert printable(once) == once
    once.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the manifest is missing", "The manifest is missing."),
        ("patient_data: 3 rows are missing", "patient_data: 3 rows are missing."),
        ("Is it so?", "Is it so?"),
        ("eCW does not start", "eCW does not start."),
        ("  ", ""),
    ],
)
def test_sentence_begins_and_ends_as_one(text: str, expected: str) -> None:
    assert sentence(text) == expected


def test_some_names_shows_the_first_few() -> None:
    assert some_names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
