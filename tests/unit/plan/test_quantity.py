from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dr_orchestrator.plan.quantity import (
    Duration,
    Percentage,
    PositiveDuration,
    Size,
    format_duration,
    format_percentage,
    format_size,
    parse_duration,
    parse_percentage,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("45m", 2_700),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5_400),
        ("0s", 0),
    ],
)
def test_parse_duration_reads_number_and_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "4 h",
        "h",
        "30m1h",
        "1h1h",
        "-4h",
        "4H",
        "1.5h",
        "4h ",
        "٤h",
        "40000d",
        "9" * 30 + "s",
    ],
)
def test_parse_duration_refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|hundred"):
        parse_duration(text)


@given(st.integers(0, 36_500 * 86_400))
def test_format_duration_reads_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=1), "24h"),
        (timedelta(days=7), "7d"),
        (timedelta(hours=26), "26h"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(), "0s"),
    ],
)
def test_format_duration_writes_as_people_do(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(0, 1 << 50))
def test_format_size_reads_back(count: int) -> None:
    assert parse_size(format_size(count)) == count


@pytest.mark.parametrize(
    ("text", "count"), [("10 MiB", 10 << 20), ("2.5 GiB", 5 << 29), ("0 B", 0)]
)
def test_parse_size_reads_binary_units(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["10", "10 MB", "0.3 B", "-1 KiB", "MiB"])
def test_parse_size_refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|bytes"):
        parse_size(text)


@given(st.integers(0, 1_000_000))
def test_format_percentage_reads_back(millionths: int) -> None:
    share = parse_percentage(f"{millionths / 10_000:.4f}%")

    assert parse_percentage(format_percentage(share)) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "%", "0.05"])
def test_parse_percentage_needs_the_sign_and_a_part_of_the_whole(text: str) -> None:
    with pytest.raises(ValueError, match="percentage"):
        parse_percentage(text)


@pytest.mark.parametrize("kind", [Duration, PositiveDuration, Size, Percentage])
@pytest.mark.parametrize("bare", ["4", 4, 4.5])
def test_quantity_refuses_a_bare_number_with_a_hint(kind: Any, bare: object) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(bare)

    (error,) = caught.value.errors()
    assert error["ctx"]["words"] == "a number without its unit"
    assert error["ctx"]["hint"].startswith("write a number")


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_quantity_refuses_what_is_no_text(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(value)


def test_positive_duration_refuses_nothing() -> None:
    assert TypeAdapter(Duration).validate_python("0s") == timedelta()
    with pytest.raises(ValidationError, match="more than zero"):
        TypeAdapter(PositiveDuration).validate_python("0s")


def test_quantities_have_a_json_schema() -> None:
    for kind in (Duration, PositiveDuration, Size, Percentage):
        assert TypeAdapter(kind).json_schema()["type"] == "string"
