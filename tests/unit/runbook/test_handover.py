"""The state that is handed over: the same comes back, and nothing that was changed on its way."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.runbook import Ending, Event, Mode, Move, StepResult
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.runbook.handover import OtherRun, read_state, write_state
from dr_orchestrator.store.codec import canonical_json
from tests.support.clock import START
from tests.support.evidence import make_point
from tests.support.responder import run_of

RUN = run_of()
POINTS = (make_point(START), make_point(START - timedelta(hours=1), data_as_of=START))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def moves(count: int, **said: Any) -> tuple[Move, ...]:
    return tuple(
        Move(
            run=RUN.id,
            practice=RUN.practice,
            number=number,
            at=START + timedelta(seconds=number),
            by="Ada",
            host="desk-1",
            event=Event.NOTED,
            **said,
        )
        for number in range(1, count + 1)
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "state.json"
    write_state(path, RUN, moves(2, text="the second disk blinks"), POINTS, (OtherRun(RUN, ()),))
    return path


@st.composite
def runs(draw: st.DrawFn) -> OtherRun:
    text = draw(TEXT)
    run = run_of(
        draw(st.sampled_from(Mode)),
        runbook_text=text,
        runbook_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    said = moves(
        draw(st.integers(0, 3)),
        text=draw(TEXT),
        seconds=draw(st.none() | st.floats(0, 1e9)),
        result=draw(st.none() | st.sampled_from(StepResult)),
        ending=draw(st.none() | st.sampled_from(Ending)),
    )
    return OtherRun(run, said)


@settings(max_examples=20)
@given(
    held=runs(),
    points=st.sampled_from([(), POINTS]),
    others=st.lists(runs(), max_size=1).map(tuple),
)
def test_read_state_returns_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, held: OtherRun, points: Any, others: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.json"
    others = tuple(replace(each, run=replace(each.run, mode=held.run.mode)) for each in others)

    write_state(path, held.run, held.moves, points, others)

    assert read_state(path) == (held.run, held.moves, points, others)


def test_state_is_readable_by_us_only(written: Path) -> None:
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


@settings(max_examples=60)
@given(data=st.data())
def test_any_changed_byte_is_found(
    written: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(written.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    changed = tmp_path_factory.getbasetemp() / "changed.json"
    changed.write_bytes(content)

    with pytest.raises(UsageMistake):
        read_state(changed)


@settings(max_examples=30)
@given(data=st.data())
def test_state_that_was_cut_off_or_grew_is_found(
    written: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = written.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    other = tmp_path_factory.getbasetemp() / "other.json"
    other.write_bytes(data.draw(st.sampled_from([content[:at], content + b" ", content * 2])))

    with pytest.raises(UsageMistake, match=r"other\.json"):
        read_state(other)


def rewritten(written: Path, path: Path, **changes: Any) -> Path:
    """Write the state anew with changes, and with the hash that fits them."""
    content = json.loads(written.read_text()) | changes
    del content["sha256"]
    content["sha256"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    path.write_text(canonical_json(content) + "\n")
    return path


def test_state_of_a_newer_version_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="newer version"):
        read_state(rewritten(written, tmp_path / "newer.json", schema=2))


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("run", "trusted", "yes"),
        ("run", "mode", "holiday"),
        ("run", "system", None),
        ("run", "opened_at", "2026-11-18T12:00:00"),
        ("run", "opened_at", 5),
        ("run", "runbook_text", "steps: {rm: -rf}"),
        ("run", "id", "another"),
        ("moves", "number", 7),
        ("moves", "number", "1"),
        ("moves", "event", "conquered"),
        ("moves", "practice", "lakeside"),
        ("moves", "text", ["a"]),
        ("moves", "output_sha256", "\x1b[2J"),
        ("moves", "goes_to", "runbook:\x1b[2J"),
        ("moves", "seconds", 1e300),
        ("moves", "seconds", -1.0),
        ("run", "lane", "../desk"),
        ("points", "practice", "lakeside"),
        ("points", "assets", []),
        ("others", "moves", None),
    ],
)
def test_state_with_a_value_that_cannot_be_is_refused(
    written: Path, tmp_path: Path, where: str, key: str, value: Any
) -> None:
    content = json.loads(written.read_text())[where]
    (content if where == "run" else content[0])[key] = value

    with pytest.raises(UsageMistake, match=r"bad\.json"):
        read_state(rewritten(written, tmp_path / "bad.json", **{where: content}))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b"\xff", b'{"schema":true}', b"[" * 100_000, b'{"schema":1}'],
)
def test_file_that_is_no_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)

    with pytest.raises(UsageMistake, match=r"state\.json"):
        read_state(path)


def test_file_of_any_size_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    path.touch()
    os.truncate(path, 1 << 40)

    with pytest.raises(UsageMistake, match="larger"):
        read_state(path)


@pytest.mark.parametrize("missing", ["state.json", "folder/state.json"])
def test_missing_file_is_a_mistake_with_a_hint(tmp_path: Path, missing: str) -> None:
    with pytest.raises(UsageMistake, match="cannot be read") as caught:
        read_state(tmp_path / missing)

    assert caught.value.hint


def test_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_state(path, RUN, moves(1), ())

    with pytest.raises(UsageMistake, match="cannot be written"):
        write_state(path / "below", RUN, moves(2), ())

    assert read_state(path)[1] == moves(1)
