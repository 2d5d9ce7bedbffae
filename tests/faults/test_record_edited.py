"""Somebody who owns the file of the store changes what it says of the past, triggers and all.

The evidence says what was written; where the record says something else, it is found, and where.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.record import (
    ActionClosed,
    ActionOpened,
    DrillRecorded,
    OccurrenceDue,
    PointForgotten,
    PointRecorded,
    PromiseRecorded,
    RepositoryChecked,
    RestoreTestRecorded,
    RunOpened,
    SignedOff,
)
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import EvidenceKeyChanged
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import (
    PRACTICE,
    make_attempts,
    make_drill,
    make_point,
    make_run,
    make_test,
)
from tests.support.promises import make_action, make_promise, make_sign_off

RUNS = 9
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store of runs (lines 2 to 10, after one that is no evidence), and of results."""
    due = Occurrence(
        id="o", schedule_id="s", due_at=START, practice=PRACTICE, operation=Operation.BACKUP
    )
    action = make_action(START, id="a")
    with open_store(tmp_path, FakeClock()) as opened:
        opened.record(OccurrenceDue(occurrence=due))
        for number in range(RUNS):
            opened.record(RunOpened(run=make_run(START, id=f"r{number}")))
        opened.record(
            RestoreTestRecorded(test=make_test(START, Result.FAILED, id="t1")),
            RestoreTestRecorded(test=make_test(START + HOUR, id="t2")),
            DrillRecorded(drill=make_drill(START, id="d")),
            PromiseRecorded(promise=make_promise(START, id="p")),
            SignedOff(sign_off=make_sign_off(START, id="s")),
            ActionOpened(action=action),
            ActionClosed(practice=PRACTICE, id="a", at=START, by="Ada", done="cable"),
        )
        assert opened.evidence.disagreements(PRACTICE) == ()
        yield opened


def _chain(store: Store) -> str:
    return f"chain {store.evidence.chains(PRACTICE)[0].chain[:8]}…"


def _edit(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        for table in ("journal", "evidence"):
            for deed in ("update", "delete"):
                connection.execute(f"DROP TRIGGER {table}_no_{deed}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("seq", [2, 6, 1 + RUNS])
def test_entry_that_was_altered_removed_or_put_in_is_found_wherever_it_stood(
    store: Store, tmp_path: Path, seq: int
) -> None:
    _edit(
        tmp_path, f"UPDATE journal SET payload = replace(payload, 'emr', 'emx') WHERE seq = {seq}"
    )
    found = store.evidence.disagreements(PRACTICE)
    assert [each.split(" is ")[0] for each in found] == [
        f"number {seq} of {_chain(store)} (run_opened)",
        f"line {seq} of the journal (run_opened)",
    ]

    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(f"DELETE FROM journal WHERE seq = {seq}")
        (found_one,) = store.evidence.disagreements(PRACTICE)
        assert found_one.startswith(f"number {seq} of {_chain(store)} (run_opened) is about an")
        insert = "INSERT INTO journal (seq, at, kind, practice, payload) SELECT "
        again = f"{insert} {seq}, at, kind, practice, replace(payload, 'r', 'x') FROM journal "
        connection.execute(f"{again} WHERE kind = 'run_opened' LIMIT 1")
        assert len(store.evidence.disagreements(PRACTICE)) == 2


def test_entry_is_found_altered_when_another_chain_was_begun_since(
    store: Store, tmp_path: Path
) -> None:
    """Whoever begins anew hides nothing by it."""
    before = _chain(store)
    store.evidence.begin_anew(PRACTICE, StateFolder(tmp_path).evidence_signer())
    store.record(RunOpened(run=make_run(START, id="since")))
    assert store.evidence.disagreements(PRACTICE) == ()

    _edit(tmp_path, "DELETE FROM journal WHERE seq IN (4, 18)")

    assert [each.split(" is ")[0] for each in store.evidence.disagreements(PRACTICE)] == [
        f"number 4 of {before} (run_opened)",
        f"number 2 of {_chain(store)} (run_opened)",
    ]


@pytest.mark.parametrize("line", ["{", "{}", "[]"])
def test_chain_whose_beginning_was_altered_is_found(
    store: Store, tmp_path: Path, line: str
) -> None:
    _edit(tmp_path, f"UPDATE evidence SET line = '{line}' WHERE number = 1")

    lines = (text.encode() for text in store.evidence.lines(PRACTICE))
    assert verify(lines, must_be_signed=False).faults
    store.evidence.disagreements(PRACTICE)
    assert [each.key for each in store.evidence.chains(PRACTICE)] == [""]
    with pytest.raises(EvidenceKeyChanged, match="nobody knows"):
        store.evidence.checkpoint(PRACTICE, StateFolder(tmp_path).evidence_signer())


def test_entry_that_was_put_in_is_found(store: Store, tmp_path: Path) -> None:
    _edit(
        tmp_path,
        "INSERT INTO journal (at, kind, practice, payload) "
        "SELECT at, kind, practice, payload FROM journal WHERE seq = 4",
    )

    (found,) = store.evidence.disagreements(PRACTICE)

    assert found.startswith("line 18 of the journal (run_opened) is in no evidence")


def test_entries_that_were_put_in_another_order_are_found(store: Store, tmp_path: Path) -> None:
    _edit(
        tmp_path,
        "UPDATE journal SET seq = 1000 WHERE seq = 4",
        "UPDATE journal SET seq = 4 WHERE seq = 5",
        "UPDATE journal SET seq = 5 WHERE seq = 1000",
    )

    (found,) = store.evidence.disagreements(PRACTICE)

    assert found == (
        f"number 5 of {_chain(store)} is about an entry that stands elsewhere in the journal: its "
        "order was changed"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM evidence WHERE number = 4",
        "UPDATE evidence SET line = '{' WHERE number = 4",
        "UPDATE evidence SET line = '[]' WHERE number = 4",
    ],
)
def test_line_of_evidence_that_was_removed_or_altered_is_found(
    store: Store, tmp_path: Path, statement: str
) -> None:
    _edit(tmp_path, statement)

    (found,) = store.evidence.disagreements(PRACTICE)

    assert found.startswith("line 4 of the journal (run_opened) is in no evidence")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE restore_test SET result = 'passed', reason = '' WHERE id = 't1'",
            "the restore test t1 is not the one that line 11 of the journal has",
        ),
        (
            "UPDATE restore_test SET result = 'rosy' WHERE id = 't1'",
            "the restore test t1 is not the one that line 11 of the journal has",
        ),
        (
            "DELETE FROM restore_test WHERE id = 't1'",
            "the restore test t1 of line 11 of the journal is gone",
        ),
        (
            "UPDATE restore_test SET id = 't3' WHERE id = 't1'",
            "the restore test t3 is in no line of the journal",
        ),
        (
            """UPDATE drill SET drill = replace(drill, '"passed"', '"failed"')""",
            "the drill d is not the one that line 13 of the journal has",
        ),
        (
            "UPDATE promise SET promise = replace(promise, '4h', '8h')",
            "the version of the promise p is not the one that line 14 of the journal has",
        ),
        (
            "UPDATE sign_off SET sign_off = replace(sign_off, 'paper', 'own key')",
            "the sign-off s is not the one that line 15 of the journal has",
        ),
        (
            "UPDATE corrective_action SET due = '2036-11-18T12:00:00.000000Z'",
            "the corrective action a is not as the journal has it",
        ),
        ("DELETE FROM corrective_action", "the corrective action a is not as the journal has it"),
    ],
)
def test_result_that_is_not_the_recorded_one_is_found(
    store: Store, tmp_path: Path, statement: str, found: str
) -> None:
    _edit(tmp_path, statement)

    assert found in store.evidence.disagreements(PRACTICE)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE point SET as_of = '2027-01-01T00:00:00.000000Z'", "the recovery point x is not"),
        ("UPDATE point SET system = 'other'", "the recovery point x is not"),
        ("UPDATE point_copy SET repository = 'cloud'", "the copy of x in cloud is not"),
        ("UPDATE point_copy SET manifest_snapshot = 'y'", "the copy of x in onsite is not"),
        ("DELETE FROM point_copy", "the copy of x in onsite, which the journal has, is gone"),
        ("UPDATE repository_check SET sound = 1", "the check of part 1 of 4 of onsite is not"),
        ("UPDATE repository_check SET at = '2027'", "not every check of a repository can be read"),
        ("DELETE FROM repository_check", "the check of part 1 of 4 of onsite is not"),
        (
            "UPDATE immutability_test SET attempts = replace(attempts, 'done', 'refused')",
            "the test that offsite cannot be destroyed is not",
        ),
        (
            "UPDATE immutability_test SET attempts = '{'",
            "not every check of a repository can be read",
        ),
    ],
)
def test_what_a_verdict_is_made_of_is_found_altered(
    store: Store, tmp_path: Path, statement: str, found: str
) -> None:
    point = make_point(START, id="x", repositories=("onsite", "offsite"))
    check = RepositoryChecked(
        practice=PRACTICE, repository="onsite", run="r1", at=START, part=1, parts=4, sound=True
    )
    store.record(
        PointRecorded(point=point),
        PointForgotten(practice=PRACTICE, point="x", repository="offsite", at=START, why="old"),
        check,
        replace(check, at=START + HOUR, sound=False, reason="a pack is gone"),
        make_attempts(START, Answer.DONE),
        make_attempts(START + HOUR, *[Answer.UNKNOWN] * 5),
    )
    assert store.evidence.disagreements(PRACTICE) == ()

    _edit(tmp_path, statement)

    assert any(each.startswith(found) for each in store.evidence.disagreements(PRACTICE))


def test_journal_that_is_no_journal_any_more_is_told_in_few_sentences(
    store: Store, tmp_path: Path
) -> None:
    _edit(tmp_path, "UPDATE journal SET payload = '[1]'")

    found = store.evidence.disagreements(PRACTICE)

    assert "line 11 of the journal (restore_test_recorded) cannot be read" in found
    assert len(found) == 21
    assert found[-1].startswith("and ")
