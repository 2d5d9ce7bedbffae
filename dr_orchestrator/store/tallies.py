"""Counts over years of the record, made by the database: nobody reads the rows one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Text, case, cast, func, select, text

from dr_orchestrator.core.occurrence import Skipped
from dr_orchestrator.core.run import Operation, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.store.base import MonthOfTests
from dr_orchestrator.store.rows import run_from
from dr_orchestrator.store.schema import attempted, occurrence, restore_test, run

_MONTH = len("2026-11")
_MISSED = tuple(each.value for each in (Skipped.SUPERSEDED, Skipped.TOO_LATE))
OF_RESTORE_TESTS = text(f"occurrence.operation = '{Operation.RESTORE_TEST.value}'")
"""Word for word the condition of the index that this is read from."""


def months_of_tests(
    connection: Connection, practices: Collection[str], since: datetime
) -> tuple[MonthOfTests, ...]:
    """Return what became of restore tests, month by month; see `Store.months_of_tests`."""
    test, due = restore_test.c, occurrence.c
    became = case((due.skipped.in_(_MISSED), "missed"), else_="skipped")
    made = _counted(connection, test.practice, test.started_at, test.result).where(
        test.practice.in_(practices), test.started_at >= since
    )
    not_made = _counted(connection, due.practice, due.due_at, became).where(
        OF_RESTORE_TESTS,
        due.practice.in_(practices),
        due.due_at >= since,
        due.skipped.not_in(("", Skipped.CLOCK_AHEAD.value)),
    )
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for wanted in (made, not_made):
        for practice, month, what, count in connection.execute(wanted):
            counts.setdefault((practice, month), {})[what] = count
    return tuple(
        MonthOfTests(
            practice=practice,
            month=month,
            passed=found.get(Result.PASSED.value, 0),
            failed=found.get(Result.FAILED.value, 0),
            no_result=found.get(Result.UNPROVEN.value, 0),
            missed=found.get("missed", 0),
            skipped=found.get("skipped", 0),
        )
        for (practice, month), found in sorted(counts.items())
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
