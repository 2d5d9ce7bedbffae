from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.record import (
    PointRecorded,
    RestoreTestRecorded,
    RunbookMoved,
    RunOpened,
)
from dr_orchestrator.core.runbook import Ending, Event, StepResult
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.store.codec import (
    decode_entry,
    encode_entry,
    instant_from,
    instant_text,
    kind_of,
    storable,
)
from tests.support.clock import START
from tests.support.evidence import make_move, make_point, make_run, make_runbook_run, make_test

_ANYWHERE = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.timezones(),
)
_INSTANTS = _ANYWHERE.map(lambda instant: instant.astimezone(UTC))
_TEXT = st.text()
_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _INSTANTS
_VERIFICATIONS = st.builds(
    Verification,
    title=_TEXT,
    asset=_TEXT,
    result=st.sampled_from(Result),
    expected=_VALUES | _TEXT,
    actual=_VALUES | _TEXT,
    reason=_TEXT,
)


@given(st.lists(_VERIFICATIONS, max_size=4), st.lists(_TEXT), st.none() | _INSTANTS)
def test_decode_entry_reads_back_any_restore_test(
    verifications: list[Verification], conditions: list[str], newest: datetime | None
) -> None:
    test = make_test(START, newest=newest)
    test = replace(test, verifications=tuple(verifications), conditions=tuple(conditions))
    entry = RestoreTestRecorded(test=test)

    read = decode_entry(kind_of(entry), encode_entry(entry))

    assert read == entry
    assert encode_entry(read) == encode_entry(entry)


@given(
    _TEXT,
    st.sampled_from(Event),
    st.none() | st.sampled_from(StepResult),
    st.none() | st.sampled_from(Ending),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    _INSTANTS,
)
def test_decode_entry_reads_back_any_move(  # noqa: PLR0917 - what a move may hold
    text: str,
    event: Event,
    result: StepResult | None,
    ending: Ending | None,
    seconds: float | None,
    at: datetime,
) -> None:
    plain = make_move(make_runbook_run(START), 7, event, at=at, by=text, text=text, goes_to=text)
    entry = RunbookMoved(move=replace(plain, result=result, ending=ending, seconds=seconds))

    assert decode_entry(kind_of(entry), encode_entry(entry)) == entry


@given(_ANYWHERE, _ANYWHERE)
def test_instant_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    # Python compares times of one zone by its wall clock, which goes back once a year.
    earlier = one.astimezone(UTC) < other.astimezone(UTC)
    assert (instant_text(one) < instant_text(other)) == earlier
    assert instant_from(instant_text(one)) == one.astimezone(UTC)


def test_encode_entry_is_the_same_bytes_for_equal_entries() -> None:
    point = make_point(START)
    turned = replace(
        point,
        as_of=point.as_of.astimezone(timezone(timedelta(hours=-6))),
        assets=dict(sorted(point.assets.items(), reverse=True)),
    )

    assert encode_entry(PointRecorded(point=turned)) == encode_entry(PointRecorded(point=point))


def test_encode_entry_is_plain_canonical_json() -> None:
    text = encode_entry(RunOpened(run=make_run(START, reason="café")))

    content = json.loads(text)
    assert text == json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    assert content["run"]["started_at"] == "2026-11-18T12:00:00.000000Z"
    assert "café" in text


def test_encode_entry_refuses_a_time_without_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        encode_entry(RunOpened(run=make_run(START.replace(tzinfo=None))))


def test_storable_writes_out_what_is_no_text() -> None:
    assert storable("/srv/\udcff\0x — é") == "/srv/\\udcffx — é"
