"""Counts over years of the record, made by the database: nobody reads the rows one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Text,
    TextClause,
    case,
    cast,
    func,
    literal,
    select,
    text,
)

from dr_orchestrator.core.occurrence import Skipped
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.store.base import MonthOfTests
from dr_orchestrator.store.rows import run_from
from dr_orchestrator.store.schema import attempted, occurrence, restore_test, run

_MONTH = len("2026-11")
_NOT_DONE = tuple(each.value for each in Outcome if each is not Outcome.DONE)
_MISSED = tuple(each.value for each in (Skipped.SUPERSEDED, Skipped.TOO_LATE))
OF_RESTORE_TESTS = text(f"occurrence.operation = '{Operation.RESTORE_TEST.value}'")
UNSCHEDULED_TESTS = text(
    f"run.operation = '{Operation.RESTORE_TEST.value}' AND run.schedule_id IS NULL"
)
"""Word for word the conditions of the indexes that these are read from."""


def months_of_tests(
    connection: Connection, practices: Collection[str], since: datetime
) -> tuple[MonthOfTests, ...]:
    """Return what became of restore tests, month by month; see `Store.months_of_tests`."""
    test, due = restore_test.c, occurrence.c
    became = case((due.skipped.in_(_MISSED), "missed"), else_="skipped")
    made = _counted(connection, test.practice, test.started_at, test.result).where(
        test.practice.in_(practices), test.started_at >= since
    )
    # Counted apart and taken off: to leave them out, each row would have to be read.
    looked_for_damage = made.where(test.follow_up_of.is_not(None))
    started_by_hand = (
        _counted(connection, run.c.practice, test.started_at, literal("by_hand"))
        .where(run.c.practice.in_(practices), test.started_at >= since)
        .where(*by_hand())
    )
    ended_without = _counted(connection, due.practice, due.due_at, literal("missed")).where(
        due.practice.in_(practices), due.due_at >= since, *without_test()
    )
    not_made = _counted(connection, due.practice, due.due_at, became).where(
        OF_RESTORE_TESTS,
        due.practice.in_(practices),
        due.due_at >= since,
        due.skipped.not_in(("", Skipped.CLOCK_AHEAD.value)),
    )
    counts: dict[tuple[str, str], dict[str, int]] = {}
    added = (made, not_made, ended_without, started_by_hand)
    for factor, wanted in ((-1, looked_for_damage), *((1, each) for each in added)):
        for practice, month, what, count in connection.execute(wanted):
            found = counts.setdefault((practice, month), {})
            found[what] = found.get(what, 0) + factor * count
    return tuple(
        MonthOfTests(
            practice=practice,
            month=month,
            passed=found.get(Result.PASSED.value, 0),
            failed=found.get(Result.FAILED.value, 0),
            no_result=found.get(Result.UNPROVEN.value, 0),
            missed=found.get("missed", 0),
            skipped=found.get("skipped", 0),
            by_hand=found.get("by_hand", 0),
        )
        for (practice, month), found in sorted(counts.items())
        if any(found.values())
    )


def without_test() -> tuple[ColumnElement[bool] | TextClause, ...]:
    """Return what holds of an occurrence whose attempts all ended before there was a test.

    One that was done has a test: only of the others, which are few, it is looked up.
    """
    due = occurrence.c
    of_it = select(restore_test.c.id).join(run, run.c.id == restore_test.c.id)
    tested = of_it.where(run.c.schedule_id == due.schedule_id, run.c.due_at == due.due_at)
    return (OF_RESTORE_TESTS, due.outcome.in_(_NOT_DONE), ~tested.exists())


def by_hand() -> tuple[ColumnElement[bool] | TextClause, ...]:
    """Return what holds of a run, joined with the restore test it made, that served no schedule;
    what only looked for damage aside.
    """
    return (
        run.c.id == restore_test.c.id,
        UNSCHEDULED_TESTS,
        restore_test.c.follow_up_of.is_(None),
    )


def _counted(
    connection: Connection,
    practice: Column[str],
    at: Column[datetime],
    what: ColumnElement[str],
) -> Any:
    """Select how many there are by practice, month in UTC, and `what`."""
    in_utc = func.timezone("UTC", at) if connection.dialect.name == "postgresql" else at
    month = func.substr(cast(in_utc, Text), 1, _MONTH)
    return select(practice, month, what, func.count()).group_by(practice, month, what)


def newest_finished(connection: Connection, operation: Operation) -> Mapping[str, Run]:
    """Return the newest finished run of an operation by practice; see `Store.newest_finished`."""
    newest = (
        select(run)
        .join(attempted, attempted.c.newest_run == run.c.id)
        .where(attempted.c.operation == operation.value)
        .order_by(run.c.finished_at, run.c.id)
    )
    return {row.practice: run_from(row) for row in connection.execute(newest)}
