from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.record import (
    ActionClosed,
    ActionOpened,
    DrillRecorded,
    Entry,
    HoldPlaced,
    OccurrenceDue,
    PointForgotten,
    PointRecorded,
    PromiseRecorded,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
    SignedOff,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.facts import facts_of
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.codec import decode_entry
from dr_orchestrator.store.migration import configuration
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, make_drill, make_point, make_run, make_test
from tests.support.promises import make_action, make_change, make_promise, make_sign_off

PRACTICES = (PRACTICE, "lakeside")
_OF_CHAIN = {"chain_started", "checkpoint", "key_succeeded"}


def _entries(number: int, practice: str, text: str) -> tuple[Entry, ...]:
    """Return one entry of each of many kinds; few numbers, so that most come more than once."""
    at = START + timedelta(hours=number)
    named: dict[str, Any] = {"id": f"{practice}-{number}", "practice": practice}
    due = Occurrence(
        **named,
        schedule_id=f"{practice}/backup",
        due_at=at,
        operation=Operation.BACKUP,
        skipped=text if number % 2 else "",
    )
    verdict = (None, *Verdict)[number % 4]
    return (
        RunOpened(run=make_run(at, **named)),
        RunClosed(run=named["id"], finished_at=at, outcome=Outcome.FAILED, reason=text),
        PointRecorded(point=make_point(at, **named)),
        PointForgotten(practice=practice, point=named["id"], repository="onsite", at=at, why=text),
        RestoreTestRecorded(test=make_test(at, **named)),
        HoldPlaced(practice=practice, point=named["id"], at=at, until=None, by="Ada", why=text),
        OccurrenceDue(occurrence=due),
        DrillRecorded(drill=make_drill(at, **named)),
        PromiseRecorded(promise=make_promise(at, f"{number % 2}h", **named)),
        make_change(at, verdict, practice=practice, reason=text),
        SignedOff(sign_off=make_sign_off(at, **named, role=text)),
        ActionOpened(action=make_action(at, **named)),
        ActionClosed(practice=practice, id=named["id"], at=at, by="Ada", done=text),
    )


_ENTRY = st.builds(
    lambda number, practice, kind: _entries(number, practice, f"wh\u00e4t {number}")[kind],
    st.integers(0, 3),
    st.sampled_from(PRACTICES),
    st.integers(0, len(_entries(0, "", "")) - 1),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(_ENTRY, min_size=1, max_size=4) | st.sampled_from(PRACTICES), max_size=12))
def test_any_entries_leave_a_chain_that_verifies_with_a_line_for_each(
    given_records: list[list[Entry] | str],
) -> None:
    with TemporaryDirectory() as folder, open_store(Path(folder), FakeClock()) as store:
        signer = StateFolder(Path(folder)).evidence_signer()
        for each in given_records:
            if isinstance(each, str):
                store.evidence.checkpoint(each, signer)
                continue
            with contextlib.suppress(ValueError):  # it contradicts what is recorded
                store.record(*each)
        for practice in PRACTICES:
            store.evidence.checkpoint(practice, signer)
            _assert_sound(store, practice)


def _assert_sound(store: Store, practice: str) -> None:
    texts = list(store.evidence.lines(practice))
    lines = [read_line(text) for text in texts]
    journal = store.journal(practice)
    borne_out = [
        sha256(line.payload.encode()).hexdigest()
        for line in journal
        if facts_of(decode_entry(line.kind, line.payload)) is not None
    ]
    assert [line.record for line in lines if line.kind not in _OF_CHAIN] == borne_out
    assert store.evidence.disagreements(practice) == ()
    if borne_out:
        assert verify([text.encode() for text in texts]).is_sound
    else:
        assert texts == []


def test_store_of_an_older_version_begins_a_chain_without_a_word_on_what_was_before(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "new", FakeClock()) as new:
        new.record(RunOpened(run=make_run(START)), RestoreTestRecorded(test=make_test(START)))
        journal = new.journal()
    old = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with old.begin() as connection:
        connection.exec_driver_sql(f"ATTACH '{tmp_path / 'new' / FILE_NAME}' AS new")
        command.upgrade(configuration(connection), "0007")
        for line in journal:
            connection.exec_driver_sql(
                "INSERT INTO journal (at, kind, practice, payload) VALUES (?, ?, ?, ?)",
                (f"{line.at:%Y-%m-%dT%H:%M:%S}.000000Z", line.kind, PRACTICE, line.payload),
            )
        connection.exec_driver_sql("INSERT INTO restore_test SELECT * FROM new.restore_test")
    old.dispose()

    with open_store(tmp_path, FakeClock()) as store:
        assert store.evidence.chains(PRACTICE) == ()
        assert store.evidence.disagreements(PRACTICE) == ()
        store.record(RunOpened(run=make_run(START, id="first of the new version")))

        began, _ = map(read_line, store.evidence.lines(PRACTICE))
        assert began.about["recorded_before"] == len(journal) == 2
        assert store.evidence.disagreements(PRACTICE) == ()


def test_chain_that_another_process_began_is_gone_on_with(tmp_path: Path) -> None:
    with open_store(tmp_path, FakeClock()) as one, open_store(tmp_path, FakeClock()) as other:
        for number, store in enumerate((one, other, one, other)):
            store.record(RunOpened(run=make_run(START, id=f"{number}")))

        assert [read_line(text).number for text in one.evidence.lines(PRACTICE)] == [1, 2, 3, 4, 5]
        assert len(one.evidence.chains(PRACTICE)) == 1


def test_take_in_brings_an_older_copy_of_this_memory_to_where_its_chain_had_come(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "state", FakeClock()) as store:
        store.record(RunOpened(run=make_run(START, id="1")))
    shutil.copytree(tmp_path / "state", tmp_path / "older")
    with open_store(tmp_path / "state", FakeClock()) as store:
        store.record(RunOpened(run=make_run(START, id="2")))
        lines = list(store.evidence.lines(PRACTICE))

    with open_store(tmp_path / "older", FakeClock()) as older:
        assert older.evidence.take_in(PRACTICE, lines) == 1
        older.record(RunOpened(run=make_run(START, id="3")))

        (head,) = older.evidence.chains(PRACTICE)
        assert (head.ours, head.number) == (True, 4)
        texts = [text.encode() for text in older.evidence.lines(PRACTICE)]
        assert verify(texts, must_be_signed=False).is_sound
        (lost,) = older.evidence.disagreements(PRACTICE)
        assert lost.startswith(f"number 3 of chain {head.chain[:8]}… (run_opened)")


def test_point_that_gets_a_further_copy_has_a_line_for_it(tmp_path: Path) -> None:
    first = make_point(START)
    both = replace(first, copies=make_point(START, repositories=("onsite", "offsite")).copies)
    with open_store(tmp_path, FakeClock()) as store:
        for point in (first, both, both):
            store.record(PointRecorded(point=point))

        assert len(list(store.evidence.lines(PRACTICE, kinds=("point_recorded",)))) == 2
